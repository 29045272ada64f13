"""NOR chips with Intel's command set: read, write, erase, lock and point.

One chip does one thing at a time, so everybody asks get_chip first and gives it back with put_chip:

    chip.state        read, point             write                       erase
    READY, STATUS     go                      go                          go
    ERASING           suspend, then go        suspend, if the chip can    sleep
                                              program meanwhile; else sleep
    POINT             go                      sleep until the last unpoint
put_chip resumes what was suspended and wakes who sleeps.

A pointed chip stays in array mode: its bytes can be read and mapped in place, and nobody can write. Without
point, a mapped page shows the chip's status while it works, and afterwards too, until the next read.

Interface: cfi_cmdset_0001() makes an mtd_info of a probed map; all else is reached through its table.

Kernel: v3.6 drivers/mtd/chips/cfi_cmdset_0001.c
Differs: an erase returns while it goes on (mtd_erase allows that; Linux waits). In Linux a second point of a
pointed chip sleeps, so that its counter never passes 1; here it counts. Waiting polls less often. No OTP
registers, no suspend to RAM, no CONFIG_MTD_XIP, no VPP switch, no interleaved chips or hardware partitions.
"""

from __future__ import annotations

import errno

from xiplab.hw.nor import (
    CLEAR_STATUS,
    CONFIRM,
    ERASE_BLOCK,
    FEATURE_INSTANT_LOCK,
    FEATURE_SUSPEND_ERASE,
    LOCK,
    LOCK_SETUP,
    PROGRAM_BUFFER,
    PROGRAM_WORD,
    READ_ARRAY,
    READ_ID,
    READ_STATUS,
    RESUME,
    SR_BAD_SEQUENCE,
    SR_ERASE_ERROR,
    SR_LOCKED,
    SR_PROGRAM_ERROR,
    SR_READY,
    SR_VPP_LOW,
    SUSPEND,
    UNLOCK,
)
from xiplab.linux.drivers.mtd.cfi_util import cfi_private, cfi_varsize_frob, check_blocks, chip_pieces
from xiplab.linux.drivers.mtd.kthread import (
    UNTIL_WOKEN,
    Work,
    flash_time,
    pass_time,
    run,
    start,
    wake_up,
)
from xiplab.linux.drivers.mtd.map_funcs import map_copy_from, map_read, map_write
from xiplab.linux.drivers.mtd.mtdcore import mtd_erase_callback
from xiplab.linux.include.mtd import (
    MTD_ERASE_DONE,
    MTD_ERASE_FAILED,
    MTD_ERASING,
    EraseInfo,
    FlChip,
    FlState,
    MapInfo,
    MtdInfo,
    MtdOps,
)
from xiplab.trace import tp_copy
from xiplab.units import Paddr

GET_CHIP_US = 1_000_000
ERASE_RETRIES = 3
DEFAULT_TIMEOUT_US = 500_000
LONGEST_NAP_US = 1000.0


def cfi_cmdset_0001(map_: MapInfo) -> MtdInfo:
    """The flash device that the chips of a probed map make together."""
    ident = cfi_private(map_).cfiq
    block_size = (ident.EraseRegionInfo >> 16) * 256
    return MtdInfo(map_.kernel, map_.name, map_.size, block_size,
                   cfi_intelext_ops if ident.MaxBufWriteSize else cfi_intelext_words_ops, priv=map_)


def _can_suspend_erase(map_: MapInfo, mode: FlState) -> bool:
    pri = cfi_private(map_).cmdset_priv
    reads = mode in {FlState.FL_READY, FlState.FL_POINT}
    writes = mode is FlState.FL_WRITING and bool(pri.SuspendCmdSupport & 1)
    return bool(pri.FeatureSupport & FEATURE_SUSPEND_ERASE) and (reads or writes)


def _poll_ready(map_: MapInfo, adr: int, deadline: float) -> Work[bool]:
    """Wait until the chip says that it is ready; False if it does not in time."""
    nap = 1.0
    while not map_read(map_, adr) & SR_READY:
        if flash_time(map_.kernel).now_us > deadline:
            return False
        yield nap
        nap = min(nap * 2, LONGEST_NAP_US)
    return True


