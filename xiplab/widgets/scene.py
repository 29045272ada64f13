'''The widget family of notebooks 01 to 10: a scene is plain data, and one module draws it.

    class BlockMapView(SceneView):
        scene = staticmethod(scene_of)      # scene_of(experiment) -> Scene, a pure function

    BlockMapView(experiment)                # an experiment is a Stage (xiplab.course.experiments.stage)

One JavaScript module draws all scenes (parts.js, bytes.js, links.js and scene.js, one below the other)
instead of one module for each widget: fewer lines to read, one look, and what is known about keys, marks
and screen readers is written once. What differs from notebook to notebook is data, made here in Python.

A view calls the experiment's methods that are marked `@action` or `@looking`, and undo and reset; nothing
else. Every view of one experiment moves with it. What goes wrong is said on the status line.

The scene
---------

    Scene(title="The file's blocks",              says a screen reader; heads the static tables
          areas=[["file", "frames"],              a row of names per row of the picture, as in CSS;
                 ["file", ["bytes", "facts"]]],   a name that stands twice spans; a list is a stack
          widths=[2, 1],                          of the columns, relative (without it: equal)
          panels=[...],                           see below; each names its area
          links=[("pgoff:3", "frame:0x10012", "get_xip_mem")],    lines between keys; "" for no word
          controls=[...],                         beside Step, Undo and Reset, which are always there
          legend={"stale": "differs from disk"})  other words for a mark; the marks in use are found

Status line and Python come from the experiment: `status()` and `python()`.

What every drawn element may have (`Item`; a plain string stands for {"text": string}):

    {"text": "0x10012",
     "key": "frame:0x10012",        elements of equal keys light up together, in all views of the page;
                                    several keys: with a space between them. No other spaces in a key
     "marks": ["changed"],          names from panels.MARKS; `experiment.marks(key)` gives recent ones
     "call": ["read", 3],           activating it calls experiment.read(3)
     "label": "frame 0x10012, in segment SHLIB"}     for screen readers and tooltips, where text is short

Keys have one form in all notebooks: frame:0x10012 block:7 pgoff:3 inode:12 sector:0x38 byte:0x10012008
page:LINUX1:0x3ffe0001 segment:SHLIB guest:LINUX1 field:NAME.

The panels
----------

Each has `kind`, `area`, `title`; it may have `where` (an address, small, at the right), `note` (a line
below) and `role` ("storage", "copy" or "program": its frame, as in notebook 00).

bytes: a grid of hex and characters, at most 64 KiB; `rows` of them are drawn at a time.

    {"kind": "bytes", "area": "bytes", "title": "Superblock", "where": "block 0, byte 0x400",
     "data": bytes, "start": 0x400,          address of data[0], as it is shown
     "columns": 16, "rows": 8, "at": 0x438,  the byte to show first (moves the cursor when it changes)
     "fields": [{"name": "s_magic", "start": 0x438, "length": 2, "words": "0xef53"}],
     "marks": {0x438: ["changed"]}, "key": "byte",    keys are byte:0x438; fields are field:AREA:NAME
     "edit": "store",                        a new value calls experiment.store(address, value)
     "look": "look"}                         Page keys beyond the data call experiment.look(address)

table: rows of cells; the first cell heads its row. A row may have key, marks, call and label too.

    {"kind": "table", "area": "segments", "title": "Segments", "columns": ["name", "range", "type"],
     "rows": [{"cells": ["SHLIB", {"text": "0x10000-0x10fff", "marks": ["shared"]}, "SR"],
               "key": "segment:SHLIB", "call": ["load", "SHLIB"]}]}

tiles: many small squares, `columns` in a row; a gap says how many are left out.

    {"kind": "tiles", "area": "file", "title": "/lib/holes", "columns": 8,
     "tiles": [{"text": "7", "key": "block:7 pgoff:0", "label": "page 0: block 7", "call": ["read", 0]},
               {"text": "○", "key": "pgoff:1", "marks": ["hole"], "label": "page 1: a hole"},
               {"gap": 1200, "text": "pages, all holes"}]}

tree: rows within rows; `cells` stand behind the text. `closed` nodes open at a click.

    {"kind": "tree", "area": "tables", "title": "Page tables of LINUX1",
     "nodes": [{"text": "region 0x000", "children": [
                   {"text": "page 0x3ffe0001", "cells": [{"text": "frame 0x10012", "key": "frame:0x10012"}],
                    "marks": ["protected"]}], "closed": False}]}

steps: a trace of calls. `at` is the step that has just run; `play` names the method that sets it.

    {"kind": "steps", "area": "trace", "title": "read()", "at": 1, "play": "play",
     "steps": [{"text": "xip_file_read", "level": 0},
               {"text": "get_xip_mem", "level": 1, "note": "frame 0x10012", "key": "frame:0x10012"}],
     "counters": [("bytes copied", 4096), ("faults", 0)]}          as they are at step `at`

bars: amounts by kind, one scale for all; values are written out. Equal texts have equal patterns.

    {"kind": "bars", "area": "bill", "title": "Memory bill", "unit": "frames",
     "bars": [{"text": "page cache",
               "parts": [{"text": "copies", "value": 12}, {"text": "tables", "value": 3}]},
              {"text": "in place", "parts": [{"text": "tables", "value": 3}]}]}

facts: names and values.

    {"kind": "facts", "area": "facts", "title": "The inode",
     "facts": [{"name": "i_size", "text": "8,192 bytes"},
               {"name": "i_blocks", "text": "16", "marks": ["changed"]}]}

Controls
--------

    {"call": "read", "label": "Read", "title": "Read a page of the file", "args": ["/mnt/lib/greeting"],
     "fields": [{"label": "page", "kind": "number", "value": 0},
                {"label": "guest", "kind": "choice", "value": "LINUX1", "choices": ["LINUX1", "LINUX2"]}]}

calls experiment.read("/mnt/lib/greeting", 0, "LINUX1"). Kinds of fields: number (also 0x...), text, choice.
A control whose call is "step" takes the place of the usual Step.
'''

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from xiplab.course.experiments.stage import Stage
from xiplab.widgets.panels import Control, Scene, html_of, legend_of

