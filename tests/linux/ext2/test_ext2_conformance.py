"""Conformance rows K77 to K101: mounting ext2 with xip, the block map, truncation."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from mounts import Mounted, assert_clean, e2fsck, needs_e2fsprogs, on_disk, on_ramdisk, on_segment, ticking

from xiplab import MAP_SHARED, O_CREAT, O_RDWR, PROT_READ, PROT_WRITE
from xiplab.errors import SIGBUS, NoData, Signal
from xiplab.linux.fs.block_dev import set_blocksize
from xiplab.linux.fs.ext2.indirect import ext2_block_to_path, ext2_get_block
from xiplab.linux.fs.ext2.super_eras import ext2_fs_type_2_6_24
from xiplab.linux.fs.ext2.xip import ext2_get_xip_mem, ext2_use_xip
from xiplab.linux.include.blkdev import BlockDevice
from xiplab.ondisk import Bytes
from xiplab.tools.filsys import Filsys
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, KiB, MiB, Pgoff, Sector

PAGE0, PAGE2 = b"0" * PAGE_SIZE, b"2" * PAGE_SIZE
FIRST_FILE = 12


def image(size: int = 1 * MiB, blocksize: int = 4096) -> bytes:
    return bytes(mke2fs(size, blocksize=blocksize))


@pytest.fixture
def h() -> Mounted:
    """File H on an xip mount, open read-write as descriptor 0: pages 0 and 2 have blocks, 1 is a hole."""
    mounted = on_segment(image(), clock=ticking())
    mounted.mount("xip")
    fd = mounted.guest.open("/mnt/H", O_CREAT | O_RDWR)
    mounted.guest.pwrite(fd, PAGE0, 0)
    mounted.guest.pwrite(fd, PAGE2, 2 * PAGE_SIZE)
    return mounted


def fill(mounted: Mounted, leave: int = 0) -> None:
    """Take all free blocks but `leave`."""
    fd = mounted.guest.open("/mnt/filler", O_CREAT | O_RDWR)
    pgoff = 0
    while mounted.guest.statfs("/mnt").f_bfree > leave:
        mounted.guest.pwrite(fd, b"x", pgoff * PAGE_SIZE)
        pgoff += 1
    mounted.guest.close(fd)


def refused(mounted: Mounted, options: str, number: int) -> None:
    with pytest.raises(OSError, match=mounted.device) as caught:
        mounted.mount(options)

    assert caught.value.errno == number
    assert not mounted.guest.kernel.block_devices[mounted.device].bd_openers


def test_k77_xip_on_a_device_without_direct_access_is_ignored_with_a_warning() -> None:
    mounted = on_disk(image())
    sb = mounted.mount("xip")

    assert not ext2_use_xip(sb)
    assert "EXT2-fs (sda): warning: ignoring xip option - not supported by bdev" in mounted.guest.dmesg
    assert sb.s_root.d_inode is not None
    mounted.guest.echo("text", "/mnt/file")
    assert mounted.mapping("/mnt/file").a_ops.name == "ext2_aops"


def test_k78_fallback_comes_before_the_block_size_is_looked_at() -> None:
    mounted = on_disk(image(blocksize=1024))

    assert not ext2_use_xip(mounted.mount("xip"))


@pytest.mark.parametrize("blocksize", [1024, 2048])
def test_k79_xip_needs_blocks_that_are_pages(blocksize: int) -> None:
    mounted = on_ramdisk(image(blocksize=blocksize))
    refused(mounted, "xip", errno.EINVAL)

    assert mounted.guest.dmesg[-1] == "EXT2-fs (ram0): error: unsupported blocksize for xip"


def test_k80_small_blocks_do_not_mount_on_dcssblk() -> None:
    refused(on_segment(image(blocksize=1024)), "", errno.EINVAL)


def test_k81_old_kernels_compared_the_wrong_block_size() -> None:
    """Up to 2.6.24 xip was refused on a device with 512-byte logical blocks (Q14), not since."""
    mounted = on_ramdisk(image())
    now = mounted.guest.kernel.filesystems["ext2"]
    mounted.guest.kernel.filesystems["ext2"] = ext2_fs_type_2_6_24
    refused(mounted, "xip", errno.EINVAL)
    mounted.guest.kernel.filesystems["ext2"] = now

    assert ext2_use_xip(mounted.mount("xip"))


def test_k82_read_write_mount_of_a_read_only_segment_is_eacces() -> None:
    mounted = on_segment(image(), type="SR")
    with pytest.raises(OSError, match="read-only") as caught:
        mounted.mount("xip")

    assert caught.value.errno == errno.EACCES
    assert ext2_use_xip(mounted.mount("ro,xip"))


def test_k83_remount_read_write_of_a_read_only_segment_is_eacces() -> None:
    mounted = on_segment(image(), type="SR")
    mounted.mount("ro,xip")
    with pytest.raises(OSError, match="read-only") as caught:
        mounted.remount("rw")

    assert caught.value.errno == errno.EACCES


def test_k84_there_is_no_option_noxip() -> None:
    mounted = on_segment(image())
    refused(mounted, "noxip", errno.EINVAL)

    assert 'Unrecognized mount option "noxip"' in mounted.guest.dmesg[-1]


@pytest.mark.parametrize(("options", "other", "before"), [("", "xip", False), ("xip", "", True)])
def test_k85_remount_leaves_the_xip_flag_alone(options: str, other: str, before: bool) -> None:
    mounted = on_segment(image())
    sb = mounted.mount(options)
    mounted.remount(other)

    assert ext2_use_xip(sb) is before
    refusal = "refusing change of xip flag with busy inodes while remounting"
    assert any(refusal in line for line in mounted.guest.dmesg) is not before


def test_k86_remount_with_xip_and_small_blocks_restores_all_options() -> None:
    mounted = on_disk(image(blocksize=1024))
    sb = mounted.mount("grpid")
    before = mounted.info.s_mount_opt
    mounted.guest.plug("sda", direct_access=lambda bdev, sector: (0, 0))
    with pytest.raises(OSError, match="unsupported blocksize for xip") as caught:
        mounted.remount("xip,nogrpid")

    assert caught.value.errno == errno.EINVAL
    assert mounted.info.s_mount_opt == before
    assert not ext2_use_xip(sb)


def test_k87_hole_is_unmapped_and_get_xip_mem_says_enodata(h: Mounted) -> None:
    inode = h.inode("/mnt/H")

    assert ext2_get_block(inode, 1, False) == (0, False)
    with pytest.raises(NoData) as caught:
        ext2_get_xip_mem(inode.i_mapping, Pgoff(1), False)
    assert caught.value.errno == errno.ENODATA


@pytest.mark.parametrize("iblock", [1_074_791_436, -1])
def test_k88_block_beyond_three_levels_is_eio(h: Mounted, iblock: int) -> None:
    with pytest.raises(OSError, match="limit 1074791436") as caught:
        ext2_get_block(h.inode("/mnt/H"), iblock, False)

    assert caught.value.errno == errno.EIO


def test_k89_depth_of_the_path(h: Mounted) -> None:
    inode = h.inode("/mnt/H")
    path = {n: ext2_block_to_path(inode, n)[0] for n in (0, 11, 12, 1035, 1036, 1_049_611, 1_049_612,
                                                         1_074_791_435)}

    assert path == {0: (0,), 11: (11,), 12: (12, 0), 1035: (12, 1023), 1036: (13, 0, 0),
                    1_049_611: (13, 1023, 1023), 1_049_612: (14, 0, 0, 0),
                    1_074_791_435: (14, 1023, 1023, 1023)}


def test_k90_get_xip_mem_with_create_gives_a_zeroed_block(h: Mounted) -> None:
    """The block was zeroed before it was linked; i_blocks grows by 8, with an indirect block by 16."""
    inode = h.inode("/mnt/H")
    device = h.guest.kernel.memory.view(0x20000000, 1 * MiB)
    for block in range(mke2fs_free_from(h), 256):
        device[block * PAGE_SIZE:(block + 1) * PAGE_SIZE] = 0xAA
    blocks, ctime = inode.i_blocks, inode.i_ctime
    kaddr, pfn = ext2_get_xip_mem(inode.i_mapping, Pgoff(1), True)

    assert kaddr == pfn * PAGE_SIZE
    assert not h.guest.kernel.memory.view(kaddr, PAGE_SIZE).any()
    assert inode.i_blocks == blocks + 8
    assert inode.i_ctime > ctime
    ext2_get_xip_mem(inode.i_mapping, Pgoff(12), True)
    assert inode.i_blocks == blocks + 8 + 16


def mke2fs_free_from(mounted: Mounted) -> int:
    """The first block behind H: free up to the end."""
    return ext2_get_block(mounted.inode("/mnt/H"), 2, False)[0] + 1


@needs_e2fsprogs
def test_k91_get_xip_mem_with_create_on_a_full_disk_is_enospc(h: Mounted, tmp_path: Path) -> None:
    """Nothing stays allocated, not even the indirect block that there was room for."""
    fill(h, leave=1)
    mapping = h.mapping("/mnt/H")
    with pytest.raises(OSError, match="no block is free") as caught:
        ext2_get_xip_mem(mapping, Pgoff(12), True)

    assert caught.value.errno == errno.ENOSPC
    assert h.guest.statfs("/mnt").f_bfree == 1
    ext2_get_xip_mem(mapping, Pgoff(1), True)
    h.guest.close(0)
    h.guest.umount("/mnt")
    assert_clean(h.image(), tmp_path)


@needs_e2fsprogs
def test_k92_block_leaks_if_it_cannot_be_zeroed(h: Mounted, tmp_path: Path) -> None:
    """direct_access fails while the new block is zeroed: its error, and the block stays marked as used
    while no file has it (Q12); e2fsck finds it."""
    free = h.guest.statfs("/mnt").f_bfree

    def broken(bdev: BlockDevice, sector: Sector) -> tuple[int, int]:
        raise OSError(errno.EIO, "the medium is gone")

    before = h.guest.plug("dcssblk0", direct_access=broken)
    with pytest.raises(OSError, match="the medium is gone") as caught:
        ext2_get_xip_mem(h.mapping("/mnt/H"), Pgoff(1), True)
    h.guest.kernel.disks["dcssblk0"].fops = before

    assert caught.value.errno == errno.EIO
    assert ext2_get_block(h.inode("/mnt/H"), 1, False) == (0, False)
    assert h.guest.statfs("/mnt").f_bfree == free - 1
    h.guest.close(0)
    h.guest.umount("/mnt")
    status, output = e2fsck(h.image(), tmp_path)
    assert status != 0
    assert "Block bitmap differences" in output


def bad_pointer_image(slot: int, block: int) -> bytes:
    """File H with one block pointer that leads past the end of the device."""
    array: Bytes = mke2fs(1 * MiB, tree={"H": b"x" * 20_000})
    inode = Filsys(array).inode(FIRST_FILE)
    inode.i_block[slot] = block
    return bytes(array)


def test_k93_block_past_the_end_of_the_device_is_erange() -> None:
    mounted = on_segment(bad_pointer_image(0, 100_000))
    mounted.mount("xip")
    with pytest.raises(OSError, match="past the end") as caught:
        ext2_get_xip_mem(mounted.mapping("/mnt/H"), Pgoff(0), False)

    assert caught.value.errno == errno.ERANGE


def test_k94_next_page_gets_the_next_block(h: Mounted) -> None:
    h.guest.echo("", "/mnt/new")
    fd = h.guest.open("/mnt/new", O_RDWR)
    for pgoff in range(14):
        h.guest.pwrite(fd, b"x", pgoff * PAGE_SIZE)
    blocks = [ext2_get_block(h.inode("/mnt/new"), n, False)[0] for n in range(14)]

    assert np.diff(blocks).tolist() == [1] * 11 + [2, 1]


def test_k95_truncate_zeroes_the_tail_and_frees_the_rest(h: Mounted) -> None:
    memory = h.guest.mmap(0, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
    memory[2 * PAGE_SIZE] = ord("!")
    blocks = h.inode("/mnt/H").i_blocks
    h.guest.truncate("/mnt/H", 100)
    kaddr, _ = ext2_get_xip_mem(h.mapping("/mnt/H"), Pgoff(0), False)

    assert bytes(h.guest.kernel.memory.view(kaddr, PAGE_SIZE)) == b"0" * 100 + bytes(3996)
    assert h.inode("/mnt/H").i_blocks == blocks - 8
    with pytest.raises(Signal) as caught:
        memory[2 * PAGE_SIZE]
    assert caught.value.signo == SIGBUS


def test_k96_truncate_inside_a_hole_zeroes_nothing(h: Mounted) -> None:
    h.guest.truncate("/mnt/H", 5000)

    assert h.guest.cat("/mnt/H") == PAGE0 + bytes(5000 - PAGE_SIZE)
    assert h.inode("/mnt/H").i_blocks == 8


def test_k97_truncate_to_a_block_boundary_looks_nothing_up(h: Mounted) -> None:
    def unexpected(bdev: BlockDevice, sector: Sector) -> tuple[int, int]:
        raise AssertionError("looked up")

    before = h.guest.plug("dcssblk0", direct_access=unexpected)
    h.guest.truncate("/mnt/H", 4096)
    h.guest.kernel.disks["dcssblk0"].fops = before

    assert h.guest.cat("/mnt/H") == PAGE0


def test_k98_truncate_upwards_allocates_nothing(h: Mounted) -> None:
    blocks = h.inode("/mnt/H").i_blocks
    h.guest.truncate("/mnt/H", 1 * MiB)

    assert h.inode("/mnt/H").i_blocks == blocks
    assert h.guest.pread(0, 1 * MiB, 3 * PAGE_SIZE) == bytes(1 * MiB - 3 * PAGE_SIZE)


def test_k99_truncate_whose_tail_cannot_be_looked_up_changes_nothing() -> None:
    mounted = on_segment(bad_pointer_image(0, 100_000))
    mounted.mount("xip")
    size = mounted.guest.stat("/mnt/H").st_size
    with pytest.raises(OSError, match="past the end"):
        mounted.guest.truncate("/mnt/H", 100)

    assert mounted.guest.stat("/mnt/H").st_size == size


def test_k99_unreadable_indirect_block_is_eio() -> None:
    array: Bytes = mke2fs(1 * MiB, tree={"H": b"x" * 60_000})
    Filsys(array).inode(FIRST_FILE).i_block[12] = 100_000
    mounted = on_segment(bytes(array))
    mounted.mount("xip")
    with pytest.raises(OSError, match="past the end") as caught:
        mounted.guest.truncate("/mnt/H", 50_000)

    assert caught.value.errno == errno.EIO
    assert mounted.guest.stat("/mnt/H").st_size == 60_000


def test_k100_truncate_beyond_the_largest_file_is_efbig(h: Mounted) -> None:
    assert h.sb.s_maxbytes == 2_194_719_883_264
    h.guest.truncate("/mnt/H", h.sb.s_maxbytes)
    with pytest.raises(OSError, match="largest") as caught:
        h.guest.truncate("/mnt/H", h.sb.s_maxbytes + 1)

    assert caught.value.errno == errno.EFBIG


def test_k101_blocks_smaller_than_the_device_has_are_einval(h: Mounted) -> None:
    with pytest.raises(OSError, match="block size 2048") as caught:
        set_blocksize(h.guest.kernel.block_devices["dcssblk0"], 2 * KiB)

    assert caught.value.errno == errno.EINVAL


