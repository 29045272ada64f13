"""The widget of notebook 06: two traces of the same call, side by side, and what lies where it went.

    ReadWriteView(ReadWrite())
"""

from __future__ import annotations

from xiplab.course.experiments.read_write import PAGES, SHOWN, SIDES, Outcome, Place, ReadWrite, text_of
from xiplab.units import PAGE_SIZE
from xiplab.widgets import panels
from xiplab.widgets.scene import SceneView

GETS = ["read", "readv", "sendfile", "aio_read"]
PUTS = ["write", "writev", "append", "aio_write"]
ROLES = {"in place": "storage", "page cache": "copy"}
KEYS = {"in place": "here", "page cache": "there"}


def _trace(experiment: ReadWrite, side: str) -> panels.StepsPanel:
    """One side's trace, at the step that is looked at."""
    outcome = experiment.outcomes.get(side, Outcome(0, b"", ()))
    steps: list[panels.Step] = [
        {"text": step.call, "level": step.level, "note": step.answer, "marks": _marks(step.name)}
        for step in outcome.steps]
    at = experiment.step_of(side) if side in experiment.outcomes else 0
    copied, frames = (outcome.steps[at].copied, outcome.steps[at].frames) if steps else (0, 0)
    return {"kind": "steps", "area": KEYS[side], "title": side.capitalize(), "role": ROLES[side],
            "steps": steps or [{"text": "no call yet"}], "at": at, "play": "play",
            "counters": [("bytes copied", copied), ("frames taken", frames)]}


def _marks(name: str) -> list[str]:
    return ["copy"] if name.startswith("copy ") else []


def _answers(experiment: ReadWrite) -> panels.TablePanel:
    """What the program got, the size and what is free, on both sides."""
    outcomes = [experiment.outcomes.get(side) for side in SIDES]
    rows: list[list[str]] = [
        ["answer", *("–" if outcome is None else str(outcome) for outcome in outcomes)],
        ["the program got", *("–" if outcome is None else text_of(outcome.data[:SHOWN]) or "–"
                              for outcome in outcomes)],
        ["size of the file", *(f"{experiment.size(side):,}" for side in SIDES)],
        ["free blocks", *(str(experiment.free(side)) for side in SIDES)]]
    return {"kind": "table", "area": "answers", "title": "The answer", "columns": ["", *SIDES],
            "role": "program", "rows": [{"cells": row} for row in rows]}


def _file(experiment: ReadWrite) -> panels.TablePanel:
    """The file's pages: what storage and page cache hold at their beginning, or where the call began."""
    rows: list[panels.Row] = []
    for page in range(PAGES):
        here = experiment.offset // PAGE_SIZE == page
        at = experiment.offset if here else page * PAGE_SIZE
        directly, cached = (experiment.place(side, at) for side in SIDES)
        recent = [experiment.marks(f"{place} {page}")
                  for place in ("in place stored", "page cache cached", "page cache stored")]
        rows.append({"cells": [f"{at:,}", _stored(directly, page, "x", recent[0]),
                               _cached(cached, page, recent[1]), _stored(cached, page, "c", recent[2])],
                     "marks": ["current"] if here else []})
    return {"kind": "table", "area": "file", "title": "The file, from byte", "rows": rows,
            "columns": ["byte", "storage, in place", "page cache", "storage below it"]}


def _stored(place: Place, page: int, side: str, recent: list[str]) -> panels.Item:
    item: panels.Item = {"text": f"block {place.block}: {place.stored}" if place.block else "hole",
                         "key": f"pgoff:{page} block:{side}{place.block}" if place.block else f"pgoff:{page}"}
    item["marks"] = recent if place.block else ["hole"]
    return item


def _cached(place: Place, page: int, recent: list[str]) -> panels.Item:
    item: panels.Item = {"text": place.cached or "–", "key": f"pgoff:{page}"}
    if place.cached:
        item["marks"] = [*recent, "dirty" if place.dirty else "copy"]
    return item


def _controls() -> list[panels.Control]:
    offset: panels.Input = {"label": "at byte", "kind": "number", "value": 0}
    return [
        {"call": "get", "label": "Get", "title": "the same call on both mounts",
         "fields": [{"label": "call", "kind": "choice", "value": "read", "choices": [*GETS]},
                    {"label": "bytes", "kind": "number", "value": 2 * PAGE_SIZE}, offset]},
        {"call": "put", "label": "Put", "title": "the same call on both mounts",
         "fields": [{"label": "call", "kind": "choice", "value": "write", "choices": [*PUTS]},
                    {"label": "text", "kind": "text", "value": "Hello"}, offset]},
        {"call": "fsync", "label": "fsync", "title": "write back what is dirty"},
        {"call": "fill", "label": "Fill up", "title": "leave so many free blocks",
         "fields": [{"label": "free blocks", "kind": "number", "value": 1}]},
        {"call": "limit", "label": "Set limit", "title": "RLIMIT_FSIZE; -1 for none",
         "fields": [{"label": "file size", "kind": "number", "value": PAGE_SIZE}]}]


def scene_of(experiment: ReadWrite) -> panels.Scene:
    """The experiment as a scene."""
    return {"title": "One call, in place and through the page cache",
            "areas": [["here", "there"], ["answers", "file"]], "widths": [4, 5],
            "panels": [*(_trace(experiment, side) for side in SIDES), _answers(experiment),
                       _file(experiment)],
            "controls": _controls(),
            "legend": {"current": "where the call began", "dirty": "dirty: newer than the storage below"}}


class ReadWriteView(SceneView):
    """A view of a `ReadWrite`."""

    scene = staticmethod(scene_of)
