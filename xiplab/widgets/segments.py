"""The widget of notebook 02: CP's catalogue of segments, and what two guests have loaded.

    SegmentsView(experiment)        experiment: xiplab.course.experiments.segments.Segments

Elements with the same key belong together: a guest's row and the catalogue's line name the same
frame if the segment is shared.
"""

from __future__ import annotations

from xiplab.course.experiments.segments import GUESTS, MODES, Entry, Loaded, Segments
from xiplab.course.experiments.your_extmem import YourExtmem
from xiplab.widgets.panels import Control, FactsPanel, Item, Row, Scene, StepsPanel, TablePanel
from xiplab.widgets.scene import SceneView

CLASSES = {"S": "skeleton", "A": "available", "R": "restricted", "P": "pending purge"}


def frame(number: int, own_key: str) -> Item:
    """A host frame by its number: all places that name it light up together."""
    return {"text": f"{number:X}", "key": f"frame:{number:#x} {own_key}"}


def catalogue_row(experiment: Segments, entry: Entry) -> Row:
    lies = frame(entry.frame, f"original:{entry.fileid}") if entry.frame is not None else "none yet"
    return {"key": f"file:{entry.fileid}", "marks": experiment.marks(f"file:{entry.fileid}"),
            "cells": [entry.name, lies, entry.text, entry.pages, entry.type,
                      f"{entry.class_} {CLASSES[entry.class_]}", " ".join(entry.users) or "nobody",
                      f"{entry.fileid:04d}"]}


def catalogue_panel(experiment: Segments) -> TablePanel:
    return {"kind": "table", "area": "catalogue", "title": "CP's catalogue", "role": "storage",
            "columns": ["segment", "frame", "first bytes", "pages", "type", "class", "loaded by", "file"],
            "rows": [catalogue_row(experiment, entry) for entry in experiment.catalogue()]}


def loaded_row(experiment: Segments, guest: str, here: Loaded) -> Row:
    key = f"loaded:{guest}:{here.name}"
    lies = frame(here.frame, f"seen:{guest}:{here.name}") | Item(text=f"{here.frame:X}", marks=[
        "copy" if here.copy else "shared"])
    rights: Item = {"text": "may write"} if here.writable else {"text": "read only", "marks": ["protected"]}
    return {"key": key, "marks": experiment.marks(key),
            "cells": [here.name, lies, here.text, rights,
                      {"text": "save", "call": ["save", guest, here.name],
                       "label": f"{guest} saves {here.name}"},
                      {"text": "let go", "call": ["unload", guest, here.name],
                       "label": f"{guest} lets go of {here.name}"}]}


def absent_row(guest: str, name: str) -> Row:
    """A segment that the guest could load."""
    return {"cells": [name, "", "not loaded", "load it:",
                      {"text": "shared", "call": ["load", guest, name, "shared"],
                       "label": f"{guest} loads {name} shared"},
                      {"text": "exclusive", "call": ["load", guest, name, "exclusive"],
                       "label": f"{guest} loads {name} exclusive"}]}


def guest_panel(experiment: Segments, guest: str) -> TablePanel:
    loaded = experiment.loaded(guest)
    names = {here.name for here in loaded}
    absent = [name for name in experiment.vm.segments if name not in names]
    rows = [loaded_row(experiment, guest, here) for here in loaded]
    return {"kind": "table", "area": guest, "title": f"{guest}'s storage", "role": "program",
            "columns": ["segment", "frame", "first bytes", "rights", "", ""],
            "rows": rows + [absent_row(guest, name) for name in absent]}


def calls_panel(experiment: Segments) -> StepsPanel:
    calls = experiment.calls or ["nothing was asked of CP"]
    return {"kind": "steps", "area": "calls", "title": "What CP was asked in the last action",
            "steps": [{"text": call} for call in calls], "at": -1}


def cost_panel(experiment: Segments) -> FactsPanel:
    return {"kind": "facts", "area": "cost", "title": "Frames of z/VM", "facts": [
        {"name": "taken by the last action", "text": f"{experiment.taken:,}"},
        {"name": "in use for segments and copies", "text": f"{experiment.frames():,}"}]}


def controls(experiment: Segments) -> list[Control]:
    known = list(dict.fromkeys(entry.name for entry in experiment.catalogue()))
    return [
        {"call": "store", "label": "Store", "title": "A guest stores letters at the segment's start",
         "fields": [{"label": "guest", "kind": "choice", "value": GUESTS[0], "choices": [*GUESTS]},
                    {"label": "segment", "kind": "choice", "value": known[0] if known else "",
                     "choices": [*known]},
                    {"label": "letters", "kind": "text", "value": "J"}]},
        {"call": "cp", "label": "Ask CP", "title": "A command of MAINT, who maintains the system",
         "fields": [{"label": "command", "kind": "text", "value": "DEFSEG DATA 10200-102FF EW"}]},
        {"call": "restart", "label": "Restart z/VM", "title": "Shut z/VM down and start it from its spool"}]


def reload_control(experiment: Segments) -> list[Control]:
    """To load a segment the other way: where that is the learner's function."""
    if not isinstance(experiment, YourExtmem):
        return []
    return [{"call": "reload", "label": "Load it again", "title": "A guest loads a segment the other way",
             "fields": [{"label": "guest", "kind": "choice", "value": GUESTS[0], "choices": [*GUESTS]},
                        {"label": "segment", "kind": "choice", "value": "SHLIB",
                         "choices": [*experiment.vm.segments]},
                        {"label": "how", "kind": "choice", "value": "shared", "choices": [*MODES]}]}]


def scene_of(experiment: Segments) -> Scene:
    """What there is to see, as plain data."""
    links = [(f"seen:{guest}:{here.name}", f"original:{here.fileid}", "")
             for guest in GUESTS for here in experiment.loaded(guest) if not here.copy]
    return {"title": "Segments and guests",
            "areas": [["LINUX1"] * 2, ["catalogue"] * 2, ["LINUX2"] * 2, ["calls", "cost"]],
            "widths": [3, 2],
            "panels": [guest_panel(experiment, "LINUX1"), catalogue_panel(experiment),
                       guest_panel(experiment, "LINUX2"), calls_panel(experiment), cost_panel(experiment)],
            "links": links, "controls": [*reload_control(experiment), *controls(experiment)],
            "legend": {"shared": "the segment's own frame", "copy": "a frame of the guest's own"}}


class SegmentsView(SceneView):
    """A view of `Segments`."""

    scene = staticmethod(scene_of)
