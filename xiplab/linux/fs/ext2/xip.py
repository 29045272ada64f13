"""Execute-in-place on ext2: from a page of a file to the frame of the device.

    page of the file --ext2_get_block--> block --x 8--> sector --direct_access--> address and frame

The device must have direct_access, and a block must be a page.

Interface: ext2_xip_verify_sb(), ext2_get_xip_mem(), ext2_get_xip_runs(), ext2_clear_xip_target().

Kernel: v3.6 fs/ext2/xip.c
Differs: asks the block map for one block; until 3.13 Linux asked for none, which the allocator took
for one (Q13).
"""

from __future__ import annotations

import errno

import numpy as np

from xiplab.errors import NoData, bug_on
from xiplab.linux.fs.block_dev import bdev_direct_access, bdev_direct_access_run
from xiplab.linux.fs.ext2.append import ext2_take_next, ext2_window
from xiplab.linux.fs.ext2.ext2 import EXT2_MOUNT_XIP, EXT2_SB, Ext2Window, Ext2XipRun, ext2_msg
from xiplab.linux.fs.ext2.indirect import ext2_block_runs, ext2_get_blocks
from xiplab.linux.include.fs import AddressSpace, Inode, SuperBlock, XipRun
from xiplab.trace import tp_copy
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pfn, Pgoff, block_to_sector

ZERO_PAGE = bytes(PAGE_SIZE)


def ext2_use_xip(sb: SuperBlock) -> bool:
    return bool(EXT2_SB(sb).s_mount_opt & EXT2_MOUNT_XIP)


def ext2_xip_verify_sb(sb: SuperBlock) -> None:
    """Take the xip option back, with a warning, if the device has no direct_access."""
    assert sb.s_bdev is not None
    if ext2_use_xip(sb) and sb.s_bdev.bd_disk.fops.direct_access is None:
        EXT2_SB(sb).s_mount_opt &= ~EXT2_MOUNT_XIP
        ext2_msg(sb, "warning: ignoring xip option - not supported by bdev")


def _inode_direct_access(inode: Inode, block: int) -> tuple[int, Pfn]:
    """Address and frame of a block. Kernel: __inode_direct_access()"""
    bdev = inode.i_sb.s_bdev
    assert bdev is not None
    return bdev_direct_access(bdev, block_to_sector(block, PAGE_SIZE))


def _get_block(inode: Inode, pgoff: Pgoff, create: bool) -> int:
    """The block of page `pgoff`. Kernel: __ext2_get_block()"""
    block = ext2_get_blocks(inode, pgoff, 1, create)[0]
    if not block:
        bug_on(create, f"{inode}: no block for page {pgoff}")
        raise NoData(f"{inode}: page {pgoff} is a hole")
    return block


def ext2_clear_xip_target(inode: Inode, block: int, count: int = 1) -> None:
    """Zero new blocks where they lie, before the file gets them.

    Raises:
        OSError: what direct_access answers.
    """
    memory = inode.i_sb.s_kernel.memory
    while count:
        kaddr, _, n = _device_run(inode.i_sb, block, count)
        if n == 1:
            memory.span(kaddr, PAGE_SIZE, "store")[:] = ZERO_PAGE
            return
        np.asarray(memory.span(kaddr, n * PAGE_SIZE, "store"))[:] = 0
        block += n
        count -= n


def ext2_get_xip_mem(mapping: AddressSpace, pgoff: Pgoff, create: bool) -> tuple[int, Pfn]:
    """The page of storage behind page `pgoff`: its address and its frame.

    Raises:
        NoData: a hole, and not `create`.
        OSError: EIO, ENOSPC from the block map; ENODEV, EINVAL, ERANGE from direct_access.
    """
    inode = mapping.host
    assert inode is not None
    return _inode_direct_access(inode, _get_block(inode, pgoff, create))


def ext2_get_xip_next(mapping: AddressSpace, pgoff: Pgoff) -> int:
    """The address of a new block for page `pgoff`, which follows the last new one of the file; 0 if that
    is not as simple as it sounds: then ext2_get_xip_mem does it, and says what is wrong. Not zeroed.

    Kernel: none (get_xip_mem)
    """
    inode = mapping.host
    assert inode is not None
    window = ext2_window(inode, pgoff)
    if window is None or not (window.kaddr or _address_window(inode, window)):
        return 0
    return window.kaddr + (ext2_take_next(inode, window) << PAGE_SHIFT)


