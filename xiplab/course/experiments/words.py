"""Refusals as people read them: the errno's name, and why."""

from __future__ import annotations

import errno

from xiplab.errors import ProgramInterruption


def refusal(failure: OSError | ProgramInterruption) -> str:
    """What Linux or the machine refused: "ENOENT, no such segment"; "a protection exception: ..."."""
    if isinstance(failure, ProgramInterruption):
        return f"a {failure}. Nothing was stored."
    number = failure.errno or 0
    name = "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))
    return f"{name}, {failure.strerror}."
