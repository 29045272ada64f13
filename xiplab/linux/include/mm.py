"""Memory: zones, page frames, address spaces of tasks. Structs and the operation table only.

Kernel: v3.6 include/linux/{mmzone,mm_types,mm,mman}.h
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xiplab.ondisk import Bytes
from xiplab.trace import OperationsTable
from xiplab.units import PAGE_SIZE, Paddr, Pfn, Pgoff, Vaddr

if TYPE_CHECKING:
    from xiplab.linux.include.fs import AddressSpace, File
    from xiplab.linux.include.kernel import Kernel

TASK_UNMAPPED_BASE = Vaddr(0x2000_0000)

PROT_NONE = 0
PROT_READ = 1
PROT_WRITE = 2
PROT_EXEC = 4
MAP_SHARED = 1
MAP_PRIVATE = 2
MAP_FIXED = 0x10
MAP_ANONYMOUS = 0x20
MAP_DENYWRITE = 0x800
MAP_EXECUTABLE = 0x1000

VM_READ = 0x1
VM_WRITE = 0x2
VM_EXEC = 0x4
VM_SHARED = 0x8
VM_MAYREAD = 0x10
VM_MAYWRITE = 0x20
VM_MAYEXEC = 0x40
VM_MAYSHARE = 0x80
VM_GROWSDOWN = 0x100
VM_DENYWRITE = 0x800
VM_EXECUTABLE = 0x1000
VM_CAN_NONLINEAR = 0x08000000
VM_MIXEDMAP = 0x10000000

MS_ASYNC = 1
MS_INVALIDATE = 2
MS_SYNC = 4

MADV_NORMAL = 0
MADV_RANDOM = 1
MADV_SEQUENTIAL = 2
MADV_WILLNEED = 3
MADV_DONTNEED = 4


@dataclass
class Zone:
    """The guest's page frames that are free or in use.

    Attributes:
        first, end: the frames of the zone are first..end-1.
        next: frames from here on were never used.
        free: frames that were given back.
        kinds: what each frame in use is used for ("page cache", "page table", "anonymous", ...).
        used: how many frames each kind has.
        limit: no more than this many frames may be in use (None: the zone's size).
    """

    first: Pfn
    end: Pfn
    next: Pfn = Pfn(0)
    free: list[Pfn] = field(default_factory=list)
    kinds: dict[Pfn, str] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)
    limit: int | None = None
    reclaim: Callable[[int], int] | None = None


@dataclass(eq=False)
class Page:
    """A page frame of a page cache.

    Attributes:
        frame: the frame itself, shape (4096,). data: the same bytes as a memoryview.
        index: its place in the mapping. Kernel: page->index
        mapcount: how many page-table entries point to it.
        locked: being read, written or changed; reclaim leaves it alone. Kernel: PG_locked
        private: its blocks, once known. Kernel: page_buffers()
    """

    pfn: Pfn
    frame: Bytes
    mapping: AddressSpace | None = None
    index: int = 0
    uptodate: bool = False
    dirty: bool = False
    mapcount: int = 0
    referenced: bool = False
    locked: bool = False
    private: Any = None
    data: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.data = self.frame.data

    def __str__(self) -> str:
        return f"page {self.index} in frame {self.pfn:#x}"


@dataclass
class VmFault:
    """A fault on its way to vm_ops.fault, and what came of it.

    Attributes:
        pgoff: the page of the file. write: the access was a store.
        page: set by a handler that hands out a page-cache page; None if it has set the
            page-table entry itself (VM_FAULT_NOPAGE).
    """

    pgoff: Pgoff
    virtual_address: Vaddr
    write: bool
    page: Page | None = None


@dataclass(eq=False, kw_only=True)
class VmOperations(OperationsTable):
    """What a file system does for a mapping of one of its files.

    fault(vma, vmf): put a page at vmf.virtual_address; raises Signal.
    page_mkwrite(vma, page): a clean page-cache page is about to be written through the mapping.
    pfn_mkwrite(vma, pgoff): the same for a frame that no page cache has (v4.1); it may unmap the page, and
        the store comes again. With it such frames are protected until their first store.
    """

    open: Callable[[VmAreaStruct], None] | None = None
    close: Callable[[VmAreaStruct], None] | None = None
    fault: Callable[[VmAreaStruct, VmFault], None] | None = None
    page_mkwrite: Callable[[VmAreaStruct, Page], None] | None = None
    pfn_mkwrite: Callable[[VmAreaStruct, Pgoff], None] | None = None


@dataclass(eq=False)
class VmAreaStruct:
    """One mapped interval of a task's addresses, vm_start (inclusive) to vm_end (exclusive).

    Attributes:
        vm_pgoff: the page of the file at vm_start.
        vm_private_data: whose area it is: the object that the program holds.
        anon: private frames by virtual page address. Kernel: anon_vma, in the page's own fields
    """

    vm_mm: MmStruct
    vm_start: Vaddr
    vm_end: Vaddr
    vm_flags: int
    vm_file: File | None = None
    vm_pgoff: Pgoff = Pgoff(0)
    vm_ops: VmOperations | None = None
    vm_private_data: object = None
    anon: dict[Vaddr, Pfn] = field(default_factory=dict)

    def pgoff_at(self, vaddr: int) -> Pgoff:
        return Pgoff(self.vm_pgoff + (vaddr - self.vm_start) // PAGE_SIZE)

    def address_of(self, pgoff: int) -> Vaddr:
        return Vaddr(self.vm_start + (pgoff - self.vm_pgoff) * PAGE_SIZE)

    def __str__(self) -> str:
        return f"{self.vm_start:#x}-{self.vm_end:#x}"


@dataclass(eq=False)
class MmStruct:
    """A task's address space.

    Attributes:
        mmap: its areas, sorted by address.
        asce: address-space-control element: where the DAT tables begin, and their type.
        rss: resident page-cache and anonymous pages ("file", "anon").
        tables: frames of the DAT tables. half_table: half a frame, free for one more page table.
        tlb: translations that were used, as the machine keeps them: page -> (byte offset in Storage,
            may be stored to). Whoever changes a page-table entry drops its translation.
        mmap_base: where areas without an address of their own begin.
        start_code, end_code, start_data, end_data: of the program. start_brk, brk: the heap.
        start_stack: argc lies there. arg_start, arg_end, env_end: the strings above it.
        saved_auxv: the auxiliary vector, pairs of type and value. Kernel: /proc/PID/auxv
        exe_file: the program.
    """

    kernel: Kernel
    asce: int
    mmap: list[VmAreaStruct] = field(default_factory=list)
    rss: Counter[str] = field(default_factory=Counter)
    tables: list[Pfn] = field(default_factory=list)
    half_table: Paddr | None = None
    tlb: dict[int, tuple[int, bool]] = field(default_factory=dict)
    mmap_base: Vaddr = TASK_UNMAPPED_BASE
    start_code: Vaddr = Vaddr(0)
    end_code: Vaddr = Vaddr(0)
    start_data: Vaddr = Vaddr(0)
    end_data: Vaddr = Vaddr(0)
    start_brk: Vaddr = Vaddr(0)
    brk: Vaddr = Vaddr(0)
    start_stack: Vaddr = Vaddr(0)
    arg_start: Vaddr = Vaddr(0)
    arg_end: Vaddr = Vaddr(0)
    env_end: Vaddr = Vaddr(0)
    saved_auxv: list[tuple[int, int]] = field(default_factory=list)
    exe_file: File | None = None
