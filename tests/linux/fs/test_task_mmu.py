"""/proc/PID/maps: what a program has mapped, in the host's format."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xiplab import MAP_PRIVATE, MAP_SHARED, O_CREAT, O_RDWR, PROT_READ, PROT_WRITE, ZVM, Guest
from xiplab.linux.mm.mmap import sys_brk
from xiplab.tools.programs import programs_image
from xiplab.units import MiB

LINE = re.compile(r"[0-9a-f]{8,}-[0-9a-f]{8,} [r-][w-][x-][sp] [0-9a-f]{8,} "
                  r"[0-9a-f]{2}:[0-9a-f]{2} \d+ *(.*)")


@pytest.fixture
def guest() -> Guest:
    vm = ZVM()
    vm.segment("SHLIB", size=2 * MiB, type="SR", at=0x10000000)
    vm.load("SHLIB", programs_image())
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
    return guest


def test_maps_of_a_program_say_what_lies_where(guest: Guest) -> None:
    process = guest.start("counter")
    sys_brk(process.task.mm, process.task.mm.brk + 1)
    words = [line.split() for line in process.maps()]

    assert [(word[0], word[1], word[2], word[-1]) for word in words] == [
        ("01000000-01001000", "r-xp", "00000000", "/mnt/bin/counter"),
        ("01002000-01003000", "r--p", "00001000", "/mnt/bin/counter"),
        ("01004000-01005000", "rw-p", "00002000", "/mnt/bin/counter"),
        ("01005000-01008000", "rw-p", "00000000", "[heap]"),
        ("fffffdf000-10000000000", "rw-p", "00000000", "[stack]")]
    assert {int(word[4]) for word in words[:3]} == {guest.stat("/mnt/bin/counter").st_ino}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc here")
def test_maps_have_the_form_of_the_hosts() -> None:
    """The names stand in the same column."""
    guest = ZVM().logon("LINUX1")
    guest.echo("text", "/tmp/file")
    fd = guest.open("/tmp/file")
    guest.mmap(fd, 5, PROT_READ, MAP_SHARED)
    ours, host = guest.maps(), Path("/proc/self/maps").read_text().splitlines()
    named = next(line for line in host if line.endswith("[stack]"))

    assert all(LINE.fullmatch(line) for line in [*ours, *host])
    assert ours[0].index("/tmp/file") == named.index("[stack]")
    assert " r--s " in ours[0]


def test_maps_of_a_file_that_was_removed_say_so() -> None:
    guest = ZVM().logon("LINUX1")
    fd = guest.open("/tmp/file", O_CREAT | O_RDWR)
    guest.write(fd, b"text")
    guest.mmap(fd, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE)
    guest.unlink("/tmp/file")

    assert guest.maps()[0].endswith("/file (deleted)")
