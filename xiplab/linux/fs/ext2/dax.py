"""DAX on ext2: the tables that Linux 4.0 gives to a regular file where v3.6 gives it those of XIP.

    linux1.kernel.filesystems["ext2"] = ext2_fs_type_4_0
    linux1.mount("/dev/dcssblk0", "/mnt", "ext2", "dax")

Kernel: v4.0 fs/ext2/{file,inode,super}.c; the operation pfn_mkwrite v4.1
Differs: one flag stands for both options; get_xip_runs stays, which no kernel had: it says where the
    pages lie.
"""

from __future__ import annotations

from xiplab.linux.fs.dax import dax_do_io, dax_pfn_mkwrite, dax_truncate_page, do_dax_fault
from xiplab.linux.fs.ext2.ext2 import EXT2_SB, InodeTables, ext2_msg
from xiplab.linux.fs.ext2.file import ext2_file_inode_operations, ext2_fsync
from xiplab.linux.fs.ext2.indirect import ext2_block_runs, ext2_get_blocks
from xiplab.linux.fs.ext2.inode import ext2_bmap
from xiplab.linux.fs.ext2.ioctl import ext2_ioctl
from xiplab.linux.fs.ext2.super import ext2_fill_super
from xiplab.linux.fs.ext2.xip import ext2_get_xip_runs, ext2_use_xip
from xiplab.linux.fs.inode import file_accessed
from xiplab.linux.fs.read_write import generic_file_llseek
from xiplab.linux.include.blkdev import READ, WRITE
from xiplab.linux.include.fs import (
    S_IFREG,
    AddressSpace,
    AddressSpaceOperations,
    File,
    FileOperations,
    FileSystemType,
    Inode,
    SuperBlock,
    UserBuffer,
)
from xiplab.linux.include.mm import VM_MIXEDMAP, VmAreaStruct, VmFault, VmOperations
from xiplab.units import Pgoff


def ext2_dax_get_block(inode: Inode, iblock: int, maxblocks: int, create: bool) -> tuple[int, int]:
    """A run of the file's blocks from `iblock` on: its first block (0: a hole), and how many.

    Kernel: ext2_get_block()
    Raises:
        OSError: as ext2_get_blocks.
    """
    _, block, count = next(iter(ext2_block_runs(inode, iblock, maxblocks)))
    if block or not create:
        return block, count
    block, count, _ = ext2_get_blocks(inode, iblock, count, True)
    return block, count


def ext2_dax_read(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    return dax_do_io(READ, filp, buf, count, pos, ext2_dax_get_block)


def ext2_dax_write(filp: File, buf: UserBuffer, count: int, pos: int) -> int:
    return dax_do_io(WRITE, filp, buf, count, pos, ext2_dax_get_block)


def ext2_dax_fault(vma: VmAreaStruct, vmf: VmFault) -> None:
    do_dax_fault(vma, vmf, ext2_dax_get_block)


def ext2_dax_pfn_mkwrite(vma: VmAreaStruct, pgoff: Pgoff) -> None:
    dax_pfn_mkwrite(vma, pgoff, ext2_dax_get_block)


def ext2_dax_truncate_page(mapping: AddressSpace, from_: int) -> None:
    dax_truncate_page(mapping, from_, ext2_dax_get_block)


ext2_dax_vm_ops = VmOperations(name="ext2_dax_vm_ops", fault=ext2_dax_fault, pfn_mkwrite=ext2_dax_pfn_mkwrite)


def ext2_dax_file_mmap(filp: File, vma: VmAreaStruct) -> None:
    """Let faults of this area come to ext2_dax_fault."""
    file_accessed(filp)
    vma.vm_ops = ext2_dax_vm_ops
    vma.vm_flags |= VM_MIXEDMAP


ext2_dax_file_operations = FileOperations(
    name="ext2_dax_file_operations", llseek=generic_file_llseek, read=ext2_dax_read, write=ext2_dax_write,
    mmap=ext2_dax_file_mmap, ioctl=ext2_ioctl, fsync=ext2_fsync)
ext2_aops_dax = AddressSpaceOperations(
    name="ext2_aops_dax", bmap=ext2_bmap, get_xip_runs=ext2_get_xip_runs,
    truncate_page=ext2_dax_truncate_page)


def ext2_fill_super_4_0(sb: SuperBlock, data: str, silent: bool) -> None:
    """Mount with the option dax; xip is taken for it, with a hint in the log.

    Raises:
        OSError: as ext2_fill_super.
    """
    options = data.split(",")
    if "xip" in options:
        ext2_msg(sb, "use dax instead of xip")
    ext2_fill_super(sb, ",".join("xip" if option == "dax" else option for option in options), silent)
    if ext2_use_xip(sb):
        EXT2_SB(sb).s_inode_tables[S_IFREG] = InodeTables(ext2_file_inode_operations,
                                                          ext2_dax_file_operations, ext2_aops_dax)


ext2_fs_type_4_0 = FileSystemType("ext2", ext2_fill_super_4_0)
