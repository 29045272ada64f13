"""Tracing: one recording for pictures, scores, graders and tests.

    with Recording() as rec:          # every operation table and every tracepoint
        guest.pread(fd, 4096, 0)
    print(rec.text())                 # the calls, nested, with what they copied
    rec.bytes_copied                  # a counter
    rec.picture()                     # the same, drawn; a notebook shows it for `rec`
    Recording.from_data(rec.to_data())

Between layers the callables of an operation table are wrapped while somebody records
(`interpose`), so tracing that is off costs nothing. Inside a layer, where no table is passed,
a tracepoint stands: `if tp_copy.probes: tp_copy(what="to user", nbytes=n)`.
Fields are ints and strings, so a recording can be saved and drawn.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from typing import Any
from weakref import WeakSet

import numpy as np

from xiplab import trace_views
from xiplab.trace_views import Event, Value

LONGEST, FEW = 80, 4
"""So many letters of an argument are kept, so many items named."""


class Tracepoint:
    """A named place in the code that probes can attach to. Guard each call with `.probes`."""

    __slots__ = ("name", "probes")

    def __init__(self, name: str) -> None:
        self.name = name
        self.probes: list[Callable[[str, dict[str, Value]], None]] = []
        tracepoints[name] = self

    def __call__(self, **values: Value) -> None:
        for probe in self.probes:
            probe(self.name, values)


tracepoints: dict[str, Tracepoint] = {}

tp_copy = Tracepoint("copy")
"""Bytes of file data or metadata were copied: what (from where to where), nbytes."""
tp_fault = Tracepoint("fault")
"""A page fault was resolved: vaddr, pgoff, pfn, how ("frame", "sparse page", "copy on write")."""
tp_frame = Tracepoint("frame")
"""A guest's frame was taken or given back: guest, pfn, kind, change (+1 or -1)."""


@dataclass(eq=False, kw_only=True)
class OperationsTable:
    """A struct of function pointers; None where the operation is missing.

    Tables are the only seams of the house: a learner's function, a probe or another era's
    behaviour is put in by making another table (`dataclasses.replace`).
    """

    name: str

    def __post_init__(self) -> None:
        """A table that is made while somebody records, perhaps out of another, is recorded too."""
        for name, operation in operations(self).items():
            setattr(self, name, original(operation))
        tables.add(self)
        for recording in recordings:
            recording.join(self)

    def __str__(self) -> str:
        return self.name


tables: WeakSet[OperationsTable] = WeakSet()
recordings: list[Recording] = []
"""Those that are running and record every table."""


def operations(ops: OperationsTable) -> dict[str, Callable[..., Any]]:
    """The operations that the table has, by name."""
    return {f.name: operation for f in fields(ops) if callable(operation := getattr(ops, f.name))}


def describe(argument: object) -> Value:
    """An argument as the plain value that a recording keeps. Whatever it is, this does not fail."""
    try:
        return _describe(argument)
    except Exception:  # an argument's own __str__ or __len__ must not change what is recorded
        return type(argument).__name__


def _describe(argument: object) -> Value:
    if isinstance(argument, np.generic):
        argument = argument.item()
    if argument is None or isinstance(argument, bool):
        return argument
    if isinstance(argument, bytes | bytearray):
        return f"{len(argument)} bytes"
    if isinstance(argument, memoryview | np.ndarray):
        return f"{argument.nbytes} bytes"
    if isinstance(argument, str):
        return shortened(str(argument))
    if isinstance(argument, int):
        return int(argument) if abs(argument) < 1 << 128 else f"a number of {argument.bit_length()} bits"
    if isinstance(argument, tuple | list) and len(argument) <= FEW:
        return shortened(", ".join(f"{_describe(item)}" for item in argument))
    if isinstance(argument, tuple | list | dict | set):
        return f"{len(argument)} items"
    kind = type(argument)
    is_plain = kind.__str__ is object.__str__ and kind.__module__ != "builtins"
    return kind.__name__ if is_plain else shortened(str(argument))


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST - 1] + "…"


def describe_failure(failure: BaseException) -> str:
    """An error as a recording keeps it: "EINVAL: why", or the exception's name and message."""
    name = type(failure).__name__
    if isinstance(failure, OSError) and failure.errno is not None:
        return f"{errno.errorcode.get(failure.errno, name)}: {describe(failure.strerror)}"
    return f"{name}: {describe(failure)}"


@contextmanager
def interpose(ops: OperationsTable, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]
              ) -> Iterator[None]:
    """While the block runs, each operation of `ops` is what `wrap(name, operation)` returned."""
    before = operations(ops)
    for name, operation in before.items():
        setattr(ops, name, wrap(f"{ops.name}.{name}", operation))
    try:
        yield
    finally:
        for name, operation in before.items():
            setattr(ops, name, operation)


