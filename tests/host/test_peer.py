"""Other processes of this computer attach to the storage, as further virtual machines do."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from xiplab import O_RDONLY, O_RDWR, PAGE_SIZE, ZVM, Guest, MiB
from xiplab.host import code, native
from xiplab.host.native import PROT_EXEC, PROT_READ, PROT_WRITE, Peer
from xiplab.host.sharing import bill
from xiplab.linux.include.fs import File
from xiplab.tools.mke2fs import mke2fs

pytestmark = pytest.mark.skipif(bool(native.unavailable()), reason=native.unavailable() or "works here")

needs_code = pytest.mark.skipif(not native.unavailable() and bool(code.unavailable()),
                                reason="stored bytes cannot be executed here")


def boot(nbytes: int) -> Guest:
    """A guest that may write its segment, with a file of `nbytes` in place."""
    vm = ZVM()
    vm.segment("SHLIB", size=nbytes + 4 * MiB, type="SW", at=0x10000000)
    vm.load("SHLIB", mke2fs(nbytes + 4 * MiB, tree={"file": b"in place" * (nbytes // 8)}).tobytes())
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
    return guest


@pytest.fixture
def guest() -> Guest:
    return boot(4 * PAGE_SIZE)


def opened(guest: Guest, flags: int = O_RDWR) -> File:
    filp = guest.task.files[guest.open("/mnt/file", flags)]
    assert filp is not None
    return filp


@pytest.fixture
def peers(guest: Guest) -> Iterator[tuple[Peer, Peer]]:
    filp = opened(guest)
    with Peer(filp, PROT_READ | PROT_WRITE) as writer, Peer(filp) as reader:
        yield writer, reader


def refused(number: int, action: str) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, match=action, check=lambda failure: failure.errno == number)


def descriptors() -> int:
    """How many this process has open, when all that is garbage has gone."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_every_machine_sees_the_store_of_another_process(guest: Guest, peers: tuple[Peer, Peer]) -> None:
    writer, reader = peers
    writer.write(PAGE_SIZE, b"from outside")

    assert reader.read(PAGE_SIZE, 12) == b"from outside"
    assert guest.cat("/mnt/file")[PAGE_SIZE:][:12] == b"from outside"


def test_private_peer_keeps_its_store(guest: Guest) -> None:
    with Peer(opened(guest, O_RDONLY), PROT_READ | PROT_WRITE, private=True) as peer:
        peer.write(0, b"mine")
        seen = peer.read(0, 8)

    assert seen == b"minelace"
    assert guest.cat("/mnt/file")[:8] == b"in place"


def test_copied_peer_keeps_the_old_byte(guest: Guest) -> None:
    """What a page cache of its own does: the change does not reach it."""
    with Peer(opened(guest), copied=True) as peer:
        before = peer.read(0, 8)
        guest.pwrite(guest.open("/mnt/file", O_RDWR), b"IN PLACE", 0)
        after = peer.read(0, 8)

    assert before == after == b"in place"


def test_store_without_prot_write_ends_that_process_alone(peers: tuple[Peer, Peer]) -> None:
    writer, reader = peers

    with refused(errno.EPIPE, "ended by SIGSEGV"):
        reader.write(0, b"x")
    with refused(errno.EPIPE, "ended by SIGSEGV"):
        reader.read(0, 1)
    assert writer.read(0, 8) == b"in place"


@pytest.mark.parametrize(("offset", "nbytes"), [(-1, 1), (4 * PAGE_SIZE, 1), (0, 4 * PAGE_SIZE + 1), (0, -1)])
def test_read_outside_the_file_raises_efault(peers: tuple[Peer, Peer], offset: int, nbytes: int) -> None:
    with refused(errno.EFAULT, "outside the file"):
        peers[0].read(offset, nbytes)


def test_writable_peer_needs_a_file_open_for_writing(guest: Guest) -> None:
    with refused(errno.EACCES, "not open for writing"):
        Peer(opened(guest, O_RDONLY), PROT_READ | PROT_WRITE)


def test_closed_peer_answers_no_more_and_leaves_no_descriptor(guest: Guest) -> None:
    filp, before = opened(guest), descriptors()
    peer = Peer(filp)
    peer.read(0, 1)
    peer.close()
    peer.close()

    assert descriptors() == before
    with refused(errno.EPIPE, "ended with status 0"):
        peer.read(0, 1)


