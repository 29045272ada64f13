"""Attacks and accidents: each costs its own question at most, with a reason, and nobody else."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from submissions import HIDDEN, SOLVED, WRONG, answering, cell, hand_in, solved

from xiplab.course.grade import Task, grade_submission
from xiplab.course.process import Limits
from xiplab.course.sandbox import sandbox
from xiplab.course.submission import Submission

LIMITS = Limits(wall=4, cpu=1)
needs_wall = pytest.mark.skipif(not sandbox().stands, reason=sandbox().text)

FORGED = r"""import os
for number in range(3, 20):
    try:
        os.write(number, b'{"n": 3, "value": {"tuple": [0, 0, 0]}}\n' * 9)
    except OSError:
        pass
"""
SAME = """class Same(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
def direct_access(bdev, sector): return Same(), Same(), Same()
"""
PICKLE = """import os
class Bomb:
    def __reduce__(self): return os.system, ("touch pwned",)
def direct_access(bdev, sector): return Bomb()
"""
PATCHED = """import builtins, sys, json
builtins.isinstance = builtins.len = lambda *given: True
json.loads = lambda text: {"n": 1}
class Yes(AssertionError): pass
builtins.AssertionError = Yes
import xiplab
xiplab.check = lambda question: 4.0
sys.modules["xiplab"] = None
"""
ASSERTS = """import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node): return None
try:
    get_ipython().ast_transformers.append(Drop())
except NameError:
    pass
"""

ATTACKS = {
    "endless loop": ("while True: pass", "timeout", "processor time"),
    "endless loop in the call": (
        "def direct_access(bdev, sector):\n    while True: pass", "timeout", "processor time"),
    "endless loop, signals ignored": (
        "import signal\nfor n in (signal.SIGXCPU, signal.SIGTERM, signal.SIGINT): signal.signal(n, 1)\n"
        "while True: pass", "timeout", "was stopped"),
    "sleeping for ever": ("import time\ntime.sleep(10**6)", "timeout", "not done after 4 seconds"),
    "memory bomb": ("x = bytearray(1 << 40)", "error", "MemoryError"),
    "endless output": ("import os\nwhile True: os.write(1, b'x' * 65536)", "crash", "printed more than"),
    "big file": ("open('big', 'wb').write(bytes(9 << 20))", "error", "File too large"),
    "os._exit": ("import os\nos._exit(0)", "crash", "ended its own process"),
    "sys.exit": ("import sys\nsys.exit(0)", "error", "SystemExit"),
    "segmentation fault": ("import ctypes\nctypes.string_at(0)", "crash", "signal 11"),
    "recursion": ("def f(): f()\nf()", "error", "RecursionError"),
    "atexit": ("import atexit\natexit.register(print, '6.0')\n" + WRONG, "wrong", ""),
    "settrace": ("import sys\nsys.settrace(lambda *event: None)\n" + WRONG, "wrong", ""),
    "patched builtins and package": (PATCHED + WRONG, None, ""),
    "asserts dropped": (ASSERTS + WRONG, "wrong", ""),
    "equal to everything": (SAME, "error", "plain data"),
    "pickle": (PICKLE, "error", "plain data"),
    "forged lines": (FORGED + WRONG, "crash", "judge's pipe"),
    "forged points": ("print('4.0')\n" + WRONG, "wrong", ""),
    "judge's modules": ("from xiplab.course.questions import ex00", "error", "belongs to the judge"),
    "surrogate in the text": ("x = '\ud800'", "error", "UnicodeEncodeError"),
    "null character": ("x = '\0'", "error", "null bytes"),
    "too long": ("#" * 70_000, "missing", "longer than 60 KiB"),
}

WALLED = {
    "fork bomb": ("import os\nwhile True: os.fork()", "error", "temporarily unavailable"),
    "thread bomb": (
        "import threading\nwhile True: threading.Thread(target=input).start()", "error", "new thread"),
    "network": ("import socket\nsocket.create_connection(('192.0.2.1', 80), 1)", "error", "unreachable"),
    "reading solutions": (f"exec(open({str(SOLVED)!r}).read())", "error", "No such file"),
    "reading hidden checks": (f"print(open({str(HIDDEN / 'ex00.py')!r}).read())", "error", "No such file"),
    "reading visible checks": (
        "import os, xiplab\nopen(os.path.dirname(xiplab.__file__) + '/course/questions/ex00.py')",
        "error", "No such file"),
    "reading accounts": ("open('/etc/passwd')", "error", "No such file"),
    "writing to the root": ("open('/x', 'w')", "error", "Read-only"),
    "writing to /dev": ("open('/dev/x', 'w')", "error", "Read-only"),
    "writing to /usr": ("open('/usr/x', 'w')", "error", "Read-only"),
    "writing into the package": (
        "import xiplab\nopen(xiplab.__file__, 'a')", "error",
        "Permission denied" if os.geteuid() == 0 else "Read-only"),  # root hands it to another user
    "calling the reference from its source": (
        "import os, sys, xiplab\nfrom xiplab.linux.drivers import dcssblk_io\n"
        "scope = dict(vars(dcssblk_io))\nexec(open(dcssblk_io.__file__).read(), scope)\n"
        "direct_access = scope['dcssblk_direct_access']", "error", "asks you to write"),
    "calling the reference from what was compiled": (
        "import glob, marshal, os, xiplab\nfolder = os.path.dirname(xiplab.__file__) + '/linux/drivers/'\n"
        "marshal.loads(open(glob.glob(folder + '__pycache__/dcssblk_io.*')[0], 'rb').read()[16:])",
        "error", "IndexError"),
    "killing others": ("import os\nos.kill(1, 9)\n" + WRONG, None, ""),
    "filling /tmp": (
        "for n in range(20): open(f'/tmp/{n}', 'wb').write(bytes(8 << 20))", "error", "No space left"),
    "filling /dev/shm": ("open('/dev/shm/x', 'wb').write(bytes(2 << 20))", "error", "No space left"),
    "becoming root": ("import os\nos.setuid(0) if os.getuid() else 1 / 0", "error",
        "not permitted" if os.geteuid() == 0 else "Invalid argument"),  # a user namespace has no such user
}


LEFT = """import os, signal, time
def places_with_the_new_byte():
    if os.fork() == 0:
        os.setsid()
        {deed}
        os._exit(0)
    time.sleep(0.3)
    return set()
