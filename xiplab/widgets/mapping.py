"""The widget of notebook 07: the page tables of three tasks, and the frames that they name.

    MapInPlaceView(MapInPlace())
"""

from __future__ import annotations

from xiplab.course.experiments.mapping import FAULTS, OWNERS, PAGES, PROTECTIONS, TASKS, Entry, MapInPlace
from xiplab.widgets import panels
from xiplab.widgets.scene import SceneView

MODES = {"writer": "shared, file open for writing", "reader": "shared, file open for reading",
         "private": "private"}
MARKS = {"sparse": ["hole"], "private": ["private"], "lost": ["error"], "storage": []}
TOUCHABLE = ["reader", "private"]


def _tables(experiment: MapInPlace) -> panels.TreePanel:
    """The three page tables: a node for each task, in it one for each page."""
    nodes: list[panels.Node] = []
    for task in TASKS:
        children = [_entry(experiment, task, entry) for entry in experiment.entries(task)]
        nodes.append({"text": task, "cells": [MODES[task]], "children": children})
    return {"kind": "tree", "area": "tables", "title": "Page tables", "role": "program", "nodes": nodes,
            "note": "Click a page: the task loads from it."}


def _entry(experiment: MapInPlace, task: str, entry: Entry) -> panels.Node:
    key = f"page:{task}:{entry.page}"
    node: panels.Node = {"text": f"page {entry.page}", "key": key, "call": ["load", task, entry.page],
                         "label": f"{task} loads from page {entry.page}", "marks": experiment.marks(key)}
    if entry.pfn is None:
        node["cells"] = ["no entry"]
        return node
    frame: panels.Item = {"text": f"frame {entry.pfn:#x}", "key": f"frame:{entry.pfn:#x}",
                          "marks": MARKS[entry.owner]}
    node["cells"] = [frame, f"“{entry.shows}”", "may store" if entry.writable else "read-only"]
    return node


def _file(experiment: MapInPlace) -> panels.TablePanel:
    """The file's pages, and where they lie in the segment."""
    rows: list[panels.Row] = []
    for page in range(PAGES):
        pfn = experiment.frame_of(page) if page < experiment.size else None
        key = f"pgoff:{page}"
        marks = experiment.marks(key)
        if page >= experiment.size:
            rows.append({"cells": [str(page), "beyond the end", "–", "–"], "key": key})
        elif pfn is None:
            rows.append({"cells": [str(page), {"text": "hole", "marks": ["hole"]}, "–", "zeros"], "key": key})
        else:
            rows.append({"cells": [str(page), f"block {experiment.block_of(pfn)}",
                                   {"text": f"{pfn:#x}", "key": f"frame:{pfn:#x}"},
                                   {"text": experiment.shows(pfn), "marks": marks}], "key": key})
    return {"kind": "table", "area": "file", "title": "The file, in segment DATA", "role": "storage",
            "columns": ["page", "block", "frame", "begins with"], "rows": rows}


def _frames(experiment: MapInPlace) -> panels.TablePanel:
    """Frames of the guest's own that mappings have taken."""
    sparse = experiment.sparse_page
    owned = ([] if sparse is None else [("the sparse page", sparse, "hole")])
    owned += [("a private copy", pfn, "private") for pfn in experiment.private_frames()]
    rows: list[panels.Row] = [
        {"cells": [name, {"text": f"{pfn:#x}", "key": f"frame:{pfn:#x}", "marks": [mark]},
                   experiment.shows(pfn)]} for name, pfn, mark in owned]
    return {"kind": "table", "area": "frames", "title": "LINUX1's own frames", "role": "copy",
            "columns": ["what", "frame", "begins with"], "rows": rows or [{"cells": ["none yet", "–", "–"]}]}


def _way(experiment: MapInPlace) -> panels.StepsPanel:
    steps: list[panels.Step] = [{"text": line} for line in experiment.path]
    return {"kind": "steps", "area": "way", "title": "What the last action did", "at": max(len(steps) - 1, 0),
            "steps": steps or [{"text": "no call of the kernel"}]}


def _counts(experiment: MapInPlace) -> panels.FactsPanel:
    facts: list[panels.Fact] = [{"name": f"faults: {how}", "text": str(count)}
                                for how, count in sorted(experiment.faults.items())]
    return {"kind": "facts", "area": "counts", "title": "Until now",
            "facts": [*facts, {"name": "bytes of files copied", "text": f"{experiment.copied:,}"}]}


def _choice(label: str, choices: list[str | int], value: str | int) -> panels.Input:
    return {"label": label, "kind": "choice", "value": value, "choices": choices}


def _controls(experiment: MapInPlace) -> list[panels.Control]:
    task, pages = _choice("task", [*TASKS], "writer"), _choice("page", [*range(PAGES)], 0)
    text: panels.Input = {"label": "text", "kind": "text", "value": "Hello"}
    letter: panels.Input = {"label": "letter", "kind": "text", "value": "J"}
    controls: list[panels.Control] = [
        {"call": "store", "label": "Store", "title": "one letter, through the mapping",
         "fields": [task, pages, letter]},
        {"call": "write", "label": "write", "title": "write(2) by another program",
         "fields": [_choice("page", [*range(PAGES)], 1), text]},
        {"call": "truncate", "label": "Truncate", "title": "cut the file, or let it grow",
         "fields": [_choice("pages", [*range(PAGES + 1)], 2)]},
        {"call": "other", "label": "New file", "title": "another file takes a free block",
         "fields": [{"label": "text", "kind": "text", "value": "secret"}]},
        {"call": "fill", "label": "Fill up", "title": "leave no free block", "args": [0]},
        {"call": "protect", "label": "mprotect", "title": "what the task may do",
         "fields": [task, _choice("may", [*PROTECTIONS], "read")]}]
    if experiment.pending is None:
        controls.append({"call": "begin", "label": "Begin a fault", "title": "up to where it has looked up",
                         "fields": [_choice("task", [*TOUCHABLE], "reader"),
                                    _choice("page", [*range(PAGES)], 2),
                                    _choice("kernel", [*FAULTS], "3.6")]})
    else:
        controls.append({"call": "finish", "label": "Finish the fault", "title": "the frame is entered"})
    return controls


def scene_of(experiment: MapInPlace) -> panels.Scene:
    """The experiment as a scene."""
    return {"title": "Three tasks, their page tables, and the file in its segment",
            "areas": [["tables", ["file", "frames", "counts"]], ["way", "way"]], "widths": [6, 5],
            "panels": [_tables(experiment), _file(experiment), _frames(experiment), _way(experiment),
                       _counts(experiment)],
            "controls": _controls(experiment),
            "legend": {"hole": "a hole; its page is the sparse page", "private": OWNERS["private"],
                       "error": OWNERS["lost"]}}


class MapInPlaceView(SceneView):
    """A view of a `MapInPlace`."""

    scene = staticmethod(scene_of)
