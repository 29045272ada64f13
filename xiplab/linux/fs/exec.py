"""Executing a program: the task keeps its number, its directory and its open files, and gets a new memory.

    do_execve()                 the file is opened; a new address space gets a stack with all strings
      search_binary_handler()   each format is asked in turn
        load_elf_binary()       binfmt_elf.py: maps the program
          flush_old_exec()      from here on there is no way back: the old memory is gone

A program is never read into memory: its file is mapped, and what maps it decides if that means in place.

Kernel: v3.6 fs/exec.c
Differs: one thread; no rlimits but that of the stack, which is fixed; no security modules; the stack is
    made where it stays, so it is not moved.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace

from xiplab.errors import Signal
from xiplab.linux.arch.s390 import uaccess
from xiplab.linux.drivers.random import get_random_bytes
from xiplab.linux.fs.file_table import fput
from xiplab.linux.fs.inode import allow_write_access, deny_write_access
from xiplab.linux.fs.namei import PathName, encode_path, inode_of, inode_permission, path_lookup
from xiplab.linux.fs.open import dentry_open, filp_close
from xiplab.linux.fs.read_write import vfs_read
from xiplab.linux.include.binfmts import BINPRM_BUF_SIZE, MAX_ARG_STRLEN, LinuxBinfmt, LinuxBinprm
from xiplab.linux.include.fs import (
    MAY_EXEC,
    O_LARGEFILE,
    O_RDONLY,
    S_IFMT,
    S_IFREG,
    S_ISGID,
    S_ISUID,
    S_IXGRP,
    File,
)
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.mm import TASK_UNMAPPED_BASE, VM_EXEC, MmStruct, VmAreaStruct
from xiplab.linux.include.sched import Cred, Task
from xiplab.linux.mm.iov import FreshBytes
from xiplab.linux.mm.memory import mm_alloc
from xiplab.linux.mm.mmap import STACK_LIMIT, TASK_SIZE, VM_STACK_FLAGS, exit_mmap, set_mm_exe_file, vma_link
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Vaddr

STACK_TOP = TASK_SIZE
STACK_EXPAND = 131072
"""So many bytes below the strings belong to the stack from the start."""
WORD = 8
TASK_COMM_LEN = 16
MMAP_RND_PAGES = 0x3FFFF


def formats(kernel: Kernel) -> list[LinuxBinfmt]:
    """The formats that the kernel knows, first asked first."""
    found: list[LinuxBinfmt] = kernel.statics.setdefault("binfmts", [])
    return found


def register_binfmt(kernel: Kernel, fmt: LinuxBinfmt) -> None:
    formats(kernel).append(fmt)


def bprm_mm_init(bprm: LinuxBinprm) -> None:
    """The new address space, with one page of stack at its top."""
    mm = bprm.mm = mm_alloc(bprm.task.kernel)
    bprm.vma = VmAreaStruct(mm, Vaddr(STACK_TOP - PAGE_SIZE), Vaddr(STACK_TOP), VM_STACK_FLAGS)
    vma_link(bprm.vma)
    bprm.p = Vaddr(STACK_TOP - WORD)


def copy_strings(bprm: LinuxBinprm, strings: Sequence[bytes]) -> None:
    """Push strings on the stack, the last one first, each with its NUL.

    Raises:
        OSError: E2BIG for a string of 128 KiB, for all of them above a quarter of the stack's limit, or
            without memory; EINVAL for one with a NUL, which C could not have.
    """
    assert bprm.mm is not None
    for string in reversed(strings):
        if 0 in string:
            raise OSError(errno.EINVAL, f"exec: a NUL byte within {string!r:.40}")
        if len(string) >= MAX_ARG_STRLEN:
            raise OSError(errno.E2BIG, f"exec: a string of {len(string)} bytes (limit {MAX_ARG_STRLEN - 1})")
        bprm.p = Vaddr(bprm.p - len(string) - 1)
        if STACK_TOP - bprm.p > STACK_LIMIT // 4:
            raise OSError(errno.E2BIG, f"exec: strings of more than {STACK_LIMIT // 4} bytes")
        try:
            uaccess.store(bprm.mm, bprm.p, string + b"\0")
        except Signal as signal:
            raise OSError(errno.E2BIG, f"exec: {signal}") from signal


def setup_arg_pages(bprm: LinuxBinprm, executable_stack: bool) -> None:
    """The stack gets its final permissions and room below the strings."""
    mm, vma = bprm.task.mm, bprm.vma
    if executable_stack:
        vma.vm_flags |= VM_EXEC
    vma.vm_start = Vaddr(max(vma.vm_start - STACK_EXPAND, vma.vm_end - STACK_LIMIT))
    mm.arg_start = bprm.p


def open_exec(task: Task, name: PathName) -> File:
    """Open a file to execute it; nobody may write it from now on.

    Raises:
        OSError: as path_lookup; EACCES no regular file, or not executable for the task; ETXTBSY open
            for writing.
    """
    path = path_lookup(task, name)
    inode = inode_of(path[1])
    inode_permission(task, inode, MAY_EXEC)
    if inode.i_mode & S_IFMT != S_IFREG:
        raise OSError(errno.EACCES, f"{path[1]}: no regular file")
    filp = dentry_open(path, O_RDONLY | O_LARGEFILE)
    try:
        deny_write_access(inode)
    except OSError:
        fput(filp)
        raise
    return filp


def kernel_read(filp: File, offset: int, count: int) -> bytes:
    """Up to `count` bytes of the file, for the kernel itself."""
    buf = FreshBytes()
    return buf.take(vfs_read(filp, buf, count, offset))


def release_exec(filp: File) -> None:
    """Done with a file that open_exec() opened. Areas that map it still keep writers away."""
    allow_write_access(filp.f_inode)
    fput(filp)


def exec_mmap(task: Task, mm: MmStruct) -> None:
    """The task's memory is `mm` from now on; the old one goes."""
    old, task.mm = task.mm, mm
    exit_mmap(old)


