"""Misconceptions: what many people believe at first, what is so, and how to see it.

`beliefs/nbNN.py` has those that notebook and exercise NN are the first to meet. Each is named by a
question or by a prediction; the evidence runs after the first code cell of that notebook.
"""

from __future__ import annotations

from importlib import import_module

from xiplab.course import beliefs
from xiplab.course.predictions import NOTEBOOKS
from xiplab.course.problem import Misconception


def misconceptions_of(notebook: str) -> tuple[Misconception, ...]:
    """Those of one notebook ("nb00")."""
    found: tuple[Misconception, ...] = import_module(f"{beliefs.__name__}.{notebook}").MISCONCEPTIONS
    return found


MISCONCEPTIONS = {misconception.id: misconception for name in NOTEBOOKS
                  for misconception in misconceptions_of(name)}
