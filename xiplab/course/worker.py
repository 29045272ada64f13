"""The process in which a learner's answer runs.

The judge starts this file as a script, one process for each question, and never uses it again. It
imports nothing but the standard library, so it holds no expected value, no check and no solution.

    judge                                        worker
    {"limits": ..., "masked": ..., "path": ...}  ->  limits itself
    {"n": 1, "run": source}                      ->  runs the answer's cell
    {"n": 2, "call": name, "args": [...]}        ->  calls one function of it
    {"n": 3, "value": name}                      ->  reads one global of it
    {"n": 4, "give": name, "value": ...}         ->  sets one
                <-  {"n": 2, "value": ...}   or   {"n": 2, "error": {...}}

While request 2 runs, the answer may ask the judge, which may call the answer again before it replies:

                <-  {"n": 2, "ask": {"call": 7, "args": [...], "named": {...}}}     function number 7
                <-  {"n": 2, "ask": {"get": "host", "of": 4}}                       a field of object 4
                <-  {"n": 2, "ask": {"set": "i_size", "of": 5, "value": 9}}
    {"said": ...}   or   {"failed": {...}}       ->

One line of JSON each way, on the descriptors that were standard input and output; everything that
the answer prints goes to standard error. Values are plain data of exact types: None, bool, int,
float, str, bytes, list, tuple, set, dict. What else the judge hands over it keeps: the answer gets a
number, as a Record, a Thing or a Function, and what it hands back is a number again. Any other object
of the answer is refused, so a value that claims to equal everything never reaches the judge.

This stops accidents and easy forgeries. It is no wall against a determined attacker: for that,
the judge puts a sandbox around the process (process.py, `wrap`).
"""

from __future__ import annotations

import _thread
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import json
import linecache
import os
import resource
import sys
import traceback
from collections.abc import Callable, Collection
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any, BinaryIO

ANSWER = "<your answer>"
PLAIN_ERRORS = (TypeError, ValueError, KeyError, IndexError, AttributeError, ZeroDivisionError, OverflowError,
                NotImplementedError)


class Record(SimpleNamespace):
    """The fields of one of the judge's objects that an answer may look at, as they were."""


def encode(value: object, hand_over: Callable[[object], Any]) -> Any:
    """`value` as JSON data; `hand_over` does so for what is no plain data, or raises TypeError."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is bytes:
        return {"bytes": value.hex()}
    if type(value) is list or type(value) is tuple or type(value) is set:
        return {type(value).__name__: [encode(item, hand_over) for item in value]}
    if type(value) is dict:
        return {"dict": [[encode(key, hand_over), encode(item, hand_over)] for key, item in value.items()]}
    return hand_over(value)


def decode(data: Any, take: Callable[[str, Any], Any]) -> Any:
    """The value that `encode` wrote; `take` reads what is no plain data, or raises ValueError."""
    if not isinstance(data, dict):
        return data
    (kind, content), = data.items()
    match kind:
        case "bytes":
            return bytes.fromhex(content)
        case "list":
            return [decode(item, take) for item in content]
        case "tuple":
            return tuple(decode(item, take) for item in content)
        case "set":
            return {decode(item, take) for item in content}
        case "dict":
            return {decode(key, take): decode(item, take) for key, item in content}
    return take(kind, content)


def type_name(kind: type) -> str:
    """A type as people write it: int, numpy.int64, Answer."""
    own = kind.__module__ in ("builtins", "answer")
    return kind.__name__ if own else f"{kind.__module__}.{kind.__name__}"


class Function:
    """A function of the judge; calling it asks the judge."""

    def __init__(self, link: Link, number: int, name: str) -> None:
        self._link, self._number, self.__name__ = link, number, name

    def __call__(self, *args: object, **named: object) -> Any:
        encoded = [self._link.encode(arg) for arg in args]
        return self._link.ask({"call": self._number, "args": encoded,
                               "named": {name: self._link.encode(arg) for name, arg in named.items()}})

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"


class Thing:
    """An object of the judge; its fields are asked for when they are read, and some may be set."""

    def __init__(self, link: Link, number: int, kind: str) -> None:
        vars(self).update(_link=link, _number=number, _kind=kind)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{self._kind} has no {name}")
        return self._link.ask({"get": name, "of": self._number})

    def __setattr__(self, name: str, value: object) -> None:
        self._link.ask({"set": name, "of": self._number, "value": self._link.encode(value)})

    def __repr__(self) -> str:
        return f"<{self._kind}>"


def mask_functions(source: str, names: Collection[str]) -> str:
    """A module's source in which these functions are empty; every line keeps its number."""
    lines, end = source.encode().splitlines(keepends=True), 0
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for node in sorted(functions, key=lambda node: node.lineno):
        first, last = node.body[0], node.end_lineno or 0
        if node.name not in names or node.lineno <= end:
            continue
        text = f"raise NotImplementedError({f'{node.name} is what this question asks you to write'!r})\n"
        lines[first.lineno - 1] = lines[first.lineno - 1][:first.col_offset] + text.encode()
        lines[first.lineno:last] = [b"\n"] * (last - first.lineno)
        end = last
    return b"".join(lines).decode()