HERE = Path(__file__).parent
FILES = ("parts.js", "bytes.js", "links.js", "scene.js")
USUAL: tuple[Control, ...] = (
    {"call": "step", "label": "Step", "title": "One step on; older marks fade"},
    {"call": "undo", "label": "Undo", "title": "Take the last action back"},
    {"call": "reset", "label": "Reset", "title": "Everything as it was at first"},
)


def picture_of(experiment: Stage, scene: Scene, view: str) -> dict[str, Any]:
    """All that a widget shows, as plain data; `view` is the line that makes this widget."""
    usual = {control["call"]: control for control in USUAL}
    own = [control for control in scene.get("controls", []) if control["call"] not in usual]
    usual |= {control["call"]: control for control in scene.get("controls", []) if control["call"] in usual}
    return {**scene, "links": scene.get("links", []), "legend": legend_of(scene),
            "controls": [*own, *usual.values()], "status": experiment.status(),
            "python": f"{experiment.python()}\n{view}", "seq": experiment.sequence}


class SceneView(anywidget.AnyWidget):
    """A view of an experiment; `picture` is all that it shows. A subclass names its scene."""

    _esm = "\n".join((HERE / name).read_text() for name in FILES)
    _css = "\n".join((HERE / name).read_text() for name in ("family.css", "scene.css"))
    picture = traitlets.Dict().tag(sync=True)

    def __init__(self, experiment: Stage) -> None:
        self.experiment = experiment
        super().__init__(picture=self._picture())
        experiment.watchers.append(self.refresh)
        self.on_msg(self._call)

    @staticmethod
    def scene(experiment: Any, /) -> Scene:
        """What the view shows of its experiment."""
        raise NotImplementedError

    @staticmethod
    def source() -> str:
        """The JavaScript that draws every scene: four files, to be read."""
        return SceneView._esm

    def refresh(self) -> None:
        """Show the experiment as it is now."""
        self.picture = self._picture()

    def close(self) -> None:
        if self.refresh in self.experiment.watchers:
            self.experiment.watchers.remove(self.refresh)
        super().close()

    def _picture(self) -> dict[str, Any]:
        cls = type(self)
        view = f"\nfrom {cls.__module__} import {cls.__name__}\n{cls.__name__}(experiment)"
        return picture_of(self.experiment, cls.scene(self.experiment), view)

    def _call(self, widget: object, message: dict[str, Any], buffers: object) -> None:
        """Do what the view asks for; what goes wrong is said on its status line."""
        name, args = message["call"], message["args"]
        try:
            method = getattr(self.experiment, name, None)
            if name not in ("undo", "reset") and not getattr(method, "may_be_called_by_a_view", False):
                raise ValueError(f"{name} is no action of {type(self.experiment).__name__}")
            getattr(self.experiment, name)(*args)
        except (OSError, ValueError, TypeError) as failure:
            self.experiment.sequence += 1
            self.picture = self._picture() | {"status": str(failure)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.experiment.status()}"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/html"] = html_of(type(self).scene(self.experiment), self.experiment.status())
        return bundle
