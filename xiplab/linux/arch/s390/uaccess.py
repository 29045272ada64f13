"""A task's own loads and stores, and the kernel's access to its memory.

Every access goes through the DAT tables, page by page, as the machine's would; a page that is not
there is faulted in on the way.

Kernel: v3.6 arch/s390/lib/uaccess_pt.c (access by walking the page tables)
"""

from __future__ import annotations

from xiplab.errors import PROTECTION, SIGSEGV, ProgramInterruption, Signal
from xiplab.hw.dat import translate
from xiplab.linux.arch.s390.fault import do_exception
from xiplab.linux.include.mm import MmStruct
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, offset_in_page

RETRIES = 4


def host_offset(mm: MmStruct, vaddr: int, access: str) -> int:
    """Where the byte at `vaddr` lies in Storage, after whatever faults that takes.

    Raises:
        Signal: SIGSEGV, SIGBUS, SIGKILL.
    """
    known = mm.tlb.get(vaddr >> PAGE_SHIFT)
    if known is not None and (known[1] or access != "store"):
        return known[0] + offset_in_page(vaddr)
    return _translate(mm, vaddr, access) + offset_in_page(vaddr)


def _translate(mm: MmStruct, vaddr: int, access: str) -> int:
    """Walk the tables, serving faults, and note the result in the TLB: the page's byte offset."""
    if not mm.tables:
        raise Signal(SIGSEGV, vaddr, "the task has ended")
    memory = mm.kernel.memory
    page = vaddr & ~(PAGE_SIZE - 1)
    for _ in range(RETRIES):
        try:
            paddr = translate(memory, mm.asce, page, access)
            r = memory.range_of(paddr, PAGE_SIZE, access)
            if access == "store" and not r.writable:
                raise Signal(SIGSEGV, vaddr, f"{r.name} is read-only storage")
            offset = (r.first << PAGE_SHIFT) + paddr - r.start
            mm.tlb[vaddr >> PAGE_SHIFT] = (offset, access == "store")
            return offset
        except ProgramInterruption as interruption:
            do_exception(mm, ProgramInterruption(interruption.code, vaddr, access))
    raise ProgramInterruption(PROTECTION, vaddr, access, "the fault handler does not resolve it")


def load(mm: MmStruct, vaddr: int, nbytes: int) -> bytes:
    """What a program reads at `vaddr`."""
    memory = mm.kernel.memory.storage.memory
    return b"".join(memory[start:start + n] for start, n in pieces(mm, vaddr, nbytes, "load"))


def store(mm: MmStruct, vaddr: int, value: bytes | bytearray | memoryview) -> None:
    """A program writes `value` at `vaddr`. Pages before one that faults are written."""
    memory = mm.kernel.memory.storage.memory
    source = memoryview(value).cast("B")
    at = 0
    for start, n in pieces(mm, vaddr, len(source), "store"):
        memory[start:start + n] = source[at:at + n]
        at += n


def pieces(mm: MmStruct, vaddr: int, nbytes: int, access: str) -> list[tuple[int, int]]:
    """vaddr..vaddr+nbytes as (byte offset in Storage, length), neighbours in storage joined."""
    result: list[tuple[int, int]] = []
    end = vaddr + nbytes
    while vaddr < end:
        n = min(PAGE_SIZE - offset_in_page(vaddr), end - vaddr)
        start = host_offset(mm, vaddr, access)
        if result and sum(result[-1]) == start:
            result[-1] = (result[-1][0], result[-1][1] + n)
        else:
            result.append((start, n))
        vaddr += n
    return result


class UserMemory:
    """A buffer at `vaddr` in a task's address space. Kernel: copy_to_user(), copy_from_user()"""

    __slots__ = ("_at", "_mm")

    def __init__(self, mm: MmStruct, vaddr: int) -> None:
        self._mm = mm
        self._at = vaddr

    def copy_to_user(self, src: memoryview) -> int:
        return self._page_by_page(src, "store")

    def clear_user(self, nbytes: int) -> int:
        return self._page_by_page(memoryview(bytes(nbytes)), "store")

    def copy_from_user(self, dst: memoryview) -> int:
        return self._page_by_page(dst, "load")

    def _page_by_page(self, host: memoryview, access: str) -> int:
        """Move bytes between `host` and the task's memory; stop at the first page that faults."""
        memory = self._mm.kernel.memory.storage.memory
        moved = 0
        while moved < len(host):
            n = min(PAGE_SIZE - offset_in_page(self._at), len(host) - moved)
            try:
                start = host_offset(self._mm, self._at, access)
            except Signal:
                break
            if access == "store":
                memory[start:start + n] = host[moved:moved + n]
            else:
                host[moved:moved + n] = memory[start:start + n]
            moved += n
            self._at += n
        return moved
