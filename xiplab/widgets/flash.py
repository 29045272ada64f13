"""A flash chip: its erase blocks, its state, and the bytes that a mapping of it shows."""

from __future__ import annotations

from xiplab.course.experiments.flash import BLOCK, BLOCKS, FIRST_LOG_BLOCK, LOG, MOUNTS, Flash
from xiplab.widgets.panels import BytesPanel, FactsPanel, Item, Scene, StepsPanel, TilesPanel
from xiplab.widgets.scene import SceneView


def _bytes(area: str, title: str, where: str, data: bytes, role: str) -> BytesPanel:
    return {"kind": "bytes", "area": area, "title": title, "where": where, "data": data, "start": 0,
            "columns": 8, "role": role}


def _program(experiment: Flash) -> BytesPanel:
    seen, cells = experiment.sees(), experiment.cells()
    panel = _bytes("program", "The program's mapping", f"virtual {experiment.text.vaddr:#x}", seen, "program")
    panel["key"] = "text"
    panel["marks"] = {i: ["stale"] for i in range(len(seen)) if seen[i] != cells[i]}
    return panel


def _cells(experiment: Flash) -> BytesPanel:
    at = experiment.position
    panel = _bytes("cells", "The same bytes in the chip", f"block {at // BLOCK}, chip {at:#x}",
                   experiment.cells(), "storage")
    panel["key"] = "text"
    return panel


def _log(experiment: Flash) -> BytesPanel:
    panel = _bytes("log", "The log's cells", f"block {FIRST_LOG_BLOCK}, chip {LOG:#x}",
                   experiment.log_cells(), "storage")
    panel["edit"] = "program"
    panel["marks"] = {i: marks for i in range(len(panel["data"]))
                      if (marks := experiment.marks(f"byte:{LOG + i:#x}"))}
    panel["note"] = "A new value is programmed over the old one."
    return panel


def _block(experiment: Flash, number: int) -> Item:
    cells = experiment.chip.cells[number * BLOCK:(number + 1) * BLOCK]
    running = experiment.chip.running
    busy = running is not None and running.address // BLOCK == number
    state = "busy" if busy else "erased" if bool((cells == 0xFF).all()) else "in use"
    marks = {"busy": ["dirty"], "erased": ["free"], "in use": ["used"]}[state]
    item: Item = {"text": str(number), "key": f"block:{number}",
                  "marks": marks + experiment.marks(f"block:{number}"),
                  "label": f"block {number}, {'log' if number >= FIRST_LOG_BLOCK else 'files'}: {state}"}
    if number >= FIRST_LOG_BLOCK:
        item["call"] = ["erase", number]
    return item


def _chip(experiment: Flash) -> TilesPanel:
    return {"kind": "tiles", "area": "chip", "title": "Erase blocks of the chip", "columns": 8,
            "where": f"{BLOCKS} of {BLOCK >> 10} KiB", "role": "storage",
            "tiles": [_block(experiment, number) for number in range(BLOCKS)],
            "note": f"0 to {FIRST_LOG_BLOCK - 1}: files. {FIRST_LOG_BLOCK} to {BLOCKS - 1}: the log; a click "
                    "erases."}


def _state(experiment: Flash) -> FactsPanel:
    chip = experiment.chip
    gives = {"array": "its cells", "status": "its status", "id": "its number", "query": "its description"}
    return {"kind": "facts", "area": "state", "title": "The chip", "facts": [
        {"name": "a read gives", "text": gives[chip.mode],
         "marks": [] if chip.mode == "array" else ["error"]},
        {"name": "status", "text": experiment.chip_status()},
        {"name": "time", "text": f"{chip.now_us / 1000:.1f} ms"},
        {"name": "mounted", "text": experiment.how}]}


def _bus(experiment: Flash) -> StepsPanel:
    return {"kind": "steps", "area": "bus", "title": "Commands of the last action",
            "at": len(experiment.cycles) - 1,
            "steps": [{"text": command, "note": f"at {address:#x}", "key": f"block:{address // BLOCK}"}
                      for address, command in experiment.cycles] or [{"text": "none yet"}]}


def scene_of(experiment: Flash) -> Scene:
    """The program's bytes above the chip's, the chip, the log, and what went over the bus."""
    return {
        "title": "A program runs from a flash chip that is also written",
        "areas": [[["program", "cells", "log"], ["chip", "state", "bus"]]],
        "panels": [_program(experiment), _chip(experiment), _cells(experiment), _state(experiment),
                   _log(experiment), _bus(experiment)],
        "controls": [
            {"call": "program", "label": "Program", "title": "Program a byte of the log",
             "fields": [{"label": "byte", "kind": "number", "value": 0},
                        {"label": "value", "kind": "number", "value": 0x4A}]},
            {"call": "erase", "label": "Erase", "title": "Erase a block of the log",
             "fields": [{"label": "block", "kind": "number", "value": FIRST_LOG_BLOCK + 1}]},
            {"call": "read", "label": "read()", "title": "Read a byte of the log through the driver",
             "fields": [{"label": "byte", "kind": "number", "value": 0}]},
            {"call": "wait", "label": "Wait", "title": "Let time pass",
             "fields": [{"label": "ms", "kind": "number", "value": 600}]},
            {"call": "mount", "label": "Mount", "title": "Mount the file system in another way",
             "fields": [{"label": "how", "kind": "choice", "value": experiment.how,
                         "choices": list(MOUNTS)}]}],
        "legend": {"stale": "not what the cells hold", "dirty": "busy", "free": "erased: all ones",
                   "error": "not the cells"}}


class FlashView(SceneView):
    """A view of `Flash`."""

    scene = staticmethod(scene_of)
