"""The widget of exercises: blocks of a function on the left, the function so far on the right.

    OrderView(experiment)               an experiment is an Order (xiplab.course.experiments.order)
"""

from __future__ import annotations

from xiplab.course.experiments.order import Order
from xiplab.course.parsons import Piece
from xiplab.widgets.panels import Row, Scene, TablePanel
from xiplab.widgets.scene import SceneView

INDENT = "\N{NO-BREAK SPACE}"
"""A space that stays one where spaces in a row become one."""


def rows_of(experiment: Order, piece: Piece, call: str) -> list[Row]:
    """A row for each line; the first one has the letters, and is the one to pick."""
    letters, text = piece
    first, *rest = text.splitlines()
    verb = "put it behind the others" if call == "put" else "take it back"
    head: Row = {"cells": [letters, shown(first)], "key": f"piece:{letters}", "call": [call, letters],
                 "marks": experiment.marks(f"piece:{letters}") if call == "take" else [],
                 "label": f"block {letters}: {text}; {verb}"}
    others: list[Row] = [{"cells": ["", shown(line)], "key": f"piece:{letters}"} for line in rest]
    return [head, *others]


def shown(line: str) -> str:
    return INDENT * (len(line) - len(line.lstrip())) + line.lstrip()


def panel(experiment: Order, area: str, title: str, pieces: list[Piece], call: str) -> TablePanel:
    rows = [row for piece in pieces for row in rows_of(experiment, piece, call)]
    return {"kind": "table", "area": area, "title": title, "columns": ["block", "lines"], "rows": rows,
            "role": "program" if call == "take" else "storage"}


def scene_of(experiment: Order) -> Scene:
    return {"title": f"{experiment.asked.id} {experiment.asked.title}: put the blocks in order",
            "areas": [["left", "function"]],
            "panels": [panel(experiment, "left", "Blocks: pick the next one", experiment.left, "put"),
                       panel(experiment, "function", "Your function", experiment.picked, "take")]}


class OrderView(SceneView):
    """Blocks to pick with the mouse, or with the arrow keys and Enter."""

    scene = staticmethod(scene_of)
