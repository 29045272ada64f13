"""A mapped file as the program sees it: an object that behaves like `mmap.mmap`.

Every index goes through the guest's page tables; the first touch of a page is a page fault.
"""

from __future__ import annotations

import errno
from typing import overload

from xiplab.hw.dat import PAGE_PROTECT
from xiplab.linux.arch.s390 import uaccess
from xiplab.linux.include.mm import VmAreaStruct
from xiplab.linux.mm.memory import follow_pfn, follow_pte
from xiplab.linux.mm.mmap import do_munmap
from xiplab.ondisk import Bytes
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pfn, Vaddr


class Mapping:
    """`length` bytes of a task's memory from `vaddr` on.

    len(), indices and slices read and write like mmap.mmap: an item is an int, a slice is bytes.

    Attributes:
        vaddr: the virtual address of the first byte. vma: the area.
    """

    def __init__(self, vma: VmAreaStruct, length: int) -> None:
        self.vma = vma
        self.mm = vma.vm_mm
        self.vaddr = vma.vm_start
        self.closed = False
        self._length = length
        vma.vm_private_data = self

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"<Mapping of {self.vma.vm_file} at {self.vaddr:#x}, {self._length} bytes>"

    def _address(self, index: int) -> Vaddr:
        if self.closed:
            raise OSError(errno.EFAULT, f"{self!r}: unmapped")
        if not -self._length <= index < self._length:
            raise IndexError(f"{self!r}: index {index}")
        return Vaddr(self.vaddr + index % self._length)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __getitem__(self, index: int | slice) -> int | bytes:
        if isinstance(index, int):
            address = self._address(index)
            return self.mm.kernel.memory.storage.map[uaccess.host_offset(self.mm, address, "load")]
        start, stop, step = index.indices(self._length)
        if start >= stop and step > 0:
            return b""
        if step != 1:
            return bytes(self[i] for i in range(start, stop, step))
        return uaccess.load(self.mm, self._address(start), stop - start)

    def __setitem__(self, index: int | slice, value: int | bytes | bytearray | memoryview) -> None:
        if isinstance(index, int):
            if not isinstance(value, int):
                raise TypeError("a byte is stored as an int")
            uaccess.store(self.mm, self._address(index), bytes((value,)))
            return
        start, stop, step = index.indices(self._length)
        if isinstance(value, int) or step != 1 or len(value) != max(stop - start, 0):
            raise ValueError(f"{self!r}: a slice takes just as many bytes as it has")
        if len(value):
            uaccess.store(self.mm, self._address(start), value)

    def pfn(self, pgoff: int = 0) -> Pfn | None:
        """The guest's frame that page `pgoff` of the mapping shows now; None before its first touch."""
        return follow_pfn(self.mm, self._address(pgoff << PAGE_SHIFT))

    def frame(self, pgoff: int = 0) -> Bytes:
        """The very frame behind page `pgoff`, shape (4096,), after touching it. No copy.

        It refuses stores where the page table does.
        """
        address = self._address(pgoff << PAGE_SHIFT)
        offset = uaccess.host_offset(self.mm, address, "load")
        entry = follow_pte(self.mm, address)
        storage = self.mm.kernel.memory.storage
        protected = entry is None or entry & PAGE_PROTECT
        return (storage.readonly if protected else storage.array)[offset:offset + PAGE_SIZE]

    def close(self) -> None:
        """munmap(2) of what is left of this mapping; another one that took its place stays."""
        if not self.closed:
            for vma in [vma for vma in self.mm.mmap if vma.vm_private_data is self]:
                do_munmap(self.mm, vma.vm_start, vma.vm_end - vma.vm_start)
            self.closed = True
