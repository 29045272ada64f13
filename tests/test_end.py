"""What is left when a task has exited, or its machine has been logged off: errors, and nobody's memory."""

import errno
from collections.abc import Callable

import pytest

from xiplab import MAP_SHARED, PROT_READ, ZVM, Guest, Mapping, MiB, Process
from xiplab.errors import SIGSEGV, Signal
from xiplab.tools.mke2fs import mke2fs


@pytest.fixture
def vm() -> ZVM:
    vm = ZVM()
    vm.segment("SHLIB", size=MiB, type="SW")
    vm.load("SHLIB", mke2fs(MiB, tree={"file": b"a" * 9000}))
    return vm


@pytest.fixture
def guest(vm: ZVM) -> Guest:
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    return guest


def mapped(process: Process) -> tuple[int, Mapping]:
    """An open file whose pages were all read, and its mapping, of which one page was."""
    fd = process.open("/mnt/file")
    process.pread(fd, 10, 0)
    mapping = process.mmap(fd, 0, PROT_READ, MAP_SHARED)
    mapping[0]
    return fd, mapping


def assert_gone(process: Process, fd: int, mapping: Mapping) -> None:
    calls: tuple[tuple[int, Callable[[], object]], ...] = (
        (errno.EBADF, lambda: process.pread(fd, 10, 0)), (errno.EBADF, lambda: process.pread(fd, 9000, 0)),
        (errno.ESRCH, lambda: process.stat("/mnt/file")), (errno.ESRCH, lambda: process.open("/mnt/file")),
        (errno.ESRCH, process.sync), (errno.ESRCH, lambda: process.umount("/mnt")),
        (errno.ESRCH, lambda: process.mmap(-1, 4096)), (errno.ESRCH, process.exit))
    for expected, call in calls:
        with pytest.raises(OSError, match=r"\w") as refused:
            call()
        assert refused.value.errno == expected
    for index in (0, 5000):
        with pytest.raises(Signal) as signal:
            mapping[index]
        assert signal.value.signo == SIGSEGV


def test_exited_task_calls_nothing_and_sees_nothing(guest: Guest) -> None:
    process = guest.process("sh")
    fd, mapping = mapped(process)

    process.exit()

    assert_gone(process, fd, mapping)
    assert guest.cat("/mnt/file") == b"a" * 9000


def test_logged_off_guest_calls_nothing_and_sees_nothing(vm: ZVM, guest: Guest) -> None:
    """Also its translations are gone: the frames may be another guest's by now."""
    process = guest.process("sh")
    first, second = mapped(guest), mapped(process)

    vm.logoff("LINUX1")

    assert_gone(guest, *first)
    assert_gone(process, *second)


def test_logoff_twice_raises_enoent(guest: Guest) -> None:
    guest.logoff()

    with pytest.raises(OSError, match="not logged on") as refused:
        guest.logoff()
    assert refused.value.errno == errno.ENOENT


def test_logoff_of_an_ended_guest_leaves_its_successor_alone(vm: ZVM, guest: Guest) -> None:
    """A second guest with the same name is another machine."""
    guest.logoff()
    successor = vm.logon("LINUX1")

    with pytest.raises(OSError, match="not logged on"):
        guest.logoff()
    assert successor.ls("/") == ["dev", "mnt", "sys", "tmp"]


@pytest.mark.parametrize(("storage", "segments", "expected"), [
    (MiB, "", errno.ENOMEM), (64 * MiB, "x" * 400, errno.ENOSPC)])
def test_failed_logon_leaves_nobody_logged_on(vm: ZVM, storage: int, segments: str, expected: int) -> None:
    before = vm.storage.used

    with pytest.raises(OSError, match=r"\w") as refused:
        vm.logon("LINUX1", storage, segments=segments)

    assert refused.value.errno == expected
    assert (vm.machines, vm.storage.used) == ({}, before)
