"""MTD calls: which check comes first, partitions, and the nodes in /dev."""

import errno
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xiplab.hw.nor import NorChip
from xiplab.linux.drivers.mtd.mtdchar import mtd_fops, mtdchar_lseek, mtdchar_read, mtdchar_write
from xiplab.linux.drivers.mtd.mtdcore import (
    add_mtd_device,
    del_mtd_device,
    get_mtd_device,
    mtd_erase,
    mtd_erase_wait,
    mtd_is_locked,
    mtd_lock,
    mtd_point,
    mtd_proc_show,
    mtd_read,
    mtd_unlock,
    mtd_unpoint,
    mtd_write,
    put_mtd_device,
)
from xiplab.linux.drivers.mtd.mtdpart import del_mtd_partitions
from xiplab.linux.drivers.mtd.physmap import physmap_flash_probe
from xiplab.linux.include.blkdev import FMODE_READ, FMODE_WRITE
from xiplab.linux.include.fs import SEEK_CUR, SEEK_END, SEEK_SET, File, Inode
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mtd import (
    MTD_ABSENT,
    MTD_ERASE_DONE,
    MTD_ERASE_FAILED,
    MTD_WRITEABLE,
    EraseInfo,
    MtdInfo,
    MtdOps,
    MtdPartition,
)
from xiplab.units import KiB, MiB, Paddr

FLASH = Paddr(0x8000000)
BLOCK = 64 * KiB


@pytest.fixture
def mtd(kernel: Kernel) -> MtdInfo:
    """Two chips of 256 KiB: 512 KiB in blocks of 64 KiB, erased."""
    return physmap_flash_probe(kernel, "flash", FLASH, chips(kernel))


def chips(kernel: Kernel) -> list[NorChip]:
    return [NorChip(kernel.memory.storage, 256 * KiB) for _ in range(2)]


def read(mtd: MtdInfo, start: int, length: int) -> bytes:
    buf = bytearray(length)
    assert mtd_read(mtd, start, memoryview(buf)) == length
    return bytes(buf)


def write(mtd: MtdInfo, start: int, data: bytes) -> None:
    assert mtd_write(mtd, start, memoryview(data)) == len(data)


def test_probe_adds_the_chips_up(mtd: MtdInfo) -> None:
    assert (mtd.index, mtd.size, mtd.erasesize) == (0, 512 * KiB, BLOCK)
    assert mtd_proc_show(mtd.kernel).endswith('mtd0: 00080000 00010000 "flash"\n')


def test_probe_without_a_chip_raises_enodev(kernel: Kernel) -> None:
    chip, = chips(kernel)[:1]
    chip.query_table = lambda: NorChip.query_table(chip) * 0    # type: ignore[method-assign]

    with pytest.raises(OSError, match="no CFI chip") as caught:
        physmap_flash_probe(kernel, "flash", FLASH, [chip])

    assert caught.value.errno == errno.ENODEV


def test_probe_of_unlike_chips_or_over_storage_attaches_nothing(kernel: Kernel) -> None:
    small, large = NorChip(kernel.memory.storage, 128 * KiB), NorChip(kernel.memory.storage, 256 * KiB)
    ranges = list(kernel.memory.ranges)

    with pytest.raises(OSError, match="one size") as unlike:
        physmap_flash_probe(kernel, "flash", FLASH, [small, large])
    with pytest.raises(OSError, match="overlaps RAM") as over:
        physmap_flash_probe(kernel, "flash", Paddr(0x20000), [small])

    assert (unlike.value.errno, over.value.errno) == (errno.EINVAL, errno.EBUSY)
    assert kernel.memory.ranges == ranges


def test_write_reads_back_across_chips_at_odd_offsets(mtd: MtdInfo) -> None:
    data = bytes(range(1, 256)) * 9
    write(mtd, 256 * KiB - 1001, data)

    assert read(mtd, 256 * KiB - 1002, len(data) + 2) == b"\xff" + data + b"\xff"


