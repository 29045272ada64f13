"""What the benchmarks say: cells, words, the README, and the parts that have no column."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import course, cpu, growth, picture, profiles, report
from benchmarks.figures import Figure, Missing
from benchmarks.images import Walk
from benchmarks.run import DOCS, NAMES, ROOT
from benchmarks.workload import TINY, Sample
from xiplab import cli


def data(**parts: Any) -> dict[str, Any]:
    row = {"row": "W2", "what": "random reads", "goal": "1", "longest": 0.0, "against": "tmpfs",
           "unit": "us each", "sides": {
        "tmpfs": {"median": 2e-6, "spread": 0.01, "rounds": 3},
        "XIP": {"median": 1e-6, "spread": 0.02, "rounds": 3},
        "kernel ext2": {"median": 5e-6, "spread": 0.0, "rounds": 1},
        "fsspec": {"median": 1e-9, "spread": 0.0, "rounds": 3},
        "libfsext": {"median": 30e-6, "spread": 0.5, "rounds": 3}}}
    sides = [{"side": "fs", "missing": "not installed", "version": ""},
             {"side": "fsspec", "missing": "", "version": "2026.9.0"}]
    return {"date": "2026-01-02", "machine": "a computer", "quick": False, "sides": sides, "rows": [row],
            "figures": [], "growth": [], **parts}


def test_cell_is_the_ratio_to_the_side_that_the_row_names() -> None:
    row = data()["rows"][0]

    assert [report.cell(row, side) for side in ("XIP", "kernel ext2", "libfsext", "fsspec", "fs")] == [
        "0.50 ±2%", "2.50", "15 ±50%", "<0.01 ±0%", "-"]
    assert report.basis(row) == "tmpfs: 2 µs ±1%"
    assert report.goal_cell(row) == "1"
    assert report.goal_cell({**row, "longest": 1e-3, "goal": "1 ms"}) == "1 ms (is 0.001 ms)"


def test_tables_name_what_is_not_installed() -> None:
    """An absent package keeps its column, which says why it is empty."""
    own, peers = report.tables(data())

    assert "fs (not installed)" in peers.heads
    assert [len(line) for table in (own, peers) for line in table.lines] == [len(own.heads), len(peers.heads)]


def test_figure_says_what_is_beside_it_or_missing() -> None:
    told = Figure("judge", "s", Sample([0.5, 0.5]), "1 s", "nbgrader", Sample([12.0]))
    alone = Figure("judge", "s", Sample([0.5]), "1 s", "nbgrader: not installed")

    assert [report.figure_cells(report.of_figure(each)) for each in (told, alone, Missing("x", "no y"))] == [
        ("judge", "0.5 s ±0%", "nbgrader: 12 s", "1 s"),
        ("judge", "0.5 s", "nbgrader: not installed", "1 s"), ("x", "no y", "", "")]


def test_words_count_who_is_ahead() -> None:
    words = picture.words(data())

    assert "takes no more in 1;" in words
    assert "It is ahead of kernel ext2 on a loop device in 1 of 1." in words
    assert "It is ahead of best package with files in memory in 0 of 1." in words


def test_write_section_replaces_what_is_between_the_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\\1\n{report.END}\nafter\n")
    report.write_section(readme, data())
    report.write_section(readme, data())

    assert readme.read_text() == f"before\n{report.section(data())}\nafter\n"


def test_draw_writes_a_picture(tmp_path: Path) -> None:
    picture.draw(data(), tmp_path / "plot.png")

    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_readme_shows_the_committed_results() -> None:
    """The table, the versions and the words of the picture are made of docs/benchmarks.json; a full run."""
    committed = report.read(DOCS / NAMES[0])

    assert report.section(committed) in (ROOT / "README.md").read_text(encoding="utf-8")
    assert not committed["quick"]
    assert (DOCS / NAMES[1]).is_file()


def test_growth_exponent_of_squares_is_two() -> None:
    found = growth.Growth("x", "MiB", {1: 1.0, 10: 7.0, 100: 700.0})

    assert math.isclose(found.exponent, 2.0)
    assert report.points(report.of_growth(found)) == "1: 1,000, 10: 7,000, 100: 700,000"


def test_growth_tiny_has_all_costs() -> None:
    found = list(growth.all_of(growth.TINY))

    assert [(each.what, each.unit) for each in found] == [
        ("one more guest", "guests"), ("write a file", "extents"), ("map a file", "extents"),
        ("write a file", "MiB"), ("read a file", "MiB"), ("map a file", "MiB"), ("delete a file", "MiB")]
    assert all(cost > 0 for each in found for cost in each.costs.values())


def test_cpu_figures_stand_beside_plain_unicorn() -> None:
    found = cpu.figures(1, 2)

    assert [figure.beside for figure in found].count("plain Unicorn") == len(cpu.LOOPS)
    assert all(figure.ours.median > 0 for figure in found if "memory" not in figure.what)


@pytest.mark.slow
def test_course_figures_are_made() -> None:
    found = [course.import_time(1), course.widget_update(1), course.judging(1)]

    assert [figure.unit for figure in found] == ["s", "ms", "s"]
    assert all(figure.ours.median > 0 for figure in found)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("mke2fs"), reason="no mke2fs")
def test_profile_lists_the_dearest_functions() -> None:
    far = profiles.slowest(2, replace(TINY, seconds=0.0))

    assert far[0][0] >= far[1][0]

    lines = profiles.profile(Walk, "W6", TINY).splitlines()

    assert lines[0].split()[:2] == ["ncalls", "tottime"]
    assert len(lines) == profiles.LINES + 1


def test_bench_write_readme_of_a_part_raises_einval(capsys: pytest.CaptureFixture[str]) -> None:
    """The README shows a full run only."""
    assert cli.main(["bench", "--quick", "--write-readme"]) == 1
    assert "--write-readme" in capsys.readouterr().err


def test_bench_outside_of_a_checkout_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    """An installed package has no benchmarks."""
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "site-packages" / "xiplab" / "cli.py"))

    assert cli.main(["bench"]) == 1
    assert "only in a clone" in capsys.readouterr().err
