"""The machine of the capstone: a guest whose files are carried by five functions of the learner's.

    machine = Carried({"direct_access": mine})      a name that is missing has the model's own function
    machine.install(b"Hello from my own.")          a program is read, changed and written
    machine.run().output                            and executed where it lies

Each function stands in the table in which Linux has it: the disk's, the mapping's, the file's, the area's.
Nothing else of the model is exchanged; its short ways around these tables are left out.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from xiplab.course.experiments.bill import RAM
from xiplab.course.experiments.execute import GUESTS, Execute
from xiplab.course.experiments.stage import Action
from xiplab.course.trial import is_stub, trial
from xiplab.errors import ProgramInterruption, Signal
from xiplab.guest import ZVM, Guest
from xiplab.linux.fs.ext2.ext2 import EXT2_SB, InodeTables
from xiplab.linux.fs.ext2.file import ext2_file_inode_operations, ext2_xip_file_operations
from xiplab.linux.fs.ext2.inode import ext2_aops_xip
from xiplab.linux.fs.ext2.super import ext2_fill_super
from xiplab.linux.fs.ext2.xip import ext2_use_xip
from xiplab.linux.fs.inode import file_remove_suid, file_update_time
from xiplab.linux.include.fs import (
    O_CREAT,
    O_RDWR,
    S_IFREG,
    File,
    FileSystemType,
    SuperBlock,
    UserBuffer,
)
from xiplab.linux.include.mm import (
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_SHARED,
    VM_WRITE,
    VmAreaStruct,
    VmFault,
    VmOperations,
)
from xiplab.linux.mm import memory
from xiplab.linux.mm.filemap import generic_write_checks
from xiplab.linux.mm.filemap_xip import xip_file_mmap
from xiplab.program import Ended
from xiplab.tools.image import shipped_image
from xiplab.units import MiB

Function = Callable[..., Any]
FIVE = ("direct_access", "get_xip_mem", "xip_file_read", "xip_file_write", "xip_file_fault")
SEGMENT, DISK = "SHLIB", "dcssblk0"
MODEL, PROGRAM = "/mnt/bin/hello", "/mnt/own"
GREETING = b"Hello from the segment.\n"
PIECE = 3000
"""The program is written in pieces of so many bytes, which begin anywhere in a page."""


# ---- what the functions may call

def sigbus(vma: VmAreaStruct, vmf: VmFault, why: str) -> None:
    """End the access with SIGBUS. Raises Signal, always."""
    raise memory.sigbus(vma, vmf, why)


def stores_reach_the_file(vma: VmAreaStruct) -> bool:
    """Whether a store to this area is to change the file: it is shared, and may be written."""
    return bool(vma.vm_flags & (VM_WRITE | VM_MAYWRITE) and vma.vm_flags & (VM_SHARED | VM_MAYSHARE))


def cache_frames(guest: Guest) -> int:
    """How many frames of a guest its page cache has."""
    return guest.frames["page cache"]


def execute(guest: Guest, path: str) -> int:
    """Execute a program; its exit status."""
    return guest.exec(path).status


# ---- the machine

def own_tables(own: Mapping[str, Function]) -> InodeTables:
    """What regular files can do, with the learner's functions where there are some."""
    aops = replace(ext2_aops_xip, name="own_aops", get_xip_runs=None, get_xip_next=None)
    fops = replace(ext2_xip_file_operations, name="own_file_operations", read_bytes=None, write_bytes=None)
    if "get_xip_mem" in own:
        aops = replace(aops, get_xip_mem=own["get_xip_mem"])
    if "xip_file_read" in own:
        fops = replace(fops, read=own["xip_file_read"])
    if "xip_file_write" in own:
        fops = replace(fops, write=checked(own["xip_file_write"]))
    if "xip_file_fault" in own:
        fops = replace(fops, mmap=mapped_by(own["xip_file_fault"]))
    return InodeTables(ext2_file_inode_operations, fops, aops)


def checked(write: Function) -> Function:
    """A write to the end of the checks that every file system makes: where, how much, the times."""
    def own_file_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
        pos, count = generic_write_checks(filp, pos, count)
        if not count:
            return 0
        file_remove_suid(filp)
        file_update_time(filp)
        written: int = write(filp, buf, count, pos)
        return written

    return own_file_write


def mapped_by(fault: Function) -> Function:
    """An mmap() after which page faults come to this function."""
    operations = VmOperations(name="own_vm_ops", fault=fault)

    def own_file_mmap(filp: File, vma: VmAreaStruct) -> None:
        xip_file_mmap(filp, vma)
        vma.vm_ops = operations

    return own_file_mmap


def put_in(guest: Guest, own: Mapping[str, Function]) -> None:
    """Let the next mount of this guest go through the learner's functions; its disk must be there."""
    if "direct_access" in own:
        guest.plug(DISK, direct_access=own["direct_access"])

    def own_fill_super(sb: SuperBlock, data: str, silent: bool) -> None:
        ext2_fill_super(sb, data, silent)
        if ext2_use_xip(sb):
            EXT2_SB(sb).s_inode_tables[S_IFREG] = own_tables(own)

    guest.kernel.filesystems["ext2"] = FileSystemType("ext2", own_fill_super)


