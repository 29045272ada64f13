"""The machine on which the questions of exercise 00 play: one segment, two guests in place, one not.

    segment SHLIB  --dcssblk, xip-->  LINUX1, LINUX2   mappings of /mnt/lib/greeting
    a copy of it   --ordinary disk-->  LINUX3          reads the same file through its page cache
"""

from __future__ import annotations

from functools import cache

from xiplab.guest import ZVM, Guest
from xiplab.tools.image import shipped_image
from xiplab.units import MiB, Paddr

FILE = "/mnt/lib/greeting"
SEGMENT = "SHLIB"
DISK = "dcssblk0"
SHARED_AT = Paddr(0x10000000)


@cache
def image() -> bytes:
    """The example file system, the same bytes on every computer."""
    return bytes(shipped_image())


def machine(type: str = "SW", at: Paddr = SHARED_AT) -> ZVM:
    """A z/VM system with the example file system in the segment SHLIB."""
    vm = ZVM()
    vm.segment(SEGMENT, size=max(MiB, len(image())), type=type, at=at)
    vm.load(SEGMENT, image())
    return vm


def guest_with_segment(vm: ZVM, name: str) -> Guest:
    """A guest that has the segment as /dev/dcssblk0, not yet mounted."""
    guest = vm.logon(name)
    guest.echo(SEGMENT.lower(), "/sys/devices/dcssblk/add")
    return guest


def guest_in_place(vm: ZVM, name: str) -> Guest:
    """A guest that has mounted the segment with xip."""
    guest = guest_with_segment(vm, name)
    guest.mount(f"/dev/{DISK}", "/mnt", "ext2", "ro,xip")
    return guest


def guest_with_disk(vm: ZVM, name: str) -> Guest:
    """A guest that has mounted a copy of the file system on an ordinary disk."""
    guest = vm.logon(name)
    guest.add_disk("sda", image())
    guest.mount("/dev/sda", "/mnt", "ext2", "ro")
    return guest