def _suspend_erase(map_: MapInfo, chip: FlChip, adr: int, deadline: float) -> Work[None]:
    """Raises OSError EIO if the chip does not suspend; the erase then goes on."""
    map_write(map_, SUSPEND, adr)
    map_write(map_, READ_STATUS, adr)
    chip.oldstate, chip.state = FlState.FL_ERASING, FlState.FL_ERASE_SUSPENDING
    chip.erase_suspended = True
    if not (yield from _poll_ready(map_, adr, deadline)):
        map_write(map_, RESUME, adr)
        map_write(map_, READ_STATUS, adr)
        chip.state, chip.oldstate = FlState.FL_ERASING, FlState.FL_READY
        raise _io_error(map_, "Chip not ready after erase suspended", adr)
    chip.state = FlState.FL_STATUS


def _io_error(map_: MapInfo, why: str, adr: int, code: int = errno.EIO) -> OSError:
    """The line in the log and the error in one."""
    text = f"{map_}: {why} (offset {adr:#x}, status {map_read(map_, adr):#x})"
    map_.kernel.printk(text)
    return OSError(code, text)


def chip_ready(map_: MapInfo, chip: FlChip, adr: int, mode: FlState) -> Work[bool]:
    """Whether `chip` may be used for `mode` now; False if the caller has to sleep.

    Raises:
        OSError: EIO if the chip stays busy or is shut down.
    """
    deadline = flash_time(map_.kernel).now_us + GET_CHIP_US
    match chip.state:
        case FlState.FL_STATUS:
            if not (yield from _poll_ready(map_, adr, deadline)):
                raise _io_error(map_, "Waiting for chip to be ready timed out", adr)
            return True
        case FlState.FL_READY | FlState.FL_CFI_QUERY | FlState.FL_JEDEC_QUERY:
            return True
        case FlState.FL_ERASING if _can_suspend_erase(map_, mode):
            yield from _suspend_erase(map_, chip, adr, deadline)
            return True
        case FlState.FL_SHUTDOWN:
            raise _io_error(map_, "chip is shut down", adr)
        case FlState.FL_POINT:
            reads = mode in {FlState.FL_READY, FlState.FL_POINT}
            return reads and chip.oldstate is FlState.FL_READY
        case _:
            return False


def get_chip(map_: MapInfo, chip: FlChip, adr: int, mode: FlState) -> Work[None]:
    """Sleep until `chip` may be used for `mode`. Raises: OSError EIO."""
    while not (yield from chip_ready(map_, chip, adr, mode)):
        yield UNTIL_WOKEN


def put_chip(map_: MapInfo, chip: FlChip, adr: int) -> None:
    """The caller is done: resume what it had suspended, wake who sleeps."""
    if chip.oldstate is FlState.FL_ERASING:
        map_write(map_, RESUME, adr)
        map_write(map_, READ_STATUS, adr)
        chip.oldstate, chip.state = FlState.FL_READY, FlState.FL_ERASING
    wake_up(map_.kernel)


def inval_cache_and_wait_for_operation(map_: MapInfo, chip: FlChip, adr: int, op_time: float) -> Work[None]:
    """Sleep until the operation is over: half of its usual time, then in small steps.

    Raises:
        OSError: ETIME after eight times the usual time.
    """
    chip_state = chip.state
    left = timeout = op_time * 8 or DEFAULT_TIMEOUT_US
    nap = max(op_time / 2, 1.0)
    while not map_read(map_, adr) & SR_READY:
        if left <= 0:
            map_write(map_, READ_STATUS, adr)
            chip.state = FlState.FL_STATUS
            raise _io_error(map_, "operation timed out", adr, errno.ETIME)
        yield nap
        left -= nap
        nap = max(op_time / 16, 1.0)
        while chip.state is not chip_state:
            yield UNTIL_WOKEN
        if chip.erase_suspended and chip_state is FlState.FL_ERASING:
            left, chip.erase_suspended = timeout, False
    chip.state = FlState.FL_STATUS


def do_point_onechip(map_: MapInfo, chip: FlChip, adr: int) -> Work[None]:
    """Put the chip into array mode and keep it there."""
    cmd_addr = adr & -map_.bankwidth
    yield from get_chip(map_, chip, cmd_addr, FlState.FL_POINT)
    if chip.state not in {FlState.FL_POINT, FlState.FL_READY}:
        map_write(map_, READ_ARRAY, cmd_addr)
    chip.state = FlState.FL_POINT
    chip.ref_point_counter += 1


