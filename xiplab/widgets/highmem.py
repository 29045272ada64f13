"""Highmem: the pages of a file on a ramdisk, and the slots in which they get an address for a time."""

from __future__ import annotations

from xiplab.course.experiments.highmem import DRIVERS, PAGES, SLOTS, Highmem, Outcome
from xiplab.linux.mm.highmem import PKMAP_BASE
from xiplab.units import PAGE_SIZE
from xiplab.widgets.panels import FactsPanel, Item, Scene, TablePanel, TilesPanel
from xiplab.widgets.scene import SceneView


def _key(experiment: Highmem, page: int) -> str:
    return f"pgoff:{page} frame:{experiment.frame(page):#x}"


def _pages(experiment: Highmem) -> TilesPanel:
    came: dict[int, Outcome] = {outcome.page: outcome for outcome in experiment.outcomes}
    tiles: list[Item] = []
    for page in range(PAGES):
        last = came.get(page)
        marks = [] if last is None else ["error" if last.error else "mapped" if last.right else "stale"]
        address = experiment.address(page)
        tiles.append({"text": str(page), "key": _key(experiment, page), "marks": marks,
                      "call": ["read", page],
                      "label": f"page {page}: frame {experiment.frame(page):#x}, kernel's address "
                               f"{f'{address:#x}' if address else '0, that is none'}"})
    return {"kind": "tiles", "area": "pages", "title": "The file on the ramdisk", "role": "storage",
            "where": f"driver: {experiment.how}", "columns": 6, "tiles": tiles,
            "note": "A click reads the page with read()."}


def _slots(experiment: Highmem) -> TablePanel:
    page_of = {experiment.frame(page): page for page in range(PAGES)}
    frames = enumerate(experiment.slots())
    return {"kind": "table", "area": "slots", "title": "Slots of kmap", "where": f"{SLOTS} in all",
            "columns": ["address", "page", "frame"],
            "rows": [{"cells": [f"{PKMAP_BASE + number * PAGE_SIZE:#x}",
                                "" if pfn is None else str(page_of.get(pfn, "")),
                                "free" if pfn is None else f"{pfn:#x}"],
                      "key": f"slot:{number}" if pfn is None else f"frame:{pfn:#x}",
                      "marks": ["free" if pfn is None else "used"]} for number, pfn in frames]}


def _last(experiment: Highmem) -> FactsPanel:
    if not experiment.outcomes:
        return {"kind": "facts", "area": "last", "title": "The last access",
                "facts": [{"name": "so far", "text": "none"}]}
    last = experiment.outcomes[-1]
    address = experiment.address(last.page)
    way = "the kernel's address" if last.how == "read" else "the program's page table"
    return {"kind": "facts", "area": "last", "title": "The last access", "facts": [
        {"name": "page", "text": str(last.page), "key": _key(experiment, last.page)},
        {"name": "its frame", "text": f"{experiment.frame(last.page):#x}"},
        {"name": "kernel's address", "text": f"{address:#x}" if address else "0: it has none"},
        {"name": "went through", "text": way},
        {"name": "came", "text": last.error or repr(last.data)[2:-1],
         "marks": [] if last.right else ["error" if last.error else "stale"]}]}


def scene_of(experiment: Highmem) -> Scene:
    """The file's pages, the slots, and what came of the last access."""
    page = experiment.outcomes[-1].page + 1 if experiment.outcomes else 0
    return {
        "title": "A ramdisk in highmem", "areas": [[["pages", "last"], "slots"]], "widths": [3, 2],
        "panels": [_pages(experiment), _slots(experiment), _last(experiment)],
        "controls": [
            {"call": "driver", "label": "Boot with", "title": "Boot with another driver behind the ramdisk",
             "fields": [{"label": "driver", "kind": "choice", "value": experiment.how,
                         "choices": list(DRIVERS)}]},
            {"call": "read", "label": "read()", "title": "The kernel copies from a page",
             "fields": [{"label": "page", "kind": "number", "value": page % PAGES}]},
            {"call": "load", "label": "Load", "title": "The program loads from a page of its mapping",
             "fields": [{"label": "page", "kind": "number", "value": page % PAGES}]}],
        "legend": {"mapped": "the last access was right", "stale": "other bytes than the file's",
                   "error": "the last access failed"}}


class HighmemView(SceneView):
    """A view of `Highmem`."""

    scene = staticmethod(scene_of)
