"""The fork server: workers of one sandbox, of which nothing meets the next one."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xiplab.course.forks import ForkServer
from xiplab.course.process import Alone, AnswerEnded, AnswerRaised, Limits, Started, Worker
from xiplab.course.sandbox import sandbox

pytestmark = pytest.mark.skipif(not sandbox().stands, reason=sandbox().text)

MANY = Limits(wall=4, cpu=1, processes=8)
"""Other processes are let through, so that what ends them is not the limit."""

LEFT_BEHIND = """import os, time
def answer():
    ready, begun = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        held = [os.dup(fd) for fd in (0, 1, 2, 3, 4)]
        os.write(begun, b'x')
        time.sleep(0.2)
        while True:
            for fd in held:
                try:
                    os.write(fd, b'{"n": 1, "value": 7}\\n{"n": 2, "value": 7}\\n')
                except OSError:
                    pass
            time.sleep(0.01)
    os.read(ready, 1)
    return sorted(int(name) for name in os.listdir('/proc') if name.isdigit())
"""
OTHERS = """import os
def answer():
    return sorted(int(name) for name in os.listdir('/proc') if name.isdigit())
"""
SIGNALS = """import os, signal
def answer():
    for number in range(1, signal.NSIG):
        try:
            os.kill(1, number)
        except OSError:
            pass
    return os.getppid()
"""
TRACE = """import ctypes, os
def answer():
    libc = ctypes.CDLL(None, use_errno=True)
    attached = [libc.ptrace(request, 1, 0, 0) for request in (16, 0x4206)]
    readable = []
    for name in ("mem", "environ", "maps", "fd/3", "root", "cwd"):
        try:
            os.close(os.open(f"/proc/1/{name}", os.O_RDONLY))
            readable.append(name)
        except OSError:
            pass
    return attached, readable
"""
RIGHT = "def answer(): return 1"


@pytest.fixture
def server() -> Iterator[ForkServer]:
    with ForkServer({}, []) as started:
        yield started


def outcome(server: ForkServer, source: str, limits: Limits = MANY) -> Any:
    """What the judge gets of answer(), or why it got nothing."""
    with Worker(limits=limits, start=server.start) as worker:
        try:
            worker.run(source)
            return worker.call("answer")
        except (AnswerRaised, AnswerEnded) as failure:
            return str(failure)


def test_workers_are_forked_in_one_sandbox(server: ForkServer) -> None:
    """Each is another process, with no process but the server beside it."""
    pids = [outcome(server, OTHERS) for _ in range(3)]

    assert pids == [[1, 2], [1, 3], [1, 4]]
    assert server.sandboxes == 1


def test_fork_is_much_quicker_than_a_new_process(server: ForkServer) -> None:
    """What makes a submission of many questions quick; each at its best, as others use the computer too."""
    def seconds(start: Callable[[], Started]) -> float:
        began = time.perf_counter()
        with Worker(limits=MANY, start=start) as worker:
            worker.run("1")
        return time.perf_counter() - began

    forked, alone = (min(seconds(start) for _ in range(5)) for start in (server.start, Alone))

    assert forked * 3 < alone


def test_globals_and_patches_do_not_meet_the_next_question(server: ForkServer) -> None:
    patched = ("import builtins, json, sys\nbuiltins.len = lambda given: 7\njson.dumps = None\n"
               "sys.modules['os'] = None\nLEFT = 1\n" + RIGHT)

    assert "bad reply" not in str(outcome(server, patched))
    assert outcome(server, "def answer(): return len('ab'), 'LEFT' in globals()") == (2, False)


def test_left_process_is_ended_before_the_next_question(server: ForkServer) -> None:
    """A daemon in a session of its own that holds the pipes and forges replies."""
    first = outcome(server, LEFT_BEHIND)
    second = outcome(server, OTHERS)

    assert 4 in first
    assert second == [1, 5]
    assert outcome(server, f"import time\ntime.sleep(0.5)\n{RIGHT}") == 1


@pytest.mark.slow
def test_fork_bomb_is_ended_before_the_next_question(server: ForkServer) -> None:
    bomb = "import os\ndef answer():\n    while True:\n        try: os.fork()\n        except OSError: pass"
    said = outcome(server, bomb, Limits(wall=1, cpu=1, processes=64))

    assert "stopped" in str(said)
    assert len(str(outcome(server, OTHERS)).split(",")) == 2


def test_signals_do_not_reach_the_server(server: ForkServer) -> None:
    """Also those for which Python has a handler of its own."""
    said = outcome(server, SIGNALS)

    assert said == 1
    assert outcome(server, RIGHT) == 1
    assert server.sandboxes == 1


def test_killing_all_costs_the_own_question_only(server: ForkServer) -> None:
    said = outcome(server, "import os\ndef answer():\n    os.kill(-1, 9)\n    return 1")

    assert outcome(server, RIGHT) == 1
    assert server.sandboxes == 1
    assert said == "ProcessLookupError: [Errno 3] No such process"


def test_server_cannot_be_traced_or_read(server: ForkServer) -> None:
    """Neither attach nor seize; of its files in /proc none that shows memory, descriptors or folders."""
    assert outcome(server, TRACE) == ([-1, -1], [])


def test_worker_has_no_way_to_the_server(server: ForkServer) -> None:
    """Its only descriptors are the judge's three pipes and what it read them into."""
    source = ("import os, stat\ndef answer():\n    return [number for number in range(64)\n"
              "            if os.path.exists(f'/proc/self/fd/{number}')\n"
              "            and stat.S_ISSOCK(os.stat(number).st_mode)]")

    assert outcome(server, source) == []