def cfi_intelext_point(mtd: MtdInfo, from_: int, length: int) -> tuple[int, int, Paddr]:
    """Make every chip of the range readable in place until unpoint: (retlen, virt, phys).

    An erase under way is suspended until the unpoint. If a chip answers EIO, retlen ends before it.
    Raises:
        OSError: EINVAL if the kernel has no address for the chips, or past the end; EDEADLK.
    """
    map_: MapInfo = mtd.priv
    if not map_.virt or from_ + length > mtd.size:
        raise OSError(errno.EINVAL, f"{mtd}: cannot point {length} bytes at {from_:#x} (size {mtd.size:#x})")
    retlen = 0
    for chip, adr, piece in chip_pieces(map_, from_, length):
        try:
            run(map_.kernel, do_point_onechip(map_, chip, adr))
        except OSError as failure:
            if failure.errno != errno.EIO:
                raise
            break
        retlen += piece
    return retlen, map_.virt + from_, Paddr(map_.phys + from_)


def cfi_intelext_unpoint(mtd: MtdInfo, from_: int, length: int) -> None:
    """Give the chips of the range back; the last unpoint wakes who waits to write or erase."""
    map_: MapInfo = mtd.priv
    for chip, _, _ in chip_pieces(map_, from_, length):
        if chip.state is FlState.FL_POINT:
            chip.ref_point_counter -= 1
            if chip.ref_point_counter == 0:
                chip.state = FlState.FL_READY
        else:
            map_.kernel.printk(f"{map_}: Warning: unpoint called on non pointed region")
        if chip.state is not FlState.FL_POINT:
            put_chip(map_, chip, chip.start)
    pass_time(map_.kernel, 0)


def do_read_onechip(map_: MapInfo, chip: FlChip, adr: int, buf: memoryview) -> Work[None]:
    cmd_addr = adr & -map_.bankwidth
    yield from get_chip(map_, chip, cmd_addr, FlState.FL_READY)
    if chip.state not in {FlState.FL_POINT, FlState.FL_READY}:
        map_write(map_, READ_ARRAY, cmd_addr)
        chip.state = FlState.FL_READY
    map_copy_from(map_, buf, adr)
    put_chip(map_, chip, cmd_addr)


def cfi_intelext_read(mtd: MtdInfo, from_: int, buf: memoryview) -> tuple[int, int]:
    """Fill `buf`; an erase under way is suspended for that. NOR corrects no bits.

    Raises:
        OSError: EIO.
    """
    done = 0
    for chip, adr, piece in chip_pieces(mtd.priv, from_, len(buf)):
        run(mtd.kernel, do_read_onechip(mtd.priv, chip, adr, buf[done:done + piece]))
        done += piece
    return done, 0


def _padded_words(adr: int, data: memoryview) -> tuple[int, bytes]:
    """`data` as whole bus words from an even address on; FF leaves the neighbours as they are."""
    start = adr & ~1
    padded = b"\xff" * (adr - start) + data.tobytes()
    return start, padded + b"\xff" * (len(padded) % 2)


def _check_program(map_: MapInfo, adr: int) -> None:
    """Raises OSError EROFS locked, EIO VPP too low, EINVAL any other failure."""
    status = map_read(map_, adr)
    if not status & (SR_PROGRAM_ERROR | SR_VPP_LOW | SR_LOCKED):
        return
    map_write(map_, CLEAR_STATUS, adr)
    map_write(map_, READ_STATUS, adr)
    if status & SR_LOCKED:
        raise OSError(errno.EROFS, f"{map_}: block at {adr:#x} is locked")
    if status & SR_VPP_LOW:
        raise _io_error(map_, "write error (bad VPP)", adr)
    raise _io_error(map_, f"write error (status {status:#x})", adr, errno.EINVAL)


def do_write_oneword(map_: MapInfo, chip: FlChip, adr: int, datum: int) -> Work[None]:
    yield from get_chip(map_, chip, adr, FlState.FL_WRITING)
    try:
        map_write(map_, PROGRAM_WORD, adr)
        map_write(map_, datum, adr)
        chip.state = FlState.FL_WRITING
        yield from inval_cache_and_wait_for_operation(map_, chip, adr, chip.word_write_time)
        _check_program(map_, adr)
    finally:
        put_chip(map_, chip, adr)


def cfi_intelext_write_words(mtd: MtdInfo, to: int, buf: memoryview) -> int:
    """Program word by word; returns how many bytes. Raises: OSError EROFS, EIO, EINVAL, ETIME."""
    done = 0
    for chip, adr, piece in chip_pieces(mtd.priv, to, len(buf)):
        start, words = _padded_words(adr, buf[done:done + piece])
        for at in range(0, len(words), 2):
            datum = int.from_bytes(words[at:at + 2], "big")
            run(mtd.kernel, do_write_oneword(mtd.priv, chip, start + at, datum))
        done += piece
    if tp_copy.probes:
        tp_copy(what="memory to flash", nbytes=done)
    return done


