"""The widget of notebook 03: the driver's files, the disks, and a page of one of them.

    DevicesView(experiment)         experiment: xiplab.course.experiments.devices.Devices
"""

from __future__ import annotations

from xiplab.course.experiments.devices import ROOT, Devices, Disk
from xiplab.units import PAGE_SECTORS
from xiplab.widgets.panels import (
    Control,
    Gap,
    Input,
    Item,
    Node,
    Row,
    Scene,
    StepsPanel,
    TablePanel,
    TilesPanel,
    TreePanel,
)
from xiplab.widgets.scene import SceneView

FLIPPED = {"0": "1", "1": "0"}


def attribute(experiment: Devices, folder: str, name: str) -> Node:
    """A file of one device that is 0 or 1: activating it writes the other one."""
    value, key = experiment.file(f"{folder}/{name}"), f"sysfs:{folder}:{name}"
    return {"text": f"{name} {value}", "key": key, "marks": experiment.marks(key),
            "call": ["echo", FLIPPED[value], f"{folder}/{name}"],
            "label": f"{name} is {value}: write {FLIPPED[value]} into it"}


def files_panel(experiment: Devices) -> TreePanel:
    folders: list[Node] = []
    for disk in experiment.disks():
        if disk.folder:
            segments = experiment.file(f"{disk.folder}/seglist").split()
            folders.append({"text": disk.folder, "key": f"disk:{disk.name}", "children": [
                attribute(experiment, disk.folder, "shared"), attribute(experiment, disk.folder, "save"),
                {"text": f"seglist {' '.join(segments)}"}, {"text": f"block → {disk.name}"}]})
    return {"kind": "tree", "area": "files", "title": "The driver's files", "where": ROOT,
            "nodes": [{"text": "add"}, {"text": "remove"}, *folders]}


def disk_row(experiment: Devices, disk: Disk) -> Row:
    key = f"disk:{disk.name}"
    marks = [*experiment.marks(key), *(["current"] if disk.name == experiment.disk else [])]
    rights: Item = {"text": "read only", "marks": ["protected"]} if disk.read_only else {"text": "may write"}
    return {"key": key, "marks": marks, "cells": [
        {"text": disk.name, "call": ["show", disk.name], "label": f"show {disk.name}"}, f"{disk.openers}×",
        {"text": "open", "call": ["open", disk.name], "label": f"open {disk.name}"},
        {"text": "close", "call": ["close", disk.name], "label": f"close {disk.name}"},
        rights, f"{disk.sectors:,}", "yes" if disk.direct_access else "no"]}


def disks_panel(experiment: Devices) -> TablePanel:
    return {"kind": "table", "area": "disks", "title": "LINUX1's disks", "role": "storage",
            "columns": ["disk", "open", "", "", "rights", "sectors", "direct_access"],
            "rows": [disk_row(experiment, disk) for disk in experiment.disks()]}


def tile(experiment: Devices, sector: int) -> Item:
    marks = ["current"] if sector == experiment.sector else []
    held = experiment.held
    if held is not None and (held.disk, held.sector) == (experiment.disk, sector):
        marks.append("mapped" if experiment.held_text() else "error")
    return {"text": f"{sector}", "key": f"sector:{sector:#x}", "marks": marks,
            "call": ["show", experiment.disk, sector],
            "label": f"sector {sector} of {experiment.disk}, in page {sector // PAGE_SECTORS}"}


def sectors_panel(experiment: Devices) -> TilesPanel:
    end = next(disk.sectors for disk in experiment.disks() if disk.name == experiment.disk)
    shown = [*range(2 * PAGE_SECTORS), *range(end - PAGE_SECTORS, end + 1)]
    tiles: list[Item | Gap] = [tile(experiment, sector) for sector in shown]
    tiles.insert(2 * PAGE_SECTORS, {"gap": end - 3 * PAGE_SECTORS, "text": "sectors"})
    return {"kind": "tiles", "area": "sectors", "title": f"Sectors of {experiment.disk}",
            "where": "512 bytes each, a page in a row", "columns": PAGE_SECTORS, "tiles": tiles,
            "note": f"Sector {end:,} is the first one behind the end."}


