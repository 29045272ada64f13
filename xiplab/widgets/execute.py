"""The widget of notebook 08: a processor, the page tables of two guests, and storage.

    ExecuteView(Execute())
"""

from __future__ import annotations

from xiplab.course.experiments.bill import KINDS
from xiplab.course.experiments.execute import COMMANDS, GUESTS, Execute, Page
from xiplab.hw.asm import Instruction
from xiplab.units import PAGE_SHIFT, PAGE_SIZE
from xiplab.widgets import panels
from xiplab.widgets.scene import SceneView

BYTES_SHOWN, COLUMNS = 64, 8


def frame_key(guest: str, pfn: int, shared: bool) -> str:
    """A frame of the segment has one key in all guests; others are told apart by guest."""
    return f"frame:{pfn:#x}" if shared else f"frame:{guest}:{pfn:#x}"


def _code(experiment: Execute) -> panels.TablePanel:
    """The last instructions, and the next ones as they lie in storage."""
    guest = experiment.shown
    done = [_row(experiment, instruction, "") for instruction in experiment.trail[guest]]
    ahead = [_row(experiment, instruction, "" if number else "next")
             for number, instruction in enumerate(experiment.ahead(guest))]
    if not ahead:
        at = f"{experiment.next_address(guest):#x}"
        words = "has ended" if experiment.ended[guest] else "not in the page table: a page fault comes first"
        ahead = [{"cells": [at, "–", {"text": words, "marks": ["current"]}]}]
    return {"kind": "table", "area": "code", "title": f"{guest}: {experiment.commands[guest]}",
            "role": "program", "columns": ["address", "bytes", "instruction"], "rows": [*done, *ahead]}


def _row(experiment: Execute, instruction: Instruction, when: str) -> panels.Row:
    guest = experiment.shown
    pfn = experiment.frame_at(guest, instruction.address)
    text: panels.Item = {"text": instruction.text, "marks": ["current"] if when else []}
    row: panels.Row = {"cells": [f"{instruction.address:#x}", instruction.code.hex() or "–", text]}
    place = experiment.place_of(guest, instruction.address)
    if pfn is not None and place is not None:
        row["key"] = f"{frame_key(guest, pfn, True)} byte:{place:#x}"
        if any(experiment.marks(f"byte:{at:#x}") for at in range(place, place + len(instruction.code))):
            row["marks"] = ["changed"]
    return row


def _registers(experiment: Execute) -> panels.TablePanel:
    """Two registers in a row."""
    before = experiment.before[experiment.shown]
    values: list[panels.Item] = [
        {"text": f"{value:#x}", "marks": ["changed"] if value != before[number] else []}
        for number, value in enumerate(experiment.registers(experiment.shown))]
    rows: list[panels.Row] = [
        {"cells": [f"r{number}", values[number], f"r{number + 8}", values[number + 8]]}
        for number in range(8)]
    return {"kind": "table", "area": "registers", "title": f"Registers of {experiment.shown}",
            "role": "program", "columns": ["", "value", "", "value"], "rows": rows}


def _tables(experiment: Execute) -> panels.TreePanel:
    nodes: list[panels.Node] = [
        {"text": guest, "cells": [experiment.commands[guest]], "key": f"guest:{guest}",
         "call": ["look", guest], "label": f"show the processor of {guest}",
         "marks": ["current"] if guest == experiment.shown else [],
         "children": [_page(guest, page) for page in experiment.pages(guest)]} for guest in GUESTS]
    return {"kind": "tree", "area": "tables", "title": "Page tables", "role": "program", "nodes": nodes,
            "note": "Click a guest: its processor is shown."}


def _page(guest: str, page: Page) -> panels.Node:
    frame: panels.Item = {"text": f"frame {page.pfn:#x}", "key": frame_key(guest, page.pfn, page.shared),
                          "marks": ["shared"] if page.shared else ["private"]}
    what = f"{page.kind} of {page.file}" if page.file else page.kind
    return {"text": f"{page.vaddr:#x}", "key": f"page:{guest}:{page.vaddr:#x}", "cells": [what, frame]}


