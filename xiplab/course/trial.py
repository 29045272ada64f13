"""A learner's function in the machine of a notebook: what it does is seen, what goes wrong is said.

    experiment = driven(BlockMap(), plug=get_xip_mem)
    BlockMapView(experiment)

The experiment's method `plug` gets the function; undo and reset keep it. A function that is not written
yet, or that breaks, gives an OSError with a sentence, as a refusing device would: the experiment tells it
on its status line, and there is no traceback.

Prohibition: a method that is named here must not call the function itself.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from functools import wraps
from inspect import unwrap
from typing import Any, TypeVar

from xiplab.course.experiments.stage import Action, Stage
from xiplab.errors import KernelBug, Panic, ProgramInterruption, Signal

S = TypeVar("S", bound=Stage)


class Mistake(OSError):
    """ENOSYS, EIO: a learner's function is not written or broke down. It is no answer of the function's."""


OF_THE_MODEL = (OSError, ProgramInterruption, Signal, Panic, KernelBug)


def driven(experiment: S, **functions: Callable[..., Any]) -> S:
    """The experiment, with functions of the learner's in it, each by the method that puts it there."""
    for method, function in functions.items():
        experiment.given.append(Action(method, (trial(function),)))
        if is_stub(function):
            experiment.remarks.append(f"{function.__name__}: not written yet.")
    experiment.replay()
    return experiment


def after(experiment: S, *calls: tuple[Any, ...]) -> S:
    """The experiment after some calls (method, arguments ...), up to one that fails; why is printed."""
    try:
        for method, *arguments in calls:
            getattr(experiment, method)(*arguments)
    except OSError as failure:
        print(failure.strerror or failure)
    return experiment


def is_stub(function: Callable[..., Any]) -> bool:
    """Whether the function still has the line that says so."""
    code = getattr(unwrap(function), "__code__", None)
    return code is not None and "NotImplementedError" in code.co_names


def trial(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose own mistakes are OSErrors: ENOSYS if it is not written, else EIO."""
    name = function.__name__

    @wraps(function)
    def tried(*args: object, **named: object) -> Any:
        try:
            return function(*args, **named)
        except OF_THE_MODEL:
            raise
        except NotImplementedError as failure:
            raise Mistake(errno.ENOSYS, f"{name}: not written yet") from failure
        except Exception as failure:
            raise Mistake(errno.EIO, f"{name}: {type(failure).__name__}: {failure}{place(function, failure)}"
                          ) from failure

    return tried


def place(function: Callable[..., Any], failure: Exception) -> str:
    """Where in the function's cell it happened; empty if elsewhere."""
    cell = unwrap(function).__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(failure.__traceback__) if frame.filename == cell]
    return f", in line {lines[-1]} of its cell" if lines else ""
