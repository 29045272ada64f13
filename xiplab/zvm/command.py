"""CP commands: DEFSEG, SAVESEG, PURGE NSS, QUERY NSS.

    DEFSEG name pages type [pages type ...] [RSTD | LOADNSHR] [SECURE]     pages: 10000-100FF
    SAVESEG name
    PURGE NSS ALL | [NAME] name | fileid
    QUERY NSS [ALL | [NAME] name | fileid] [MAP]

All need privilege class E. A command that is refused answers with HCPxxxnnnE and return code nnn.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from xiplab.units import Pfn
from xiplab.zvm.machine import CpResponse, VirtualMachine
from xiplab.zvm.segment import SEGMENT_TYPES, PageRange, SavedSegment, check_ranges, is_name
from xiplab.zvm.spool import Spool

NSS_HEAD = "OWNERID FILE TYPE CL RECS DATE  TIME     FILENAME FILETYPE ORIGINID"
MAP_HEAD = "FILE FILENAME FILETYPE MINSIZE  BEGPAG ENDPAG TYPE CL #USERS PARMREGS VMGROUP"

PAGES = re.compile(r"([0-9A-F]{1,8})(?:-([0-9A-F]{1,8}))?", re.ASCII)
FILEID = re.compile(r"[0-9]{1,4}", re.ASCII)


class CommandError(Exception):
    """A command that CP refuses; becomes the response."""

    def __init__(self, module: str, rc: int, text: str) -> None:
        super().__init__(f"HCP{module}{rc:03d}E {text}")
        self.rc = rc


@dataclass(frozen=True)
class Invocation:
    """Who issued a command, and when (ns since 1970). machine: None for a user without one."""

    spool: Spool
    userid: str
    machine: VirtualMachine | None
    now: int


def missing_operand(module: str) -> CommandError:
    return CommandError(module, 26, "Operand missing or invalid")


def invalid_operand(module: str, operand: str) -> CommandError:
    return CommandError(module, 2, f"Invalid operand - {operand}")


def parse_range(pages: str, type_name: str) -> PageRange:
    """Two operands of DEFSEG: "10000-10FFF" (or one page) and "SR"."""
    match = PAGES.fullmatch(pages)
    if match is None:
        raise invalid_operand("NSD", pages)
    if type_name not in SEGMENT_TYPES:
        raise invalid_operand("NSD", type_name)
    first, last = match[1], match[2] or match[1]
    return PageRange(Pfn(int(first, 16)), Pfn(int(last, 16)), SEGMENT_TYPES[type_name])


def defseg(by: Invocation, operands: list[str]) -> str:
    """Define a skeleton."""
    if len(operands) < 3:
        raise missing_operand("NSD")
    name, *rest = operands
    if not is_name(name):
        raise invalid_operand("NSD", name)
    options = set()
    while rest and rest[-1] in ("RSTD", "LOADNSHR", "SECURE"):
        options.add(rest.pop())
    if not rest or len(rest) % 2:
        raise missing_operand("NSD")
    ranges = tuple(parse_range(*pair) for pair in zip(rest[::2], rest[1::2], strict=True))
    if problem := check_ranges(ranges):
        raise invalid_operand("NSD", problem)
    if "LOADNSHR" in options and ("RSTD" in options or any(pages.type.cp_writes for pages in ranges)):
        raise CommandError("NSD", 13, "Conflicting option - LOADNSHR")
    try:
        file = by.spool.define(name, ranges, restricted="RSTD" in options, loadnshr="LOADNSHR" in options,
                               originid=by.userid, created=by.now)
    except OSError as failure:
        raise CommandError("NSD", 92, f"System limit exceeded: {failure.strerror}") from failure
    return f"HCPNSD440I Saved segment {name} was successfully defined in fileid {file.spoolid:04d}."


def saveseg(by: Invocation, operands: list[str]) -> str:
    """Save the issuer's storage into a skeleton."""
    if not operands:
        raise missing_operand("NSS")
    if len(operands) > 1:
        raise invalid_operand("NSS", operands[1])
    skeleton = by.spool.skeleton(operands[0])
    if skeleton is None:
        raise CommandError("NSS", 44, f"Saved segment {operands[0]} does not exist")
    try:
        by.spool.save(skeleton, by.machine.memory if by.machine else None)
    except OSError as failure:
        raise CommandError("NSS", 177, f"Paging error: {failure.strerror}") from failure
    skeleton.originid, skeleton.created = by.userid, by.now
    return (f"HCPNSS440I Saved segment {skeleton.name} was successfully saved in fileid "
            f"{skeleton.spoolid:04d}.")


