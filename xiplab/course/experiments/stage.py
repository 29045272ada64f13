"""What the experiments of the notebooks have in common: actions that can be taken back, and watchers.

An experiment is a class on `Stage`. It builds a machine and changes it by methods marked `@action`:

    class Counting(Stage):
        def build(self) -> None:            the machine as it is at first; also after undo and reset
            self.total = 0

        @action
        def add(self, number: int) -> None:
            self.total += number
            self.mark("total")              marked as changed, for this action and the next three

        def sentence(self) -> str:          what the last action did, in words
            return f"The total is {self.total}."

    experiment = Counting()
    experiment.add(3)
    experiment.undo()                       the machine is built anew; all actions but the last run again
    experiment.step(), experiment.reset()
    experiment.python()                     the calls that lead to this state

The state is a function of `actions`: an action that raises leaves the machine as it was before, because
it is built anew. So whoever holds a part of the machine (a guest, a mapping) must ask for it again
after undo, reset and an error. Methods marked `@looking` change what is shown and not the machine;
undo leaves them alone, and only the last call of each is kept.

Prohibitions: an experiment depends on no time, no random number without a seed, and nothing outside.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

MARKED_STEPS = 3
"""A mark made by an action stays for so many actions more."""

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Stage")


def literal(value: object) -> str:
    """An argument as it stands in Python text: addresses in hex, functions by name."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0x1000:
        return f"{int(value):#x}"
    return getattr(value, "__name__", repr(value)) if callable(value) else repr(value)


@dataclass(frozen=True, slots=True)
class Action:
    """A call of a method of the experiment."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        named = [f"{name}={literal(value)}" for name, value in self.kwargs]
        return f"experiment.{self.name}({', '.join([*map(literal, self.args), *named])})"


def action(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Mark a method that changes the machine: it can be undone, and the watchers are told."""

    @wraps(method)
    def act(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.acting:
            return method(self, *args, **kwargs)
        inspect.signature(method).bind(self, *args, **kwargs)
        self.actions.append(Action(method.__name__, args, tuple(kwargs.items())))
        self._now = len(self.actions)
        self.acting = True
        try:
            result = method(self, *args, **kwargs)
        except Exception:
            self.actions.pop()
            self.replay()
            raise
        finally:
            self.acting = False
        self.tell()
        return result

    vars(act)["may_be_called_by_a_view"] = True
    return act


def looking(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Mark a method that only changes what is shown: the last call of it is kept through undo."""

    @wraps(method)
    def look(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        method(self, *args, **kwargs)
        if not self.acting:
            self.looks[method.__name__] = Action(method.__name__, args, tuple(kwargs.items()))
            self.tell()

    vars(look)["may_be_called_by_a_view"] = True
    return look


class Stage:
    """A machine, what was done to it, and who is told.

    Attributes:
        actions: what was done, oldest first. looks: the last call of each method marked `@looking`.
        watchers: called after each change. sequence: a number that grows with each change, last of all.
        acting: an action runs; what it calls is part of it.
        given: actions that belong to the machine as it is at first; undo and reset keep them.
        remarks: sentences that stand before the experiment's own: what is not written yet, say.
    """

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.looks: dict[str, Action] = {}
        self.watchers: list[Callable[[], None]] = []
        self.sequence = 0
        self.acting = False
        self.given: list[Action] = []
        self.remarks: list[str] = []
        self._marked: dict[str, tuple[int, str]] = {}
        self._now = 0
        self.replay()

    # ---- what an experiment provides ----

    def build(self) -> None:
        """Build the machine as it is at first."""
        raise NotImplementedError

    def sentence(self) -> str:
        """What the last action did, in words."""
        raise NotImplementedError

    # ---- what a learner does ----

    @action
    def step(self) -> None:
        """Let a step pass: marks of what has changed grow older."""

    def undo(self) -> None:
        """Take the last action back; at the start nothing happens."""
        if self.actions:
            self.actions.pop()
            self.replay()
            self.tell()

    def reset(self) -> None:
        """The machine, and what is shown of it, as at first."""
        self.actions.clear()
        self.looks.clear()
        self.replay()
        self.tell()

    # ---- how it works ----

    def replay(self) -> None:
        """Build the machine anew and run all actions again."""
        was_acting, self.acting = self.acting, True
        self._marked.clear()
        self._now = 0
        try:
            self.build()
            for before in self.given:
                getattr(self, before.name)(*before.args, **dict(before.kwargs))
            for done in self.actions:
                self._now += 1
                getattr(self, done.name)(*done.args, **dict(done.kwargs))
            for look in self.looks.values():
                getattr(self, look.name)(*look.args, **dict(look.kwargs))
        finally:
            self.acting = was_acting

    def tell(self) -> None:
        """Tell the watchers that something has changed."""
        self.sequence += 1
        for watcher in list(self.watchers):
            watcher()

    def mark(self, key: str, mark: str = "changed") -> None:
        """Mark the element `key` in every view, for this action and the next three."""
        self._marked[key] = (self._now, mark)

    def marks(self, key: str) -> list[str]:
        """The recent marks of an element."""
        when, mark = self._marked.get(key, (0, ""))
        return [mark] if mark and self._now - when <= MARKED_STEPS else []

    def python(self) -> str:
        """The calls that lead to this state; pasted into a cell they give the same picture."""
        name = type(self).__name__
        calls = map(str, (*self.given, *self.actions, *self.looks.values()))
        first = f"from {type(self).__module__} import {name}"
        return "\n".join([first, "", f"experiment = {name}()", *calls])

    def status(self) -> str:
        """The sentence, after the remarks."""
        return " ".join([*self.remarks, self.sentence()])

    def __str__(self) -> str:
        return self.status()
