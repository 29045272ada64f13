"""The command `xiplab`: each subcommand is one small function that imports what it needs.

A function takes the parsed arguments and returns the exit status: 0 done, 1 not passed or not
possible (with a sentence on stderr); 2 is argparse's, for a wrong call. Prohibition: nothing but
the standard library is imported at the top, so that `xiplab --help` answers at once.
"""

from __future__ import annotations

import argparse
import errno
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def lab(arguments: argparse.Namespace) -> int:
    from xiplab.course import progress
    from xiplab.course.lab import copy_course, serve

    for line in copy_course(arguments.folder).lines():
        print(line)
    progress.create(arguments.folder)
    return serve(arguments.folder, arguments.port, arguments.browser)


def check(arguments: argparse.Namespace) -> int:
    from xiplab.course.judge import check as judge

    result = judge(arguments.question, arguments.file)
    print(result)
    return 0 if result.solved else 1


def progress(arguments: argparse.Namespace) -> int:
    from xiplab.course import progress as noted
    from xiplab.course.overview import course_map

    if arguments.delete:
        noted.delete()
    else:
        print(course_map())
    return 0


def reset(arguments: argparse.Namespace) -> int:
    from xiplab.course.reset import reset as bring_back

    path, copy = bring_back(arguments.question, arguments.file)
    print(f"{path}: as it was shipped; what was there is now {copy.name}")
    return 0


def watch(arguments: argparse.Namespace) -> int:
    from xiplab.course.watch import watch as look

    try:
        look(arguments.file, functools.partial(print, flush=True))
    except KeyboardInterrupt:
        print()
    return 0


def grade(arguments: argparse.Namespace) -> int:
    from xiplab.course import grade as grader
    from xiplab.course.problem import EXERCISES

    hidden = str(Path(arguments.hidden).resolve()) if arguments.hidden else ""
    task = grader.Task(tuple(arguments.exercise or EXERCISES), hidden, arguments.sandbox)
    grader.refuse_risks(task, arguments.accept_risk)
    carrier = grader.cluster(arguments.dask) if arguments.dask else grader.pool(arguments.workers)
    try:
        return grader.main(arguments.submissions.resolve(), arguments.out, task, carrier)
    except KeyboardInterrupt as interrupt:
        raise OSError(errno.EINTR, "interrupted; the same command goes on where it stopped") from interrupt


def build(arguments: argparse.Namespace) -> int:
    try:
        from xiplab.course.build import main as build_course
    except ModuleNotFoundError as missing:
        raise OSError(errno.ENOENT, f"{missing.name}: the builder needs the packages of xiplab[test]"
                      ) from missing

    return build_course(arguments.check)


def bench(arguments: argparse.Namespace) -> int:
    checkout = Path(__file__).resolve().parent.parent
    if not (checkout / "benchmarks" / "run.py").is_file():
        raise FileNotFoundError(errno.ENOENT, "benchmarks: only in a clone of the repository")
    if arguments.write_readme and (arguments.only or arguments.quick):
        raise OSError(errno.EINVAL, "--write-readme: only with a full run, without --quick and --only")
    sys.path.insert(0, str(checkout))
    from benchmarks.run import main

    return main(arguments)


def doctor(arguments: argparse.Namespace) -> int:
    from xiplab.course.doctor import examine

    findings = examine()
    for finding in findings:
        print(finding)
    return 0 if all(finding.works for finding in findings if finding.needed) else 1


def parser() -> argparse.ArgumentParser:
    """The whole command line: one block for each subcommand."""
    main_parser = argparse.ArgumentParser(prog="xiplab", description="A course on execute-in-place.")
    commands = main_parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("lab", help="put the course into a folder and open it in JupyterLab")
    command.add_argument("folder", nargs="?", type=Path, default=Path("xiplab-course"), metavar="DIR",
                         help="made if missing; edited files in it are kept (default: xiplab-course)")
    command.add_argument("--no-browser", action="store_false", dest="browser",
                         help="only print the address")
    command.add_argument("--port", type=int, metavar="N", help="default: the first free one from 8888 on")
    command.set_defaults(run=lab)

    command = commands.add_parser("check", help="judge the answer to one question")
    command.add_argument("question", metavar="QUESTION", help='for example "00.2"')
    command.add_argument("file", nargs="?", type=Path, metavar="FILE",
                         help="a notebook or Python file (default: the exercise's, here or in exercises/)")
    command.set_defaults(run=check)

    command = commands.add_parser("progress", help="the map of the course, and how far you are on it")
    command.add_argument("--delete", action="store_true", help="delete what was noted")
    command.set_defaults(run=progress)

    command = commands.add_parser("reset", help="bring back one answer, or a whole exercise, as shipped")
    command.add_argument("question", metavar="QUESTION", help='for example "00.2", or "00" for all of it')
    command.add_argument("file", nargs="?", type=Path, metavar="FILE",
                         help="default: the exercise's, here or in exercises/; a copy of it is kept")
    command.set_defaults(run=reset)

    command = commands.add_parser("watch", help="judge an answer at each save; Ctrl-C ends it")
    command.add_argument("file", nargs="?", type=Path, metavar="FILE",
                         help="default: the exercises here and in exercises/")
    command.set_defaults(run=watch)

    command = commands.add_parser("grade", help="judge the submissions of a class")
    command.add_argument("submissions", type=Path, metavar="SUBMISSIONS",
                         help="a folder with a folder, notebook, Python file or zip for each learner")
    command.add_argument("--out", type=Path, default=Path("report"), metavar="DIR",
                         help="what is there already is not judged again (default: report)")
    command.add_argument("--exercise", action="append", metavar="NN", help="only this one; may be repeated")
    command.add_argument("--hidden", default="", metavar="DIR", help="hidden checks (solutions/hidden)")
    command.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N",
                         help="judging processes (default: one for each processor)")
    command.add_argument("--no-sandbox", action="store_false", dest="sandbox",
                         help="keep answers to the worker's own limits")
    command.add_argument("--accept-risk", action="store_true",
                         help="with --no-sandbox as root: answers can do anything to this computer")
    command.add_argument("--dask", default="", metavar="ADDRESS",
                         help="a dask.distributed scheduler whose workers judge instead (xiplab[dask])")
    command.set_defaults(run=grade)

    command = commands.add_parser("build", help="make notebooks and exercises from their sources")
    command.add_argument("--check", action="store_true", help="write nothing; fail if anything would change")
    command.set_defaults(run=build)

    command = commands.add_parser("bench", help="measure it beside what one would take instead (in a clone)")
    command.add_argument("--quick", action="store_true", help="less of everything: in a minute and a half")
    command.add_argument("--only", default="", metavar="ROW",
                         help="rows whose name begins like this (W5), or figures, or growth")
    command.add_argument("--out", type=Path, default=Path(".state/bench"), metavar="DIR",
                         help="for the JSON file and the plot (default: .state/bench)")
    command.add_argument("--profile", action="store_true", help="where the slowest five spend their time")
    command.add_argument("--write-readme", action="store_true",
                         help="put the results of this run into docs/ and the README")
    command.set_defaults(run=bench)

    command = commands.add_parser("doctor", help="say what is missing here, and what works without it")
    command.set_defaults(run=doctor)
    return main_parser


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's). Returns the exit status."""
    arguments = parser().parse_args(words)
    try:
        return int(arguments.run(arguments))
    except OSError as problem:
        print(f"xiplab: {problem}", file=sys.stderr)
        return 1
