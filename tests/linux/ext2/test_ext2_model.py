"""Random system calls on two guests, one in place and one through the page cache, and on a plain model:
all three give the same, call by call."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import Directory, Model
from mounts import PLACES, Mounted

from xiplab import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, Mapping
from xiplab.errors import SIGNAL_NAMES, Signal
from xiplab.tools import e2fsck
from xiplab.tools.mke2fs import mke2fs
from xiplab.units import PAGE_SIZE, MiB

NOBODY = 999
EMPTY = bytes(mke2fs(2 * MiB))

SLOTS = 3
slots = st.integers(0, 30)
"""One that is in use, counted from the first, if any is; 30 stands for one that is not."""
places = st.integers(0, SLOTS - 1)
paths = st.integers(0, 30)
"""One of the paths that exist, if any does; a few are one of NAMES."""
NAMES = ["a", "b", "d", "d/a", "d/e", "d/e/a", "a/x"]
new_paths = st.sampled_from(NAMES)
modes = st.sampled_from([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR, os.O_RDWR])
extras = st.sampled_from([0, os.O_CREAT, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_TRUNC, os.O_APPEND,
                          os.O_CREAT | os.O_TRUNC, os.O_CREAT | os.O_APPEND])
sizes = st.sampled_from([0, 1, 100, 4095, 4096, 4097, 9000, 13 * PAGE_SIZE, 1100 * PAGE_SIZE])
counts = st.sampled_from([1, 10, 4096, 5000, 3 * PAGE_SIZE])
pieces = st.builds(lambda byte, count: bytes([byte]) * count, st.integers(1, 255), counts)
in_area = st.builds(lambda page, byte: page * PAGE_SIZE + byte, st.integers(0, 3),
                    st.sampled_from([0, 1, 99, 100, 807, 4095]))


class GuestSide:
    """The model's calls, made by a guest."""

    def __init__(self, place: str) -> None:
        where, self.options = PLACES[place]
        self.mounted: Mounted = where(EMPTY)
        self.mounted.mount(self.options)
        self.guest = self.mounted.guest
        self.fds: dict[int, int] = {}
        self.areas: dict[int, Mapping] = {}

    def fd(self, slot: int) -> int:
        return self.fds.get(slot, NOBODY)

    def open(self, slot: int, path: str, flags: int) -> None:
        if slot in self.fds:
            self.close(slot)
        self.fds[slot] = self.guest.open(f"/mnt/{path}", flags)

    def close(self, slot: int) -> None:
        self.guest.close(self.fd(slot))
        del self.fds[slot]

    def rename(self, old: str, new: str) -> None:
        self.guest.rename(f"/mnt/{old}", f"/mnt/{new}")

    def link(self, path: str, new: str) -> None:
        self.guest.link(f"/mnt/{path}", f"/mnt/{new}")

    def listdir(self, path: str) -> list[str]:
        return sorted(self.guest.listdir(f"/mnt/{path}"))

    def stat(self, path: str) -> tuple[int, int | None]:
        found = self.guest.stat(f"/mnt/{path}")
        return found.st_nlink, None if found.st_mode & 0o40000 else found.st_size

    def fstat(self, slot: int) -> tuple[int, int]:
        found = self.guest.fstat(self.fd(slot))
        return found.st_nlink, found.st_size

    def mmap(self, area: int, slot: int, pages: int, prot: int, flags: int, first: int) -> None:
        self.munmap(area)
        self.areas[area] = self.guest.mmap(self.fd(slot), pages * PAGE_SIZE, prot, flags, first * PAGE_SIZE)

    def munmap(self, area: int) -> None:
        if area in self.areas:
            self.areas.pop(area).close()

    def load(self, area: int, offset: int) -> int:
        return self.areas[area][offset]

    def store(self, area: int, offset: int, value: int) -> None:
        self.areas[area][offset] = value

    def remount(self) -> None:
        for area in list(self.areas):
            self.munmap(area)
        for slot in list(self.fds):
            self.close(slot)
        self.guest.umount("/mnt")
        self.mounted.mount(self.options)

    def sync(self) -> None:
        self.guest.sync()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A call with a path or a descriptor first."""
        call = getattr(self.guest, name)
        return lambda what, *rest: call(f"/mnt/{what}" if isinstance(what, str) else self.fd(what), *rest)


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns, or the name of its errno or signal."""
    try:
        return call(*arguments)
    except OSError as failure:
        return errno.errorcode[failure.errno or 0]
    except Signal as sent:
        return SIGNAL_NAMES[sent.signo]


