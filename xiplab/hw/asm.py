"""A small assembler for s390x, and a disassembler, for people who want to see a few instructions work.

    code = assemble('''
            lghi  %r2,6             # a comment
            mghi  %r2,7
            svc   1                 # exit(42)
    ''')
    for row in disassemble(code): print(row)

Two passes: the first one finds where each label lies, the second one encodes. Statements are
`label:`, `name = expression`, an instruction (mnemonics.py), or a directive:

    .byte .short .long .quad   values        .ascii .asciz  "text" (a backslash before n t 0 " and itself)
    .balign n   zeros up to a multiple of n  .space n       n zeros

An expression adds and subtracts numbers, 'c' characters, labels and `.`, the address of the statement.
Registers are written %r1, r1 or 1; a storage operand D(X,B), D(B) or D.
Capstone disassembles; it is imported when that is first asked for.

Kernel: none. Differs: what GNU as has and is not named here, it does not have.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from xiplab.hw.interruption import instruction_length
from xiplab.hw.mnemonics import FORMATS, instructions
from xiplab.ondisk import Bytes

WIDTHS = {".byte": 1, ".short": 2, ".long": 4, ".quad": 8}
ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\", '"': '"'}

NAME = r"[A-Za-z_.$][\w.$]*"
STATEMENT = re.compile(rf"\s*(?:({NAME})\s*:)?\s*(?:({NAME})\s*=\s*(\S.*)|(\S+)\s*(.*?))?\s*$")
STORAGE = re.compile(r"(.*?)\s*(?:\(\s*([^(),]*?)\s*(?:,\s*([^(),]*?)\s*)?\))?$")
TERM = re.compile(r"\s*([+-]?)\s*('(?:\\.|[^'])'|0[xX][0-9a-fA-F]+|\d+|" + NAME + ")")
REGISTER = re.compile(r"%?[rfac]?(\d{1,2})$")
OPERAND = re.compile(r'("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'])\'|\([^()]*\)|[^,"\'()])+')
COMMENT = re.compile(r'("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'])\'|[^#"\'])*')
HALFWORD = 2
LENGTHS = {"l": 256, "k": 16}


class Assembled(bytes):
    """The code; `symbols` are its labels and names with their values."""

    symbols: Mapping[str, int]


@dataclass
class Statement:
    """One line: its number, where its code begins, and what it says."""

    line: int
    address: int
    name: str
    operands: list[str]

    def fail(self, why: str) -> OSError:
        return OSError(errno.EINVAL, f"line {self.line}, {self.name}: {why}")


@cache
def known() -> dict[str, tuple[str, int, int | None]]:
    return instructions()


def assemble(source: str, address: int = 0, symbols: Mapping[str, int] | None = None) -> Assembled:
    """Turn source into code that will lie at `address`.

    Args:
        symbols: further names that the source may use.
    Raises:
        OSError: EINVAL, with the line and the operand that is wrong.
    """
    names = dict(symbols or {})
    later: list[tuple[Statement, str, str]] = []
    statements = list(_first_pass(source, address, names, later))
    for statement, name, value in later:
        _define(statement, names, name, _evaluate(statement, value, names))
    code = Assembled(b"".join(_encode(statement, names) for statement in statements))
    code.symbols = names
    return code


def _first_pass(source: str, address: int, names: dict[str, int], later: list[tuple[Statement, str, str]]
                ) -> Iterator[Statement]:
    """Find all labels; yield what makes code. A name whose value needs a label further down waits."""
    for line, text in enumerate(source.splitlines(), 1):
        comment = COMMENT.match(text)
        parts = STATEMENT.match(comment[0] if comment else text)
        if parts is None:
            raise OSError(errno.EINVAL, f"line {line}: not a statement: {text.strip()}")
        label, name, value, mnemonic, operands = parts.groups()
        statement = Statement(line, address, mnemonic or name or "", _split(operands or ""))
        if label:
            _define(statement, names, label, address)
        if name and set(re.findall(NAME, value)) - {".", "x", "X"} <= names.keys():
            _define(statement, names, name, _evaluate(statement, value, names))
        elif name:
            later.append((statement, name, value))
        if mnemonic:
            yield statement
            address += _length(statement, names)


def _define(statement: Statement, names: dict[str, int], name: str, value: int) -> None:
    if name in names:
        raise statement.fail(f"{name} is defined already")
    names[name] = value


def _split(text: str) -> list[str]:
    return [operand[0].strip() for operand in OPERAND.finditer(text)]


def _length(statement: Statement, names: Mapping[str, int]) -> int:
    """How many bytes the statement makes."""
    name, operands = statement.name, statement.operands
    if name in WIDTHS:
        return WIDTHS[name] * len(operands)
    if name in DIRECTIVES:
        return len(DIRECTIVES[name](statement, names))
    if name not in known():
        raise OSError(errno.EINVAL, f"line {statement.line}: no instruction or directive is called {name}")
    return len(FORMATS[known()[name][0]][1]) // 2


# values


def _evaluate(statement: Statement, text: str, names: Mapping[str, int]) -> int:
    """The value of an expression."""
    total, at = 0, 0
    while at < len(text):
        term = TERM.match(text, at)
        if term is None or (at and not term[1]):
            raise statement.fail(f"not an expression: {text}")
        value = _term(statement, term[2], names)
        total += -value if term[1] == "-" else value
        at = term.end()
        if not text[at:].strip():
            return total
    raise statement.fail("an operand is missing")


def _term(statement: Statement, text: str, names: Mapping[str, int]) -> int:
    if text.startswith("'"):
        return ord(_unescape(text[1:-1]))
    if text[0].isdigit():
        return int(text, 0)
    if text == ".":
        return statement.address
    if text not in names:
        raise statement.fail(f"{text} is not defined")
    return names[text]


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), text)


def _checked(statement: Statement, what: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise statement.fail(f"{what} {value} is not in {low} ... {high}")
    return value


# directives


def _ascii(statement: Statement, _: Mapping[str, int]) -> bytes:
    texts = statement.operands
    if not all(len(text) >= 2 and text[0] == text[-1] == '"' for text in texts):
        raise statement.fail("text stands in double quotes")
    end = "\0" if statement.name == ".asciz" else ""
    return "".join(_unescape(text[1:-1]) + end for text in texts).encode()


def _balign(statement: Statement, names: Mapping[str, int]) -> bytes:
    boundary = _evaluate(statement, "".join(statement.operands), names)
    if boundary < 1:
        raise statement.fail(f"{boundary} is no boundary")
    return bytes(-statement.address % boundary)


def _space(statement: Statement, names: Mapping[str, int]) -> bytes:
    size = _evaluate(statement, "".join(statement.operands), names)
    return bytes(_checked(statement, "size", size, 0, 1 << 20))


DIRECTIVES: dict[str, Callable[[Statement, Mapping[str, int]], bytes]] = {
    ".ascii": _ascii, ".asciz": _ascii, ".balign": _balign, ".space": _space}


# instructions


def _encode(statement: Statement, names: Mapping[str, int]) -> bytes:
    if statement.name in WIDTHS:
        width = WIDTHS[statement.name]
        limit = 1 << 8 * width
        values = [_checked(statement, "value", _evaluate(statement, operand, names), -limit // 2, limit - 1)
                  for operand in statement.operands]
        return b"".join((value % limit).to_bytes(width, "big") for value in values)
    if statement.name in DIRECTIVES:
        return DIRECTIVES[statement.name](statement, names)
    form, opcode, mask = known()[statement.name]
    spec, layout = FORMATS[form]
    kinds = [kind for kind in spec.split() if mask is None or kind != "m"]
    if len(statement.operands) != len(kinds):
        raise statement.fail(f"{len(kinds)} operands expected, {len(statement.operands)} given")
    fields = {"o": opcode, "0": 0, "m": mask or 0}
    for number, (kind, text) in enumerate(zip(kinds, statement.operands, strict=True), 1):
        fields |= _operand(statement, f"operand {number}:", kind, text, names)
    return _lay_out(layout, fields)


def _lay_out(layout: str, fields: Mapping[str, int]) -> bytes:
    """Fill the letters of a layout, the upper bits of each field first."""
    left = {letter: layout.count(letter) for letter in fields}
    digits = []
    for letter in layout:
        left[letter] -= 1
        digits.append(f"{fields[letter] >> 4 * left[letter] & 0xF:x}")
    return bytes.fromhex("".join(digits))


def _operand(statement: Statement, what: str, kind: str, text: str,
             names: Mapping[str, int]) -> dict[str, int]:
    """The fields that one operand gives."""
    letters, _, limits = kind.partition(":")
    if letters in ("r", "s", "t"):
        return {letters: _register(statement, what, text)}
    if letters == "m":
        return {"m": _checked(statement, what, _evaluate(statement, text, names), 0, 15)}
    if not limits:
        return _storage(statement, what, letters, text, names)
    value = _evaluate(statement, text, names)
    if letters == "n":
        value = _distance(statement, what, value)
    signed, bits = limits[0] == "s", int(limits[1:])
    low = -1 << bits - 1 if signed else 0
    return {letters: _checked(statement, what, value, low, low + (1 << bits) - 1)}


def _register(statement: Statement, what: str, text: str) -> int:
    number = REGISTER.match(text)
    if number is None:
        raise statement.fail(f"{what} {text} is no register")
    return _checked(statement, what, int(number[1]), 0, 15)


def _distance(statement: Statement, what: str, target: int) -> int:
    distance = target - statement.address
    if distance % HALFWORD:
        raise statement.fail(f"{what} {target:#x} is an odd number of bytes away")
    return distance // HALFWORD


def _storage(statement: Statement, what: str, letters: str, text: str,
             names: Mapping[str, int]) -> dict[str, int]:
    """D(X,B), D(L,B), D(B) or D: displacement, perhaps index or length, base."""
    parts = STORAGE.match(text)
    if parts is None:
        raise statement.fail(f"{what} {text} is not D(X,B)")
    displacement, one, two = parts.groups()
    more, base = letters[-2], letters[-1]
    if more in LENGTHS:
        if one is None:
            raise statement.fail(f"{what} {text} has no length: D(L,B)")
        length = _evaluate(statement, one, names)
        fields = {more: _checked(statement, f"{what} length", length, 1, LENGTHS[more]) - 1}
    else:
        if two is None:
            one, two = None, one
        if one is not None and more != "x":
            raise statement.fail(f"{what} {text} has an index that the instruction does not take")
        fields = {"x": _register(statement, what, one) if one else 0}
    fields[base] = _register(statement, what, two) if two else 0
    offset = _evaluate(statement, displacement or "0", names)
    if "h" in letters:
        offset = _checked(statement, f"{what} displacement", offset, -1 << 19, (1 << 19) - 1)
        return fields | {"d": offset & 0xFFF, "h": offset >> 12 & 0xFF}
    return fields | {letters[0]: _checked(statement, f"{what} displacement", offset, 0, 0xFFF)}


# and back


@dataclass(frozen=True)
class Instruction:
    """One row of a disassembly."""

    address: int
    code: bytes
    text: str

    def __str__(self) -> str:
        return f"{self.address:#010x}  {self.code.hex():12}  {self.text}"


def disassemble(code: bytes | memoryview | Bytes, address: int = 0) -> list[Instruction]:
    """What `code` at `address` means, row by row; halfwords that are no instruction become .short."""
    from capstone import CS_ARCH_SYSZ, CS_MODE_BIG_ENDIAN, Cs
    decoder = Cs(CS_ARCH_SYSZ, CS_MODE_BIG_ENDIAN)
    code = bytes(code)
    rows, at = [], 0
    while at < len(code):
        piece = code[at:at + instruction_length(code[at])]
        found = next(decoder.disasm_lite(piece, address + at, 1), None)
        if found is None:
            piece = piece[:HALFWORD]
            text = f"{'.short' if len(piece) == HALFWORD else '.byte'} {int.from_bytes(piece, 'big'):#x}"
        else:
            text = f"{found[2]} {found[3]}".strip()
        rows.append(Instruction(address + at, piece, text))
        at += len(piece)
    return rows
