"""What the judge hands to an answer and keeps: its own objects and functions, by number.

    judge                          answer
    a Record                  ->   a Record: its fields, as they were
    an object of `shows`      ->   a Thing: the named fields, asked for each time they are read
    a function                ->   a Function: calling it runs the judge's, on the judge's side

What the answer hands back is a number, and so again the judge's own object. A number that was never
given is no object: the answer's process is stopped for it.

`shows` names by type what an answer may see, with `=` behind what it may set:

    {AddressSpace: "host", Inode: "i_sb i_size=", SuperBlock: "s_bdev"}

Nothing else of these objects is there for it. A function gets whatever the answer says: numbers of any
size, and objects of the wrong kind. What it raises is raised in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xiplab.course import worker
from xiplab.course.worker import Record

Shows = Mapping[type, str]
PLAIN: tuple[type[Any], ...] = (int, float, str, bytes, dict, list, tuple, set)
"""The judge's own subclasses of these (an address, a Counter) go as what they are made of."""


class Handles:
    """The judge's objects that one answer has seen.

    Attributes:
        failures: what the judge's functions raised in this answer.
    """

    def __init__(self, shows: Shows) -> None:
        self.shows = {kind: fields.split() for kind, fields in shows.items()}
        self.failures: list[Exception] = []
        self._things: list[object] = []
        self._numbers: dict[int, int] = {}

    def encode(self, value: object) -> Any:
        """`value` as JSON data. Raises TypeError for what an answer must not see."""
        return worker.encode(value, self._hand_over)

    def decode(self, data: Any) -> Any:
        """What an answer handed over. Raises ValueError for what cannot be."""
        return worker.decode(data, self._take)

    def perform(self, question: dict[str, Any]) -> Any:
        """What the answer asks for. Raises what the function raises, and as `decode`."""
        match question:
            case {"call": int(number), "args": list(args), "named": dict(named)}:
                function = self._function(number)
                return function(*[self.decode(arg) for arg in args],
                                **{name: self.decode(arg) for name, arg in named.items()})
            case {"get": str(name), "of": int(number)}:
                self._check_field(number, name, (name, f"{name}="))
                return getattr(self._thing(number), name)
            case {"set": str(name), "of": int(number), "value": data}:
                self._check_field(number, name, (f"{name}=",))
                return setattr(self._thing(number), name, self.decode(data))
        raise Forged("an unknown question")

    def report(self, failure: Exception) -> dict[str, Any]:
        """An exception of the judge's function, for the answer."""
        self.failures.append(failure)
        number = failure.errno if isinstance(failure, OSError) else None
        text = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        return {"type": type(failure).__name__, "errno": number, "text": text,
                "number": len(self.failures) - 1}

    def forget(self) -> None:
        """Hold nothing any more: the answer has ended."""
        self.failures.clear()
        self._things.clear()
        self._numbers.clear()

    def passed_on(self, number: object) -> Exception | None:
        """The exception of the judge's that the answer let pass."""
        if not isinstance(number, int) or not 0 <= number < len(self.failures):
            return None
        return self.failures[number]

    def fields_of(self, thing: object) -> list[str] | None:
        """The fields that an answer may see; None if it must not see the object at all."""
        return next((self.shows[kind] for kind in type(thing).__mro__ if kind in self.shows), None)

    def _hand_over(self, value: object) -> Any:
        name = type(value).__name__
        if type(value) is Record:
            fields = {field: self.encode(item) for field, item in vars(value).items()}
            return {"record": [self._number(value), name, fields]}
        plain = next((kind for kind in PLAIN if isinstance(value, kind)), None)
        if plain is not None:
            return self.encode(plain(value))
        if self.fields_of(value) is not None:
            return {"thing": [self._number(value), name, None]}
        if callable(value):
            return {"function": [self._number(value), getattr(value, "__name__", name), None]}
        raise TypeError(f"an answer cannot be given a value of type {worker.type_name(type(value))}: it is "
                        "no plain data, and `shows` does not name it")

    def _take(self, kind: str, content: Any) -> Any:
        if kind != "handle":
            raise Forged(f"no value is called {kind}")
        return self._thing(content)

    def _number(self, thing: object) -> int:
        if id(thing) not in self._numbers:
            self._numbers[id(thing)] = len(self._things)
            self._things.append(thing)
        return self._numbers[id(thing)]

    def _thing(self, number: object) -> Any:
        if type(number) is not int or not 0 <= number < len(self._things):
            raise Forged(f"no object has the number {number}")
        return self._things[number]

    def _function(self, number: int) -> Any:
        function = self._thing(number)
        if not callable(function):
            raise Forged(f"object {number} is no function")
        return function

    def _check_field(self, number: int, name: str, spelled: tuple[str, ...]) -> None:
        thing = self._thing(number)
        if not set(spelled) & set(self.fields_of(thing) or ()):
            action = "set" if len(spelled) == 1 else "see"
            raise AttributeError(f"{name} of {type(thing).__name__}: an answer cannot {action} it")


class Forged(ValueError):
    """A message that the worker's own code never writes."""
