"""The learner's function in a table of operations: the model calls it through the pipe.

    linux1.plug("dcssblk0", direct_access=seam(answer, "direct_access"))

Its OSErrors are OSErrors of the model, with the same errno; what the model raised in it, and it let pass,
goes on as it was. Anything else ends the check, and the card tells it: what it raises itself, and what a
function of the judge makes of arguments that are of no use.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from xiplab.course.problem import Answer
from xiplab.course.process import AnswerRaised
from xiplab.course.trial import OF_THE_MODEL
from xiplab.errors import NoData

NO_DATA = """import errno
class NoData(OSError):
    def __init__(self, what): super().__init__(errno.ENODATA, what)
"""
"""For a prelude: the name NoData, which costs an answer's process nothing. (Importing it from
xiplab.errors would load the whole package.)"""


def seam(answer: Answer, name: str) -> Callable[..., Any]:
    """The answer's function `name` as the model may call it."""
    def through_the_pipe(*args: object) -> Any:
        try:
            return answer.call(name, *args)
        except AnswerRaised as failure:
            raise in_the_model(failure) from failure

    through_the_pipe.__name__ = name
    return through_the_pipe


def in_the_model(failure: AnswerRaised) -> Exception:
    """What an answer raised, as the model's own exception."""
    if isinstance(failure.passed, OF_THE_MODEL):
        return failure.passed
    if failure.errno is None:
        return failure
    return NoData(failure.text) if failure.errno == errno.ENODATA else OSError(failure.errno, failure.text)
