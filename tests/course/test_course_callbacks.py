"""Functions and objects of the judge in the hands of an answer: used, misused, forged."""

from __future__ import annotations

import errno
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from xiplab.course.problem import Wrong
from xiplab.course.process import MAX_DEPTH, AnswerEnded, AnswerRaised, Limits, Worker
from xiplab.course.questions.seam import NO_DATA, seam
from xiplab.course.worker import Record
from xiplab.errors import SIGBUS, NoData, Signal
from xiplab.linux.fs.block_dev import Kaddr

SHORT = Limits(wall=3, cpu=2, asked=2000)


@dataclass(eq=False)
class Disk:
    name: str = "dcssblk0"
    secret: int = 4711


@dataclass(eq=False)
class Inode:
    i_size: int = 100
    disks: list[Disk] = field(default_factory=lambda: [Disk()])


SHOWS = {Inode: "i_size= disks", Disk: "name"}


def asked(source: str, *args: object, limits: Limits = SHORT, name: str = "answer") -> object:
    """What answer(*args) gives."""
    with Worker(limits=limits, shows=SHOWS) as worker:
        worker.run(source)
        return worker.call(name, *args)


def said(source: str, *args: object, limits: Limits = SHORT) -> str:
    """The text of what goes wrong in answer(*args)."""
    with pytest.raises((AnswerRaised, AnswerEnded)) as failure:
        asked(source, *args, limits=limits)
    return str(failure.value)


# ---- functions

def test_function_of_the_judge_runs_on_its_side() -> None:
    calls = []

    def look_up(pgoff: int, create: bool = False) -> tuple[int, int]:
        calls.append((pgoff, create))
        return pgoff * 4096, pgoff

    source = "def answer(look_up): return look_up(3)[0] + look_up(4, create=True)[1]"

    assert asked(source, look_up) == 3 * 4096 + 4
    assert calls == [(3, False), (4, True)]


def test_given_function_is_a_name_of_the_answer() -> None:
    """As an import would be; a check may exchange it later."""
    with Worker(limits=SHORT) as worker:
        worker.give("ext2_get_block", lambda pgoff: pgoff + 10)
        worker.run("first = ext2_get_block(1)\ndef answer(pgoff): return first, ext2_get_block(pgoff)")

        assert worker.call("answer", 5) == (11, 15)
        worker.give("ext2_get_block", lambda pgoff: 0)
        assert worker.call("answer", 5) == (11, 0)


def test_objects_handed_back_are_the_judges_own() -> None:
    """Live objects, records, functions and what lies in lists: the very same."""
    inode, record = Inode(), Record(start=1)
    got: list[object] = []
    source = "def answer(take, inode, record): take(inode, record, [inode.disks[0]], take); return record"

    assert asked(source, lambda *things: got.extend(things) or got[3], inode, record) is record
    assert got[0] is inode
    assert got[1] is record
    assert got[2] == inode.disks


def test_fields_are_live_in_both_directions() -> None:
    inode = Inode()

    def grow() -> None:
        inode.i_size += 1

    source = ("def answer(inode, grow):\n    before = inode.i_size\n    grow()\n"
              "    inode.i_size = inode.i_size + 10\n    return before, inode.i_size")

    assert asked(source, inode, grow) == (100, 111)
    assert inode.i_size == 111


def test_same_object_is_the_same_in_the_answer() -> None:
    inode = Inode()

    assert asked("def answer(a, b): return a is b and a.disks[0] is b.disks[0]", inode, inode) is True


@pytest.mark.parametrize(("use", "text"), [
    ("inode.disks[0].secret", "cannot see it"), ("inode.disks[0].__class__.secret", "secret"),
    ("setattr(inode.disks[0], 'name', 'x')", "cannot set it"), ("inode._things", "no _things"),
    ("inode.i_size.nothing", "AttributeError")])
def test_other_fields_are_not_there(use: str, text: str) -> None:
    inode = Inode()

    assert text in said(f"def answer(inode): return {use}", inode)
    assert inode.disks[0].name == "dcssblk0"


def test_judges_own_kinds_of_numbers_and_tables_go_as_plain_ones() -> None:
    """An address of the model is an int of its own kind; a Counter is a dict."""
    source = "def answer(*values): return [type(value).__name__ for value in values]"

    assert asked(source, Kaddr(4096), Counter("aab"), True) == ["int", "dict", "bool"]


