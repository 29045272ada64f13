"""One ext2 image on every kind of storage: where a mount is in place, what it copies, what can go wrong."""

import errno

import numpy as np
import pytest

from xiplab import ZVM, Guest
from xiplab.linux.block.blk_core import transfer
from xiplab.linux.block.genhd import bdget
from xiplab.linux.drivers.axonram import axon_ram_devops_2_6_26, axon_ram_probe
from xiplab.linux.drivers.brd import brd_fops, brd_fops_without_xip, brd_init
from xiplab.linux.drivers.mtd.kthread import pass_time
from xiplab.linux.drivers.mtd.mtdblock_ro import mtdblock_ro_devops, mtdblock_ro_devops_unpointed
from xiplab.linux.drivers.mtd.mtdcore import mtd_erase, mtd_erase_wait, mtd_table
from xiplab.linux.drivers.rd import rd_init, rd_load_image, reserve_initrd
from xiplab.linux.include.blkdev import WRITE, BlockDeviceOperations
from xiplab.linux.include.mm import Zone
from xiplab.linux.include.mtd import MTD_ERASE_DONE, MTD_ERASING, EraseInfo, MtdInfo
from xiplab.linux.mm.highmem import alloc_highpage, highmem_init
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import Recording
from xiplab.units import GiB, KiB, MiB, Paddr, Pfn

FLASH = Paddr(1 * GiB)
TEXT = bytes(range(1, 256)) * 64
SIZE = 1 * MiB


@pytest.fixture(scope="module")
def image() -> bytes:
    return mke2fs(SIZE, tree={"text": TEXT}).tobytes()


@pytest.fixture
def guest() -> Guest:
    return ZVM().logon("LINUX1")


