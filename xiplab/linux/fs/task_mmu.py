"""What is mapped where in a task: /proc/PID/maps.

    01000000-01001000 r-xp 00000000 5e:00 23         /mnt/bin/counter
    start    end      perm offset   device inode     file

Kernel: v3.6 fs/proc/task_mmu.c
"""

from __future__ import annotations

from xiplab.linux.fs.dcache import d_path
from xiplab.linux.include.fs import File
from xiplab.linux.include.mm import VM_EXEC, VM_MAYSHARE, VM_READ, VM_WRITE, VmAreaStruct
from xiplab.linux.include.sched import Task
from xiplab.units import PAGE_SHIFT

PATH_COLUMN = 73


def show_map_vma(vma: VmAreaStruct) -> str:
    """One line for an area."""
    permissions = "".join(letter if vma.vm_flags & flag else "-"
                          for letter, flag in (("r", VM_READ), ("w", VM_WRITE), ("x", VM_EXEC)))
    permissions += "s" if vma.vm_flags & VM_MAYSHARE else "p"
    device, ino, name = "00:00", 0, area_name(vma)
    if vma.vm_file is not None:
        device, ino = device_of(vma.vm_file), vma.vm_file.f_inode.i_ino
    line = (f"{vma.vm_start:08x}-{vma.vm_end:08x} {permissions} {vma.vm_pgoff << PAGE_SHIFT:08x} "
            f"{device} {ino} ")
    return f"{line:{PATH_COLUMN}}{name}" if name else line


def device_of(filp: File) -> str:
    """Major and minor number of the device that the file lies on."""
    bdev = filp.f_inode.i_sb.s_bdev
    return "00:00" if bdev is None else f"{bdev.bd_disk.major:02x}:{bdev.bd_disk.first_minor:02x}"


def area_name(vma: VmAreaStruct) -> str:
    """The file's path, or what an area without a file is: .bss that meets the heap counts as heap."""
    mm, filp = vma.vm_mm, vma.vm_file
    if filp is not None:
        is_deleted = not filp.f_inode.i_nlink
        return f"/{filp} (deleted)" if is_deleted else d_path((filp.f_mnt, filp.f_dentry))
    if vma.vm_start <= mm.brk and vma.vm_end >= mm.start_brk:
        return "[heap]"
    return "[stack]" if vma.vm_start <= mm.start_stack < vma.vm_end else ""


def show_map(task: Task) -> list[str]:
    """The lines of /proc/PID/maps, lowest address first."""
    return [show_map_vma(vma) for vma in task.mm.mmap]