def test_object_that_is_not_shown_is_the_checks_mistake() -> None:
    with Worker(limits=SHORT) as worker, pytest.raises(TypeError, match="`shows` does not name it"):
        worker.call("answer", Inode())


def test_answer_may_be_called_while_it_runs() -> None:
    """A function of the judge calls the answer again: a read goes through the answer's own look-up."""
    source = ("def look_up(n): return n * 2\n"
              "def answer(through): return through(20) + 2")
    with Worker(limits=SHORT) as worker:
        worker.run(source)

        assert worker.call("answer", lambda n: worker.call("look_up", n)) == 42


# ---- errors

def test_error_of_a_function_has_its_errno_in_the_answer() -> None:
    def hole(pgoff: int) -> None:
        raise NoData(f"page {pgoff} is a hole")

    source = ("import errno\ndef answer(hole):\n    try: hole(3)\n"
              "    except OSError as failure: return failure.errno == errno.ENODATA, failure.strerror")

    assert asked(source, hole) == (True, "page 3 is a hole")


def test_hole_is_nodata_for_an_answer_that_knows_it() -> None:
    def hole() -> None:
        raise NoData("x")

    source = "def answer(hole):\n    try: hole()\n    except NoData: return 'zeros'"

    assert asked(NO_DATA + source, hole) == "zeros"
    assert asked("from xiplab.errors import NoData\n" + source, hole) == "zeros"


def test_error_that_passes_through_the_answer_is_the_judges_own() -> None:
    """The model gets back what its own function raised; an error of the answer gets its errno."""
    bus = Signal(SIGBUS, 4096, "behind the end")

    def fail(failure: Exception) -> None:
        raise failure

    with Worker(limits=SHORT) as worker:
        worker.run("def answer(fail): fail()\ndef own():\n    raise OSError(61, 'a hole')")
        with pytest.raises(Signal) as passed:
            seam(worker, "answer")(lambda: fail(bus))
        with pytest.raises(NoData):
            seam(worker, "own")()
        with pytest.raises(AnswerRaised) as raised:
            worker.call("answer", lambda: fail(OSError(errno.ENOSPC, "full")))

    assert passed.value is bus
    assert (raised.value.errno, raised.value.text) == (errno.ENOSPC, "[Errno 28] full")


def test_wrong_argument_is_the_answers_error() -> None:
    def double(pgoff: int) -> int:
        return pgoff + 1

    assert said("def answer(double): return double('x')", double).startswith("TypeError")
    assert "positional argument" in said("def answer(double): return double()", double)
    assert "plain data" in said("def answer(double): return double(object())", double)
    assert "plain data" in said("def answer(double): return double([lambda: 1])", double)


def test_verdict_of_a_function_cannot_be_caught() -> None:
    """The answer swallows everything; the judge says what it has seen all the same, and goes on."""
    def forbidden() -> None:
        raise Wrong("You asked for page 7.")

    source = ("def answer(f):\n    try: f()\n    except BaseException: pass\n    return 1\n"
              "def loop(f):\n    while True:\n        try: f()\n        except BaseException: pass\n"
              "def end(f):\n    try: f()\n    except BaseException:\n        import os\n        os._exit(0)")
    with Worker(limits=SHORT) as worker:
        worker.run(source)
        with pytest.raises(Wrong, match="page 7"):
            worker.call("answer", forbidden)
        with pytest.raises(Wrong, match="page 7"):
            worker.call("answer", lambda: worker.call("answer", forbidden))

        assert worker.call("answer", lambda: None) == 1
        with pytest.raises(Wrong, match="page 7"):
            worker.call("loop", forbidden)
    with pytest.raises(Wrong, match="page 7"):
        asked(source, forbidden, name="end")


# ---- attacks

def test_function_called_in_a_loop_is_stopped() -> None:
    """By number, and by time when each call is slow."""
    started = time.monotonic()
    source = "def answer(f):\n    while True: f()"

    assert "more than 2,000 times" in said(source, lambda: None)
    assert "not done after 1 seconds" in said(source, lambda: time.sleep(0.01), limits=Limits(wall=1))
    assert time.monotonic() - started < 5


