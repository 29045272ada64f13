"""Notebook 07: one file, mapped in place by three tasks; their page tables; and two races, step by step.

    writer    MAP_SHARED, file open for reading and writing      its stores are the file's bytes
    reader    MAP_SHARED, file open for reading only             sees zeros where there is a hole
    private   MAP_PRIVATE                                        a page of its own after its first store

All run in LINUX1, which has mounted segment DATA with the option xip. The file /xip/story has three pages
(the one in the middle is a hole); each task has mapped four, one more than there is.

    experiment = MapInPlace()
    experiment.load("reader", 1)             the task loads the first byte of page 1
    experiment.store("private", 0, "J")      and stores one
    experiment.write(1, "Hello")             another program writes to page 1: write(2)
    experiment.truncate(2)                   and cuts the file to two pages
    experiment.other("secret")               and makes another file, of one page
    experiment.protect("writer", "none")     mprotect: none, read or write
    experiment.spoil()                       the device breaks
    experiment.begin("reader", 2)            a fault, up to where it has looked the page up ...
    experiment.finish()                      ... and the rest of it
    experiment.entries("reader")             its page table; whose each frame is
    experiment.plug(function)                  another fault handler, for all three tasks
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xiplab.course.experiments.fault_handler import Function, operations
from xiplab.course.experiments.stage import Stage, action
from xiplab.errors import SIGKILL, SIGNAL_NAMES, SIGSEGV, Signal
from xiplab.guest import ZVM
from xiplab.hw.dat import PAGE_PROTECT
from xiplab.hw.memory import Storage
from xiplab.linux.block.blk_core import bio_endio
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.fs.open import fget
from xiplab.linux.include.blkdev import Bio, BlockDevice, RequestQueue
from xiplab.linux.include.fs import O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY
from xiplab.linux.include.mm import MAP_PRIVATE, MAP_SHARED, PROT_NONE, PROT_READ, PROT_WRITE, VmFault
from xiplab.linux.mm.filemap_xip_eras import fault_steps, fault_steps_2_6_26, fault_steps_dax
from xiplab.linux.mm.memory import follow_pte
from xiplab.mapping import Mapping
from xiplab.process import Process
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import Recording
from xiplab.trace_views import Event, label
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, KiB, MiB, Pfn, Pgoff, Sector, Vaddr, page_count

TASKS = ("writer", "reader", "private")
STORY = b"apple".ljust(PAGE_SIZE, b".") + bytes(PAGE_SIZE) + b"cream".ljust(PAGE_SIZE, b".")
PAGES = 4
SHOWN = 8
FAULTS = {"2.6.26": fault_steps_2_6_26, "3.6": fault_steps, "DAX": fault_steps_dax}
"""The fault handler with a pause, as three kernels have it."""
PROTECTIONS = {"none": PROT_NONE, "read": PROT_READ, "write": PROT_READ | PROT_WRITE}
METADATA = "segment to memory"
OWNERS = {"storage": "the file's page of the segment", "sparse": "the sparse page",
          "private": "a private copy", "lost": "a block that is not the file's any more"}


def word_of(data: bytes) -> str:
    """The beginning of a page as text; "zeros" for zeros."""
    start = data[:SHOWN]
    if not any(start):
        return "zeros"
    return "".join(chr(value) if 0x20 <= value < 0x7F else "·" for value in start).rstrip(".·")


def _is_told(event: Event) -> bool:
    """Frames for tables and caches of metadata, and the model's own shortcuts, are left out."""
    if event.name == "frame":
        return event.fields.get("kind") in ("sparse page", "anonymous")
    return not event.name.endswith(("_bytes", ".lookup", ".create")) and event.fields.get("what") != METADATA


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a task's page table.

    Attributes:
        pfn: the frame; None if there is none yet. owner: a key of OWNERS. shows: what the frame begins with.
        writable: a store needs no fault.
    """

    page: int
    pfn: Pfn | None
    owner: str
    shows: str
    writable: bool


class MapInPlace(Stage):
    """LINUX1, segment DATA, and three tasks that have mapped /xip/story.

    Attributes:
        guest: LINUX1. vm: its z/VM. fd: the file, open in LINUX1's first task, which makes the write calls.
        tasks: the processes. texts: their mappings, by name of the task.
        faults: how many faults were served, by how. copied: bytes of files copied. path: the last
            action's way.
        pending: a fault between its two steps, and its task and page.
        story: what the file holds at first; pages of zeros are holes.
    """

    story = STORY

    def build(self) -> None:
        self.vm = ZVM(Storage(256 * MiB))
        self.vm.segment("DATA", size=1 * MiB, type="SW", at=0x10000000)
        self.vm.load("DATA", mke2fs(64 * KiB, tree={"story": self.story}, inodes=16, reserved_percent=0))
        self.guest = self.vm.logon("LINUX1")
        self.guest.echo("data", "/sys/devices/dcssblk/add")
        self.guest.mkdir("/xip")
        self.guest.mount("/dev/dcssblk0", "/xip", "ext2", "xip")
        self.fd = self.guest.open("/xip/story", O_RDWR)
        self.tasks: dict[str, Process] = {name: self.guest.process(name) for name in TASKS}
        self.texts: dict[str, Mapping] = {name: self._map(name) for name in TASKS}
        self.faults: Counter[str] = Counter()
        self.copied = 0
        self.path: list[str] = []
        self.pending: tuple[Iterator[str], str, int] | None = None
        self.said = "Three tasks have mapped the file. Nobody has touched a page: the page tables are empty."

    def _map(self, name: str) -> Mapping:
        task = self.tasks[name]
        fd = task.open("/xip/story", O_RDONLY if name == "reader" else O_RDWR)
        return task.mmap(fd, PAGES * PAGE_SIZE, PROT_READ if name == "reader" else PROT_READ | PROT_WRITE,
                         MAP_PRIVATE if name == "private" else MAP_SHARED)

    # ---- what the tasks do ----

    @action
    def load(self, task: str, page: int) -> None:
        """The task loads the first byte of a page."""
        at = self._position(task, page)
        self._access(task, page, lambda: self.texts[task][at], f"{task} loads from page {page}")

    @action
    def store(self, task: str, page: int, letter: str) -> None:
        """The task stores a letter into the first byte of a page."""
        at = self._position(task, page)
        if len(letter) != 1 or not letter.isascii():
            raise OSError(errno.EINVAL, f"store: {letter!r} is not one letter")

        def put() -> None:
            self.texts[task][at] = ord(letter)

        self._access(task, page, put, f"{task} stores “{letter}” into page {page}")

    @action
    def protect(self, task: str, allowed: str) -> None:
        """mprotect of the task's whole mapping. allowed: none, read or write."""
        self._position(task, 0)
        if allowed not in PROTECTIONS:
            raise OSError(errno.EINVAL, f"protect: {allowed!r} is not one of {', '.join(PROTECTIONS)}")
        self.tasks[task].mprotect(self.texts[task].vaddr, len(self.texts[task]), PROTECTIONS[allowed])
        self.said = f"mprotect: {task} may {'do nothing' if allowed == 'none' else allowed} now."

    @action
    def begin(self, task: str, page: int, kernel: str = "3.6") -> None:
        """The task touches a page, and the fault handler stops after it has looked the page up.

        Args:
            task: reader or private. kernel: whose fault handler: 2.6.26, 3.6 or DAX.
        """
        self._position(task, page)
        if task == "writer" or kernel not in FAULTS:
            raise OSError(errno.EINVAL, f"begin: {task}, Linux {kernel}: only reader and private, "
                                        f"only {', '.join(FAULTS)}")
        if self.pending is not None:
            raise OSError(errno.EBUSY, "begin: a fault is under way; finish it first")
        vma = self.texts[task].vma
        vaddr = Vaddr(vma.address_of(page))
        self.pending = FAULTS[kernel](vma, VmFault(Pgoff(page), vaddr, False)), task, page
        self._advance(f"{task} touches page {page}; the fault handler has looked it up, and pauses.")

    @action
    def finish(self) -> None:
        """The fault that was begun goes on: the frame comes into the page table."""
        if self.pending is None:
            raise OSError(errno.EINVAL, "finish: no fault is under way")
        _, task, page = self.pending
        self._advance("")
        self.pending = None
        entry = self.entries(task)[page]
        if entry.pfn is not None:
            self.mark(f"page:{task}:{page}")
            self.said = (f"The fault goes on. Page {page} of {task} shows {OWNERS[entry.owner]}: "
                         f"“{entry.shows}”.")

    # ---- what others do ----

    @action
    def write(self, page: int, text: str) -> None:
        """Another program writes to the beginning of a page: write(2)."""
        with self._counting():
            self.guest.pwrite(self.fd, text.encode(), page << PAGE_SHIFT)
        self.mark(f"pgoff:{page}")
        self.said = f"Another program writes “{text}” to page {page} of the file."

    @action
    def truncate(self, pages: int) -> None:
        """Another program cuts the file to so many pages, or lets it grow."""
        with self._counting():
            self.guest.ftruncate(self.fd, pages << PAGE_SHIFT)
        self.said = f"The file has {pages} page{'' if pages == 1 else 's'} now."

    @action
    def other(self, text: str) -> None:
        """Somebody makes another file, of one page that begins with `text`."""
        with self._counting():
            fd = self.guest.open("/xip/other", O_CREAT | O_WRONLY)
            self.guest.write(fd, text.encode().ljust(PAGE_SIZE, b"."))
            self.guest.close(fd)
        self.said = f"Another file begins with “{text}”."

    @action
    def fill(self, free: int) -> None:
        """Fill the device until so many blocks are free."""
        fd = self.guest.open("/xip/filler", O_CREAT | O_WRONLY | O_APPEND)
        while self.guest.statfs("/xip").f_bfree > free:
            self.guest.write(fd, b"x" * PAGE_SIZE)
        self.guest.close(fd)
        self.said = f"The device is full, but for {free} block{'' if free == 1 else 's'}."

    @action
    def spoil(self) -> None:
        """The device breaks: from now on each question where a block lies is answered by EIO."""

        def broken(bdev: BlockDevice, secnum: Sector) -> tuple[int, Pfn]:
            raise OSError(errno.EIO, f"{bdev}: sector {secnum} cannot be reached")

        self.guest.plug("dcssblk0", direct_access=broken)
        self.said = "The device is broken: direct_access answers EIO."

    @action
    def plug(self, function: Function) -> None:
        """Serve the faults of the three mappings by `function`, in place of xip_file_fault."""
        table = operations(function)
        for text in self.texts.values():
            text.vma.vm_ops = table
        self.said = "Another fault handler serves the three mappings now."

    # ---- what there is to see ----

    @property
    def size(self) -> int:
        """The file's length in pages."""
        return page_count(self.guest.fstat(self.fd).st_size)

    def frame_of(self, page: int) -> Pfn | None:
        """The frame of the segment in which the file's page lies; None for a hole."""
        block = ext2_get_block(fget(self.guest.task, self.fd).f_inode, page, False)[0]
        return Pfn(self._first + block) if block else None

    @property
    def _first(self) -> int:
        """The segment's first frame: block 0 of the device."""
        return self.vm.segments["DATA"].start >> PAGE_SHIFT

    def block_of(self, pfn: Pfn) -> int:
        """The block of the device that lies in a frame of the segment."""
        return pfn - self._first

    @property
    def sparse_page(self) -> Pfn | None:
        """The frame of zeros; None until somebody needs it."""
        return self.guest.kernel.xip_sparse_page

    def entries(self, task: str) -> list[Entry]:
        """The task's page table, page by page."""
        return [self._entry(task, page) for page in range(PAGES)]

    def _entry(self, task: str, page: int) -> Entry:
        text = self.texts[task]
        pfn = text.pfn(page)
        if pfn is None:
            return Entry(page, None, "", "", False)
        entry = follow_pte(text.mm, text.vaddr + (page << PAGE_SHIFT)) or 0
        return Entry(page, pfn, self._owner(text, page, pfn), self.shows(pfn), not entry & PAGE_PROTECT)

    def _owner(self, text: Mapping, page: int, pfn: Pfn) -> str:
        if pfn == self.sparse_page:
            return "sparse"
        if pfn in text.vma.anon.values():
            return "private"
        return "storage" if page < self.size and pfn == self.frame_of(page) else "lost"

    def shows(self, pfn: Pfn) -> str:
        """What a frame begins with."""
        return word_of(bytes(self.guest.kernel.memory.frame(pfn)[:SHOWN]))

    def private_frames(self) -> list[Pfn]:
        """The frames of private copies."""
        return sorted(self.texts["private"].vma.anon.values())

    def mincore(self, task: str) -> list[int]:
        """mincore(2): 1 for each page that is there."""
        return self.tasks[task].mincore(self.texts[task].vaddr, PAGES * PAGE_SIZE)

    def msync(self, task: str) -> int:
        """msync(2) of the task's mapping: how many bytes it copies."""
        with Recording() as recording:
            self.tasks[task].msync(self.texts[task].vaddr, PAGES * PAGE_SIZE)
        return recording.bytes_copied

    def sentence(self) -> str:
        return self.said

    def __str__(self) -> str:
        lines = [f"{task:8}" + "".join(f"  {entry.page}: {_cell(entry):18}" for entry in self.entries(task))
                 for task in TASKS]
        return "\n".join([*(line.rstrip() for line in lines), self.said])

    # ---- how it works ----

    def _position(self, task: str, page: int) -> int:
        if task not in TASKS:
            raise OSError(errno.EINVAL, f"{task!r} is not one of {', '.join(TASKS)}")
        if not isinstance(page, int) or not 0 <= page < PAGES:
            raise OSError(errno.EINVAL, f"page {page!r}: each task has mapped pages 0 to {PAGES - 1}")
        return page << PAGE_SHIFT

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Count the faults and copies of the block, and note its way, even if a signal ends it."""
        recording = Recording()
        try:
            with recording:
                yield
        finally:
            self.faults += recording.faults_by_how
            self.copied += recording.bytes_copied - recording.bytes_by_what[METADATA]
            self.path = [event.name.rpartition(".")[2] if event.is_call else label(event)
                         for event in recording.events if _is_told(event)]

    def _access(self, task: str, page: int, access: Callable[[], object], what: str) -> None:
        """A load or a store, which may end in a signal."""
        try:
            with self._counting():
                access()
        except Signal as signal:
            self.said = f"{what}: {SIGNAL_NAMES[signal.signo]}. {self._why(signal, page)}"
            return
        entry = self.entries(task)[page]
        self.mark(f"page:{task}:{page}")
        self.said = f"{what} and sees “{entry.shows}”: {OWNERS[entry.owner]}."

    def _why(self, signal: Signal, page: int) -> str:
        if signal.signo == SIGKILL:
            return "The look-up failed, and Linux takes that for a lack of memory."
        if signal.signo == SIGSEGV:
            return "It is not allowed."
        if page >= self.size:
            return f"The file has {self.size} pages, so there is no page {page}."
        if self.frame_of(page) is None and not self.guest.statfs("/xip").f_bfree:
            return "There is no block left for the hole."
        return "The fault handler has found no frame for it."

    def _advance(self, said: str) -> None:
        """The next step of the pending fault."""
        assert self.pending is not None
        steps, task, page = self.pending
        try:
            with self._counting():
                next(steps)
            self.said = said
        except Signal as signal:
            self.pending = None
            self.said = f"{task} touches page {page}: {SIGNAL_NAMES[signal.signo]}. {self._why(signal, page)}"


def touch_through_page_cache(broken: bool) -> str:
    """What a task sees of page 0, mapped through a page cache; or its signal, if the disk is broken."""

    def fail(queue: RequestQueue, bio: Bio) -> None:
        bio_endio(bio, errno.EIO)

    guest = ZVM().logon("LINUX2")
    disk = guest.add_disk("sda", mke2fs(64 * KiB, tree={"story": STORY}, inodes=16).tobytes())
    guest.mount("/dev/sda", "/mnt", "ext2", "ro")
    text = guest.mmap(guest.open("/mnt/story"))
    if broken:
        disk.queue.make_request_fn = fail
    try:
        return word_of(bytes(text[:SHOWN]))
    except Signal as signal:
        return SIGNAL_NAMES[signal.signo]


def _cell(entry: Entry) -> str:
    return f"{entry.shows} ({entry.owner})" if entry.owner else "–"
