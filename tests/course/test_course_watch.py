"""Watching files: an answer is judged when it is saved, once, and nothing else is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from submissions import ROOT, WRONG

from xiplab.course.watch import watch

moments = [0]
STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()\n"


class Stopped(Exception):
    """The user's Ctrl-C."""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The exercise as a Python file in the learner's folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(ROOT / "exercises" / "00_start.py", tmp_path))


def said_while(path: Path | None, *deeds: Callable[[], object]) -> list[str]:
    """What the watcher says while these things are done, one between two looks."""
    said = list[str]()

    def steps() -> Iterator[None]:
        for deed in deeds:
            deed()
            yield
        raise Stopped

    pending = steps()
    with pytest.raises(Stopped):
        watch(path, said.append, lambda: next(pending))
    return said


def save(path: Path, text: str) -> Callable[[], object]:
    """Save it as editors do: a new file takes the old one's place, at another time."""
    def deed() -> None:
        part = path.with_suffix(".part")
        part.write_text(text)
        moments.append(10**9 * len(moments))
        os.utime(part, ns=(0, moments[-1]))
        os.replace(part, path)

    return deed


def test_saved_answer_is_judged_and_the_other_one_is_not(script: Path) -> None:
    text = script.read_text().replace(STUB, "    return 0, 0\n")
    first, *others = said_while(script, lambda: None, save(script, text))

    assert "Watching 00_start.py" in first
    assert [result.splitlines()[0] for result in others] == [
        "00.1 Who sees the new byte? – 0 of 2 points", "00.2 Your own direct_access – 0 of 4 points"]


def test_only_the_answer_that_changed_is_judged(script: Path) -> None:
    start, _, end = script.read_text().partition("# Your turn: 00.2")
    others = said_while(None, save(script, f"{start}# Your turn: 00.2\n{WRONG}\n# %% rest\n{end}"))[1:]

    assert [result.splitlines()[0] for result in others] == ["00.2 Your own direct_access – 0 of 4 points"]


def test_same_answer_saved_again_and_a_file_that_is_gone_say_nothing(script: Path) -> None:
    text = script.read_text()

    assert len(said_while(script, save(script, text), script.unlink, save(script, text))) == 1


def test_half_written_file_is_judged_when_it_is_whole(tmp_path: Path) -> None:
    """A notebook that cannot be read for a moment does not count as a change of all answers."""
    notebook = Path(shutil.copy(ROOT / "exercises" / "00_start.ipynb", tmp_path))
    text = notebook.read_text()

    assert len(said_while(notebook, save(notebook, text[:100]), save(notebook, text))) == 1


def test_nothing_to_watch_is_enoent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (None, tmp_path / "missing.py"):
        with pytest.raises(OSError, match="nothing to watch") as info:
            watch(path, print)

        assert info.value.errno == errno.ENOENT
