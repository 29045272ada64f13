"""Executes pages of random bytes in a guest, in a process of its own: python random_pages.py FIRST COUNT.

One in three pages is made of opcodes that exist, so that more of each is carried out. What a page ends
with must be a signal or, by chance, exit(); a page that would not end gets SIGXCPU.
"""

from __future__ import annotations

import random
import sys
from collections import Counter

from xiplab import MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, ZVM, Guest
from xiplab.hw.mnemonics import FORMATS, instructions
from xiplab.linux.arch.s390.process import start_thread
from xiplab.units import Vaddr

PAGES = 8
BUDGET = 5000
FORMS = [(FORMATS[form][1], code) for form, code, _ in instructions().values() if form != "I"]


def plausible_page(rng: random.Random) -> bytes:
    """Instructions that exist, with random operands."""
    code = bytearray()
    while len(code) < PAGE_SIZE:
        layout, opcode = rng.choice(FORMS)
        digits, left = "", layout.count("o")
        for letter in layout:
            left -= letter == "o"
            digits += f"{opcode >> 4 * left & 15 if letter == 'o' else rng.randrange(16):x}"
        code += bytes.fromhex(digits)
    return bytes(code[:PAGE_SIZE])


def execute(guest: Guest, seed: int) -> int:
    """Run one page; returns how it ended, as Process.run does."""
    rng = random.Random(seed)
    process = guest.process("random")
    anything = PROT_READ | PROT_WRITE | PROT_EXEC
    memory = process.mmap(-1, PAGES * PAGE_SIZE, anything, MAP_PRIVATE | MAP_ANONYMOUS)
    memory[PAGE_SIZE:2 * PAGE_SIZE] = rng.randbytes(PAGE_SIZE) if seed % 3 else plausible_page(rng)
    start = memory.vaddr + PAGE_SIZE + 2 * rng.randrange(PAGE_SIZE // 2)
    start_thread(process.task, Vaddr(start), Vaddr(memory.vaddr + PAGES * PAGE_SIZE))
    for number in range(15):
        process.task.regs.gprs[number] = rng.choice((memory.vaddr + rng.randrange(PAGES * PAGE_SIZE),
                                                     rng.getrandbits(64), rng.randrange(100)))
    return process.run(BUDGET)


def main(first: int, count: int) -> None:
    guest = ZVM().logon("RANDOM")
    ends = Counter(execute(guest, seed) for seed in range(first, first + count))
    assert guest.frames["anonymous"] == 0, guest.frames
    print(dict(ends))
    print(f"{ends.total()} ended")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