"""
PTRACE = "import ctypes; [ctypes.CDLL(None).ptrace(16, pid, 0, 0) for pid in range(1, 200)]"
OVER = {
    "process that forges replies": LEFT.format(deed="""while True:
            for fd in range(9):
                try: os.write(fd, b'{"n": 3, "value": {"tuple": [0, 0]}}\\n' * 9)
                except OSError: pass"""),
    "process that kills all": LEFT.format(deed="while True: os.kill(-1, 9)"),
    "process that traces all": LEFT.format(deed=f"while True: {PTRACE}"),
    "process that uses the processor": LEFT.format(deed="while True: pass"),
    "signals to the fork server": (
        "import os, signal\nfor number in range(1, signal.NSIG):\n    try: os.kill(1, number)\n"
        "    except OSError: pass"),
    "full /tmp": "try:\n    for n in range(20): open(f'/tmp/{n}', 'wb').write(bytes(8 << 20))\n"
                 "except OSError: pass",
    "file that is imported": "open('/tmp/errno.py', 'w').write('raise SystemExit')",
    "patched json": "import json\njson.dumps = json.loads = None",
}
"""Answers to the first question that are after the second one."""


def graded(tmp_path: Path, source: str, walled: bool, id: str = "00.2",
           limits: Limits = LIMITS) -> dict[str, dict[str, object]]:
    """The results of a submission with this answer to one of the questions and a right one to the other."""
    hand_in(tmp_path, "eve", answering(source, id))
    record = grade_submission(Submission("eve", tmp_path / "eve"),
                              Task(("00",), str(HIDDEN), walled=walled, limits=limits))
    return {result["question"]: result for result in record["results"]}


def judged_alone(results: dict[str, dict[str, object]], outcome: str | None, reason: str) -> bool:
    """00.2 got nothing and the reason; 00.1 got all."""
    attacked, other = results["00.2"], results["00.1"]
    expected = attacked["outcome"] == outcome if outcome else attacked["outcome"] != "right"
    return expected and attacked["earned"] == 0 and reason in repr(attacked) and other["earned"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_costs_its_own_question_only(tmp_path: Path, name: str) -> None:
    """With the worker's own limits alone."""
    source, outcome, reason = ATTACKS[name]

    results = graded(tmp_path, source, walled=False)

    assert judged_alone(results, outcome, reason), results["00.2"]


@needs_wall
@pytest.mark.slow
@pytest.mark.parametrize("name", [*ATTACKS, *WALLED])
def test_attack_in_the_sandbox_costs_its_own_question_only(tmp_path: Path, name: str) -> None:
    """The same in the sandbox, and what only the sandbox stops."""
    source, outcome, reason = (ATTACKS | WALLED)[name]

    results = graded(tmp_path, source, walled=True)

    assert judged_alone(results, outcome, reason), results["00.2"]


@needs_wall
@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 50])
@pytest.mark.parametrize("name", OVER)
def test_what_a_question_leaves_does_not_meet_the_next_one(tmp_path: Path, name: str, processes: int) -> None:
    """Also where the limit on processes would let others live."""
    results = graded(tmp_path, OVER[name], True, "00.1", replace(LIMITS, processes=processes))

    assert results["00.1"]["earned"] == 0
    assert results["00.2"]["earned"] == 4, results["00.2"]


@pytest.mark.slow
def test_warning_is_shown_and_costs_nothing(tmp_path: Path) -> None:
    """A learner's warning is no fault."""
    source = "".join(cell(solved(), "q00-2")["source"]).partition("\n")[2]

    results = graded(tmp_path, f"import warnings\nwarnings.warn('careful')\n{source}", walled=False)

    assert results["00.2"]["earned"] == 4
    assert "careful" in str(results["00.2"]["printed"])
