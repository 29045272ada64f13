"""The worker process: plain data only, limits, and the attacks that it must survive."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from xiplab.course.process import AnswerEnded, AnswerRaised, Limits, Worker
from xiplab.course.worker import Record
from xiplab.units import MiB

SHORT = Limits(wall=3, cpu=1)


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker(limits=SHORT) as started:
        yield started


def outcome(source: str, name: str = "answer", limits: Limits = SHORT, **options: object) -> object:
    """What the judge gets for a cell: the value of answer(), or the text of what went wrong."""
    with Worker(limits=limits, **options) as worker:  # type: ignore[arg-type]
        try:
            worker.run(source)
            return worker.call(name)
        except (AnswerRaised, AnswerEnded) as failure:
            return str(failure)


@pytest.mark.parametrize("value", [
    None, True, -1, 10**40, 1.5, "a\nb", b"\x00\xff", [1, [2]], (1, (b"x",)), {"a": (1,), 2: None}, {1, 2},
    Record(start=1, inner=Record(end=2))], ids=repr)
def test_plain_data_and_records_come_back_as_they_went(worker: Worker, value: object) -> None:
    worker.run("def answer(value): return value")
    again = worker.call("answer", value)

    assert again == value
    assert type(again) is type(value)


def test_call_runs_the_answers_function(worker: Worker) -> None:
    """Arguments go as plain data and records, the value comes back as plain data."""
    worker.run("def direct_access(bdev, sector): return bdev.start + sector, 'x'")

    assert worker.call("direct_access", Record(start=4096), 8) == (4104, "x")


def test_value_reads_a_global(worker: Worker) -> None:
    worker.run("SITUATION = 3")

    assert (worker.value("SITUATION"), worker.value("NOTHING")) == (3, None)


def test_raised_error_keeps_errno_and_own_lines(worker: Worker) -> None:
    """The traceback shows the learner's lines, none of ours."""
    worker.run("def answer():\n    raise OSError(22, 'no page')")

    with pytest.raises(AnswerRaised) as raised:
        worker.call("answer")

    assert (raised.value.kind, raised.value.errno) == ("OSError", errno.EINVAL)
    assert raised.value.trace == ["line 2: raise OSError(22, 'no page')"]


def test_syntax_error_tells_the_line(worker: Worker) -> None:
    with pytest.raises(AnswerRaised) as raised:
        worker.run("def answer(:\n    pass")

    assert raised.value.kind == "SyntaxError"
    assert raised.value.trace == ["line 1: def answer(:"]


def test_printing_and_warnings_are_kept_and_cost_nothing(worker: Worker) -> None:
    worker.run("import warnings, sys\nprint('out')\nwarnings.warn('careful')\nprint('err', file=sys.stderr)\n"
               "def answer(): return 1")

    assert worker.call("answer") == 1
    assert all(word in worker.printed for word in ("out", "careful", "err"))


def slow(source: str, said: str) -> object:
    return pytest.param(source, said, marks=pytest.mark.slow)


