"""One path through every layer: from a byte of storage to a byte of a mapping.

Storage -> DEFSEG -> DIAGNOSE X'64' -> dcssblk -> ext2 with xip -> open, read, mmap. A second guest maps
the same file from the same segment; a third has a copy of the image on an ordinary disk.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from xiplab import MAP_SHARED, PROT_READ, ZVM, Guest, Mapping, Recording
from xiplab.host import native
from xiplab.linux.include.blkdev import GenDisk
from xiplab.ondisk import Bytes
from xiplab.tools.debugfs import blocks
from xiplab.tools.image import course_image
from xiplab.units import PAGE_SIZE

GREETING = "/lib/greeting"


@dataclass
class World:
    vm: ZVM
    linux1: Guest
    linux2: Guest
    linux3: Guest
    disk: GenDisk
    where: int

    def segment(self) -> Bytes:
        return self.vm.segments["SHLIB"].mem

    def map(self, guest: Guest) -> Mapping:
        return guest.mmap(guest.open("/mnt" + GREETING), 0, PROT_READ, MAP_SHARED)


@pytest.fixture(scope="module")
def image() -> bytes:
    return course_image()


@pytest.fixture
def world(image: bytes) -> World:
    vm = ZVM()
    last_page = 0x10000 + len(image) // PAGE_SIZE - 1
    assert vm.cp(f"DEFSEG SHLIB 10000-{last_page:X} SR").rc == 0
    assert vm.cp("SAVESEG SHLIB").rc == 0
    vm.load("SHLIB", image)
    guests = [vm.logon(f"LINUX{n}") for n in (1, 2, 3)]
    for guest in guests[:2]:
        guest.echo("shlib", "/sys/devices/dcssblk/add")
        guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    disk = guests[2].add_disk("sda", image)
    guests[2].mount("/dev/sda", "/mnt", "ext2", "ro")
    where = blocks(image, GREETING)[0] * PAGE_SIZE
    return World(vm, *guests, disk, where)


def test_all_three_guests_read_the_same_file(world: World) -> None:
    contents = {guest.cat("/mnt" + GREETING) for guest in (world.linux1, world.linux2, world.linux3)}

    assert len(contents) == 1
    assert contents.pop().startswith(b"Hello")


def test_changed_byte_shows_in_both_mappings_in_place_and_not_in_the_cached_copy(world: World) -> None:
    """The same byte is changed on both media: the segment and the third guest's disk."""
    one, two, three = (world.map(g) for g in (world.linux1, world.linux2, world.linux3))
    assert one[0] == two[0] == three[0] == ord("H")

    world.segment()[world.where] = ord("J")
    world.disk.private_data.platter[world.where] = ord("J")

    assert (one[0], two[0], three[0]) == (ord("J"), ord("J"), ord("H"))


def test_mappings_in_place_share_memory_with_the_segment(world: World) -> None:
    one, two, three = (world.map(g) for g in (world.linux1, world.linux2, world.linux3))

    assert np.shares_memory(one.frame(), world.segment())
    assert np.shares_memory(two.frame(), one.frame())
    assert not np.shares_memory(three.frame(), world.disk.private_data.platter)


def test_counters_prove_no_copy_and_no_cache_frame(world: World) -> None:
    one, three = world.map(world.linux1), world.map(world.linux3)
    with Recording() as in_place:
        assert one[0] == ord("H")
    with Recording() as cached:
        assert three[0] == ord("H")

    assert (in_place.copies, in_place.faults) == (0, 1)
    assert cached.bytes_copied >= PAGE_SIZE
    assert world.linux1.frames["page cache"] == 0
    assert world.linux3.frames["page cache"] > 0


def test_mount_without_direct_access_falls_back_to_the_page_cache(world: World) -> None:
    """Take the optional operation away, and the same segment is copied."""
    guest = world.vm.logon("LINUX4")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.plug("dcssblk0", direct_access=None)
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    memory = guest.mmap(guest.open("/mnt" + GREETING), 0, PROT_READ, MAP_SHARED)
    assert memory[0] == ord("H")

    world.segment()[world.where] = ord("J")

    assert memory[0] == ord("H")
    assert any("xip" in line for line in guest.dmesg)


def test_learners_own_direct_access_carries_a_mount(world: World) -> None:
    asked = []

    def direct_access(bdev, sector):  # type: ignore[no-untyped-def]
        asked.append(sector)
        address = bdev.bd_disk.private_data.start + sector * 512
        return address, address // PAGE_SIZE

    guest = world.vm.logon("LINUX4")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.plug("dcssblk0", direct_access=direct_access)
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")

    assert guest.cat("/mnt" + GREETING) == world.linux1.cat("/mnt" + GREETING)
    assert world.where // 512 in asked
    assert np.shares_memory(world.map(guest).frame(), world.segment())


@pytest.mark.skipif(bool(native.unavailable()), reason=native.unavailable() or "native mapping works")
def test_host_mmu_maps_the_file_in_place(world: World) -> None:
    filp = world.linux1.task.files[world.linux1.open("/mnt" + GREETING)]
    assert filp is not None
    array = native.map_file(filp)
    assert array.tobytes() == world.linux1.cat("/mnt" + GREETING)

    world.segment()[world.where] = ord("J")

    assert array[0] == ord("J")
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


@pytest.mark.skipif(bool(native.unavailable()), reason=native.unavailable() or "native mapping works")
def test_second_process_of_the_host_sees_the_change(world: World) -> None:
    filp = world.linux1.task.files[world.linux1.open("/mnt" + GREETING)]
    assert filp is not None
    with native.Peer(filp) as peer:
        assert peer.read(0, 1) == b"H"
        world.segment()[world.where] = ord("J")
        assert peer.read(0, 1) == b"J"
        assert peer.memory()["Rss"] >= 4
