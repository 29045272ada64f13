"""The names of a directory as listdir gives them."""

from __future__ import annotations

import os

import pytest

from xiplab.linux.fs.readdir import names_of
from xiplab.units import Ino


@pytest.mark.parametrize("names", [
    [b".", b"..", b"a", "ü".encode(), b"\xc3", b"\xbc", b"\xff\xfe"],
    [b"a", b"..", b".", b"b"],
    [b".", b"..", b"has\0zero", b"a"],
    [b".", b"..", b""],
    [b".", b".."],
    []])
def test_names_of_gives_each_name_but_the_dots(names: list[bytes]) -> None:
    """Decoded as the host does it, one by one; also where the bytes are no text, or a zero is in a name."""
    entries = [(name, Ino(12), 8) for name in names]

    assert names_of(entries) == [os.fsdecode(name) for name in names if name not in (b".", b"..")]
