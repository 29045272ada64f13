"""A module loader: the module's code in the segment and in each guest, and what was copied."""

from __future__ import annotations

from xiplab.course.experiments.modules import Loading, text_section
from xiplab.widgets.panels import BarsPanel, BytesPanel, FactsPanel, Input, Row, Scene, TablePanel
from xiplab.widgets.scene import SceneView


def _file(experiment: Loading) -> BytesPanel:
    offset, _ = text_section()
    return {"kind": "bytes", "area": "file", "title": "Code of hello.ko in the segment", "role": "storage",
            "where": f"file offset {offset:#x}", "data": bytes(experiment.file_code()), "start": 0,
            "columns": 8, "key": "code", "note": "Zeros where an address belongs."}


def _loaded(experiment: Loading, name: str) -> BytesPanel | FactsPanel:
    if name not in experiment.modules:
        return {"kind": "facts", "area": name, "title": f"{name}'s kernel",
                "facts": [{"name": "hello", "text": "not loaded"}]}
    address = experiment.modules[name].sections[".text"]
    return {"kind": "bytes", "area": name, "title": f"The code in {name}'s kernel", "role": "copy",
            "where": f"at {address:#x}", "data": bytes(experiment.code(name)), "start": 0, "columns": 8,
            "key": "code", "marks": {offset: ["stale"] for offset in experiment.patched(name)}}


def _guests(experiment: Loading) -> TablePanel:
    rows: list[Row] = []
    for name, guest in experiment.guests.items():
        module = experiment.modules.get(name)
        rows.append({"cells": [name, "yes" if name in experiment.mappings else "no",
                               "no" if module is None else f"at {module.module_core:#x}",
                               f"{len(experiment.patched(name))}", f"{guest.frames['vmalloc']}"],
                     "key": f"guest:{name}", "marks": experiment.marks(f"guest:{name}")})
    return {"kind": "table", "area": "guests", "title": "The guests", "rows": rows,
            "columns": ["guest", "mapped", "loaded", "bytes patched", "frames of vmalloc"]}


def _bill(experiment: Loading) -> BarsPanel:
    return {"kind": "bars", "area": "bill", "title": "Copied by each guest's last action", "unit": "bytes",
            "bars": [{"text": name, "parts": [{"text": what, "value": nbytes}
                                              for what, nbytes in experiment.copies[name].items()]}
                     for name in experiment.guests]}


def scene_of(experiment: Loading) -> Scene:
    """The code in three places, the guests, and the bytes copied."""
    names = list(experiment.guests)
    guest: Input = {"label": "guest", "kind": "choice", "value": names[0], "choices": [*names]}
    return {
        "title": "A kernel module in a segment",
        "areas": [["file", *names], ["file", *[["guests", "bill"]] * 2]],
        "panels": [_file(experiment), *(_loaded(experiment, name) for name in names), _guests(experiment),
                   _bill(experiment)],
        "controls": [
            {"call": "map", "label": "Map", "title": "A program maps the file", "fields": [guest]},
            {"call": "insmod", "label": "insmod", "title": "The guest loads the module", "fields": [guest]},
            {"call": "rmmod", "label": "rmmod", "title": "The guest removes the module", "fields": [guest]}],
        "legend": {"stale": "patched for this address"}}


class LoadingView(SceneView):
    """A view of `Loading`."""

    scene = staticmethod(scene_of)