class RecordedCall:
    """What stands in a table for one of its operations while a recording runs."""

    __slots__ = ("function", "name", "operation", "parameters", "recording")

    def __init__(self, recording: Recording, name: str, operation: Callable[..., Any]) -> None:
        self.recording = recording
        self.name = name
        self.operation = operation
        self.function: str = getattr(original(operation), "__name__", name.rpartition(".")[2])
        self.parameters = parameters_of(original(operation))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        names = self.parameters
        described = {names[i] if i < len(names) else f"arg{i}": describe(argument)
                     for i, argument in enumerate(args)}
        described.update((name, describe(argument)) for name, argument in kwargs.items())
        event = self.recording.enter(self.name, described, self.function)
        try:
            result = self.operation(*args, **kwargs)
            event.result = describe(result)
            return result
        except BaseException as failure:
            event.error = describe_failure(failure)
            raise
        finally:
            self.recording.leave()


def original(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The operation itself, not what recordings put around it."""
    while isinstance(operation, RecordedCall):
        operation = operation.operation
    return operation


def parameters_of(operation: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters that a caller gives in order."""
    code = getattr(operation, "__code__", None)
    if code is None:
        return ()
    names: tuple[str, ...] = code.co_varnames[:code.co_argcount]
    return names[1:] if hasattr(operation, "__self__") else names


class Recording:
    """What happened while the `with` block ran. Recordings that overlap end in reverse order.

    Attributes:
        events: calls and tracepoints in order; nesting is in `depth`.
    """

    def __init__(self, ops: Iterable[OperationsTable] | None = None) -> None:
        self.events: list[Event] = []
        self._ops = None if ops is None else list(ops)
        self._depth = 0
        self._stack = ExitStack()

    def __enter__(self) -> Recording:
        for ops in list(tables) if self._ops is None else self._ops:
            self.join(ops)
        for tracepoint in tracepoints.values():
            tracepoint.probes.append(self._probe)
            self._stack.callback(tracepoint.probes.remove, self._probe)
        if self._ops is None:
            recordings.append(self)
            self._stack.callback(recordings.remove, self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def __repr__(self) -> str:
        return f"<Recording: {trace_views.summary(self.events)}>"

    def join(self, ops: OperationsTable) -> None:
        """Record the calls of this table too, until the block ends."""
        self._stack.enter_context(interpose(ops, partial(RecordedCall, self)))

    def enter(self, name: str, described: dict[str, Value], function: str = "") -> Event:
        """A call begins; what follows until leave() is inside it."""
        event = Event(name, self._depth, described, is_call=True, function=function)
        self.events.append(event)
        self._depth += 1
        return event

    def leave(self) -> None:
        self._depth -= 1

    def _probe(self, name: str, values: dict[str, Value]) -> None:
        described = {field: describe(value) for field, value in values.items()}
        self.events.append(Event(name, self._depth, described))

    def count(self, name: str) -> int:
        """How often `name` (a tracepoint, or "table.operation") occurred."""
        return sum(event.name == name for event in self.events)

    def total(self, name: str, of: str) -> int:
        """The sum of the field `of` over all events called `name`."""
        return sum(trace_views.amount(event, of) for event in self.events if event.name == name)

    @property
    def copies(self) -> int:
        return self.count("copy")

    @property
    def bytes_copied(self) -> int:
        return self.total("copy", "nbytes")

    @property
    def bytes_by_what(self) -> Counter[str]:
        """Bytes copied, by where from and to."""
        return trace_views.by_kind(self.events, "copy", "what", of="nbytes")

    @property
    def faults(self) -> int:
        return self.count("fault")

    @property
    def faults_by_how(self) -> Counter[str]:
        """Page faults, by how they were resolved."""
        return trace_views.by_kind(self.events, "fault", "how")

    @property
    def frames_by_kind(self) -> Counter[str]:
        """Frames taken less frames given back, by what they are used for."""
        return trace_views.by_kind(self.events, "frame", "kind", of="change")

    def calls(self) -> list[str]:
        """The names of the recorded calls, in order."""
        return [event.name for event in self.events if event.is_call]

    def to_data(self) -> list[dict[str, Any]]:
        """The recording as plain data (JSON)."""
        return trace_views.to_data(self.events)

    @classmethod
    def from_data(cls, data: Iterable[dict[str, Any]]) -> Recording:
        """A recording out of plain data. Raises ValueError if the data is none."""
        recording = cls()
        recording.events = trace_views.from_data(data)
        return recording

    def text(self) -> str:
        """The recording as an indented call graph."""
        return trace_views.text(self.events)

    def picture(self) -> str:
        """The recording as a drawing: HTML."""
        return trace_views.picture(self.events)

    _repr_html_ = picture
