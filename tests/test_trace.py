"""Recordings: what they hold, how they read, and that nothing of them stays behind."""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from xiplab import ZVM, Recording
from xiplab.errors import NoData
from xiplab.linux.include.fs import FileOperations
from xiplab.linux.mm.iov import FreshBytes
from xiplab.trace import OperationsTable, RecordedCall, describe, interpose, tp_copy, tp_fault, tp_frame


@dataclass(eq=False, kw_only=True)
class Ops(OperationsTable):
    outer: Callable[..., Any] | None = None
    inner: Callable[..., Any] | None = None


def inner(number: int, why: str = "") -> int:
    if tp_copy.probes:
        tp_copy(what="storage to user", nbytes=number)
    if why:
        raise NoData(why)
    return number


def make_ops() -> Ops:
    ops = Ops(name="ops", inner=inner)

    def outer(first: int, second: str) -> str:
        assert ops.inner is not None
        tp_frame(guest="LINUX1", pfn=0x102, kind="page cache", change=1)
        ops.inner(first)
        ops.inner(first)
        tp_fault(vaddr=0x20000000, pgoff=0, pfn=0x102, how="device frame")
        return second * 2

    ops.outer = outer
    return ops


@pytest.fixture
def ops() -> Ops:
    return make_ops()


@pytest.fixture
def recording(ops: Ops) -> Recording:
    """One call that makes two others, and one that fails."""
    assert ops.outer is not None
    assert ops.inner is not None
    with Recording([ops]) as rec:
        ops.outer(100, "ab")
        with pytest.raises(NoData):
            ops.inner(1, why="page 3")
    return rec


# what is recorded

def test_recording_counts_by_kind(recording: Recording) -> None:
    assert (recording.copies, recording.bytes_copied, recording.faults) == (3, 201, 1)
    assert recording.bytes_by_what == {"storage to user": 201}
    assert recording.faults_by_how == {"device frame": 1}
    assert recording.frames_by_kind == {"page cache": 1}
    assert recording.calls() == ["ops.outer", "ops.inner", "ops.inner", "ops.inner"]
    assert repr(recording) == ("<Recording: 4 calls; 3 copies of 201 bytes; 1 fault (device frame 1); "
                               "frames: page cache +1>")


def test_recording_frames_given_back_count_against_those_taken() -> None:
    with Recording([]) as rec:
        for kind, change in (("page table", 1), ("page cache", 1), ("page cache", -1), ("vmalloc", -1)):
            tp_frame(guest="LINUX1", pfn=1, kind=kind, change=change)

    assert rec.frames_by_kind == {"page table": 1, "vmalloc": -1}


def test_text_reads_like_a_function_graph(recording: Recording) -> None:
    assert recording.text().split("\n") == [
        "  copied | call",
        "         | ops.outer(first=100, second=ab) {",
        "         |   /* frame 0x102 taken: page cache */",
        "         |   ops.inner(number=100) {",
        "     100 |     /* copy 100 bytes: storage to user */",
        "     100 |   } = 100",
        "         |   ops.inner(number=100) {",
        "     100 |     /* copy 100 bytes: storage to user */",
        "     100 |   } = 100",
        "         |   /* fault at 0x20000000: device frame, frame 0x102 */",
        "     200 | } = abab",
        "         | ops.inner(number=1, why=page 3) {",
        "       1 |   /* copy 1 byte: storage to user */",
        "       1 | } ! ENODATA: page 3",
    ]


def test_text_of_call_without_inside_takes_one_line() -> None:
    table = Ops(name="leaf", inner=len)
    with Recording([table]) as rec:
        assert table.inner is not None
        table.inner("four")

    assert rec.text().split("\n")[1:] == ["         | leaf.inner(arg0=four); = 4"]


def test_recording_names_parameters_given_by_name_and_of_methods() -> None:
    class Counter:
        def add(self, by: int) -> int:
            return by

    table = Ops(name="ops", inner=Counter().add, outer=inner)
    with Recording([table]) as rec:
        assert table.inner is not None
        assert table.outer is not None
        table.inner(3)
        table.outer(number=4)

    assert [event.fields for event in rec.events if event.is_call] == [{"by": 3}, {"number": 4}]


def test_from_data_gives_the_same_recording(recording: Recording) -> None:
    """A recording goes through JSON and comes back whole."""
    again = Recording.from_data(json.loads(json.dumps(recording.to_data())))

    assert again.events == recording.events
    assert again.text() == recording.text()


@pytest.mark.parametrize("data", [[1], [{}], [{"name": "x"}], [{"name": "x", "depth": 0, "more": 1}]])
def test_from_data_of_something_else_raises_valueerror(data: list[Any]) -> None:
    with pytest.raises(ValueError, match="not an event"):
        Recording.from_data(data)


# the picture

def svg_of(picture: str) -> ElementTree.Element:
    figure = ElementTree.fromstring(picture)
    svg = figure.find("svg")
    assert svg is not None
    return svg


def test_picture_is_wellformed_and_says_what_it_shows(recording: Recording) -> None:
    """It has a role, a label and the whole text, and no colour but that of the text around it."""
    picture = recording.picture()
    svg = svg_of(picture)
    folded = ElementTree.fromstring(picture).find("details/pre")

    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == f"Call tree: {repr(recording)[12:-1]}"
    assert folded is not None
    assert folded.text == recording.text()
    assert {element.attrib.get("fill", "currentColor") for element in svg.iter()} <= {"currentColor", "none"}


def test_picture_draws_like_calls_once(recording: Recording) -> None:
    texts = [element.text for element in svg_of(recording.picture()).iter("text")]

    assert [text for text in texts if text and "inner" in text] == ["ops.inner × 2", "ops.inner ! ENODATA"]


