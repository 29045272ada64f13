"""The predictions that the notebooks ask for. `predict.py` stores and explains them.

`beliefs/nbNN.py` has those of notebook NN, in its order. The id begins with the notebook's number. Each
wrong choice is a belief that many people hold; its `why` says what makes it tempting, and what in the
notebook contradicts it, in under 60 words.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from xiplab.course import beliefs
from xiplab.course.problem import Prediction

NOTEBOOKS = sorted(module.name for module in iter_modules(beliefs.__path__))

PREDICTIONS: dict[str, Prediction] = {
    id: asked for name in NOTEBOOKS
    for id, asked in import_module(f"{beliefs.__name__}.{name}").PREDICTIONS.items()}
