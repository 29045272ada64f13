"""Notebook 10: execute-in-place beside DAX, on the same image, with the same questions.

    boot("xip"), boot("dax")    a guest whose ext2 has the tables of Linux 3.6, or of 4.0
    read_file(era)              which questions one read() of the file asks of the layers below
    store(era)                  whether a store through a mapping changes the file's time
    load_hole(era)              how many blocks a load from a hole allocates
    race(era)                   a page fault, with a truncate in its middle: what the program sees
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator
from functools import cache, partial
from itertools import count

from xiplab.errors import Signal
from xiplab.guest import ZVM, Guest
from xiplab.linux.fs.dax import dax_fault_steps
from xiplab.linux.fs.ext2.dax import ext2_dax_get_block, ext2_fs_type_4_0
from xiplab.linux.include.fs import O_CREAT, O_RDWR
from xiplab.linux.include.mm import MAP_SHARED, PROT_READ, PROT_WRITE, VmFault
from xiplab.linux.mm.filemap_xip_eras import fault_steps
from xiplab.mapping import Mapping
from xiplab.ondisk import Bytes
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import Recording
from xiplab.units import PAGE_SIZE, MiB, Pgoff

ERAS = ("xip", "dax")
FILE = "/mnt/letter"
PAGES = 8
SECOND = 10**9
"""In nanoseconds; the guests' clocks tick once with every look."""


@cache
def image() -> Bytes:
    return mke2fs(1 * MiB, tree={"letter": b"my letter".ljust(PAGE_SIZE, b".") * PAGES})


def boot(era: str) -> Guest:
    """A guest with the file in a segment of its own.

    Raises:
        OSError: EINVAL for an era that is none of ERAS.
    """
    if era not in ERAS:
        raise OSError(errno.EINVAL, f"era {era!r}: not one of {', '.join(ERAS)}")
    vm = ZVM()
    vm.segment("SHLIB", size=1 * MiB, type="SW", at=0x10000000)
    vm.load("SHLIB", image().tobytes())
    ticks = count(10**18, SECOND)
    guest = vm.logon("LINUX1", clock=lambda: next(ticks))
    if era == "dax":
        guest.kernel.filesystems["ext2"] = ext2_fs_type_4_0
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", era)
    return guest


def read_file(era: str) -> Counter[str]:
    """One read() of the whole file: how often each operation below was called."""
    guest = boot(era)
    guest.stat(FILE)
    with Recording() as recording:
        guest.cat(FILE)
    return Counter(recording.calls())


def map_writable(guest: Guest, path: str = FILE) -> Mapping:
    """A shared mapping of the file, for loads and stores."""
    return guest.mmap(guest.open(path, O_RDWR), 0, PROT_READ | PROT_WRITE, MAP_SHARED)


def store(era: str) -> bool:
    """Load from a mapping, then store: does the file's time of change follow the store?"""
    guest = boot(era)
    text = map_writable(guest)
    text[0]
    before = guest.stat(FILE).st_mtime_ns
    text[0] = ord("M")
    return guest.stat(FILE).st_mtime_ns > before


def load_hole(era: str) -> int:
    """Blocks that the file has more after one load from a hole, through a mapping that may be written."""
    guest = boot(era)
    fd = guest.open("/mnt/holes", O_CREAT | O_RDWR)
    guest.ftruncate(fd, 2 * PAGE_SIZE)
    text = map_writable(guest, "/mnt/holes")
    before = guest.stat("/mnt/holes").st_blocks
    text[0]
    return (guest.stat("/mnt/holes").st_blocks - before) * 512 // PAGE_SIZE


def fault_in_steps(era: str, text: Mapping, page: int) -> Iterator[str]:
    """The page fault of one page, with a pause between its look-up and its end."""
    vmf = VmFault(Pgoff(page), text.vma.address_of(page), write=False)
    steps = fault_steps if era == "xip" else partial(dax_fault_steps, get_block=ext2_dax_get_block)
    return steps(text.vma, vmf)


def race(era: str) -> bytes:
    """What the program sees at page 2, if the file is cut off while its page fault is on the way.

    The freed block goes to another file at once. No bytes: the program was ended by a signal.
    """
    guest = boot(era)
    text = guest.mmap(guest.open(FILE), 0, PROT_READ, MAP_SHARED)
    fault = fault_in_steps(era, text, 2)
    next(fault)
    guest.truncate(FILE, PAGE_SIZE)
    secret = guest.open("/mnt/secret", O_CREAT | O_RDWR)
    guest.pwrite(secret, b"a secret.".ljust(PAGE_SIZE, b".") * PAGES, 0)
    try:
        next(fault)
    except Signal:
        return b""
    return text[2 * PAGE_SIZE:2 * PAGE_SIZE + 9]