def fill(guest: Guest, disk: str, image: bytes) -> None:
    """Write the image to a device as mkfs would: sector by sector."""
    for at in range(0, len(image), 64 * KiB):
        piece = np.frombuffer(bytearray(image[at:at + 64 * KiB]), np.uint8)
        transfer(WRITE, bdget(guest.kernel, disk), at // 512, piece)


def add_flash(guest: Guest, image: bytes, fops: BlockDeviceOperations = mtdblock_ro_devops) -> MtdInfo:
    """mtd0 holds the image and is /dev/mtdblock0; mtd1, which is returned, is the rest of the same chip."""
    guest.add_flash(image, 2 * MiB, at=FLASH, fops=fops)
    return mtd_table(guest.kernel)[1]


def cached(guest: Guest, path: str = "/mnt/text") -> int:
    """How many pages of the file are in the page cache."""
    return len(guest._inode(path).i_mapping.pages)


def test_xip_on_flash_is_in_place(guest: Guest, image: bytes) -> None:
    """xip.txt: "As an alternative, memory technology devices can be used for this"."""
    log = add_flash(guest, image)
    guest.mount("/dev/mtdblock0", "/mnt", "ext2", "ro,xip")
    text = guest.mmap(guest.open("/mnt/text"))

    with Recording() as rec:
        data = guest.cat("/mnt/text")

    assert data == text[:] == TEXT
    assert cached(guest) == 0
    assert rec.bytes_copied == len(TEXT)
    assert np.shares_memory(text.frame(), log.priv.master.priv.devices[0].window)


@pytest.mark.parametrize(("nbytes", "number"), [(64 * KiB + 1, errno.EINVAL), (2 * MiB, errno.ENOSPC)])
def test_add_flash_refuses_an_image_that_does_not_fit(guest: Guest, nbytes: int, number: int) -> None:
    with pytest.raises(OSError, match="flash") as caught:
        guest.add_flash(bytes(nbytes), 2 * MiB)

    assert caught.value.errno == number
    assert mtd_table(guest.kernel) == {}


def test_writers_to_the_same_chip_wait_until_umount(guest: Guest, image: bytes) -> None:
    log = add_flash(guest, image)
    guest.mount("/dev/mtdblock0", "/mnt", "ext2", "ro,xip")
    first = guest.cat("/mnt/text")
    instr = EraseInfo(0, log.erasesize)
    mtd_erase(log, instr)
    pass_time(guest.kernel, 60_000_000)
    state, again = instr.state, guest.cat("/mnt/text")
    guest.umount("/mnt")
    mtd_erase_wait(log, instr)

    assert (state, first == again == TEXT) == (MTD_ERASING, True)
    assert instr.state == MTD_ERASE_DONE


def test_without_point_a_running_program_reads_status(guest: Guest, image: bytes) -> None:
    """The shortcoming of xip.txt: flash in read+write mode."""
    log = add_flash(guest, image, fops=mtdblock_ro_devops_unpointed)
    guest.mount("/dev/mtdblock0", "/mnt", "ext2", "ro,xip")
    text = guest.mmap(guest.open("/mnt/text"))
    before = text[:4]
    mtd_erase(log, EraseInfo(0, log.erasesize))

    assert before == TEXT[:4]
    assert text[:4] == guest.cat("/mnt/text")[:4] == b"\x00" * 4


def test_page_cache_on_flash_lets_writers_through(guest: Guest, image: bytes) -> None:
    """Without xip the data is a copy: nothing is pointed, and the copy stays whole during an erase."""
    log = add_flash(guest, image)
    guest.mount("/dev/mtdblock0", "/mnt", "ext2", "ro")
    text = guest.mmap(guest.open("/mnt/text"))
    before = text[:4]
    mtd_erase(log, EraseInfo(0, log.erasesize))

    assert before == text[:4] == TEXT[:4]
    assert cached(guest) > 0


def test_xip_on_brd_has_the_data_once(guest: Guest, image: bytes) -> None:
    brd_init(guest.kernel, 1, SIZE // KiB)
    fill(guest, "ram0", image)
    guest.mount("/dev/ram0", "/mnt", "ext2", "xip")
    fd = guest.open("/mnt/text", 2)
    text = guest.mmap(fd)
    guest.pwrite(fd, b"in place", 4096)

    assert text[4096:4104] == b"in place"
    assert cached(guest) == 0


def test_page_cache_on_brd_has_the_data_twice(guest: Guest, image: bytes) -> None:
    brd_init(guest.kernel, 1, SIZE // KiB, fops=brd_fops_without_xip)
    fill(guest, "ram0", image)
    guest.mount("/dev/ram0", "/mnt", "ext2", "xip")

    assert guest.cat("/mnt/text") == TEXT
    assert cached(guest) == 4
    assert any("xip" in line for line in guest.dmesg)


def test_q24_xip_on_highmem_reads_from_address_zero(guest: Guest, image: bytes) -> None:
    """2.6.25: a mapping of such a page is right, a read through its kernel address finds something else."""
    memory, npages = guest.kernel.memory, 512
    memory.attach(FLASH, memory.storage.allocate(npages), npages, writable=True, name="highmem")
    first = Pfn(FLASH >> 12)
    highmem_init(guest.kernel, Zone(first, Pfn(first + npages), first))
    brd_init(guest.kernel, 1, SIZE // KiB, fops=brd_fops, get_page=alloc_highpage)
    fill(guest, "ram0", image)
    guest.mount("/dev/ram0", "/mnt", "ext2", "ro,xip")
    text = guest.mmap(guest.open("/mnt/text"))
    data = guest.cat("/mnt/text")

    assert text[:] == TEXT
    assert data[:4096] == bytes(memory.view(0, 4096)) != TEXT[:4096]


def test_rd_serves_metadata_from_its_own_pages_and_copies_file_data(guest: Guest, image: bytes) -> None:
    """A file system on the old ramdisk needs a second set of pages for file data, none for metadata."""
    rd_init(guest.kernel, 1, SIZE // KiB, rd_blocksize=4096)
    rd_load_image(guest.kernel, reserve_initrd(guest.kernel, image), len(image))
    storage = guest.frames["page cache"]
    guest.mount("/dev/ram0", "/mnt", "ext2", "xip")

    assert guest.cat("/mnt/text") == TEXT
    assert (storage, cached(guest)) == (SIZE // 4096, 4)
    assert guest.frames["buffer cache"] == 0


def test_rd_is_lost_when_a_mount_changes_the_block_size(guest: Guest, image: bytes) -> None:
    """The storage is the page cache, and a change of the block size drops that: 1024 to 4096 here."""
    rd_init(guest.kernel, 1, SIZE // KiB)
    rd_load_image(guest.kernel, reserve_initrd(guest.kernel, image), len(image))

    with pytest.raises(OSError, match="magic mismatch") as caught:
        guest.mount("/dev/ram0", "/mnt", "ext2")

    assert caught.value.errno == errno.EINVAL
    assert guest.frames["page cache"] == 0


def test_rd_keeps_what_was_written_after_umount(guest: Guest, image: bytes) -> None:
    rd_init(guest.kernel, 1, SIZE // KiB, rd_blocksize=4096)
    rd_load_image(guest.kernel, reserve_initrd(guest.kernel, image), len(image))
    guest.mount("/dev/ram0", "/mnt", "ext2")
    fd = guest.open("/mnt/new", 0o102)
    guest.write(fd, b"new")
    guest.close(fd)
    guest.umount("/mnt")
    guest.mount("/dev/ram0", "/mnt", "ext2")

    assert guest.cat("/mnt/new") == b"new"


def test_rd_flush_while_mounted_and_after(guest: Guest, image: bytes) -> None:
    """K161 and K162 through the node: BLKFLSBUF."""
    rd_init(guest.kernel, 1, SIZE // KiB, rd_blocksize=4096)
    fill(guest, "ram0", image)
    guest.mount("/dev/ram0", "/mnt", "ext2")
    fd = guest.open("/dev/ram0")

    with pytest.raises(OSError, match="open 3 times") as caught:
        guest.ioctl(fd, 0x1261)
    guest.umount("/mnt")
    guest.ioctl(fd, 0x1261)

    assert caught.value.errno == errno.EBUSY
    assert guest.pread(fd, 4096, 4096) == bytes(4096)


def test_q23_axonram_read_is_right_and_mapping_shows_the_kernels_stack(guest: Guest, image: bytes) -> None:
    axon_ram_probe(guest.kernel, FLASH, SIZE, fops=axon_ram_devops_2_6_26)
    fill(guest, "axonram0", image)
    guest.mount("/dev/axonram0", "/mnt", "ext2", "xip")
    text = guest.mmap(guest.open("/mnt/text"))

    assert guest.cat("/mnt/text") == TEXT
    assert text[:4096] != TEXT[:4096]
    assert guest.kernel.zone.kinds[text.pfn() or Pfn(0)] == "kernel stack"


def test_disk_falls_back_to_the_page_cache(guest: Guest, image: bytes) -> None:
    disk = guest.add_disk("sda", image)
    guest.mount("/dev/sda", "/mnt", "ext2", "xip")
    text = guest.mmap(guest.open("/mnt/text"))
    before = text[:4]
    at = bytes(disk.private_data.platter).index(TEXT[:4096])
    disk.private_data.platter[at] = 0

    assert before == text[:4] == TEXT[:4]
    assert disk.private_data.busy_us > 0


def test_buffers_on_pages_of_the_node_survive_reclaim_and_the_last_close(guest: Guest, image: bytes) -> None:
    """A node's pages and a mount's buffers are the same pages; reclaim takes none with buffers on it."""
    guest.add_disk("sda", image)
    fd = guest.open("/dev/sda")
    guest.pread(fd, SIZE, 0)
    guest.mount("/dev/sda", "/mnt", "ext2")
    guest.listdir("/mnt")
    assert guest.kernel.zone.reclaim is not None
    guest.kernel.zone.reclaim(1000)

    assert guest.cat("/mnt/text") == TEXT
    guest.close(fd)
    guest.umount("/mnt")
    assert guest.frames["page cache"] == guest.frames["buffer cache"] == 0


def test_flash_is_a_file_too(guest: Guest, image: bytes) -> None:
    """/dev/mtd1: programs without an erase, short at the end; /dev/mtd1ro cannot be opened for write."""
    log = add_flash(guest, image)
    fd = guest.open("/dev/mtd1", 2)
    guest.pwrite(fd, b"\xf0\x0f", 0)
    guest.pwrite(fd, b"\x3c", 0)
    read = guest.pread(fd, 3, 0)
    short = guest.pwrite(fd, b"abc", log.size - 2)

    with pytest.raises(OSError, match="read-only") as denied:
        guest.open("/dev/mtd1ro", 2)
    with pytest.raises(OSError, match="is the end") as full:
        guest.pwrite(fd, b"abc", log.size)

    assert log.usecount == 1
    assert (read, short) == (b"\x30\x0f\xff", 2)
    assert (denied.value.errno, full.value.errno) == (errno.EACCES, errno.ENOSPC)
    assert [name for name in guest.ls("/dev") if "mtd" in name] == ["mtd0", "mtd0ro", "mtd1", "mtd1ro",
                                                                    "mtdblock0"]


def test_node_without_driver_raises_enxio(guest: Guest) -> None:
    guest.kernel.cdevs["ghost"] = 200 << 8

    with pytest.raises(OSError, match="no driver for major 200") as caught:
        guest.open("/dev/ghost")

    assert caught.value.errno == errno.ENXIO
