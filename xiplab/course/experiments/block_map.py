"""Notebook 05: from a page of a file to the frame that holds it, or to nothing.

    page of the file --block map--> block --x 8--> sector --direct_access--> address, frame
                          └── 0: a hole

`BlockMap` boots one guest that has mounted the course's file system from a segment, with the options
rw and xip. Its file /holes has 20 pages, of which three are stored; the last of them is behind an
indirect block.

    experiment = BlockMap()
    experiment.ask(5)                   get_xip_mem(page 5, create 0)
    experiment.ask(3, create=True)      the same with create 1: a hole gets a block
    experiment.read(3)                  a read() of the page, which asks for it
    experiment.write(3, "text")         a write() to the start of the page
    experiment.plug(mine)               the file asks a function of yours from now on
    experiment.compare(mine)            what yours answers for each page, and what is right
    experiment.blocks(), .branch(5)     the block map
    experiment.sentence(), .way         what the last action did

The widget calls these methods and nothing else.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from xiplab.course.experiments.stage import Stage, action
from xiplab.errors import NoData, ProgramInterruption, Signal
from xiplab.guest import ZVM
from xiplab.linux.fs.ext2.indirect import ext2_block_to_path, ext2_get_branch
from xiplab.linux.fs.ext2.xip import ext2_get_xip_mem
from xiplab.linux.include.fs import O_RDWR, AddressSpace
from xiplab.tools.debugfs import Role, indirect_blocks, roles
from xiplab.tools.image import HOLES_STORED, shipped_image
from xiplab.trace import Recording
from xiplab.units import PAGE_SIZE, MiB, Pfn, Pgoff, block_to_sector, paddr_to_pfn, page_count, pfn_to_paddr

FILE = "/holes"
LONGEST = 2048
"""Pages from here on are refused: so the picture stays a picture."""
WIDEST = 40
"""Letters of a page that the status line shows."""

GetXipMem: TypeAlias = Callable[[AddressSpace, Pgoff, bool], tuple[int, Pfn]]
COMPARED = (*HOLES_STORED, 3, 19)


@dataclass(frozen=True, slots=True)
class Mile:
    """One line of the way from a page to its frame. `key` names what it leads to."""

    level: int
    text: str
    result: str = ""
    key: str = ""


def errno_name(failure: OSError) -> str:
    return errno.errorcode.get(failure.errno or 0, "no errno")


class BlockMap(Stage):
    """A guest, a segment, and a file with holes.

    Attributes:
        vm, linux1: the machine. segment: its bytes, as uint8. fd: the open file.
        page: the page of the last action. way: how it went. outcome: how it ended.
        copied: bytes of file data that the last action copied.
        plugged: whether the file asks a function that was put in.
    """

    def build(self) -> None:
        self.vm = ZVM()
        storage = self.vm.segment("SHLIB", size=16 * MiB, type="SW", at=0x10000000)
        image = shipped_image()
        self.vm.load("SHLIB", image)
        self.segment = storage.mem[:len(image)]
        self.linux1 = self.vm.logon("LINUX1", clock=lambda: 0)
        self.linux1.echo("shlib", "/sys/devices/dcssblk/add")
        self.linux1.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
        self.fd = self.linux1.open("/mnt" + FILE, O_RDWR)
        filp = self.linux1.task.files[self.fd]
        assert filp is not None
        self.inode, self.mapping = filp.f_inode, filp.f_mapping
        self.first_frame = paddr_to_pfn(storage.start)
        self.page: int | None = None
        self.way: list[Mile] = []
        self.outcome = ""
        self.copied = 0
        self.plugged = False

    # ---- what a learner does ----

    @action
    def ask(self, page: int, create: bool = False) -> None:
        """Ask get_xip_mem for a page of the file. Its error is noted, not raised."""
        self._enter(page)
        before = self.blocks()
        try:
            kmem, pfn = self._get_xip_mem(Pgoff(page), bool(create))
        except OSError as failure:
            self._note(page, create, before, errno_name(failure))
            self.outcome = f"get_xip_mem answers {errno_name(failure)}: {self._reason(failure, page)}"
        else:
            self._note(page, create, before, f"address {kmem:#x}, frame {pfn:#x}")
            block = self.branch(page)[-1]
            right = block and (kmem, pfn) == (pfn_to_paddr(self.frame_of(block)), self.frame_of(block))
            place = f"block {block}" if block else "a hole"
            answer = f"address {kmem:#x}, frame {pfn:#x}.{self._growth(before)}"
            self.outcome = (f"Page {page} is {place}: {answer}" if right else
                            f"Page {page} is {place}, and get_xip_mem says otherwise: {answer}")

    @action
    def read(self, page: int) -> None:
        """read() one page of the file, from its start."""
        self._enter(page)
        before = self.blocks()
        try:
            with Recording() as recording:
                data = self.linux1.pread(self.fd, PAGE_SIZE, page * PAGE_SIZE)
        except OSError as failure:
            self.outcome = f"read() answers {errno_name(failure)}."
            return
        self.copied = recording.bytes_by_what["storage to user"] if self.branch(page)[-1] else 0
        self._note(page, False, before)
        self.outcome = f"read() of page {page} gets {self._shown(data)}.{self._growth(before)}"

    @action
    def write(self, page: int, text: str) -> None:
        """write() a text to the start of a page of the file."""
        self._enter(page)
        before = self.blocks()
        try:
            with Recording() as recording:
                self.linux1.pwrite(self.fd, text.encode(), page * PAGE_SIZE)
        except OSError as failure:
            self.outcome = f"write() answers {errno_name(failure)}."
            return
        self.copied = recording.bytes_by_what["user to storage"]
        self._note(page, True, before)
        self.outcome = (f"write() has put {text!r} into block {self.branch(page)[-1]}.{self._growth(before)}")

    @action
    def plug(self, get_xip_mem: GetXipMem) -> None:
        """Let the file ask `get_xip_mem` from now on; the model's own short ways are left out."""
        self.mapping.a_ops = replace(self.mapping.a_ops, name=f"{self.mapping.a_ops.name} (plugged)",
                                     get_xip_mem=get_xip_mem, get_xip_runs=None, get_xip_next=None)
        self.mapping.xip_cache = None
        self.plugged = True
        self.outcome = f"{FILE} now asks {get_xip_mem.__name__}."

    def compare(self, get_xip_mem: GetXipMem) -> str:
        """What a function answers for some pages of the file, without create, and what is right."""
        lines = [f"{'page':>4}  {'yours':24} right"]
        for page in sorted(COMPARED):
            yours, right = (self._answer(function, page) for function in (get_xip_mem, ext2_get_xip_mem))
            lines.append(f"{page:>4}  {yours:24} {right}{'' if yours == right else '   ← not yet'}")
        return "\n".join(lines)

    # ---- what there is to see ----

    @property
    def pages(self) -> int:
        return page_count(self.inode.i_size)

    def branch(self, page: int) -> tuple[int, ...]:
        """The block numbers on the way to a page: indirect blocks, then its own; it ends with 0 at a hole."""
        offsets, _ = ext2_block_to_path(self.inode, page)
        return tuple(key for _, _, key in ext2_get_branch(self.inode, offsets))

    def slots(self, page: int) -> tuple[int, ...]:
        """The slots on the way to a page: one of i_block, then one of each indirect block."""
        return ext2_block_to_path(self.inode, page)[0]

    def blocks(self) -> list[int]:
        """The block of each page of the file, 0 for a hole; without asking get_xip_mem."""
        return [self.branch(page)[-1] for page in range(self.pages)]

    def roles(self) -> list[Role]:
        """What each block of the segment is, read from its bytes after a sync."""
        self.linux1.sync()
        return roles(bytes(self.segment))

    def indirect(self) -> list[int]:
        """The file's indirect blocks."""
        self.linux1.sync()
        return indirect_blocks(bytes(self.segment), FILE)

    def answer(self, page: int) -> int | str:
        """What the file's get_xip_mem answers for a page, without create: a frame, or why there is none.

        A function of the learner's is asked anew each time; it must not change anything here.
        """
        try:
            pair = self._get_xip_mem(Pgoff(page), False)
        except NoData:
            return "a hole"
        except OSError as failure:
            return str(failure.strerror)
        except (ProgramInterruption, Signal) as failure:
            return str(failure)
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[1], int)
        return pair[1] if is_pair else f"{pair!r} is no address and frame"

    def frame_of(self, block: int) -> Pfn:
        """The frame in which a block of the segment lies."""
        return Pfn(self.first_frame + block)

    @property
    def free_blocks(self) -> int:
        return self.linux1.statfs("/mnt").f_bfree

    @property
    def cached(self) -> int:
        """Frames of the guest's page cache that hold pages of the file."""
        return len(self.mapping.pages)

    def sentence(self) -> str:
        return self.outcome or f"{FILE} has {self.pages} pages; {sum(map(bool, self.blocks()))} are stored."

    # ---- how it works ----

    def _get_xip_mem(self, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
        assert self.mapping.a_ops.get_xip_mem is not None
        return self.mapping.a_ops.get_xip_mem(self.mapping, pgoff, create)

    def _enter(self, page: int) -> None:
        if not isinstance(page, int) or not 0 <= page < LONGEST:
            raise OSError(errno.EINVAL, f"page {page!r}: a whole number from 0 to {LONGEST - 1}")
        self.page, self.copied, self.way = page, 0, []

    def _shown(self, data: bytes) -> str:
        if not any(data):
            return f"{len(data):,} zeros" if data else "nothing: the file ends before"
        text = data.split(b"\0")[0].splitlines()[0][:WIDEST].decode("latin-1").rstrip(".")
        return f"{len(data):,} bytes, which begin with {text!r}"

    def _reason(self, failure: OSError, page: int) -> str:
        return f"page {page} is a hole." if isinstance(failure, NoData) else f"{failure.strerror}."

    def _growth(self, before: list[int]) -> str:
        new = [block for block in self.blocks() if block and block not in before]
        if not new:
            return ""
        return f" New: block {', '.join(map(str, new))}, cleared before the file got it."

    def _note(self, page: int, create: bool, before: list[int], answer: str = "") -> None:
        """Write the way down; mark what is new on it."""
        for number, block in enumerate(self.blocks()):
            if block and (number >= len(before) or block != before[number]):
                self.mark(f"pgoff:{number}", "new")
                self.mark(f"block:{block}", "new")
        *indirect, block = self.branch(page)
        slots = self.slots(page)
        names = [f"i_block[{slots[0]}]", *(f"slot {slot} of block {above}" for slot, above in
                                           zip(slots[1:], indirect, strict=False))]
        self.way = [Mile(0, f"get_xip_mem(page {page}, create {int(create)})", answer, f"pgoff:{page}")]
        for name, number in zip(names, [*indirect, block], strict=False):
            self.way.append(Mile(1, name, f"block {number}" if number else "0: a hole", f"block:{number}"))
        if block:
            sector, frame = block_to_sector(block, PAGE_SIZE), self.frame_of(block)
            self.way += [Mile(1, f"block {block} × 8", f"sector {sector}", f"sector:{sector:#x}"),
                         Mile(1, f"direct_access(sector {sector})",
                              f"address {pfn_to_paddr(frame):#x}, frame {frame:#x}", f"frame:{frame:#x}")]

    def _answer(self, function: GetXipMem, page: int) -> str:
        try:
            kmem, pfn = function(self.mapping, Pgoff(page), False)
        except NotImplementedError:
            return "not written"
        except OSError as failure:
            return errno_name(failure)
        return f"{kmem:#x}, {pfn:#x}"
