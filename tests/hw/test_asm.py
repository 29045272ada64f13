"""The assembler beside GNU as; the disassembler beside the assembler."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from xiplab.hw.asm import Instruction, assemble, disassemble, known

GOLDEN = [line.split(None, 1) for line in (Path(__file__).parent / "golden_asm.txt").read_text().splitlines()]
"""Code and source of each instruction, made by: s390x-linux-gnu-as -m64 -march=arch13"""

PROGRAM = """
start:  lghi    %r2, 6            # a comment
length = end - text
        larl    %r3, text
        lghi    %r4, length
loop:   aghi    %r4, -1
        jne     loop
        brctg   %r2, start
        br      %r14
text:   .ascii  "a \\"word\\"#\\n"
end:    .byte   1, 'x', -1
        .short  length, 0x8000
        .quad   end-start, -2
        .space  3
        .long   1+2-4
"""


def gnu_as(source: str, folder: Path) -> bytes:
    """What GNU as makes of it, without the filler behind it."""
    if shutil.which("s390x-linux-gnu-as") is None:
        pytest.skip("s390x-linux-gnu-as is not installed")
    (folder / "a.s").write_text(source)
    for command in ("as -m64 -march=arch13 a.s -o a.o", "objcopy -O binary -j .text a.o a.bin"):
        subprocess.run(f"s390x-linux-gnu-{command}".split(), cwd=folder, check=True)
    return (folder / "a.bin").read_bytes()


def test_assemble_gives_the_bytes_of_gnu_as() -> None:
    """Every mnemonic at least once, each operand at its limits and in between."""
    source = "\n".join(text for _, text in GOLDEN)
    code = bytes.fromhex("".join(digits for digits, _ in GOLDEN))

    assert {text.split()[0] for _, text in GOLDEN} == set(known())
    assert assemble(source) == code


def test_golden_bytes_are_those_of_gnu_as_here(tmp_path: Path) -> None:
    code = assemble("\n".join(text for _, text in GOLDEN))

    assert gnu_as("\n".join(text for _, text in GOLDEN) + "\n", tmp_path)[:len(code)] == code


def test_assemble_labels_and_directives_as_gnu_as(tmp_path: Path) -> None:
    """Labels before and after their use, names, character values, text with a # in it."""
    code = assemble(PROGRAM)

    assert gnu_as(PROGRAM, tmp_path)[:len(code)] == code


def test_assemble_at_an_address_keeps_distances() -> None:
    """Branches are relative; the value of a label is its address."""
    there = assemble(PROGRAM, 0x1000)

    assert there[:0x20] == assemble(PROGRAM)[:0x20]
    assert there.symbols["loop"] == 0x1000 + assemble(PROGRAM).symbols["loop"]


def test_assemble_takes_symbols() -> None:
    assert assemble("brasl %r14, puts", 0x1000, {"puts": 0x2000}) == bytes.fromhex("c0e500000800")


def test_assemble_balign_fills_with_zeros() -> None:
    assert assemble("svc 1\n.balign 8\nsvc 2") == bytes.fromhex("0a01000000000000 0a02")


def test_assemble_asciz_ends_in_zero() -> None:
    assert assemble('.asciz "hi"') == b"hi\0"


@pytest.mark.parametrize(("source", "message"), [
    ("svc 1\nlghi %r1, 40000", "line 2, lghi: operand 2: 40000 is not in -32768 ... 32767"),
    ("lgr %r1", "line 1, lgr: 2 operands expected, 1 given"),
    ("lgr %r1, %r16", "line 1, lgr: operand 2: 16 is not in 0 ... 15"),
    ("lgr %r1, x", "line 1, lgr: operand 2: x is no register"),
    ("hello %r1", "line 1: no instruction or directive is called hello"),
    ("j there", "line 1, j: there is not defined"),
    ("j .+3", "line 1, j: operand 1: 0x3 is an odd number of bytes away"),
    ("j .+70000", "line 1, j: operand 1: 35000 is not in -32768 ... 32767"),
    ("a: svc 1\na: svc 2", "line 2, svc: a is defined already"),
    ("l %r1, 4096(%r2)", "line 1, l: operand 2: displacement 4096 is not in 0 ... 4095"),
    ("lmg %r1, %r2, 0(%r3,%r4)",
     "line 1, lmg: operand 3: 0(%r3,%r4) has an index that the instruction does not take"),
    ("mvc 0(%r1), 0(%r2)", "line 1, mvc: not an expression: %r1"),
    ("mvc 0, 0(%r2)", "line 1, mvc: operand 1: 0 has no length: D(L,B)"),
    ("mvc 0(257,%r1), 0(%r2)", "line 1, mvc: operand 1: length 257 is not in 1 ... 256"),
    (".byte 256", "line 1, .byte: value 256 is not in -128 ... 255"),
    (".ascii hi", "line 1, .ascii: text stands in double quotes"),
    (".balign 0", "line 1, .balign: 0 is no boundary"),
    (".space 99999999", "line 1, .space: size 99999999 is not in 0 ... 1048576"),
    ("lghi %r1, 1 2", "line 1, lghi: not an expression: 1 2"),
    ("lghi %r1, ", "line 1, lghi: 2 operands expected, 1 given"),
    ("x = y", "line 1, x: y is not defined"),
], ids=str)
def test_assemble_errors_name_line_and_operand(source: str, message: str) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        assemble(source)

    assert (caught.value.errno, caught.value.strerror) == (errno.EINVAL, message)


def test_disassemble_says_what_was_assembled() -> None:
    """Assembling the text again gives the same code, for all that Capstone knows."""
    different = []
    for digits, _ in GOLDEN:
        code = bytes.fromhex(digits)
        rows = disassemble(code, 0x100000)
        if not rows[0].text.startswith(".short"):
            again = assemble(rows[0].text, 0x100000)
            if again != code:
                different.append((digits, rows[0].text))

    assert different == []


def test_disassemble_zeros_and_odd_ends_are_data() -> None:
    assert disassemble(b"\x0a\x01\0\0\x07", 0x1000) == [
        Instruction(0x1000, b"\x0a\x01", "svc 1"), Instruction(0x1002, b"\0\0", ".short 0x0"),
        Instruction(0x1004, b"\x07", ".byte 0x7")]


def test_disassemble_takes_a_frame() -> None:
    frame = np.zeros(4096, np.uint8)
    frame[:2] = 0x0A, 0x07

    assert str(disassemble(frame)[0]) == "0x00000000  0a07          svc 7"
