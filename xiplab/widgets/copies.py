"""The widget of notebook 01: a program, the page cache and a device, page by page, and what was copied.

    CopiesView(Disk())
"""

from __future__ import annotations

from xiplab.course.experiments.copies import LONGEST, WORDS, Disk, OldRamdisk, Row
from xiplab.widgets import panels
from xiplab.widgets.scene import SceneView

BEGINNINGS = ("beans", "cakes", "plums")
FRAMES = {"page cache": "page cache", "ramdisk": "the ramdisk's own storage", "initrd": "boot image"}


def _program(experiment: Disk) -> panels.TablePanel:
    """What the program has read, and the frames in its page table."""
    rows: list[panels.Row] = []
    for row in experiment.rows():
        buffer: panels.Item = {"text": row.buffer or "–", "key": f"buffer:{row.number}",
                               "marks": [*experiment.marks(f"buffer:{row.number}"),
                                         *(["copy"] if row.buffer else [])]}
        mapped: panels.Item = {"text": "–" if row.mapped is None else f"frame {row.mapped:#x}",
                               "marks": experiment.marks(f"page:{row.number}")}
        if row.mapped is not None:
            mapped["key"] = f"frame:{row.mapped:#x}"
        rows.append(_chosen(experiment, row, [str(row.number), buffer, mapped]))
    return {"kind": "table", "area": "program", "title": "The program", "role": "program", "rows": rows,
            "columns": ["page", "buffer (read)", "page table (map)"]}


def _cache(experiment: Disk) -> panels.TablePanel:
    rows: list[panels.Row] = []
    for row in experiment.rows():
        frame: panels.Item = {"text": "–" if row.cached is None else f"{row.cached:#x}"}
        if row.cached is not None:
            frame["key"] = f"frame:{row.cached:#x}"
        holds: panels.Item = {"text": row.cache_word or "–", "key": f"pgoff:{row.number}",
                              "marks": _cache_marks(experiment, row)}
        rows.append(_chosen(experiment, row, [str(row.number), frame, holds]))
    return {"kind": "table", "area": "cache", "title": "Page cache", "role": "copy", "rows": rows,
            "columns": ["page", "frame", "holds"]}


def _cache_marks(experiment: Disk, row: Row) -> list[str]:
    signs = {"dirty": row.dirty, "stale": row.stale,
             "copy": bool(row.cache_word and row.device_word) and not row.dirty and not row.stale}
    return [*experiment.marks(f"pgoff:{row.number}"), *(sign for sign, is_so in signs.items() if is_so)]


def _device(experiment: Disk) -> panels.TablePanel:
    rows: list[panels.Row] = []
    for row in experiment.rows():
        place: panels.Item = {"text": f"frame {row.stored:#x}" if row.stored is not None
                              else "on the disk" if type(experiment) is Disk else "nowhere"}
        if row.stored is not None:
            place["key"] = f"frame:{row.stored:#x}"
        holds: panels.Item = {"text": row.device_word or "–", "key": f"block:{row.number}",
                              "marks": experiment.marks(f"block:{row.number}")}
        rows.append(_chosen(experiment, row, [str(row.number), place, holds]))
    title = "Boot image" if isinstance(experiment, OldRamdisk) else f"Device: {experiment.name}"
    return {"kind": "table", "area": "device", "title": title, "role": "storage", "rows": rows,
            "columns": ["page", "where", "holds"]}


def _chosen(experiment: Disk, row: Row, cells: list[panels.Text]) -> panels.Row:
    marks = ["current"] if row.number == experiment.selected else []
    return {"cells": cells, "marks": marks, "call": ["select", row.number],
            "label": f"the buttons mean page {row.number}"}


def _way(experiment: Disk) -> panels.StepsPanel:
    steps: list[panels.Step] = [{"text": line} for line in experiment.path]
    steps = steps or [{"text": "nothing was copied, no frame was taken"}]
    return {"kind": "steps", "area": "way", "title": "What the last action did", "steps": steps,
            "at": len(steps) - 1}


def _bill(experiment: Disk) -> panels.FactsPanel:
    facts: list[panels.Fact] = [{"name": what, "text": f"{nbytes:,}"}
                                for what, nbytes in sorted(experiment.bill.items())]
    return {"kind": "facts", "area": "bill", "title": f"Copied so far: {experiment.copied:,} bytes",
            "facts": facts}


def _frames(experiment: Disk) -> panels.FactsPanel:
    frames = experiment.frames()
    return {"kind": "facts", "area": "frames", "title": "Frames in use",
            "facts": [{"name": FRAMES[kind], "text": str(frames[kind])} for kind in experiment.kinds]}


def _controls(experiment: Disk) -> list[panels.Control]:
    page = experiment.selected
    word: panels.Input = {"label": "word", "kind": "text", "value": BEGINNINGS[page % len(BEGINNINGS)]}
    letter: panels.Input = {"label": "letter", "kind": "text", "value": WORDS[page][0].upper()}
    controls: list[panels.Control] = [
        {"call": "read", "args": [page], "label": f"Read page {page}", "title": "read it into the buffer"},
        {"call": "write", "args": [page], "fields": [word], "label": f"Write page {page}",
         "title": f"write a page that begins with a word of up to {LONGEST} letters"},
        {"call": "touch", "args": [page], "label": f"Load from page {page}", "title": "through the mapping"},
        {"call": "store", "args": [page], "fields": [letter], "label": f"Store into page {page}",
         "title": "one letter, through the mapping"},
        {"call": "sync", "label": "msync", "title": "write dirty pages to the device"},
        {"call": "press", "label": "Memory is short", "title": "Linux takes frames from the page cache"},
        {"call": "unmap", "label": "Unmap", "title": "the program gives its mapping back"}]
    if isinstance(experiment, OldRamdisk):
        return [{"call": "load", "label": "Load the boot image", "title": "the ramdisk's trick"}, *controls,
                {"call": "flush", "label": "BLKFLSBUF", "title": "drop what is cached"}]
    return [*controls, {"call": "change", "args": [page], "fields": [word], "label": f"Change block {page}",
                        "title": "somebody changes the device behind Linux's back"}]


def scene_of(experiment: Disk) -> panels.Scene:
    """The experiment as a scene."""
    return {"title": f"A program, the page cache and the {experiment.name}",
            "areas": [["program", "cache", "device"], ["way", "bill", "frames"]],
            "panels": [_program(experiment), _cache(experiment), _device(experiment), _way(experiment),
                       _bill(experiment), _frames(experiment)],
            "controls": _controls(experiment),
            "legend": {"dirty": "dirty: newer than the device", "stale": "older than the device",
                       "current": "the page that the buttons mean"}}


class CopiesView(SceneView):
    """A view of a `Disk`, a `NewRamdisk` or an `OldRamdisk`."""

    scene = staticmethod(scene_of)
