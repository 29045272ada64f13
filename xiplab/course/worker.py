"""The process in which a learner's answer runs.

The judge starts this file as a script, one process for each question, and never uses it again. It
imports nothing but the standard library, so it holds no expected value, no check and no solution.

    judge                                        worker
    {"limits": ..., "masked": ..., "path": ...}  ->  limits itself
    {"n": 1, "run": source}                      ->  runs the answer's cell
    {"n": 2, "call": name, "args": [...]}        ->  calls one function of it
    {"n": 3, "value": name}                      ->  reads one global of it
                <-  {"n": 2, "value": ...}   or   {"n": 2, "error": {...}}

One line of JSON each way, on the descriptors that were standard input and output; everything that
the answer prints goes to standard error. Values are plain data of exact types: None, bool, int,
float, str, bytes, list, tuple, set, dict, and Record for the judge's objects. A subclass or any
other object is refused, so a value that claims to equal everything never reaches the judge.

This stops accidents and easy forgeries. It is no wall against a determined attacker: for that,
the judge puts a sandbox around the process (process.py, `wrap`).
"""

from __future__ import annotations

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
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any, BinaryIO

ANSWER = "<your answer>"


class Record(SimpleNamespace):
    """The fields of one of the judge's objects that an answer may look at."""


def encode(value: object) -> Any:
    """`value` as JSON data.

    Raises:
        TypeError: for anything that is not plain data.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is bytes:
        return {"bytes": value.hex()}
    if type(value) is list or type(value) is tuple or type(value) is set:
        return {type(value).__name__: [encode(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if type(value) is Record:
        return {"record": {name: encode(item) for name, item in vars(value).items()}}
    raise TypeError(f"an answer cannot hand over a value of type {type_name(type(value))}, only plain data")


def type_name(kind: type) -> str:
    """A type as people write it: int, numpy.int64, Answer."""
    own = kind.__module__ in ("builtins", "answer")
    return kind.__name__ if own else f"{kind.__module__}.{kind.__name__}"


def decode(data: Any) -> Any:
    """The value that `encode` wrote. Raises ValueError for anything else."""
    if not isinstance(data, dict):
        return data
    (kind, content), = data.items()
    match kind:
        case "bytes":
            return bytes.fromhex(content)
        case "list":
            return [decode(item) for item in content]
        case "tuple":
            return tuple(decode(item) for item in content)
        case "set":
            return {decode(item) for item in content}
        case "dict":
            return {decode(key): decode(item) for key, item in content}
        case "record":
            return Record(**{name: decode(item) for name, item in content.items()})
    raise ValueError(f"no value is called {kind}")


class MaskedLoader(importlib.machinery.SourceFileLoader):
    """Loads a module in which some functions are empty: those that the question asks for."""

    masked: frozenset[str] = frozenset()

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in self.masked:
                text = f"{node.name} is what this question asks you to write"
                node.body = ast.parse(f"raise NotImplementedError({text!r})").body
        return compile(tree, path, "exec")


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


class Answer:
    """The learner's cell and the names it defined."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "answer", "__builtins__": __builtins__}

    def run(self, source: str) -> None:
        linecache.cache[ANSWER] = (len(source), None, source.splitlines(keepends=True), ANSWER)
        exec(compile(source, ANSWER, "exec", dont_inherit=True), self.names)

    def perform(self, request: dict[str, Any]) -> Any:
        match request:
            case {"run": source}:
                return self.run(source)
            case {"call": name, "args": args}:
                return self.names[name](*decode(args))
            case {"value": name}:
                return self.names.get(name)
        raise ValueError("unknown request")

    def reply(self, request: dict[str, Any]) -> bytes:
        """Perform one request; whatever the answer does ends as one line."""
        try:
            outcome = {"n": request["n"], "value": encode(self.perform(request))}
            return json.dumps(outcome).encode()
        except BaseException as failure:
            return json.dumps({"n": request["n"], "error": describe_failure(failure)}).encode()
        finally:
            flush_output()


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
    answer = Answer()
    for line in requests:
        replies.write(answer.reply(json.loads(line)) + b"\n")
        replies.flush()


if __name__ == "__main__":
    main()
