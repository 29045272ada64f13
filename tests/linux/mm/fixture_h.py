"""A guest with the fixture file H of the conformance table on a 4 KiB ext2 xip mount over RWSEG."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xiplab import O_CREAT, O_RDWR, ZVM, Guest, MiB
from xiplab.linux.include.fs import AddressSpaceOperations, File
from xiplab.ondisk import Bytes
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE

PAGE0, PAGE2 = b"0" * PAGE_SIZE, b"2" * PAGE_SIZE


@dataclass
class XipFixture:
    """H, open for reading and writing as `fd`: pages 0 and 2 have blocks, page 1 is a hole."""

    vm: ZVM
    guest: Guest
    fd: int

    @property
    def filp(self) -> File:
        filp = self.guest.task.files[self.fd]
        assert filp is not None
        return filp

    @property
    def segment(self) -> Bytes:
        return self.vm.segments["RWSEG"].mem

    def segment_frame(self, pfn: int) -> Bytes:
        """One frame of the segment, by the guest's number."""
        return self.guest.kernel.memory.frame(pfn)  # type: ignore[arg-type]

    def blocks(self) -> int:
        """Data blocks of H (4 KiB each, no indirect block in use)."""
        return self.filp.f_inode.i_blocks // 8

    def plug_aops(self, **operations: object) -> AddressSpaceOperations:
        """Other address space operations for H."""
        mapping = self.filp.f_mapping
        before = mapping.a_ops
        mapping.a_ops = replace(before, name="plugged", get_xip_runs=None, get_xip_next=None, **operations)  # type: ignore[arg-type]
        return before

    def fail_lookup(self, pgoff: int, number: int) -> None:
        """Let get_xip_mem of one page fail with an errno."""
        original = self.filp.f_mapping.a_ops.get_xip_mem
        assert original is not None

        def get_xip_mem(mapping: object, index: int, create: bool) -> object:
            if index == pgoff:
                raise OSError(number, f"page {pgoff} of H")
            return original(mapping, index, create)  # type: ignore[arg-type]

        self.plug_aops(get_xip_mem=get_xip_mem)

    def fill_disk(self, leave: int = 0) -> None:
        """Use up all blocks but `leave`."""
        free = self.guest.statfs("/mnt").f_bfree
        filler = self.guest.open("/mnt/filler", O_CREAT | O_RDWR)
        position = 0
        while free > leave:
            self.guest.pwrite(filler, b"x", position)
            position += PAGE_SIZE
            free = self.guest.statfs("/mnt").f_bfree
        self.guest.close(filler)

    def frame_of(self, pgoff: int) -> int:
        assert self.filp.f_mapping.a_ops.get_xip_mem is not None
        return self.filp.f_mapping.a_ops.get_xip_mem(self.filp.f_mapping, pgoff, False)[1]  # type: ignore[arg-type]


def make_fixture() -> XipFixture:
    """Boot a guest with H."""
    vm = ZVM()
    vm.segment("RWSEG", size=1 * MiB, type="SW", at=0x20000000)
    vm.load("RWSEG", bytes(mke2fs(1 * MiB)))
    guest = vm.logon("LINUX1")
    guest.echo("rwseg", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    fd = guest.open("/mnt/H", O_CREAT | O_RDWR)
    guest.pwrite(fd, PAGE0, 0)
    guest.pwrite(fd, PAGE2, 2 * PAGE_SIZE)
    return XipFixture(vm, guest, fd)