@pytest.mark.parametrize(("source", "said"), [
    slow("while True: pass", "was stopped"),
    slow("import time\ntime.sleep(60)", "not done after 3 seconds"),
    ("import os\nos._exit(0)", "ended its own process (exit code 0)"),
    ("import sys\nsys.exit(3)", "SystemExit: 3"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11 (SIGSEGV)"),
    ("x = bytearray(4 << 30)", "MemoryError"),
    ("def f(): return f()\nf()", "RecursionError"),
    ("print('x' * (1 << 26))", "printed more than 8 MiB"),
    ("while True: print('flood' * 1000)", "printed more than 8 MiB"),
    ("open('big', 'wb').write(bytes(64 << 20))", "OSError"),
    slow("import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
     "    except OSError: pass\nwhile True: pass", "and was stopped"),
    ("import sys\nsys.settrace(lambda *a: None)\nimport atexit\natexit.register(print, 'late')\n"
     "def answer(): return 5", 5),
])
def test_attack_or_accident_ends_only_this_answer(source: str, said: object) -> None:
    """Each ends in bounded time with a reason in words (or does no harm)."""
    started = time.monotonic()
    got = outcome(source)

    assert str(said) in str(got)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("expression", ["Equal()", "Number(7)", "object()", "lambda: 7", "[Equal()]"])
def test_value_that_is_no_plain_data_is_refused(expression: str) -> None:
    """An object that equals everything, a subclass of int: the judge gets an error, never the object."""
    source = ("class Equal:\n    def __eq__(self, other): return True\n"
              f"class Number(int): pass\ndef answer(): return {expression}")

    assert "cannot hand over a value of type" in str(outcome(source))


@pytest.mark.parametrize("forged", [
    'b\'{"n": 2, "value": 7}\\n\' * 3', "b'not json\\n'", "b'[' * 100000 + b'\\n'", "b'9' * 900000 + b'\\n'",
    "b'x' * (2 << 20)", "b'{\"n\": 2, \"value\": {\"record\": 3}}\\n'", "b'null\\n'",
    "b'{\"n\": 2, \"error\": {\"type\": [], \"errno\": \"x\", \"text\": {}, \"trace\": 5}}\\n'",
    "b'{\"n\": 2, \"error\": 7}\\n'"])
def test_forged_reply_gives_no_value(forged: str) -> None:
    """The answer writes into every descriptor: the replies no longer fit, and the process is stopped."""
    source = (f"import os\nfor fd in range(3, 20):\n    try: os.write(fd, {forged})\n"
              "    except OSError: pass\ndef answer(): return 7")

    assert outcome(source) != 7


def test_forged_reply_that_fits_is_only_a_value() -> None:
    """Who writes the protocol by hand has said a value, like any other."""
    source = ("import os\ndef answer():\n    for fd in range(3, 20):\n"
              "        try: os.write(fd, b'{\"n\": 2, \"value\": 3}\\n')\n        except OSError: pass\n"
              "    os._exit(0)")

    assert outcome(source) == 3


def test_monkeypatching_stays_in_the_worker() -> None:
    """Patched builtins, json and package: the judge's own are untouched."""
    source = ("import builtins, json, sys\nbuiltins.isinstance = lambda *a: True\njson.loads = lambda *a: 7\n"
              "sys.modules['xiplab'] = None\nbuiltins.AssertionError = Exception\ndef answer(): return 1")
    outcome(source)

    assert not isinstance(1, str)
    assert outcome("def answer(): return 1") == 1


@pytest.mark.slow
def test_left_behind_process_does_not_hold_the_judge() -> None:
    """A child that keeps the pipes open: the wall limit ends the waiting."""
    source = "import os, time\nif os.fork() == 0:\n    time.sleep(60)\nos._exit(0)"
    started = time.monotonic()
    said = str(outcome(source))

    assert "stopped" in said or "BlockingIOError" in said
    assert time.monotonic() - started < 5


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "ZX"


def test_started_processes_are_refused_or_end_with_the_worker() -> None:
    """A user's answer cannot start any; root's, which no limit binds, are killed with its session."""
    source = ("import os, time\ndef answer():\n    pid = os.fork()\n"
              "    if pid == 0:\n        time.sleep(60)\n    return pid")
    pid = outcome(source)
    if isinstance(pid, str):
        assert "BlockingIOError" in pid
        return
    assert isinstance(pid, int)
    for _ in range(100):
        if not is_running(pid):
            break
        time.sleep(0.02)

    assert not is_running(pid)


def test_masked_function_cannot_be_called() -> None:
    """The package's own version is empty in the worker, also where it was imported from."""
    masked = {"xiplab.linux.drivers.dcssblk_io": ["dcssblk_direct_access"]}
    source = ("from xiplab.linux.drivers import dcssblk\n"
              "def answer(): return dcssblk.dcssblk_devops.direct_access(None, 0)")

    assert "what this question asks you to write" in str(outcome(source, masked=masked))


@pytest.mark.parametrize("module", ["xiplab.course.catalogue", "xiplab.course.questions.ex00"])
def test_judges_modules_cannot_be_imported(module: str) -> None:
    assert "belongs to the judge" in str(outcome(f"import {module}"))


def test_worker_holds_nothing_of_the_judge(worker: Worker) -> None:
    """No module of the package, no descriptor but its pipes, an empty folder, a bare environment."""
    worker.run("import sys, os\ndef answer():\n"
               "    return ([m for m in sys.modules if m.startswith('xiplab')], os.listdir('.'),\n"
               "            sorted(map(int, os.listdir('/proc/self/fd')))[:-1], sorted(os.environ))")
    modules, files, descriptors, variables = worker.call("answer")

    assert (modules, files) == ([], [])
    assert descriptors == [0, 1, 2, 3, 4]
    assert set(variables) <= {"LANG", "LC_CTYPE", "OPENBLAS_NUM_THREADS", "PATH"}


def test_limits_of_a_request_after_the_end_says_why_again() -> None:
    with Worker(limits=SHORT) as worker:
        for _ in range(2):
            with pytest.raises(AnswerEnded, match="ended its own process"):
                worker.run("import os\nos._exit(1)")


def test_address_space_limit_holds() -> None:
    assert "MemoryError" in str(outcome("x = bytearray(300 << 20)", limits=Limits(address_space=256 * MiB)))