def test_peer_that_nobody_has_any_more_ends(guest: Guest) -> None:
    before = descriptors()
    peer = Peer(opened(guest))
    peer.read(0, 1)
    pid = peer.pid
    del peer

    assert descriptors() == before
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_pss_counts_a_shared_page_in_part(guest: Guest) -> None:
    """Two processes and this Python have the frames: each is charged a third."""
    filp = opened(guest)
    with Peer(filp) as first, Peer(filp) as second:
        first.touch()
        second.touch()
        memory = first.memory()

    assert memory == {"Rss": 16, "Pss": 5, "Shared": 16, "Private": 0}


@pytest.mark.slow
def test_8_processes_on_64_mib_share_it() -> None:
    """In place, Pss of all eight is at most 80 MiB; with a copy each, it is 512 MiB."""
    filp = opened(boot(64 * MiB))
    in_place, copied = bill(filp, 8), bill(filp, 8, copied=True)

    assert [(share.processes, share.rss >> 10) for share in in_place] == [(n, 64 * n) for n in range(1, 9)]
    assert all(share.pss <= 80 << 10 for share in in_place)
    assert [share.pss >> 10 for share in copied] == [64 * n for n in range(1, 9)]


# machine code

def test_returning_refuses_a_value_that_does_not_fit() -> None:
    with refused(errno.ERANGE, "0 to 65535"):
        code.returning(1 << 16)


@pytest.mark.parametrize(("machine", "expected"),
                         [("x86_64", "b82a000000c3"), ("aarch64", "40058052c0035fd6")])
def test_returning_42_is_this_code(monkeypatch: pytest.MonkeyPatch, machine: str, expected: str) -> None:
    monkeypatch.setattr(code.platform, "machine", lambda: machine)

    assert code.returning(42).hex() == expected


def test_returning_says_which_processors_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code.platform, "machine", lambda: "m68k")

    with refused(errno.EOPNOTSUPP, "m68k: no machine code here, only for x86_64, aarch64"):
        code.returning(1)


@needs_code
def test_code_is_executed_where_it_is_stored_and_changes_there(guest: Guest) -> None:
    fd = guest.open("/mnt/file", O_RDWR)
    guest.pwrite(fd, code.returning(42), 100)
    with Peer(opened(guest), PROT_READ | PROT_EXEC) as peer:
        before = peer.call(100)
        guest.pwrite(fd, code.returning(43), 100)
        after = peer.call(100)

    assert (before, after) == (42, 43)


@needs_code
def test_code_across_two_blocks_that_are_no_neighbours_runs(guest: Guest) -> None:
    """The host's MMU puts the blocks side by side, so an instruction may begin in one and end in the
    other."""
    fd = guest.open("/mnt/file", O_RDWR)
    guest.ftruncate(fd, 0)
    for page in (1, 0):
        guest.pwrite(fd, b"\xff" * PAGE_SIZE, page * PAGE_SIZE)
    guest.pwrite(fd, code.returning(42), PAGE_SIZE - 3)
    filp = opened(guest)
    with ExitStack() as stack:
        peer = stack.enter_context(Peer(filp, PROT_READ | PROT_EXEC))

        assert len(native.extents(filp)) == 2
        assert peer.call(PAGE_SIZE - 3) == 42


@needs_code
def test_wrong_code_ends_that_process_alone(guest: Guest) -> None:
    guest.pwrite(guest.open("/mnt/file", O_RDWR), bytes(8), 0)
    with Peer(opened(guest), PROT_READ | PROT_EXEC) as peer, refused(errno.EPIPE, "ended by SIG"):
        peer.call(0)

    assert guest.cat("/mnt/file")[8:16] == b"in place"


@needs_code
def test_code_that_does_not_return_is_ended(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "ANSWER_SECONDS", 1)
    loop = {6: b"\xeb\xfe", 8: b"\x00\x00\x00\x14"}[len(code.returning(0))]
    guest.pwrite(guest.open("/mnt/file", O_RDWR), loop, 0)
    with Peer(opened(guest), PROT_READ | PROT_EXEC) as peer, refused(errno.ETIMEDOUT, "no answer in 1 s"):
        peer.call(0)


@needs_code
def test_code_without_prot_exec_does_not_run(guest: Guest) -> None:
    guest.pwrite(guest.open("/mnt/file", O_RDWR), code.returning(42), 0)
    with Peer(opened(guest)) as peer, refused(errno.EPIPE, "ended by SIGSEGV"):
        peer.call(0)
