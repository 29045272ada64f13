"""What a learner's check, hint and prediction answer with: as a screen reader tells it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xiplab.course.answer import Found
from xiplab.course.judge import judge
from xiplab.course.predict import predict
from xiplab.course.problem import question

TREES = Path(__file__).with_name("trees")
BODY = "def direct_access(bdev, sector):\n    info = bdev.bd_disk.private_data\n"
RIGHT = BODY + """\
    if info is None: raise OSError(errno.ENODEV, "gone")
    if sector % 8: raise OSError(errno.EINVAL, "not a page")
    kaddr = info.start + sector * 512
    if kaddr + 4095 > info.end: raise OSError(errno.ERANGE, "behind")
    return kaddr, kaddr // 4096
"""
CARDS: dict[str, Callable[[], Any]] = {
    "solved": lambda: judge(question("00.2"), Found(RIGHT)),
    "wrong": lambda: judge(question("00.2"), Found(BODY + "    return sector * 512, sector // 8\n")),
    "prediction": lambda: predict("00.store", "skip"),
}


@pytest.mark.parametrize("name", CARDS)
def test_card_reads_as_it_was_reviewed(
        new_page: Callable[..., Any], artifacts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
        name: str) -> None:
    """Numbers left out: a check is made on fresh ones. After a change, look at the artifact and copy it."""
    monkeypatch.chdir(tmp_path)
    page = new_page()
    page.set_content(f"<!doctype html><title>card</title><body>{CARDS[name]()._repr_html_()}</body>")
    tree = re.sub(r"(0x)?\d[\da-f]*", "0", page.locator("body").aria_snapshot()) + "\n"
    (artifacts / f"card-{name}.aria.yml").write_text(tree)

    assert tree == (TREES / f"card-{name}.aria.yml").read_text()