def _at(experiment: Execute) -> int:
    """Where in the segment the next instruction lies; else the library's sign."""
    guest = experiment.shown
    at = experiment.place_of(guest, experiment.next_address(guest))
    return experiment.sign() if at is None else at


def _bytes(experiment: Execute) -> panels.BytesPanel:
    """Bytes of the segment around the next instruction."""
    at = _at(experiment)
    segment = experiment.vm.segments["PROGRAMS"]
    start = min(at - at % COLUMNS, (at >> PAGE_SHIFT) * PAGE_SIZE + PAGE_SIZE - BYTES_SHOWN)
    data = segment.mem[start:start + BYTES_SHOWN].tobytes()
    marks = {where: experiment.marks(f"byte:{where:#x}") for where in range(start, start + BYTES_SHOWN)}
    return {"kind": "bytes", "area": "bytes", "title": "Segment PROGRAMS", "role": "storage",
            "where": f"frame {(segment.start + at) >> PAGE_SHIFT:#x}", "data": data, "start": start,
            "columns": COLUMNS,
            "rows": BYTES_SHOWN // COLUMNS, "at": at, "key": "byte", "edit": "patch",
            "marks": {where: some for where, some in marks.items() if some},
            "note": "Type a new value: it is the next instruction's byte in every guest."}


def _bill(experiment: Execute) -> panels.BarsPanel:
    bars: list[panels.Bar] = [
        {"text": name, "parts": [{"text": kind, "value": kinds[kind]} for kind in KINDS if kinds[kind]]}
        for name, kinds in experiment.frames_by_kind().items()]
    return {"kind": "bars", "area": "bill", "title": "Frames of programs, by what they hold", "role": "copy",
            "unit": "frames", "bars": bars, "note": "The segment's frames are there once for both guests."}


def _written(experiment: Execute) -> panels.FactsPanel:
    facts: list[panels.Fact] = []
    for guest in GUESTS:
        faults = ", ".join(f"{count} {how}" for how, count in sorted(experiment.faults[guest].items()))
        facts += [{"name": f"{guest} has written", "text": experiment.output(guest).strip() or "nothing"},
                  {"name": f"{guest}: page faults", "text": faults or "none"}]
    return {"kind": "facts", "area": "written", "title": "Until now", "facts": facts}


def _controls(experiment: Execute) -> list[panels.Control]:
    guest: panels.Input = {"label": "guest", "kind": "choice", "value": experiment.shown,
                           "choices": [*GUESTS]}
    program: panels.Input = {"label": "program", "kind": "choice", "value": "greet Ann Bob",
                             "choices": [*COMMANDS]}
    count: panels.Input = {"label": "instructions", "kind": "number", "value": 1}
    source: panels.Input = {"label": "instructions", "kind": "text", "value": "lghi %r2,'!'"}
    return [{"call": "start", "label": "Start", "title": "a program, in place of the one before",
             "fields": [guest, program]},
            {"call": "execute", "label": "Execute", "title": "the next instructions",
             "fields": [guest, count]},
            {"call": "next_line", "label": "Next line", "title": "run until it has written one more line",
             "fields": [guest]},
            {"call": "run", "label": "Run", "title": "to its end, or to the end of its budget",
             "fields": [guest]},
            {"call": "assemble", "label": "Assemble",
             "title": "instructions into the segment, at the byte where the picture of it stands",
             "args": [_at(experiment)], "fields": [source]}]


def scene_of(experiment: Execute) -> panels.Scene:
    """The experiment as a scene."""
    return {"title": "Two guests, their processors, and the segment with the programs",
            "areas": [[["code", "tables", "bill", "written"], ["registers", "bytes"]]], "widths": [6, 5],
            "panels": [_code(experiment), _tables(experiment), _bill(experiment), _written(experiment),
                       _registers(experiment), _bytes(experiment)],
            "controls": _controls(experiment),
            "legend": {"current": "the next instruction; the guest that is shown",
                       "shared": "a frame of the segment", "private": "a frame of the guest's own"}}


class ExecuteView(SceneView):
    """A view of an `Execute`."""

    scene = staticmethod(scene_of)