def do_write_buffer(map_: MapInfo, chip: FlChip, adr: int, data: memoryview) -> Work[None]:
    """Program up to one buffer of the chip; `data` does not cross a buffer's boundary."""
    cmd_adr = adr & -(1 << cfi_private(map_).cfiq.MaxBufWriteSize)
    yield from get_chip(map_, chip, cmd_adr, FlState.FL_WRITING)
    try:
        map_write(map_, READ_STATUS, cmd_adr)
        if map_read(map_, cmd_adr) & SR_BAD_SEQUENCE:
            map_.kernel.printk(f"{map_}: SR.4 or SR.5 bits set in buffer write. Clearing.")
            map_write(map_, CLEAR_STATUS, cmd_adr)
        chip.state = FlState.FL_WRITING_TO_BUFFER
        map_write(map_, PROGRAM_BUFFER, cmd_adr)
        yield from inval_cache_and_wait_for_operation(map_, chip, cmd_adr, 0)
        start, words = _padded_words(adr, data)
        map_write(map_, len(words) // 2 - 1, cmd_adr)
        for at in range(0, len(words), 2):
            map_write(map_, int.from_bytes(words[at:at + 2], "big"), start + at)
        map_write(map_, CONFIRM, cmd_adr)
        chip.state = FlState.FL_WRITING
        yield from inval_cache_and_wait_for_operation(map_, chip, cmd_adr, chip.buffer_write_time)
        _check_program(map_, cmd_adr)
    finally:
        put_chip(map_, chip, cmd_adr)


def cfi_intelext_write_buffers(mtd: MtdInfo, to: int, buf: memoryview) -> int:
    """Program buffer by buffer; returns how many bytes. Raises: OSError EROFS, EIO, EINVAL, ETIME."""
    map_: MapInfo = mtd.priv
    wbufsize = 1 << cfi_private(map_).cfiq.MaxBufWriteSize
    done = 0
    while done < len(buf):
        adr = to + done
        size = min(wbufsize - adr % wbufsize, len(buf) - done)
        chip = cfi_private(map_).chips[adr >> cfi_private(map_).chipshift]
        run(map_.kernel, do_write_buffer(map_, chip, adr, buf[done:done + size]))
        done += size
    if tp_copy.probes:
        tp_copy(what="memory to flash", nbytes=done)
    return done


def _erase_failure(map_: MapInfo, adr: int, status: int) -> OSError:
    if status & SR_BAD_SEQUENCE == SR_BAD_SEQUENCE:
        return _io_error(map_, "block erase error: (bad command sequence)", adr, errno.EINVAL)
    if status & SR_LOCKED:
        return OSError(errno.EROFS, f"{map_}: block at {adr:#x} is locked")
    if status & SR_VPP_LOW:
        return _io_error(map_, "block erase error: (bad VPP)", adr)
    return _io_error(map_, f"block erase failed (status {status:#x})", adr)


def do_erase_oneblock(map_: MapInfo, chip: FlChip, adr: int) -> Work[None]:
    """Raises OSError EINVAL bad sequence, EROFS locked, ETIME, EIO VPP or after three more tries."""
    for attempt in range(ERASE_RETRIES + 1):
        yield from get_chip(map_, chip, adr, FlState.FL_ERASING)
        try:
            map_write(map_, CLEAR_STATUS, adr)
            map_write(map_, ERASE_BLOCK, adr)
            map_write(map_, CONFIRM, adr)
            chip.state, chip.erase_suspended = FlState.FL_ERASING, False
            yield from inval_cache_and_wait_for_operation(map_, chip, adr, chip.erase_time)
            map_write(map_, READ_STATUS, adr)
            status = map_read(map_, adr)
            if not status & (SR_BAD_SEQUENCE | SR_VPP_LOW | SR_LOCKED):
                return
            map_write(map_, CLEAR_STATUS, adr)
            map_write(map_, READ_STATUS, adr)
        finally:
            put_chip(map_, chip, adr)
        again = status & ~SR_READY == SR_ERASE_ERROR and attempt < ERASE_RETRIES
        if not again:
            raise _erase_failure(map_, adr, status)
        map_.kernel.printk(f"block erase failed at {adr:#x}: status {status:#x}. Retrying...")


def _erase_thread(mtd: MtdInfo, instr: EraseInfo) -> Work[None]:
    instr.state = MTD_ERASING
    try:
        yield from cfi_varsize_frob(mtd, do_erase_oneblock, instr.addr, instr.len)
        instr.state = MTD_ERASE_DONE
    except OSError as failure:
        instr.state, instr.error = MTD_ERASE_FAILED, failure
    mtd_erase_callback(instr)


def cfi_intelext_erase_varsize(mtd: MtdInfo, instr: EraseInfo) -> None:
    """Start to erase; it goes on while time passes, one block after the other.

    Raises:
        OSError: EINVAL not on erase blocks; EROFS, EIO if the first block fails at once.
    """
    check_blocks(mtd, instr.addr, instr.len)
    start(mtd.kernel, _erase_thread(mtd, instr))
    if instr.error is not None:
        raise instr.error


def _do_xxlock_oneblock(map_: MapInfo, chip: FlChip, adr: int, code: int, state: FlState) -> Work[None]:
    yield from get_chip(map_, chip, adr, FlState.FL_LOCKING)
    try:
        map_write(map_, LOCK_SETUP, adr)
        map_write(map_, code, adr)
        chip.state = state
        instant = cfi_private(map_).cmdset_priv.FeatureSupport & FEATURE_INSTANT_LOCK
        yield from inval_cache_and_wait_for_operation(map_, chip, adr, 0 if instant else 10_000)
    finally:
        put_chip(map_, chip, adr)


def _do_lock(map_: MapInfo, chip: FlChip, adr: int) -> Work[None]:
    yield from _do_xxlock_oneblock(map_, chip, adr, LOCK, FlState.FL_LOCKING)


def _do_unlock(map_: MapInfo, chip: FlChip, adr: int) -> Work[None]:
    yield from _do_xxlock_oneblock(map_, chip, adr, UNLOCK, FlState.FL_UNLOCKING)


def cfi_intelext_lock(mtd: MtdInfo, offset: int, length: int) -> None:
    """Raises OSError EINVAL not on erase blocks; ETIME."""
    check_blocks(mtd, offset, length)
    run(mtd.kernel, cfi_varsize_frob(mtd, _do_lock, offset, length))


def cfi_intelext_unlock(mtd: MtdInfo, offset: int, length: int) -> None:
    """Raises OSError EINVAL not on erase blocks; ETIME."""
    check_blocks(mtd, offset, length)
    run(mtd.kernel, cfi_varsize_frob(mtd, _do_unlock, offset, length))


def do_getlockstatus_oneblock(map_: MapInfo, chip: FlChip, adr: int) -> Work[bool]:
    yield from get_chip(map_, chip, adr, FlState.FL_JEDEC_QUERY)
    map_write(map_, READ_ID, adr)
    chip.state = FlState.FL_JEDEC_QUERY
    locked = bool(map_read(map_, adr + 2 * map_.bankwidth) & 1)
    put_chip(map_, chip, adr)
    return locked


def cfi_intelext_is_locked(mtd: MtdInfo, offset: int, length: int) -> bool:
    """Whether any block of the range is locked. Raises: OSError EINVAL not on erase blocks."""
    check_blocks(mtd, offset, length)
    return any([run(mtd.kernel, do_getlockstatus_oneblock(mtd.priv, chip, adr))
                for chip, start, piece in chip_pieces(mtd.priv, offset, length)
                for adr in range(start, start + piece, mtd.erasesize)])


def _sync_onechip(map_: MapInfo, chip: FlChip) -> Work[None]:
    yield from get_chip(map_, chip, chip.start, FlState.FL_SYNCING)
    put_chip(map_, chip, chip.start)


def cfi_intelext_sync(mtd: MtdInfo) -> None:
    """Sleep until no chip works any more."""
    for chip in cfi_private(mtd.priv).chips:
        run(mtd.kernel, _sync_onechip(mtd.priv, chip))


cfi_intelext_ops = MtdOps(
    name="cfi_intelext_ops", point=cfi_intelext_point, unpoint=cfi_intelext_unpoint, read=cfi_intelext_read,
    write=cfi_intelext_write_buffers, erase=cfi_intelext_erase_varsize, lock=cfi_intelext_lock,
    unlock=cfi_intelext_unlock, is_locked=cfi_intelext_is_locked, sync=cfi_intelext_sync)
cfi_intelext_words_ops = MtdOps(
    name="cfi_intelext_words_ops", point=cfi_intelext_point, unpoint=cfi_intelext_unpoint,
    read=cfi_intelext_read, write=cfi_intelext_write_words, erase=cfi_intelext_erase_varsize,
    lock=cfi_intelext_lock, unlock=cfi_intelext_unlock, is_locked=cfi_intelext_is_locked,
    sync=cfi_intelext_sync)