def flush_old_exec(bprm: LinuxBinprm) -> None:
    """The point of no return: the program that ran until now loses its memory."""
    assert bprm.mm is not None
    set_mm_exe_file(bprm.mm, bprm.file)
    exec_mmap(bprm.task, bprm.mm)
    bprm.mm = None


def setup_new_exec(bprm: LinuxBinprm) -> None:
    """Name the task after its program, close what is to be closed, choose where areas are mapped."""
    task = bprm.task
    arch_pick_mmap_layout(task.kernel, task.mm)
    task.comm = os.fsdecode(bprm.filename.rpartition(b"/")[2][:TASK_COMM_LEN - 1])
    for fd in sorted(task.close_on_exec):
        filp_close(task, fd)


def arch_pick_mmap_layout(kernel: Kernel, mm: MmStruct) -> None:
    """Libraries come to lie at other addresses in every run. Kernel: arch/s390/mm/mmap.c

    Differs: areas are found from the lowest address up, and that one is random.
    """
    pages = int.from_bytes(get_random_bytes(kernel, 4), "big") & MMAP_RND_PAGES
    mm.mmap_base = Vaddr(TASK_UNMAPPED_BASE + (pages << PAGE_SHIFT))


def install_exec_creds(bprm: LinuxBinprm) -> None:
    bprm.task.cred = bprm.cred


def prepare_binprm(bprm: LinuxBinprm) -> None:
    """Look at the file's setuid and setgid bits, and read its first bytes."""
    inode, cred = bprm.file.f_inode, bprm.cred
    if inode.i_mode & S_ISUID:
        cred = replace(cred, fsuid=inode.i_uid,
                       capabilities=frozenset() if inode.i_uid else Cred().capabilities)
    if inode.i_mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP:
        cred = replace(cred, fsgid=inode.i_gid)
    bprm.secureexec = (cred.fsuid, cred.fsgid) != (bprm.cred.fsuid, bprm.cred.fsgid)
    bprm.cred = cred
    bprm.buf = kernel_read(bprm.file, 0, BINPRM_BUF_SIZE).ljust(BINPRM_BUF_SIZE, b"\0")


def search_binary_handler(bprm: LinuxBinprm) -> None:
    """Let the first format that knows the file load it.

    Raises:
        OSError: ENOEXEC if none does; what the format answers.
    """
    for fmt in formats(bprm.task.kernel):
        try:
            assert fmt.load_binary is not None
            return fmt.load_binary(bprm)
        except OSError as error:
            if error.errno != errno.ENOEXEC or bprm.mm is None:
                raise
    raise OSError(errno.ENOEXEC, f"{os.fsdecode(bprm.filename)}: no format of programs that is known here")


def do_execve(task: Task, filename: PathName, argv: Sequence[bytes], envp: Sequence[bytes]) -> None:
    """execve(2): the task runs another program. An error leaves it as it was, unless its old memory was
    given up already: then it has a signal pending, too.

    Raises:
        OSError: as open_exec, copy_strings and search_binary_handler.
    """
    name = encode_path(filename)
    bprm = LinuxBinprm(task, open_exec(task, name), name, argv, envp, task.cred)
    try:
        bprm_mm_init(bprm)
        prepare_binprm(bprm)
        copy_strings(bprm, [name])
        bprm.exec = bprm.p
        copy_strings(bprm, envp)
        copy_strings(bprm, argv)
        search_binary_handler(bprm)
    finally:
        if bprm.mm is not None:
            exit_mmap(bprm.mm)
        release_exec(bprm.file)