@pytest.mark.parametrize("leave", [
    "open('left', 'w').write('x')",
    "import os; os.mkdir('/dev/shm/left')",
    "import os; os.mkfifo('left'); os.chmod('left', 0)",
    "import ctypes; ctypes.CDLL(None).shmget(7, 4096, 0o1666)",
    "import ctypes; ctypes.CDLL(None).msgget(7, 0o1666)",
], ids=["file", "folder in shared memory", "pipe", "System V memory", "System V messages"])
def test_what_is_left_costs_a_new_sandbox_and_is_not_seen(server: ForkServer, leave: str) -> None:
    """The next question finds nothing of it."""
    look = ("import os\ndef answer():\n    tables = [open(f'/proc/sysvipc/{kind}').read().count('\\n')\n"
            "              for kind in ('shm', 'sem', 'msg')]\n"
            "    return 'left' in os.listdir('/tmp') + os.listdir('/dev/shm'), tables")
    outcome(server, f"{leave}\n{RIGHT}")

    assert outcome(server, look) == (False, [1, 1, 1])
    assert server.sandboxes == 2


def test_posix_messages_cannot_be_left(server: ForkServer) -> None:
    """No table lists them, so none may be made."""
    source = ("import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\ndef answer():\n"
              "    return libc.mq_open(b'/left', os.O_CREAT | os.O_RDWR, 0o600, None), ctypes.get_errno()")

    assert outcome(server, source) == (-1, errno.EMFILE)


def test_lost_sandbox_is_replaced(server: ForkServer) -> None:
    """Somebody outside ended it: the question that ran gets a reason, the next one an answer."""
    with Worker(limits=MANY, start=server.start) as worker:
        assert server._bwrap is not None
        bwrap = server._bwrap.pid
        os.kill(children(bwrap)[0], 9)
        with pytest.raises(AnswerEnded):
            worker.run("import time\ntime.sleep(60)")

    assert outcome(server, RIGHT) == 1
    assert server.sandboxes == 2


@pytest.mark.parametrize(("source", "said"), [
    ("import os\nos._exit(7)", "ended its own process (exit code 7)"),
    ("import os\nos.abort()", "signal 6 (SIGABRT)"),
    ("while True: pass", "used up its 1 s of processor time"),
    ("import os, time\nfor fd in range(9):\n    try: os.close(fd)\n    except OSError: pass\ntime.sleep(60)",
     "closed the judge's pipe"),
], ids=["exit", "abort", "loop", "closed"])
def test_reason_of_the_end_is_told(server: ForkServer, source: str, said: str) -> None:
    assert said in str(outcome(server, source))
    assert outcome(server, RIGHT) == 1


def test_nothing_runs_after_the_server_is_closed() -> None:
    """A worker in an endless loop ends with it, and so does the sandbox's own process."""
    with ForkServer({}, []) as server:
        worker = Worker(limits=MANY, start=server.start)
        os.write(worker._to_worker, b'{"n": 1, "run": "while True: pass"}\n')
        assert server._bwrap is not None
        bwrap = server._bwrap.pid
        inside = [pid for parent in children(bwrap) for pid in (parent, *children(parent))]
    ended = within(5, lambda: not any(Path(f"/proc/{pid}").exists() for pid in inside))
    worker.close()

    assert len(inside) == 2
    assert ended


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether it holds, now or soon."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_masked_source_is_nowhere_in_the_sandbox() -> None:
    """Neither as text nor compiled; the module's other functions stay."""
    masked = {"xiplab.linux.drivers.dcssblk_io": frozenset({"dcssblk_direct_access"})}
    look = """import os, xiplab
def answer():
    folder = os.path.dirname(xiplab.__file__)
    text = open(folder + '/linux/drivers/dcssblk_io.py').read()
    body = text.partition('def dcssblk_direct_access(')[2].partition('\\ndef ')[0]
    compiled = [name for _, _, names in os.walk(folder + '/linux/drivers') for name in names]
    return ('ERANGE' in body, 'asks you to write' in body,
            [name for name in compiled if name.startswith('dcssblk_io.') and name.endswith('.pyc')],
            sorted(os.listdir(folder + '/course')), os.path.exists(folder + '/widgets'))
"""
    with ForkServer(masked, []) as server:
        said = outcome(server, look)

    assert said == (False, True, [], ["fork_server.py", "worker.py"], False)


def test_preloaded_module_is_there_at_once_and_is_masked() -> None:
    """The server has imported the package; what a question asks for is empty in it."""
    masked = {"xiplab.linux.drivers.dcssblk_io": frozenset({"dcssblk_direct_access"})}
    source = ("import sys\nthere = 'xiplab.linux.drivers.dcssblk_io' in sys.modules\n"
              "from xiplab.linux.drivers import dcssblk_io\ndef answer():\n"
              "    try: dcssblk_io.dcssblk_direct_access(None, 0)\n"
              "    except NotImplementedError as said: return there, str(said)")
    with ForkServer(masked, ["xiplab.linux.drivers.dcssblk_io", "no.such.module"]) as server:
        said = outcome(server, source)

    assert said == (True, "dcssblk_direct_access is what this question asks you to write")
