"""Where this kernel may answer otherwise than the reference, each with its reason.

The reference is whatever kernel runs here, and its ext2 may be served by its ext4 driver; the model is
Linux v3.6. What a whole kind of result cannot be compared by is left out in replay.py (sizes of
directories, inode numbers; times and space where mappings are used) or not drawn in workload.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from replay import Result
from workload import Operation


@dataclass(frozen=True)
class Differs:
    """A difference that is no fault.

    Attributes:
        why: the reason. place: where it can occur ("" for anywhere).
        applies: whether it explains that an operation gave `real` there and `ours` here.
    """

    why: str
    place: str
    applies: Callable[[Operation, Result, Result], bool]


def error(result: Result) -> str:
    """The name of the error, or ""."""
    return result[1] if isinstance(result, list) and result[:1] == ["!"] else ""


def _read_of_nothing(operation: Operation, real: Result, ours: Result) -> bool:
    return operation[0] in ("read", "pread") and operation[2] == 0 and error(ours) == "ENODATA"


def _exclusive_dot(operation: Operation, real: Result, ours: Result) -> bool:
    exclusive = os.O_CREAT | os.O_EXCL
    return (operation[0] == "open" and operation[3] & exclusive == exclusive
            and (error(real), error(ours)) == ("EEXIST", "EISDIR"))


def _write_of_nothing_far_out(operation: Operation, real: Result, ours: Result) -> bool:
    return operation[0] == "pwrite" and operation[3] == 0 and real == 0 and error(ours) == "EFBIG"


def _long_name_below_itself(operation: Operation, real: Result, ours: Result) -> bool:
    return operation[0] == "rename" and (error(real), error(ours)) == ("ENAMETOOLONG", "EINVAL")


def _removed_directory(operation: Operation, real: Result, ours: Result) -> bool:
    if operation[0] != "statfs" or error(real) or error(ours):
        return False
    return 0 < ours[0] - real[0] == ours[1] - real[1]


DIFFERS = [
    Differs("Q2: on an xip mount of 2.6.26 to 3.19 a read of nothing over a hole is ENODATA", "xip",
            _read_of_nothing),
    Differs("v3.6 asks whether the name is one before it asks whether it exists; later kernels after it", "",
            _exclusive_dot),
    Differs("v3.6 looks at the position of a write even if it is empty (generic_write_checks)", "",
            _write_of_nothing_far_out),
    Differs("v3.6 refuses to move a directory into itself before it looks at the new name", "",
            _long_name_below_itself),
    Differs("an open file that was removed keeps the removed directory it was in; the model frees such a "
            "directory, one block and one inode, at once", "", _removed_directory),
]


def reason(place: str, operation: Operation, real: Result, ours: Result) -> str:
    """Why the two results may differ, or ""."""
    return next((d.why for d in DIFFERS if d.place in ("", place) and d.applies(operation, real, ours)), "")