def test_picture_of_nothing_and_of_strange_names() -> None:
    """An empty recording is a picture too; names cannot break out of it."""
    with Recording([]) as rec:
        assert svg_of(rec.picture()).attrib["aria-label"] == "Call tree: 0 calls"
        tp_copy(what="</svg><script>&\"'", nbytes=1)

    assert "<script>" not in rec.picture()
    assert len(list(svg_of(rec.picture()).iter("rect"))) == 1


def test_picture_has_a_limit() -> None:
    with Recording([]) as rec:
        for number in range(500):
            tp_copy(what=f"kind {number}", nbytes=1)
    svg = svg_of(rec.picture())

    assert len(list(svg.iter("rect"))) == 60
    assert svg.attrib["aria-label"].endswith("440 rows not drawn")


# arguments

class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


class Odd(str):
    __slots__ = ()

    def __getitem__(self, key: Any) -> str:
        raise RuntimeError("no")


def endless() -> list[Any]:
    items: list[Any] = [1]
    items.append(items)
    return items


@pytest.mark.parametrize(("argument", "expected"), [
    (None, None), (True, True), (7, 7), (np.uint32(7), 7), (np.bool_(True), True), (1.5, "1.5"),
    ("name", "name"), ("x" * 100, "x" * 79 + "…"), (b"abc", "3 bytes"),
    (memoryview(np.zeros(8, "<u4")), "32 bytes"), (np.zeros((2, 4), "<u4"), "32 bytes"),
    (1 << 5000, "a number of 5001 bits"), ((1, "a"), "1, a"), (range(3), "range(0, 3)"),
    (list(range(99)), "99 items"), ({"a": 1}, "1 items"), (Ops(name="ops"), "ops"),
    (FreshBytes(), "FreshBytes"),
    (Unprintable(), "Unprintable"), (Odd("y" * 100), "y" * 79 + "…"), (endless(), "list"),
    ((Unprintable(),), "tuple"),
], ids=lambda value: type(value).__name__)
def test_describe_gives_a_plain_value_and_never_fails(argument: object, expected: object) -> None:
    described = describe(argument)

    assert described == expected
    assert type(described) in (int, str, bool, type(None))


def test_tracepoint_values_are_made_plain() -> None:
    """numpy's numbers would not go into JSON."""
    with Recording([]) as rec:
        tp_copy(what="x", nbytes=np.int64(5))  # type: ignore[arg-type]

    assert json.loads(json.dumps(rec.to_data()))[0]["fields"] == {"what": "x", "nbytes": 5}


# nothing stays behind

def test_recording_restores_tables_after_an_exception(ops: Ops) -> None:
    before = ops.outer
    with pytest.raises(KeyError), Recording():
        raise KeyError

    assert ops.outer is before
    assert tp_copy.probes == []


def test_recordings_nest(ops: Ops) -> None:
    """Both see the inner part, with the parameters' names; the table is restored in two steps."""
    before = ops.outer
    with Recording() as whole:
        with Recording([ops]) as part:
            assert ops.outer is not None
            ops.outer(100, "ab")
        assert isinstance(ops.outer, RecordedCall)
        ops.outer(100, "ab")

    assert ops.outer is before
    assert part.events[0].fields == {"first": 100, "second": "ab"}
    assert (part.calls() * 2, part.bytes_copied * 2) == (whole.calls(), whole.bytes_copied)


def test_depth_is_right_after_an_exception(ops: Ops) -> None:
    assert ops.inner is not None
    with Recording([ops]) as rec:
        for _ in range(2):
            with pytest.raises(NoData):
                ops.inner(1, "hole")

    assert [event.depth for event in rec.events] == [0, 1, 0, 1]


def test_table_made_while_recording_is_recorded_and_keeps_nothing(ops: Ops) -> None:
    """A learner's operation that is plugged in meanwhile: the copy of the table holds the operations
    themselves once the recording has ended."""
    with Recording() as rec:
        copy = replace(ops, name="copy", outer=None)
        assert copy.inner is not None
        copy.inner(5)

    assert rec.calls() == ["copy.inner"]
    assert copy.inner is inner


def test_plug_while_recording_leaves_no_wrapper_in_the_disk() -> None:
    vm = ZVM()
    vm.segment("SHLIB", size=1 << 20, type="SW", at=0x10000000)
    guest = vm.logon("LINUX1")
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    with Recording():
        guest.plug("dcssblk0", direct_access=lambda bdev, sector: (0, 0))
    disk = guest.kernel.disks["dcssblk0"]

    assert not isinstance(disk.fops.direct_access, RecordedCall)
    assert not isinstance(disk.fops.open, RecordedCall)


def test_operation_is_the_same_object_when_tracing_is_off(ops: Ops) -> None:
    """Off means that nothing stands between a caller and the operation."""
    before = ops.inner
    with Recording():
        pass

    assert ops.inner is before is inner


@pytest.mark.slow
def test_call_through_a_table_costs_nothing_more_after_a_recording() -> None:
    """The same call, timed before and after: a wrapper would take ten times as long."""
    table = FileOperations(name="timed", release=lambda inode, filp: None)

    def best() -> float:
        return min(timeit.repeat(lambda: table.release(None, None), number=20_000, repeat=15))  # type: ignore[misc,arg-type]

    before = best()
    with Recording([table]):
        during = best()
    after = best()

    assert after < before * 1.5
    assert during > before * 3


def test_interpose_restores_after_an_exception(ops: Ops) -> None:
    with pytest.raises(KeyError), interpose(ops, lambda name, operation: lambda *args: {}[name]):
        ops.inner(1)  # type: ignore[misc]

    assert ops.inner is inner