def test_too_much_data_is_stopped() -> None:
    assert "more than 1 MiB" in said("def answer(f): f(b'x' * (1 << 20))", lambda data: None)


def test_endless_recursion_over_the_pipe_is_stopped() -> None:
    depth = []
    with Worker(limits=SHORT) as worker:
        worker.run("def answer(again): return again()")

        def again() -> object:
            depth.append(1)
            return worker.call("answer", again)

        with pytest.raises(AnswerEnded, match=f"each other {MAX_DEPTH} deep"):
            worker.call("answer", again)

    assert len(depth) == MAX_DEPTH


def test_function_is_not_there_for_threads_nor_later() -> None:
    """A thread of the answer, an exit handler, a call after the answer has come back: nothing is asked."""
    calls = []
    source = ("import threading, atexit\nkept = []\n"
              "def answer(f):\n    said = []\n    kept.append(f)\n    atexit.register(f)\n"
              "    def ask():\n        try: f()\n"
              "        except RuntimeError as failure: said.append(str(failure))\n"
              "    try:\n        thread = threading.Thread(target=ask)\n        thread.start()\n"
              "        thread.join()\n    except RuntimeError: said.append('the thread that was called')\n"
              "    return said\n"
              "def later(): return kept[0]()\n")
    with Worker(limits=SHORT) as worker:
        worker.run(source)
        text, = worker.call("answer", lambda: calls.append(1))

        assert "the thread that was called" in text
        assert calls == []
        worker.call("later")

    assert calls == [1]


@pytest.mark.parametrize("question", [
    "{'call': 99, 'args': [], 'named': {}}", "{'call': -1, 'args': [], 'named': {}}", "{'call': 0}",
    "{'get': 'i_size', 'of': 0}", "{'get': 'i_size', 'of': 10**30}", "{'exec': '1'}", "7", "None",
    "{'call': 0, 'args': [{'handle': 1}], 'named': {}}",
    "{'call': 0, 'args': [{'handle': '0'}], 'named': {}}",
    "{'call': 0, 'args': [{'record': [0, 'x', {}]}], 'named': {}}",
    "{'call': 0, 'args': [{'set': [{'list': []}]}], 'named': {}}"])
def test_forged_question_or_handle_gives_nothing(question: str) -> None:
    """The answer uses the worker's own link: a number that it was not given is no object."""
    calls: list[object] = []
    source = f"def answer(f): return f._link.ask({question})"

    assert said(source, lambda *args: calls.append(args))
    assert calls == []


@pytest.mark.parametrize("line", [
    "{'n': 2, 'value': 7}", "{'n': 1, 'value': 7}", "{'n': 3, 'ask': {}}", "{'said': 7}",
    "{'n': 2, 'error': {'type': 'Wrong', 'errno': None, 'text': '', 'trace': []}, 'passed': 0}",
    "{'n': 2, 'value': {'handle': 5}}"])
def test_forged_line_between_question_and_reply_is_only_a_value(line: str) -> None:
    """It takes its own call's place, at most; what follows no longer fits, and the process is stopped."""
    source = f"def answer(f):\n    f._link.write({line})\n    return f()"
    with Worker(limits=SHORT) as worker:
        worker.run(source)
        try:
            value = worker.call("answer", lambda: 1)
        except (AnswerRaised, AnswerEnded):
            value = 7

        assert value == 7


def test_forged_exception_is_none_of_the_judges() -> None:
    """An answer that claims to let pass what the judge never raised."""
    forged = "{'n': 2, 'passed': 0, 'error': {'type': 'Signal', 'errno': None, 'text': '', 'trace': []}}"
    with Worker(limits=SHORT) as worker:
        worker.run(f"def answer(f):\n    f._link.write({forged})")
        with pytest.raises((AnswerRaised, AnswerEnded)) as raised:
            worker.call("answer", lambda: 1)

    assert getattr(raised.value, "passed", None) is None


def test_argument_of_no_use_ends_the_check_and_not_the_judge() -> None:
    """The judge's function stumbles over None: that is the answer's failure."""
    def page_of(mapping: Inode) -> int:
        return mapping.i_size

    with Worker(limits=SHORT, shows=SHOWS) as worker:
        worker.run("def answer(page_of): return page_of(None)")

        with pytest.raises(AnswerRaised, match="i_size"):
            seam(worker, "answer")(page_of)