def _address_window(inode: Inode, window: Ext2Window) -> bool:
    """Find the address of the window's blocks, as many as lie in a row; whether there is one."""
    block = window.block
    try:
        kaddr, _, n = _device_run(inode.i_sb, block, window.last + 1 - block)
    except OSError:
        return False
    window.kaddr, window.last = kaddr - (block << PAGE_SHIFT), block + n - 1
    return True


def ext2_get_xip_runs(mapping: AddressSpace, pgoff: Pgoff, npages: int, create: bool) -> list[XipRun]:
    """The frames behind `npages` pages from `pgoff` on, as runs: (page, first frame or None, how many).

    With `create`, `pgoff` is a hole, and gets blocks in a row with as many of the pages behind it as can
    be had in one step.

    Kernel: none (get_xip_mem, asked for each page)
    Raises:
        OSError: as ext2_get_xip_mem, if it is the first page that has the error; else the pages
            before it are returned. EOPNOTSUPP if the driver's address of a page is not its frame's, so
            that a run says too little.
    """
    inode = mapping.host
    assert inode is not None
    if create:
        return _new_runs(inode, pgoff, npages)
    runs: list[XipRun] = []
    try:
        for first, block, count in ext2_block_runs(inode, pgoff, npages):
            if block:
                _add_frames(runs, inode, first, block, count)
            else:
                _add_run(runs, first, None, count)
    except OSError:
        if not runs:
            raise
    return runs


def _new_runs(inode: Inode, pgoff: int, npages: int) -> list[XipRun]:
    """Blocks for the hole at `pgoff` and, in a row, as many behind it as one step gives."""
    block, count, _ = ext2_get_blocks(inode, pgoff, npages, True)
    runs: list[XipRun] = []
    _add_frames(runs, inode, pgoff, block, count)
    return runs


def _add_frames(runs: list[XipRun], inode: Inode, pgoff: int, block: int, count: int) -> None:
    """Add the frames of `count` blocks in a row, which are the file's pages from `pgoff` on."""
    while count:
        kaddr, pfn, n = _device_run(inode.i_sb, block, count)
        if kaddr != pfn << PAGE_SHIFT:
            raise OSError(errno.EOPNOTSUPP, f"{inode}: page {pgoff} is at {kaddr:#x}, but its frame is "
                                            f"{pfn:#x}")
        _add_run(runs, pgoff, pfn, n)
        pgoff += n
        block += n
        count -= n


def _add_run(runs: list[XipRun], pgoff: int, pfn: int | None, count: int) -> None:
    """Add pages, which follow the last run, to it or as a run of their own."""
    if runs:
        first, frame, npages = runs[-1]
        if pfn is None if frame is None else pfn == frame + npages:
            runs[-1] = first, frame, npages + count
            return
    runs.append((Pgoff(pgoff), None if pfn is None else Pfn(pfn), count))


def _device_run(sb: SuperBlock, block: int, count: int) -> tuple[int, int, int]:
    """(address, frame, how many) for as many of `count` blocks from `block` on as lie in a row.

    What the driver answers is kept: it counts as long as the device is open. A driver's function that was
    put in since is asked, and while somebody records each question is asked.
    Raises:
        OSError: as bdev_direct_access.
    """
    info = EXT2_SB(sb)
    bdev = sb.s_bdev
    assert bdev is not None
    run = info.s_xip_run
    asked = bdev.bd_disk.fops.direct_access_run
    if run is None or run.asked is not asked or not run.first <= block < run.end:
        sector = block_to_sector(block, PAGE_SIZE)
        if asked is None or tp_copy.probes:
            return bdev_direct_access_run(bdev, sector, count) if count > 1 \
                else (*bdev_direct_access(bdev, sector), 1)
        kaddr, pfn, n = bdev_direct_access_run(bdev, sector, max(info.s_blocks_count - block, 1))
        run = info.s_xip_run = Ext2XipRun(asked, block, block + n, kaddr - (block << PAGE_SHIFT), pfn - block)
    left = run.end - block
    return run.kaddr + (block << PAGE_SHIFT), run.pfn + block, count if count < left else left