class MaskedLoader(importlib.machinery.SourceFileLoader):
    """Loads a module in which some functions are empty: those that the question asks for."""

    masked: frozenset[str] = frozenset()

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = importlib.util.decode_source(self.get_data(path))
        return compile(mask_functions(source, self.masked), path, "exec")


class MaskedFinder(importlib.abc.MetaPathFinder):
    """Keeps the masked functions, and the judge's own modules, from an answer.

    Attributes:
        masked: function names by module.
    """

    def __init__(self, masked: dict[str, list[str]]) -> None:
        self.masked = masked

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None
                  ) -> importlib.machinery.ModuleSpec | None:
        if fullname.startswith("xiplab.course"):
            raise ImportError(f"{fullname} belongs to the judge; an answer cannot use it")
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if fullname in self.masked and spec is not None and spec.origin is not None:
            spec.loader = loader = MaskedLoader(fullname, spec.origin)
            loader.masked = frozenset(self.masked[fullname])
            return spec
        return None


def limit_resources(limits: dict[str, int]) -> None:
    """Set the limits that this system knows ("AS", "CPU", "FSIZE", ...), for good.

    The hard limit is one more than the soft one: at the soft limit of CPU time the process gets
    SIGXCPU, which tells the judge why it ended; at the hard limit SIGKILL.
    """
    for name, soft in limits.items():
        which = getattr(resource, f"RLIMIT_{name}", None)
        if which is not None:
            hard = resource.getrlimit(which)[1]
            if hard == resource.RLIM_INFINITY or hard > soft:
                resource.setrlimit(which, (soft, soft + 1))


def describe_failure(failure: BaseException) -> dict[str, Any]:
    """An exception as plain data; only the answer's own lines of the traceback are kept."""
    frames = [f for f in traceback.extract_tb(failure.__traceback__) if f.filename == ANSWER]
    lines = [f"line {f.lineno}: {f.line}" for f in frames]
    if isinstance(failure, SyntaxError) and failure.filename == ANSWER:
        lines = [f"line {failure.lineno}: {(failure.text or '').strip()}"]
    errno = failure.errno if isinstance(failure, OSError) else None
    text = failure.msg if isinstance(failure, SyntaxError) else str(failure)
    return {"type": type(failure).__name__, "errno": errno if type(errno) is int else None,
            "text": str(text)[:500], "trace": lines[-4:]}


def failure_of(report: dict[str, Any], names: dict[str, Any]) -> Exception:
    """The exception of a function of the judge, as the answer gets it; `names` may know its NoData."""
    kind, number, text = report["type"], report["errno"], report["text"]
    no_data = names.get("NoData")
    if kind == "NoData" and isinstance(no_data, type) and issubclass(no_data, OSError):
        failure: Exception = no_data(text)
    elif number is not None:
        failure = OSError(number, text)
    else:
        known = next((error for error in PLAIN_ERRORS if error.__name__ == kind), None)
        failure = known(text) if known else RuntimeError(f"{kind}: {text}")
    return failure


