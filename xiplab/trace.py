"""Tracing: one recording for pictures, scores, graders and tests.

    with Recording() as rec:          # every operation table and every tracepoint
        guest.pread(fd, 4096, 0)
    print(rec.text())                 # the calls, nested, with what they copied
    rec.bytes_copied                  # a counter

Between layers the callables of an operation table are wrapped while somebody records
(`interpose`), so tracing that is off costs nothing. Inside a layer, where no table is passed,
a tracepoint stands: `if tp_copy.probes: tp_copy(what="to user", nbytes=n)`.
Fields are ints and strings, so a recording can be saved and drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias
from weakref import WeakSet

Value: TypeAlias = int | str | None


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
        tables.add(self)

    def __str__(self) -> str:
        return self.name


tables: WeakSet[OperationsTable] = WeakSet()


@dataclass(slots=True)
class Event:
    """One call or one tracepoint. `depth` counts the recorded calls around it."""

    name: str
    depth: int
    fields: dict[str, Value] = field(default_factory=dict)
    result: Value = None
    error: str = ""
    is_call: bool = False


def describe(argument: object) -> Value:
    """An argument as the plain value that a recording keeps."""
    if argument is None or isinstance(argument, int | str):
        return argument
    if isinstance(argument, bytes | bytearray | memoryview):
        return f"{len(argument)} bytes"
    if isinstance(argument, tuple):
        return ", ".join(str(describe(item)) for item in argument)
    if type(argument).__str__ is object.__str__:
        return type(argument).__name__
    return str(argument)


@contextmanager
def interpose(ops: OperationsTable, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]
              ) -> Iterator[None]:
    """While the block runs, each operation of `ops` is what `wrap(name, operation)` returned."""
    original = {f.name: getattr(ops, f.name) for f in fields(ops) if callable(getattr(ops, f.name))}
    for name, operation in original.items():
        setattr(ops, name, wrap(f"{ops.name}.{name}", operation))
    try:
        yield
    finally:
        for name, operation in original.items():
            setattr(ops, name, operation)


class Recording:
    """What happened while the `with` block ran.

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
            self._stack.enter_context(interpose(ops, self._wrap))
        for tracepoint in tracepoints.values():
            tracepoint.probes.append(self._probe)
            self._stack.callback(tracepoint.probes.remove, self._probe)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def _probe(self, name: str, values: dict[str, Value]) -> None:
        self.events.append(Event(name, self._depth, values))

    def _wrap(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        parameters = operation.__code__.co_varnames if hasattr(operation, "__code__") else ()

        def recorded(*args: Any) -> Any:
            named = {parameters[i] if i < len(parameters) else f"arg{i}": describe(argument)
                     for i, argument in enumerate(args)}
            event = Event(name, self._depth, named, is_call=True)
            self.events.append(event)
            self._depth += 1
            try:
                result = operation(*args)
                event.result = describe(result)
                return result
            except Exception as failure:
                event.error = str(failure)
                raise
            finally:
                self._depth -= 1

        return recorded

    def count(self, name: str) -> int:
        """How often `name` (a tracepoint, or "table.operation") occurred."""
        return sum(event.name == name for event in self.events)

    def total(self, name: str, of: str) -> int:
        """The sum of the field `of` over all events called `name`."""
        return sum(int(event.fields[of] or 0) for event in self.events if event.name == name)

    @property
    def copies(self) -> int:
        return self.count("copy")

    @property
    def bytes_copied(self) -> int:
        return self.total("copy", "nbytes")

    @property
    def faults(self) -> int:
        return self.count("fault")

    def calls(self) -> list[str]:
        """The names of the recorded calls, in order."""
        return [event.name for event in self.events if event.is_call]

    def to_data(self) -> list[dict[str, Any]]:
        """The recording as plain data (JSON)."""
        return [{"name": e.name, "depth": e.depth, "fields": dict(e.fields), "result": e.result,
                 "error": e.error, "is_call": e.is_call} for e in self.events]

    def text(self) -> str:
        """The recording as an indented call graph, one line an event."""
        return "\n".join(_line(event) for event in self.events)


def _line(event: Event) -> str:
    values = ", ".join(f"{name}={value}" for name, value in event.fields.items())
    indent = "  " * event.depth
    if not event.is_call:
        return f"{indent}* {event.name}: {values}"
    outcome = f"  !! {event.error}" if event.error else f" -> {event.result}"
    return f"{indent}{event.name}({values}){outcome}"