def test_k168_point_without_method_raises_eopnotsupp_before_the_range(kernel: Kernel) -> None:
    """K168, first: no method: EOPNOTSUPP, even for a bad range."""
    bare = MtdInfo(kernel, "bare", MiB, BLOCK, MtdOps(name="bare_ops"))

    with pytest.raises(OSError, match="has no point") as caught:
        mtd_point(bare, 2 * MiB, 1)

    assert caught.value.errno == errno.EOPNOTSUPP


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (MiB, 1), (0, MiB), (512 * KiB, 1)])
def test_k168_point_of_a_bad_range_raises_einval(mtd: MtdInfo, start: int, length: int) -> None:
    """K168, second: bad range: EINVAL."""
    with pytest.raises(OSError, match="size 0x80000") as caught:
        mtd_point(mtd, start, length)

    assert caught.value.errno == errno.EINVAL


def test_k168_point_of_nothing_is_zero(mtd: MtdInfo) -> None:
    """K168, third: length 0: success, nothing pointed."""
    assert mtd_point(mtd, 4096, 0) == (0, 0, 0)
    assert mtd.priv.fldrv_priv.chips[0].ref_point_counter == 0


def test_k169_write_to_read_only_mtd_checks_the_range_first(mtd: MtdInfo) -> None:
    """K169: mtd_write to a read-only mtd, bad range: EINVAL."""
    mtd.flags &= ~MTD_WRITEABLE

    with pytest.raises(OSError, match="size 0x80000") as caught:
        mtd_write(mtd, MiB, memoryview(b"x"))

    assert caught.value.errno == errno.EINVAL


def test_k170_write_of_nothing_to_read_only_mtd_raises_erofs(mtd: MtdInfo) -> None:
    """K170: mtd_write to a read-only mtd, length 0: EROFS."""
    mtd.flags &= ~MTD_WRITEABLE

    with pytest.raises(OSError, match="read-only") as caught:
        mtd_write(mtd, 0, memoryview(b""))

    assert caught.value.errno == errno.EROFS


def test_write_without_method_raises_erofs(kernel: Kernel) -> None:
    bare = MtdInfo(kernel, "bare", MiB, BLOCK, MtdOps(name="bare_ops"))

    with pytest.raises(OSError, match="no write") as caught:
        mtd_write(bare, 0, memoryview(b"x"))

    assert caught.value.errno == errno.EROFS


def test_read_with_many_corrected_bits_raises_euclean_with_the_data(kernel: Kernel) -> None:
    def read_worn(mtd: MtdInfo, start: int, buf: memoryview) -> tuple[int, int]:
        buf[:] = b"d" * len(buf)
        return len(buf), 3

    nand = MtdInfo(kernel, "nand", MiB, BLOCK, MtdOps(name="nand_ops", read=read_worn), ecc_strength=4,
                   bitflip_threshold=3)
    buf = bytearray(4)

    with pytest.raises(OSError, match="3 bits corrected") as caught:
        mtd_read(nand, 0, memoryview(buf))

    assert caught.value.errno == errno.EUCLEAN
    assert buf == b"dddd"


def test_erase_of_nothing_is_done_at_once(mtd: MtdInfo) -> None:
    done: list[EraseInfo] = []
    instr = EraseInfo(100, 0, done.append)
    mtd_erase(mtd, instr)

    assert instr.state == MTD_ERASE_DONE
    assert done == [instr]


@pytest.mark.parametrize(("addr", "length", "flags", "code"), [
    (MiB, BLOCK, 0, errno.EINVAL), (0, BLOCK, 0, errno.EROFS), (0, 0, 0, errno.EROFS),
    (100, BLOCK, MTD_WRITEABLE, errno.EINVAL), (0, 100, MTD_WRITEABLE, errno.EINVAL)])
def test_erase_checks_range_then_read_only_then_blocks(mtd: MtdInfo, addr: int, length: int, flags: int,
                                                       code: int) -> None:
    mtd.flags = flags

    with pytest.raises(OSError, match=r"bytes|read-only") as caught:
        mtd_erase(mtd, EraseInfo(addr, length))

    assert caught.value.errno == code


def test_lock_and_unlock_of_blocks(mtd: MtdInfo) -> None:
    mtd_lock(mtd, BLOCK, 2 * BLOCK)
    locked = [mtd_is_locked(mtd, n * BLOCK, BLOCK) for n in range(4)]
    mtd_unlock(mtd, 0, 8 * BLOCK)

    assert locked == [False, True, True, False]
    assert not mtd_is_locked(mtd, 0, 8 * BLOCK)


