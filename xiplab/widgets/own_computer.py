"""Real processes on a segment: what each one sees, and what it costs this computer."""

from __future__ import annotations

from xiplab.course.experiments.own_computer import KINDS, SHOWN, OwnComputer
from xiplab.course.experiments.own_computer import Row as Process
from xiplab.units import PAGE_SHIFT
from xiplab.widgets.panels import BarsPanel, BytesPanel, Row, Scene, TablePanel, TilesPanel
from xiplab.widgets.scene import SceneView


def _storage(experiment: OwnComputer) -> BytesPanel:
    offset = experiment.extents()[0][1] or 0
    return {"kind": "bytes", "area": "storage", "title": "The file in the segment", "role": "storage",
            "where": f"page {offset >> PAGE_SHIFT} of this Python's storage", "data": experiment.storage(),
            "start": 0, "columns": 8, "key": "byte", "edit": "store",
            "marks": {i: marks for i in range(SHOWN) if (marks := experiment.marks(f"byte:{i:#x}"))}}


def _pages(experiment: OwnComputer) -> TilesPanel:
    places = [(first + i, (offset >> PAGE_SHIFT) + i) for first, offset, npages in experiment.extents()
              if offset is not None for i in range(npages)]
    return {"kind": "tiles", "area": "pages", "title": "Pages of the file", "columns": 4,
            "where": f"{len(experiment.extents())} extents",
            "tiles": [{"text": f"{page} → {place}", "key": f"pgoff:{page}",
                       "label": f"page {page} of the file is page {place} of the storage"}
                      for page, place in places],
            "note": "The host's MMU puts them in a row."}


def _text(data: bytes) -> str:
    return "".join(chr(value) if 0x20 <= value < 0x7F else "·" for value in data)


def _processes(experiment: OwnComputer, rows: list[Process]) -> TablePanel:
    stored = experiment.storage()
    shown: list[Row] = [{
        "cells": [f"process {row.number}", row.kind,
                  {"text": _text(row.sees), "marks": [] if row.sees == stored else ["stale"]},
                  f"{row.rss}", f"{row.pss}", f"{row.private}"],
        "key": f"process:{row.number}", "marks": experiment.marks(f"process:{row.number}")} for row in rows]
    return {"kind": "table", "area": "processes", "title": "Processes of this computer", "rows": shown,
            "columns": ["process", "the file is", "it sees", "Rss KiB", "Pss KiB", "private KiB"],
            "note": "Rss counts every frame that it has; Pss divides a frame by those who share it."}


def _bill(rows: list[Process]) -> BarsPanel:
    return {"kind": "bars", "area": "bill", "title": "Memory, shared fairly (Pss)", "unit": "KiB",
            "bars": [{"text": f"process {row.number}", "parts": [{"text": row.kind, "value": row.pss}]}
                     for row in rows]}


def scene_of(experiment: OwnComputer) -> Scene:
    """The file, the processes that have it, and what they cost."""
    rows = experiment.rows()
    return {
        "title": "Processes of this computer on one segment",
        "areas": [["storage", "pages"], ["processes", "processes"], ["bill", "bill"]],
        "panels": [_storage(experiment), _pages(experiment), _processes(experiment, rows), _bill(rows)],
        "controls": [
            {"call": "attach", "label": "Attach", "title": "Start one more process",
             "fields": [{"label": "how", "kind": "choice", "value": "in place", "choices": [*KINDS]}]},
            {"call": "store", "label": "Store", "title": "Change a byte of the file in the segment",
             "fields": [{"label": "byte", "kind": "number", "value": 0},
                        {"label": "value", "kind": "number", "value": 0x4A}]},
            {"call": "write", "label": "Write", "title": "Let a process store a byte",
             "fields": [{"label": "process", "kind": "number", "value": 1},
                        {"label": "byte", "kind": "number", "value": 0},
                        {"label": "value", "kind": "number", "value": 0x4B}]}],
        "legend": {"stale": "not what the segment holds"}}


class OwnComputerView(SceneView):
    """A view of `OwnComputer`."""

    scene = staticmethod(scene_of)
