"""Exercise 11, the capstone: five functions of the learner's own carry a mount, and a program runs on it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from xiplab.course.problem import Answer, Case, Hint, Question
from xiplab.course.questions import ex05_build, ex11_alone, ex11_program
from xiplab.course.questions.ex00_build import check_addresses, check_refusals
from xiplab.course.questions.seam import NO_DATA
from xiplab.course.questions.stage_11 import cache_frames, execute, sigbus, stores_reach_the_file
from xiplab.guest import Guest
from xiplab.hw.memory import AbsoluteStorage
from xiplab.linux.drivers.dcssblk_io import DcssblkDevInfo
from xiplab.linux.fs.inode import mark_inode_dirty
from xiplab.linux.include.blkdev import BlockDevice, GenDisk
from xiplab.linux.include.fs import AddressSpace, AddressSpaceOperations, File, Inode
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import VmAreaStruct, VmFault
from xiplab.linux.mm.filemap_xip import xip_sparse_page, xip_unmap
from xiplab.linux.mm.iov import FreshBytes, HostBuffer
from xiplab.linux.mm.memory import vm_insert_mixed

PRELUDE = NO_DATA + "PAGE_SIZE = 4096\nSECTOR_SIZE = 512"
BUFFER = "copy_to_user clear_user copy_from_user"
DEVICE: dict[type, str] = {BlockDevice: "bd_disk", GenDisk: "disk_name private_data",
                           DcssblkDevInfo: "start end"}
FILE: dict[type, str] = {
    File: "f_mapping f_inode", AddressSpace: "host a_ops kernel", AddressSpaceOperations: "get_xip_mem",
    Inode: "i_size=", Kernel: "memory", AbsoluteStorage: "span", memoryview: "", FreshBytes: BUFFER,
    HostBuffer: BUFFER, ex11_alone.Room: BUFFER, VmAreaStruct: "vm_file vm_flags",
    VmFault: "pgoff virtual_address write"}
GUEST: dict[type, str] = {Guest: "name"}
WRITING: dict[str, object] = {"mark_inode_dirty": mark_inode_dirty, "xip_unmap": xip_unmap}
FAULTING: dict[str, object] = {
    "sigbus": sigbus, "stores_reach_the_file": stores_reach_the_file, "vm_insert_mixed": vm_insert_mixed,
    "xip_sparse_page": xip_sparse_page, "xip_unmap": xip_unmap}
MEASURING: dict[str, object] = {"cache_frames": cache_frames, "execute": execute}
READ = ("do_xip_mapping_read", "xip_file_read", "_read_by_runs")
WRITE = ("_xip_file_write", "xip_file_write", "_write_by_runs", "find_or_allocate")
FAULT = ("xip_file_fault", "_allocate_for_fault")


def both(*checks: Callable[[Answer, Random], None]) -> Callable[[Answer, Random], None]:
    """Several checks as one."""
    def check(answer: Answer, random: Random) -> None:
        for each in checks:
            each(answer, random)

    return check


def program(name: str) -> Case:
    return Case("a program runs on it, in place", ex11_program.program_on(name), points=1)


DIRECT_ACCESS = Question(
    id="11.1", title="Your direct_access", kind="build", answer="direct_access", lines="5 to 8 lines",
    prelude=PRELUDE, shows=DEVICE,
    masked={"xiplab.linux.drivers.dcssblk_io": ("dcssblk_direct_access", "dcssblk_direct_access_run")},
    cases=(Case("sectors and refusals", both(check_addresses, check_refusals), points=1),
           program("direct_access")),
    hints=(
        Hint("It is the function of exercise 00. Refuse first, then compute.", 0.05),
        Hint("ENODEV without a segment, EINVAL inside a page, ERANGE behind the end. The address is the "
             "segment's start and 512 bytes for each sector.", 0.10),
        Hint("For a disk of single sectors: `if info is None: raise OSError(errno.ENODEV, \"gone\")`; "
             "`address = info.start + sector * 512`; `return address, address // 512`.", 0.20)),
    notice="The program ran on frames that your function named. It did not touch one of them.",
    reference="xiplab.linux.drivers.dcssblk_io:dcssblk_direct_access")

GET_XIP_MEM = Question(
    id="11.2", title="Your get_xip_mem", kind="build", answer="get_xip_mem", lines="5 to 7 lines",
    prelude=PRELUDE, given=ex05_build.GIVEN, shows=ex05_build.SHOWS, masked=ex05_build.MASKED,
    cases=(Case("pages and holes", both(ex05_build.check_stored, ex05_build.check_holes), points=1),
           program("get_xip_mem")),
    hints=(
        Hint("It is the function of exercise 05: find the block, refuse a hole, ask the device.", 0.05),
        Hint("The block comes from ext2_get_block, NoData says a hole, direct_access wants a sector: eight "
             "for each block.", 0.10),
        Hint("For a device whose blocks are sectors: `block, _ = ext2_get_block(inode, page, create)`; "
             "`if not block: raise NoData(\"a hole\")`; `return disk.fops.direct_access(bdev, block)`.",
             0.20)),
    notice="With create the same lines made the blocks of the program, when it was written.",
    reference="xiplab.linux.fs.ext2.xip:ext2_get_xip_mem")

XIP_FILE_READ = Question(
    id="11.3", title="Your xip_file_read", kind="build", answer="xip_file_read", lines="9 to 12 lines",
    prelude=PRELUDE, shows=FILE, masked={"xiplab.linux.mm.filemap_xip": READ},
    cases=(Case("the bytes and the count", ex11_alone.check_read, points=1), program("xip_file_read")),
    hidden=("reads from other positions",),
    hints=(
        Hint("A request is a row of pieces. A piece ends where its page ends, or where the request ends, or "
             "where the file ends.", 0.05),
        Hint("For each piece: ask get_xip_mem for the page with create False; copy from the offset in it; "
             "for NoData clear as many bytes of the buffer.", 0.10),
        Hint("The same for a file without holes, one byte at a time: `while pos < end:` "
             "`kmem, pfn = get_xip_mem(mapping, pos // PAGE_SIZE, False)`; "
             "`buf.copy_to_user(memory.span(kmem + pos % PAGE_SIZE, 1))`; `pos += 1`.", 0.20)),
    notice="One copy, from the segment to the program, and no page of a cache between them.",
    reference="xiplab.linux.mm.filemap_xip:do_xip_mapping_read")

XIP_FILE_WRITE = Question(
    id="11.4", title="Your xip_file_write", kind="build", answer="xip_file_write", lines="10 to 12 lines",
    prelude=PRELUDE, given=WRITING, shows=FILE, masked={"xiplab.linux.mm.filemap_xip": WRITE},
    cases=(Case("the file, its size and the count", ex11_alone.check_write, points=1),
           program("xip_file_write")),
    hidden=("writes at other positions",),
    hints=(
        Hint("The pieces are those of a read, but the end of the file is no end. What is missing is made.",
             0.05),
        Hint("Ask with create False. On NoData ask again with True, and take the page of zeros out of all "
             "mappings: xip_unmap(mapping, page). At the end the file may be longer.", 0.10),
        Hint("For the size: `if pos > inode.i_size:` `inode.i_size = pos`; `mark_inode_dirty(inode)`. For a "
             "piece: `buf.copy_from_user(memory.span(kmem + offset, chunk, \"store\"))`.", 0.20)),
    notice="From 2.6.24-rc1 to rc4 Linux wrote every piece to the start of its page (quirk Q4): the offset "
           "was missing in one line. Your checks began inside pages because of it.",
    reference="xiplab.linux.mm.filemap_xip:_xip_file_write")

XIP_FILE_FAULT = Question(
    id="11.5", title="Your xip_file_fault", kind="build", answer="xip_file_fault", lines="8 to 12 lines",
    prelude=PRELUDE, given=FAULTING, shows=FILE, masked={"xiplab.linux.mm.filemap_xip": FAULT},
    cases=(Case("pages that are stored", ex11_alone.check_stored_pages, points=1),
           Case("the end, and holes", ex11_alone.check_other_pages, points=1), program("xip_file_fault")),
    hints=(
        Hint("Three questions, in this order: is the page behind the end? Has it a frame? And if not: will "
             "stores reach the file?", 0.05),
        Hint("The frame is the second value of get_xip_mem. For a hole it is either a new block's frame, "
             "with create True and xip_unmap, or that of xip_sparse_page(mapping.kernel).", 0.10),
        Hint("For files without holes: `if vmf.pgoff * PAGE_SIZE >= size: sigbus(vma, vmf, \"behind\")`; "
             "`_, pfn = mapping.a_ops.get_xip_mem(mapping, vmf.pgoff, False)`; "
             "`vm_insert_mixed(vma, vmf.virtual_address, pfn)`.", 0.20)),
    notice="The processor fetched its instructions from the segment, because one line of yours put a frame "
           "number into a page table.",
    reference="xiplab.linux.mm.filemap_xip:xip_file_fault")

WHOLE = Question(
    id="11.6", title="The whole, and its proof", kind="measure", answer="cached_by", lines="3 lines",
    prelude=PRELUDE, given={**ex05_build.GIVEN, **WRITING, **FAULTING, **MEASURING},
    shows={**ex05_build.SHOWS, **FILE, **GUEST, GenDisk: "disk_name fops private_data",
           DcssblkDevInfo: "start end", Inode: "i_sb i_size="},
    masked={"xiplab.linux.mm.filemap_xip": (*READ, *WRITE, *FAULT)},
    needs=("11.1", "11.2", "11.3", "11.4", "11.5"),
    cases=(Case("frames that a program takes", ex11_program.check_counts, points=2),
           Case("the whole: five functions of yours", ex11_program.check_whole, points=3)),
    hints=(
        Hint("A number of frames says nothing alone. What do you compare it with?", 0.05),
        Hint("Count before, execute, count again. Other files may have frames in the page cache already.",
             0.10),
        Hint("For the time that a program takes: `before = clock()`; `execute(guest, path)`; "
             "`return clock() - before`.", 0.20)),
    notice="A program was written, read and executed in place. Every instruction came from the frames of the "
           "segment, and every way to them was yours.")

QUESTIONS = (DIRECT_ACCESS, GET_XIP_MEM, XIP_FILE_READ, XIP_FILE_WRITE, XIP_FILE_FAULT, WHOLE)
