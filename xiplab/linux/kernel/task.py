"""Tasks: making one and ending it; the end of them all.

Kernel: v3.6 kernel/fork.c, kernel/exit.c, kernel/sys.c
"""

from __future__ import annotations

from xiplab.linux.fs.open import filp_close, set_fs_pwd
from xiplab.linux.include.kernel import Kernel
from xiplab.linux.include.sched import Cred, Task
from xiplab.linux.mm.memory import mm_alloc
from xiplab.linux.mm.mmap import exit_mmap


def new_task(kernel: Kernel, comm: str, cred: Cred | None = None) -> Task:
    """A task with an empty address space, no files, and the root of the tree as its directory."""
    kernel.statics["last_pid"] = pid = kernel.statics.get("last_pid", 0) + 1
    task = Task(kernel, pid, comm, mm_alloc(kernel), cred or Cred())
    if kernel.mounts:
        task.root = (kernel.mounts[0], kernel.mounts[0].mnt_root)
        set_fs_pwd(task, task.root)
    kernel.tasks.append(task)
    return task


def do_exit(task: Task, code: int = 0) -> None:
    """Give back the task's memory, files and directory.

    Args:
        code: status << 8, or the number of the signal that ends it.
    """
    exit_mmap(task.mm)
    for fd, open_file in enumerate(task.files):
        if open_file is not None:
            filp_close(task, fd)
    set_fs_pwd(task, None)
    task.kernel.tasks.remove(task)
    task.ended, task.exit_code = True, code


def kernel_power_off(kernel: Kernel) -> None:
    """The machine is gone: every task ends where it stands, and nothing is written."""
    for task in kernel.tasks:
        task.files.clear()
        task.mm.tables.clear()
        task.mm.tlb.clear()
        task.ended = True
    kernel.tasks.clear()
    if kernel.cpu is not None:
        kernel.cpu.close()
