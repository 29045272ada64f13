"""CP: what its commands do to saved segments, and what guests get when they load one."""

import numpy as np
import pytest

from xiplab.units import KiB, MiB
from xiplab.zvm import diag64
from xiplab.zvm.cp import ControlProgram
from xiplab.zvm.diag64 import encode_name
from xiplab.zvm.machine import VirtualMachine


@pytest.fixture
def vm() -> ControlProgram:
    return ControlProgram()


def issue(guest: VirtualMachine, name: str, subcode: int) -> tuple[int, int, int]:
    guest.memory.view(0x1000, 8)[:] = memoryview(encode_name(name))
    return guest.diagnose(0x64, 0x1000, subcode)


def test_loadshr_two_guests_share_the_frames_of_the_segment(vm: ControlProgram) -> None:
    """One byte stored in the segment's own memory is what both guests load."""
    vm.segment("SHLIB", 1 * MiB, "SR", at=0x10000000)
    one, two = vm.virtual_machine("LINUX1"), vm.virtual_machine("LINUX2")

    assert issue(one, "shlib", diag64.LOADSHRX) == (0, 0x10000000, 0x100FFFFF)
    assert issue(two, "SHLIB", diag64.LOADSHR) == (0, 0x10000000, 0x100FFFFF)
    first, second = one.memory.view(0x10000000, 4096), two.memory.view(0x10000000, 4096)
    vm.segments["SHLIB"].mem[7] = 99
    assert np.shares_memory(first, second)
    assert np.shares_memory(first, vm.segments["SHLIB"].mem)
    assert (first[7], first.flags.writeable) == (99, False)


def test_load_image_smaller_than_the_segment_leaves_zeros_behind_it(vm: ControlProgram) -> None:
    vm.segment("A", 64 * KiB)
    vm.load("A", b"x" * 100)
    vm.load("A", b"y" * 50)

    assert vm.segments["A"].mem[:100].tobytes() == b"y" * 50 + bytes(50)