class Answer:
    """The learner's cell and the names it defined."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "answer", "__builtins__": __builtins__}

    def run(self, source: str) -> None:
        linecache.cache[ANSWER] = (len(source), None, source.splitlines(keepends=True), ANSWER)
        exec(compile(source, ANSWER, "exec", dont_inherit=True), self.names)


class Link:
    """The two pipes to the judge: requests come and are answered, and the answer may ask back.

    Attributes:
        held: what the judge has handed over, by number. thread: the one that serves requests.
        requests: the numbers of those that run, the innermost last.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self.incoming, self.outgoing = incoming, outgoing
        self.answer = Answer()
        self.held: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.passed: dict[int, tuple[BaseException, int]] = {}
        self.thread = _thread.get_ident()
        self.requests: list[int] = []

    def encode(self, value: object) -> Any:
        return encode(value, self._hand_back)

    def decode(self, data: Any) -> Any:
        return decode(data, self._take)

    def _hand_back(self, value: object) -> Any:
        if id(value) not in self.numbers:
            raise TypeError(f"an answer cannot hand over a value of type {type_name(type(value))}, "
                            "only plain data")
        return {"handle": self.numbers[id(value)]}

    def _take(self, kind: str, content: Any) -> Any:
        number, name, fields = content
        if number not in self.held:
            makers: dict[str, Callable[[], Any]] = {
                "record": Record, "thing": lambda: Thing(self, number, name),
                "function": lambda: Function(self, number, name)}
            thing = makers[kind]()
            self.held[number], self.numbers[id(thing)] = thing, number
        if kind == "record":
            vars(self.held[number]).update({field: self.decode(value) for field, value in fields.items()})
        return self.held[number]

    def ask(self, question: dict[str, Any]) -> Any:
        """Ask the judge; meanwhile it may call the answer.

        Raises:
            RuntimeError: outside of a request, or from another thread. What the judge's function raises.
        """
        if not self.requests or _thread.get_ident() != self.thread:
            raise RuntimeError("the judge's objects and functions are there while your function runs, for "
                               "the thread that was called")
        self.write({"n": self.requests[-1], "ask": question})
        while True:
            message = json.loads(self.incoming.readline())
            if "said" in message:
                return self.decode(message["said"])
            if "failed" in message:
                failure = failure_of(message["failed"], self.answer.names)
                self.passed[id(failure)] = failure, message["failed"]["number"]
                raise failure
            self.serve(message)

    def serve(self, request: dict[str, Any]) -> None:
        """Perform one request and reply; whatever the answer does ends as one line."""
        self.requests.append(request["n"])
        try:
            reply = {"n": request["n"], "value": self.encode(self.perform(request))}
            json.dumps(reply)
        except BaseException as failure:
            reply = {"n": request["n"], "error": describe_failure(failure),
                     "passed": self.passed.get(id(failure), (None, None))[1]}
        finally:
            self.requests.pop()
            flush_output()
        self.write(reply)

    def perform(self, request: dict[str, Any]) -> Any:
        match request:
            case {"run": source}:
                return self.answer.run(source)
            case {"call": name, "args": args}:
                return self.answer.names[name](*[self.decode(arg) for arg in args])
            case {"give": name, "value": value}:
                self.answer.names[name] = self.decode(value)
                return None
            case {"value": name}:
                return self.answer.names.get(name)
        raise ValueError("unknown request")

    def write(self, message: dict[str, Any]) -> None:
        self.outgoing.write(json.dumps(message).encode() + b"\n")
        self.outgoing.flush()


def flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            continue


def take_channels() -> tuple[BinaryIO, BinaryIO]:
    """The judge's two pipes; standard input is then empty and standard output goes to error."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return requests, replies


def main() -> None:
    requests, replies = take_channels()
    setting = json.loads(requests.readline())
    sys.path.extend(setting["path"])
    sys.meta_path.insert(0, MaskedFinder(setting["masked"]))
    limit_resources(setting["limits"])
    link = Link(requests, replies)
    for line in requests:
        link.serve(json.loads(line))


if __name__ == "__main__":
    main()