def existing(folder: Directory, path: str = "") -> Iterator[str]:
    """All paths of the model."""
    for name, node in folder.names.items():
        yield path + name
        if isinstance(node, Directory):
            yield from existing(node, f"{path}{name}/")


def file_is_open(machine: Calls) -> bool:
    return bool(machine.model.files)


def something_is_mapped(machine: Calls) -> bool:
    return bool(machine.model.areas)


class Calls(RuleBasedStateMachine):
    """Every rule is one call on all sides."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.guests = {place: GuestSide(place) for place in PLACES}
        self.touched: set[tuple[int, int]] = set()

    def call(self, name: str, *arguments: Any) -> None:
        expected = outcome(getattr(self.model, name), *arguments)
        for place, guest in self.guests.items():
            result = outcome(getattr(guest, name), *arguments)

            assert (place, result) == (place, expected)

    def path(self, number: int) -> str:
        paths = sorted(existing(self.model.root))
        return paths[number % len(paths)] if paths and number < 27 else NAMES[number % len(NAMES)]

    def slot(self, number: int) -> int:
        return number if number == 30 else sorted(self.model.files)[number % len(self.model.files)]

    def area(self, number: int) -> int:
        return sorted(self.model.areas)[number % len(self.model.areas)]

    def is_somebodys(self, area: int, offset: int) -> bool:
        """Inside the mapping, and not behind the end of the file in its last page."""
        return (offset < self.model.areas[area].length
                and outcome(self.model.load, area, offset) is not None)

    @invariant()
    def what_was_touched_is_what_it_should_be(self) -> None:
        """Whatever has happened since to the file, or to the area."""
        self.touched = {(area, offset) for area, offset in self.touched if area in self.model.areas}
        for area, offset in sorted(self.touched):
            if self.is_somebodys(area, offset):
                self.call("load", area, offset)

    @initialize()
    def begin(self) -> None:
        """A file with all depths of the block map, a hole among them; a directory."""
        self.call("mkdir", "d")
        self.call("open", 0, "a", os.O_RDWR | os.O_CREAT)
        self.call("pwrite", 0, b"begin" * 1000, 0)
        self.call("pwrite", 0, b"middle" * 1000, 13 * PAGE_SIZE)
        self.call("pwrite", 0, b"end", 1100 * PAGE_SIZE)

    @rule(place=places, path=paths, new=new_paths, mode=modes, extra=extras)
    def open(self, place: int, path: int, new: str, mode: int, extra: int) -> None:
        """Not a directory for reading: the model has no such descriptor."""
        name = new if extra & os.O_CREAT else self.path(path)
        if mode | extra & ~os.O_APPEND or outcome(self.model.listdir, name) in ("ENOENT", "ENOTDIR"):
            self.call("open", place, name, mode | extra)

    @precondition(file_is_open)
    @rule(slot=slots, really=st.sampled_from([False, False, True]))
    def close(self, slot: int, really: bool) -> None:
        if really or slot == 30:
            self.call("close", self.slot(slot))

    @precondition(file_is_open)
    @rule(slot=slots, count=counts)
    def read(self, slot: int, count: int) -> None:
        self.call("read", self.slot(slot), count)

    @precondition(file_is_open)
    @rule(slot=slots, count=counts, offset=sizes)
    def pread(self, slot: int, count: int, offset: int) -> None:
        self.call("pread", self.slot(slot), count, offset)

    @precondition(file_is_open)
    @rule(slot=slots, data=pieces)
    def write(self, slot: int, data: bytes) -> None:
        self.call("write", self.slot(slot), data)

    @precondition(file_is_open)
    @rule(slot=slots, data=pieces, offset=sizes)
    def pwrite(self, slot: int, data: bytes, offset: int) -> None:
        self.call("pwrite", self.slot(slot), data, offset)

    @precondition(file_is_open)
    @rule(slot=slots, offset=st.sampled_from([0, 1, -1, 100, 5000]), whence=st.integers(0, 2))
    def lseek(self, slot: int, offset: int, whence: int) -> None:
        self.call("lseek", self.slot(slot), offset, whence)

    @precondition(file_is_open)
    @rule(slot=slots, size=sizes)
    def ftruncate(self, slot: int, size: int) -> None:
        self.call("ftruncate", self.slot(slot), size)

    @precondition(file_is_open)
    @rule(slot=slots)
    def fstat(self, slot: int) -> None:
        self.call("fstat", self.slot(slot))

    @rule(path=paths, size=sizes)
    def truncate(self, path: int, size: int) -> None:
        self.call("truncate", self.path(path), size)

    @rule(path=new_paths)
    def mkdir(self, path: str) -> None:
        self.call("mkdir", path)

    @rule(path=paths, name=st.sampled_from(["rmdir", "unlink", "stat", "listdir"]))
    def remove_or_look(self, path: int, name: str) -> None:
        self.call(name, self.path(path))

    @rule(path=paths, new=new_paths, name=st.sampled_from(["link", "rename"]))
    def link_or_rename(self, path: int, new: str, name: str) -> None:
        self.call(name, self.path(path), new)

    @precondition(file_is_open)
    @rule(area=places, slot=slots, pages=st.integers(1, 4),
          prot=st.sampled_from([PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE]),
          kind=st.sampled_from([MAP_SHARED, MAP_PRIVATE]), first=st.integers(0, 1), offset=in_area)
    def mmap(self, area: int, slot: int, pages: int, prot: int, kind: int, first: int, offset: int) -> None:
        self.call("mmap", area, self.slot(slot), pages, prot, kind, first)
        if area in self.model.areas:
            self.touch(sorted(self.model.areas).index(area), offset, 9, write=True)

    @precondition(something_is_mapped)
    @rule(number=places, offset=in_area, value=st.integers(0, 255), write=st.booleans())
    def touch(self, number: int, offset: int, value: int, write: bool) -> None:
        """A load; or a store, and a load."""
        area = self.area(number)
        if not self.is_somebodys(area, offset):
            return
        if write and self.model.areas[area].prot & PROT_WRITE:
            self.call("store", area, offset, value)
        self.call("load", area, offset)
        self.touched.add((area, offset))

    @precondition(something_is_mapped)
    @rule(number=places, really=st.booleans())
    def munmap(self, number: int, really: bool) -> None:
        if really:
            self.call("munmap", self.area(number))

    @rule(name=st.sampled_from(["sync", "sync", "sync", "remount"]))
    def bring_to_the_device(self, name: str) -> None:
        self.call(name)

    def teardown(self) -> None:
        """All bytes of all files are as they should be, and the images are sound."""
        self.call("remount")
        self.compare(self.model.root, "")
        for guest in self.guests.values():
            guest.guest.umount("/mnt")

            assert e2fsck.check(guest.mounted.image()) == []

    def compare(self, folder: Directory, path: str) -> None:
        if path:
            self.call("listdir", path)
        for name, node in folder.names.items():
            below = f"{path}/{name}".lstrip("/")
            if isinstance(node, Directory):
                self.compare(node, below)
            else:
                self.call("open", 0, below, os.O_RDONLY)
                self.call("pread", 0, len(node.data) + 1, 0)
                self.call("close", 0)


def check(examples: int, steps: int, *phases: Phase) -> None:
    run_state_machine_as_test(Calls, settings=settings(  # type: ignore[no-untyped-call]
        max_examples=examples, stateful_step_count=steps, derandomize=True, database=None, deadline=None,
        phases=phases, suppress_health_check=list(HealthCheck)))


def test_guests_and_model_agree() -> None:
    check(5, 15, Phase.generate, Phase.shrink)


@pytest.mark.slow
def test_guests_and_model_agree_for_long() -> None:
    """A failure is shown as it was found: making it smaller takes minutes."""
    check(200, 60, Phase.generate)