def test_partitions_add_their_offset(kernel: Kernel) -> None:
    master = physmap_flash_probe(kernel, "flash", FLASH, chips(kernel),
                                 [MtdPartition("boot", BLOCK), MtdPartition("root")])
    root = get_mtd_device(kernel, 1)
    write(root, 10, b"hello")
    _, virt, phys = mtd_point(root, 10, 5)
    mtd_unpoint(root, 10, 5)
    done: list[EraseInfo] = []
    instr = EraseInfo(0, BLOCK, done.append)
    before = read(master, BLOCK + 10, 5)
    mtd_erase(root, instr)
    mtd_erase_wait(root, instr)

    assert before == b"hello"
    assert virt == phys == FLASH + BLOCK + 10
    assert read(root, 10, 5) == b"\xff" * 5
    assert (done, instr.addr, instr.state) == ([instr], 0, MTD_ERASE_DONE)


def test_k177_partition_not_on_an_erase_block_is_forced_read_only(kernel: Kernel) -> None:
    """K177: a partition not on an erase-block boundary is forced read-only; a write gives EROFS."""
    physmap_flash_probe(kernel, "flash", FLASH, chips(kernel),
                        [MtdPartition("odd", BLOCK + 4096), MtdPartition("rest"),
                         MtdPartition("good", BLOCK, 2 * BLOCK)])
    odd, rest, good = (get_mtd_device(kernel, number) for number in range(3))

    with pytest.raises(OSError, match="read-only") as caught:
        mtd_write(odd, 0, memoryview(b"x"))

    assert caught.value.errno == errno.EROFS
    assert [bool(mtd.flags & MTD_WRITEABLE) for mtd in (odd, rest, good)] == [False, False, True]
    assert sum("force read-only" in line for line in kernel.dmesg) == 2


def test_partition_out_of_reach_is_disabled_and_too_long_is_cut(kernel: Kernel) -> None:
    physmap_flash_probe(kernel, "flash", FLASH, chips(kernel),
                        [MtdPartition("long", MiB, BLOCK), MtdPartition("far", BLOCK, MiB)])

    assert [get_mtd_device(kernel, number).size for number in range(2)] == [7 * BLOCK, 0]


def test_del_partitions_while_used_raises_ebusy(kernel: Kernel) -> None:
    master = physmap_flash_probe(kernel, "flash", FLASH, chips(kernel), [MtdPartition("all")])
    part = get_mtd_device(kernel, 0)

    with pytest.raises(OSError, match="in use") as caught:
        del_mtd_partitions(master)
    put_mtd_device(part)
    del_mtd_partitions(master)

    assert caught.value.errno == errno.EBUSY
    assert mtd_proc_show(kernel).count("\n") == 1


def test_del_mtd_device_in_use_raises_ebusy_and_numbers_are_reused(mtd: MtdInfo) -> None:
    get_mtd_device(mtd.kernel, 0)

    with pytest.raises(OSError, match="use count 1") as caught:
        del_mtd_device(mtd)
    put_mtd_device(mtd)
    del_mtd_device(mtd)

    assert caught.value.errno == errno.EBUSY
    assert add_mtd_device(mtd) == 0


class UserMemory:
    """A task's buffer that can be accessed up to `limit` bytes."""

    def __init__(self, content: bytes = b"", limit: int = 1 << 30) -> None:
        self.content, self.limit, self.at = bytearray(content), limit, 0

    def copy_to_user(self, src: memoryview) -> int:
        arrived = min(len(src), self.limit - len(self.content))
        self.content += src[:arrived]
        return arrived

    def clear_user(self, nbytes: int) -> int:
        return self.copy_to_user(memoryview(bytes(nbytes)))

    def copy_from_user(self, dst: memoryview) -> int:
        came = min(len(dst), self.limit - self.at, len(self.content) - self.at)
        dst[:came] = self.content[self.at:self.at + came]
        self.at += came
        return came