def select(by: Invocation, module: str, operands: list[str]) -> list[SavedSegment]:
    """The files that the operands after NSS choose."""
    if not operands:
        raise missing_operand(module)
    by_name = operands[0] == "NAME" and len(operands) > 1
    choice, *rest = operands[1:] if by_name else operands
    if rest:
        raise invalid_operand(module, rest[0])
    if FILEID.fullmatch(choice) and not by_name:
        return [file for file in by.spool.files if file.spoolid == int(choice)]
    everything = choice == "ALL" and not by_name
    return [file for file in by.spool.files if everything or file.name == choice]


def nss_operands(module: str, operands: list[str]) -> list[str]:
    """What follows NSS, the only kind of file there is here."""
    if not operands:
        raise missing_operand(module)
    if operands[0] != "NSS":
        raise invalid_operand(module, operands[0])
    return operands[1:]


def purge(by: Invocation, operands: list[str]) -> str:
    """Delete files; those in use wait for their last user (class P)."""
    files = [file for file in select(by, "CSP", nss_operands("CSP", operands)) if file.class_ != "P"]
    pending = sum(bool(file.users) for file in files)
    for file in files:
        by.spool.purge(file)
    lines = [f"{count_of_files(len(files) - pending)} PURGED"]
    if pending:
        lines.append(f"{count_of_files(pending)} PENDING PURGE")
    return "\n".join(lines)


def count_of_files(count: int) -> str:
    if not count:
        return "NO FILES"
    return f"{count:04d} FILE" if count == 1 else f"{count:04d} FILES"


def query(by: Invocation, operands: list[str]) -> str:
    """List files."""
    operands = nss_operands("CQS", operands)
    mapped = operands[-1:] == ["MAP"] and operands[-2:-1] != ["NAME"]
    if mapped:
        operands = operands[:-1]
    files = select(by, "CQS", operands or ["ALL"])
    if not files:
        return "NO NSS FILES"
    if mapped:
        return "\n".join([MAP_HEAD, *(line for file in files for line in map_lines(file))])
    return "\n".join([NSS_HEAD, *(nss_line(file) for file in files)])


def nss_line(file: SavedSegment) -> str:
    """A file's line in QUERY NSS. RECS counts its pages and the descriptor."""
    date = time.strftime("%m/%d %H:%M:%S", time.gmtime(file.created // 1_000_000_000))
    pages = sum(pages.npages for pages in file.ranges if pages.type.saved) if file.frames else 0
    return (f"*NSS    {file.spoolid:04d} NSS  {file.class_}  {pages + 1:04d} {date} {file.name:<8} "
            f"DCSS     {file.originid}")


def map_lines(file: SavedSegment) -> Iterator[str]:
    """A file's lines in QUERY NSS MAP: the first with all columns, one more for each further range."""
    head = f"{file.spoolid:04d} {file.name:<8} {'DCSS':<8} {'N/A':<8} "
    tail = f"   {file.class_}  {len(file.users):05d}  {'N/A':<8} N/A"
    for pages in file.ranges:
        yield f"{head}{f'{pages.first:05X}':<6} {f'{pages.last:05X}':<6} {pages.type}{tail}"
        head, tail = " " * len(head), ""


Command = Callable[[Invocation, list[str]], str]
COMMANDS: tuple[tuple[str, int, Command], ...] = (
    ("DEFSEG", 6, defseg), ("SAVESEG", 7, saveseg), ("PURGE", 3, purge), ("QUERY", 1, query))
"""Each command, the shortest form of its name, and what runs it."""


def execute(spool: Spool, command: str, userid: str, machine: VirtualMachine | None, now: int) -> CpResponse:
    """Run one command; whatever it says, there is a response."""
    verb, *operands = command.upper().split() or [""]
    run = next((run for name, least, run in COMMANDS if name.startswith(verb) and len(verb) >= least), None)
    if not verb:
        return CpResponse("")
    if run is None or (machine is not None and "E" not in machine.privclass):
        return CpResponse(f"HCPCMD001E Unknown CP command: {verb}", 1)
    try:
        return CpResponse(run(Invocation(spool, userid, machine, now), operands))
    except CommandError as refusal:
        return CpResponse(str(refusal), refusal.rc)
