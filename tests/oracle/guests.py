"""A guest's kernel, used through the same calls: a page-cache mount, or an xip mount."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from xiplab import ZVM, Guest, Mapping
from xiplab.linux.fs.fcntl import F_GETFL, F_SETFL
from xiplab.linux.fs.namei import path_lookup
from xiplab.ondisk import Bytes
from xiplab.units import MiB


def ticking(start: int = 1_700_000_000) -> Callable[[], int]:
    """A clock that is a second later at each look, so that no two changes have the same time."""
    seconds = itertools.count(start)
    return lambda: next(seconds) * 10**9


@dataclass
class GuestCalls:
    """A guest whose root directory is a mount of /dev/<device>.

    Attributes:
        image: the bytes of the device, as they are now.
    """

    guest: Guest
    device: str
    options: str
    image: Callable[[], bytes] = field(repr=False)

    def __post_init__(self) -> None:
        self.outside = self.guest.task.root
        self.guest.umask(0o022)
        self.mount()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.guest, name)

    def mount(self) -> None:
        self.guest.mount(f"/dev/{self.device}", "/mnt", "ext2", self.options)
        self.guest.task.root = self.guest.task.pwd = path_lookup(self.guest.task, "/mnt")

    def umount(self) -> None:
        self.guest.task.root = self.guest.task.pwd = self.outside
        self.guest.umount("/mnt")

    def cycle(self) -> None:
        self.umount()
        self.mount()

    def become(self, uid: int) -> None:
        self.guest.setuid(uid)

    def free(self) -> tuple[int, int]:
        st = self.guest.statfs("/")
        return st.f_bfree, st.f_ffree

    def setfl(self, fd: int, flags: int) -> None:
        self.guest.fcntl(fd, F_SETFL, flags)

    def getfl(self, fd: int) -> int:
        return self.guest.fcntl(fd, F_GETFL)

    def map(self, fd: int, length: int, prot: int, flags: int, offset: int) -> Mapping:
        return self.guest.mmap(fd, length, prot, flags, offset)

    def unmap(self, area: Mapping) -> None:
        area.close()

    def sync_area(self, area: Mapping) -> None:
        self.guest.msync(area.vaddr, len(area))

    def load(self, area: Mapping, offset: int, nbytes: int) -> bytes:
        return area[offset:offset + nbytes]

    def store(self, area: Mapping, offset: int, data: bytes) -> None:
        area[offset:offset + len(data)] = data


def on_disk(image: Bytes) -> GuestCalls:
    """Through copies: the image on an ordinary disk. There are fewer frames than the disk has blocks, so
    that pages are written back and taken away on the way."""
    guest = ZVM().logon("LINUX1", 3 * MiB, clock=ticking())
    disk = guest.add_disk("sda", bytes(image))
    return GuestCalls(guest, "sda", "", lambda: bytes(disk.private_data.platter))


def on_segment(image: Bytes) -> GuestCalls:
    """In place: the image in a segment."""
    vm = ZVM()
    vm.segment("SEG", size=len(image), type="SW", at=0x20000000)
    vm.load("SEG", bytes(image))
    guest = vm.logon("LINUX1", 3 * MiB, clock=ticking())
    guest.echo("seg", "/sys/devices/dcssblk/add")
    return GuestCalls(guest, "dcssblk0", "xip", lambda: bytes(vm.segments["SEG"].mem))


PLACES = {"page cache": on_disk, "xip": on_segment}