def place_row(experiment: Devices, name: str, where: str | Item, text: Item) -> Row:
    key = f"place:{name}"
    return {"key": key, "marks": experiment.marks(key),
            "cells": [{"held": "at the address", "copy": "in the copy", "storage": "on the disk"}[name],
                      where, text]}


def places_panel(experiment: Devices) -> TablePanel:
    """The start of a page as storage, as a bio's copy, and through an address."""
    disk, sector, held, copy = experiment.disk, experiment.sector, experiment.held, experiment.copy
    stored = experiment.stored(disk, sector)
    rows = [place_row(experiment, "storage", f"{disk}, sector {sector}", {"text": stored or "nothing"})]
    if copy is not None:
        is_old = experiment.stored(copy.disk, copy.sector) != copy.text
        rows.append(place_row(experiment, "copy", f"a bio, {copy.disk}, sector {copy.sector}",
                              {"text": copy.text, "marks": ["stale" if is_old else "copy"]}))
    if held is not None:
        text = experiment.held_text()
        seen: Item = {"text": text, "marks": ["mapped"]} if text else {"text": "not valid any more",
                                                                       "marks": ["error"]}
        where: Item = {"text": f"{held.kaddr:#x}, frame {held.pfn:#x}",
                       "key": f"frame:{held.pfn:#x} sector:{held.sector:#x}"}
        rows.append(place_row(experiment, "held", where, seen))
    return {"kind": "table", "area": "places", "title": "The first bytes of a page",
            "columns": ["seen", "where", "bytes"], "rows": rows,
            "note": f"Bytes that the last action copied: {experiment.copied:,}."}


def log_panel(experiment: Devices) -> StepsPanel:
    lines = experiment.log or ["nothing"]
    return {"kind": "steps", "area": "log", "title": "What Linux noted in its log",
            "steps": [{"text": line} for line in lines], "at": -1}


def controls(experiment: Devices) -> list[Control]:
    disk, sector = experiment.disk, experiment.sector
    letters: Input = {"label": "letters", "kind": "text", "value": "J"}
    return [
        {"call": "echo", "label": "echo", "title": f"Write a line into a file below {ROOT}",
         "fields": [{"label": "text", "kind": "text", "value": "part1"},
                    {"label": "into", "kind": "text", "value": "add"}]},
        {"call": "read", "args": [disk, sector], "label": f"Read sector {sector}",
         "title": "A bio copies the page into memory"},
        {"call": "write", "args": [disk, sector], "label": f"Write sector {sector}", "fields": [letters],
         "title": "A bio copies a page to the disk"},
        {"call": "direct_access", "args": [disk, sector], "label": f"direct_access({sector})",
         "title": "Ask the driver where the page lies"},
        {"call": "store", "label": "Store at the address", "fields": [letters],
         "title": "With no driver in between"},
        {"call": "other", "args": ["PART1"], "label": "LINUX2 stores into PART1",
         "fields": [{**letters, "value": "K"}],
         "title": "Another guest that shares the segment"}]


def scene_of(experiment: Devices) -> Scene:
    """What there is to see, as plain data."""
    return {"title": "Segments as disks",
            "areas": [["disks", "disks"], ["files", "sectors"], ["places", "places"], ["log", "log"]],
            "panels": [disks_panel(experiment), files_panel(experiment), sectors_panel(experiment),
                       places_panel(experiment), log_panel(experiment)],
            "controls": controls(experiment),
            "legend": {"stale": "older than the storage", "copy": "a copy, equal so far",
                       "mapped": "direct_access told where it lies", "current": "the buttons mean this one",
                       "error": "released"}}


class DevicesView(SceneView):
    """A view of `Devices`."""

    scene = staticmethod(scene_of)