def open_node(kernel: Kernel, minor: int, mode: int) -> File:
    inode = cast(Inode, SimpleNamespace(i_rdev=90 << 8 | minor, i_sb=SimpleNamespace(s_kernel=kernel)))
    filp = cast(Any, SimpleNamespace(f_mode=mode, f_inode=inode, f_pos=0, private_data=None))
    assert mtd_fops.open is not None
    mtd_fops.open(inode, filp)
    return cast(File, filp)


@pytest.fixture
def filp(mtd: MtdInfo) -> Iterator[File]:
    filp = open_node(mtd.kernel, 0, FMODE_READ | FMODE_WRITE)
    yield filp
    assert mtd_fops.release is not None
    mtd_fops.release(filp.f_inode, filp)
    assert mtd.usecount == 0


def test_k178_open_of_the_ro_node_for_write_raises_eacces(mtd: MtdInfo) -> None:
    """K178: open /dev/mtdNro for write: EACCES."""
    with pytest.raises(OSError, match="mtd0ro") as caught:
        open_node(mtd.kernel, 1, FMODE_READ | FMODE_WRITE)

    assert caught.value.errno == errno.EACCES
    assert open_node(mtd.kernel, 1, FMODE_READ).private_data is mtd


@pytest.mark.parametrize(("minor", "mode", "kind", "flags", "code"), [
    (2, FMODE_READ, 3, MTD_WRITEABLE, errno.ENODEV), (3, FMODE_WRITE, 3, MTD_WRITEABLE, errno.EACCES),
    (0, FMODE_WRITE, MTD_ABSENT, 0, errno.ENODEV), (0, FMODE_WRITE, 3, 0, errno.EACCES)])
def test_open_order_of_checks(mtd: MtdInfo, minor: int, mode: int, kind: int, flags: int, code: int) -> None:
    mtd.type, mtd.flags = kind, flags

    with pytest.raises(OSError, match="mtd") as caught:
        open_node(mtd.kernel, minor, mode)

    assert caught.value.errno == code
    assert mtd.usecount == 0


def test_char_write_across_the_end_is_short_and_at_the_end_enospc(mtd: MtdInfo, filp: File) -> None:
    assert mtdchar_write(filp, UserMemory(b"abcdef"), 6, mtd.size - 4) == 4

    with pytest.raises(OSError, match="is the end") as caught:
        mtdchar_write(filp, UserMemory(b"abc"), 3, mtd.size)

    assert caught.value.errno == errno.ENOSPC
    assert read(mtd, mtd.size - 4, 4) == b"abcd"


def test_char_read_stops_at_the_end(mtd: MtdInfo, filp: File) -> None:
    write(mtd, mtd.size - 3, b"end")
    user = UserMemory()

    assert mtdchar_read(filp, user, 100, mtd.size - 3) == 3
    assert mtdchar_read(filp, user, 100, mtd.size) == 0
    assert user.content == b"end"


def test_char_bad_user_buffer_raises_efault(filp: File) -> None:
    with pytest.raises(OSError, match="buffer") as reading:
        mtdchar_read(filp, UserMemory(limit=2), 4, 0)
    with pytest.raises(OSError, match="buffer") as writing:
        mtdchar_write(filp, UserMemory(b"abcd", limit=2), 4, 0)

    assert reading.value.errno == writing.value.errno == errno.EFAULT


def test_char_lseek(mtd: MtdInfo, filp: File) -> None:
    positions = [mtdchar_lseek(filp, 100, SEEK_SET), mtdchar_lseek(filp, -50, SEEK_CUR),
                 mtdchar_lseek(filp, 0, SEEK_END)]

    with pytest.raises(OSError, match="seek") as caught:
        mtdchar_lseek(filp, 1, SEEK_CUR)

    assert positions == [100, 50, mtd.size]
    assert caught.value.errno == errno.EINVAL


def test_failed_erase_tells_in_the_partitions_own_terms(kernel: Kernel) -> None:
    devices = chips(kernel)
    physmap_flash_probe(kernel, "flash", FLASH, devices,
                        [MtdPartition("boot", BLOCK), MtdPartition("root")])
    root = get_mtd_device(kernel, 1)
    devices[0].locked.add(1)
    instr = EraseInfo(0, BLOCK)

    with pytest.raises(OSError, match="locked") as caught:
        mtd_erase(root, instr)

    assert caught.value.errno == errno.EROFS
    assert instr.state == MTD_ERASE_FAILED