class Carried:
    """A guest that has mounted the course's file system from a segment, through the functions `own`.

    Attributes:
        segment: its bytes. guest: who has mounted it. called: how often each of the five was called.
    """

    def __init__(self, own: Mapping[str, Function], at: int = 0x10000000) -> None:
        vm = ZVM()
        self.segment = vm.segment(SEGMENT, size=16 * MiB, type="SW", at=at).mem
        vm.load(SEGMENT, shipped_image())
        self.called: Counter[str] = Counter()
        self.own = {name: self._counted(name, function) for name, function in own.items()}
        self.guest = vm.logon("LINUX1", clock=lambda: 0)
        self.guest.echo(SEGMENT.lower(), "/sys/devices/dcssblk/add")
        put_in(self.guest, self.own)

    def _counted(self, name: str, function: Function) -> Function:
        def counted(*args: object) -> Any:
            self.called[name] += 1
            return function(*args)

        counted.__name__ = name
        return counted

    def mount(self) -> None:
        self.guest.mount(f"/dev/{DISK}", "/mnt", "ext2", "xip")

    def read(self, path: str = MODEL) -> bytes:
        """A file's content, as one read() gives it."""
        fd = self.guest.open(path)
        content = self.guest.pread(fd, MiB, 0)
        self.guest.close(fd)
        return content

    def install(self, greeting: bytes = GREETING) -> bytes:
        """Write the program /own, which says this; returns what was written.

        Args:
            greeting: as long as GREETING at most.
        """
        content = self.read().replace(GREETING, greeting.ljust(len(GREETING)))
        fd = self.guest.open(PROGRAM, O_RDWR | O_CREAT)
        for start in range(0, len(content), PIECE):
            self.guest.pwrite(fd, content[start:start + PIECE], start)
        self.guest.chmod(PROGRAM, 0o755)
        self.guest.close(fd)
        return content

    def run(self) -> Ended:
        """Execute the program in place."""
        return self.guest.exec(PROGRAM)

    def move_to_a_disk(self) -> None:
        """The same files on an ordinary disk, mounted through the page cache."""
        self.guest.sync()
        image = bytes(self.segment)
        self.guest.umount("/mnt")
        self.guest.add_disk("sda", image)
        self.guest.mount("/dev/sda", "/mnt", "ext2", "")

    @property
    def cached(self) -> int:
        """Frames of the page cache."""
        return cache_frames(self.guest)


# ---- what the exercise's notebook shows

@dataclass(frozen=True, repr=False)
class Report:
    """What a guest did on the learner's functions, line by line."""

    lines: tuple[tuple[str, str], ...]
    title: str = "A guest, carried by your functions"

    def __repr__(self) -> str:
        return "\n".join(f"{what:34} {result}" for what, result in self.lines)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th scope='row' style='text-align:left'>{escape(what)}</th>"
                       f"<td style='text-align:left'>{escape(result)}</td></tr>"
                       for what, result in self.lines)
        return f"<table><caption>{self.title}</caption><tbody>{rows}</tbody></table>"


def carry(**own: Function) -> Report:
    """Mount, write a program, read it back and execute it; what is not written yet is the model's own."""
    written = {name: trial(function) for name, function in own.items() if not is_stub(function)}
    missing = [name for name in own if name not in written]
    lines = [(name, "not written yet: the model's own takes its place") for name in missing]
    machine = Carried(written)
    try:
        machine.mount()
        lines.append(("mount -o xip", "done"))
        content = machine.install()
        lines.append((f"write() of {PROGRAM}", f"{len(content):,} bytes"))
        same = machine.read(PROGRAM) == content
        lines.append((f"read() of {PROGRAM}", "the same bytes" if same else "other bytes"))
        ended = machine.run()
        lines.append((f"exec {PROGRAM}", f"{ended.output.strip()!r}, exit status {ended.status}"))
    except (OSError, Signal, ProgramInterruption, TypeError, ValueError) as failure:
        number = failure.errno if isinstance(failure, OSError) else None
        lines.append(("stopped", f"{errno.errorcode.get(number or 0, type(failure).__name__)}: {failure}"))
    lines += [(f"calls of your {name}", str(machine.called[name])) for name in written]
    lines.append(("frames in the page cache", str(machine.cached)))
    return Report(tuple(lines))


def measure(cached_by: Callable[[Guest, str], int]) -> Report:
    """What the learner's measure finds for a program in place, and on an ordinary disk."""
    lines = []
    for where in ("in place", "on an ordinary disk"):
        machine = Carried({})
        machine.mount()
        machine.install()
        if where != "in place":
            machine.move_to_a_disk()
        try:
            found = f"{trial(cached_by)(machine.guest, PROGRAM)} frames"
        except OSError as failure:
            found = str(failure.strerror)
        lines.append((where, found))
    return Report(tuple(lines), "Frames of the page cache that a program takes")


class OwnExecute(Execute):
    """The experiment of notebook 08, with guests whose mounts go through the learner's functions."""

    def __init__(self, own: Mapping[str, Function]) -> None:
        self.own = {name: trial(function) for name, function in own.items() if not is_stub(function)}
        super().__init__()

    def boot(self, name: str) -> Guest:
        guest = self.vm.logon(name, RAM)
        guest.echo("programs", "/sys/devices/dcssblk/add")
        put_in(guest, self.own)
        guest.mount(f"/dev/{DISK}", "/mnt", "ext2", "ro,xip")
        return guest

    def python(self) -> str:
        calls = map(str, (*self.actions, *self.looks.values()))
        return "\n".join(["experiment = own_programs(own)", *calls])


def own_programs(own: Mapping[str, Function]) -> OwnExecute:
    """Two guests on the learner's functions; what is not written yet is the model's own."""
    remarks = [f"{name}: not written yet." for name, function in own.items() if is_stub(function)]
    try:
        experiment = OwnExecute(own)
        experiment.given = [Action("next_line", (guest,)) for guest in GUESTS]
        experiment.replay()
    except (OSError, Signal, ProgramInterruption, TypeError, ValueError) as failure:
        experiment = OwnExecute({})
        remarks = [f"Your functions do not carry the programs yet ({failure}). These are the model's own."]
    experiment.remarks = remarks
    return experiment
