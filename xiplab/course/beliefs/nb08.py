"""Notebook 08: what people expect of programs that run in place."""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

_NEW = "experiment = Execute()\n"

MISCONCEPTIONS = (
    Misconception(
        "exec-loads-the-program",
        "To start a program is to load its instructions into memory.",
        "exec makes a list of areas: which part of the file belongs at which address. A page comes into the "
        "page table when it is first touched.",
        "Look at the page table of a program that has not run yet.",
        f'{_NEW}print([page.kind for page in experiment.pages("LINUX1")])\n'
        'experiment.execute("LINUX1"); print([page.kind for page in experiment.pages("LINUX1")])'),
    Misconception(
        "nothing-before-the-first-instruction",
        "Before its first instruction a program has no memory of its own.",
        "Linux itself stores first: the arguments go onto the stack, and the rest of the page of data is "
        "cleared, because bss begins there.",
        "Look whose the frames are before the first instruction.",
        f'{_NEW}print([(page.kind, page.shared) for page in experiment.pages("LINUX1")])'),
    Misconception(
        "running-code-is-loaded-code",
        "What happens to the file does not matter to a program that runs already.",
        "The processor fetches each instruction from the frame in the page table. In place that frame is the "
        "storage.",
        "Change the sign while a program runs.",
        f'{_NEW}experiment.start("LINUX1", "greet Ann Bob"); experiment.next_line("LINUX1")\n'
        'experiment.patch(experiment.sign() + 3, ord("!")); experiment.next_line("LINUX1")\n'
        "print(experiment.sentence())"),
    Misconception(
        "one-guest-is-changed",
        "A change of a program reaches the guest that made it, and the others at their next start.",
        "All guests have the same frame in their page tables. There is nothing else that could be executed.",
        "Let both guests greet, change the sign, and let both go on.",
        f'{_NEW}experiment.start("LINUX2", "shout Eve")\n'
        "experiment.patch(experiment.sign() + 3, 0x21)\n"
        'experiment.run("LINUX2"); print(experiment.sentence())'),
    Misconception(
        "address-is-in-the-code",
        "A library at another address needs other instructions, so each address needs a copy.",
        "Its instructions say how far away things are, not where. The addresses that it needs lie in its "
        "data, and data is private.",
        "Compare address and frame of the library in two programs.",
        f'{_NEW}experiment.start("LINUX1", "greet Ann"); experiment.run("LINUX1")\n'
        'experiment.start("LINUX2", "shout Eve"); experiment.run("LINUX2"); print(experiment)'),
    Misconception(
        "in-place-needs-no-memory",
        "Programs in place need no memory of the guest.",
        "Only text and rodata are shared. Variables, stacks and page tables are as many as before.",
        "Count the frames of each guest after a run in place.",
        f'{_NEW}experiment.run("LINUX1"); print(experiment.frames_by_kind()["LINUX1"])'),
    Misconception(
        "text-is-most-of-a-program",
        "Without the copies of its text a program costs next to nothing.",
        "That depends on the program. The small ones of this course have more page tables than text.",
        "Compare the kinds in a bill.",
        f'{_NEW}experiment.run("LINUX1"); print(experiment.frames_by_kind())'),
    Misconception(
        "address-moves-by-itself",
        "Behind a load, the register holds the address of the next number.",
        "A load changes the register that it loads, and no other. To go on, add 8 to the address yourself.",
        "Look for the instruction that adds 8 to %r2.",
        "from xiplab.hw.asm import assemble, disassemble\n"
        'print(*disassemble(assemble("ag %r4,0(%r2); la %r2,8(%r2)".replace(";", "\\n"))), sep="\\n")'),
    Misconception(
        "load-adds",
        "A load adds a number to the register.",
        "lg replaces what was in the register. To add a number from memory there is ag.",
        "Compare lg with ag.",
        'experiment.assemble(experiment.entry("hello"), "lghi %r2,1; aghi %r2,2; svc 248")\n'
        'experiment.start("LINUX1", "hello"); experiment.run("LINUX1")\n'
        'print(experiment.registers("LINUX1")[2])'),
    Misconception(
        "nothing-begins-as-zero",
        "A register begins as zero.",
        "It holds what the instructions before have left, or what Linux has put there.",
        "Begin the sum with lghi.",
        'experiment.reset(); print(experiment.registers("LINUX1"))'),
    Misconception(
        "text-can-be-stored",
        "A program may change its own text, it is its own memory.",
        "The text is the segment's frame, the same for all. Its pages do not allow a store: SIGSEGV.",
        "Keep what you count in a register.",
        'experiment.assemble(experiment.entry("hello"), "larl %r2,0; basr %r1,0; stc %r2,0(%r1)")\n'
        'experiment.start("LINUX1", "hello"); experiment.run("LINUX1"); print(experiment.sentence())'),
    Misconception(
        "zero-belongs-to-the-text",
        "The zero at the end is a byte of the text.",
        "It says where the text ends, and is not counted.",
        "Test the byte before you count it.",
        'print(len("Hello"), len(b"Hello\\0"))'),
    Misconception(
        "address-is-a-length",
        "Where the text ends is how long it is.",
        "The end is an address. The length is the distance from the beginning.",
        "Count from zero, or subtract the address of the first byte.",
        'print(hex(experiment.place_of("LINUX1", experiment.next_address("LINUX1")) or 0))'),
    Misconception(
        "a-load-is-a-byte",
        "Each load brings one byte.",
        "lg brings eight bytes, llgf four. llgc brings one byte and clears the rest of the register.",
        "Use llgc.",
        "from xiplab.hw.asm import assemble, disassemble\n"
        'print(*disassemble(assemble("llgc %r5,0(%r4,%r2)")), sep="\\n")'),
    Misconception(
        "frame-of-a-task-is-its-own",
        "What a task has in its page table belongs to the task.",
        "Before the first store a private page is the storage's own frame. Whoever writes into that frame "
        "writes into the segment, for all guests.",
        "Store at the task's address: then the page is copied first.",
        'print(experiment)'),
    Misconception(
        "bss-takes-whole-pages",
        "bss begins with a page of its own.",
        "It begins where data ends, mostly in the middle of a page. What is before it is data.",
        "Clear from bss on, not from the start of the page.",
        'print(*experiment.programs["LINUX1"].maps(), sep="\\n")'),
    Misconception(
        "a-page-is-always-begun",
        "There is always a rest of a page to be cleared.",
        "If bss begins with a page, the page before it is all data, and this one may be another file's.",
        "Do nothing if bss is a multiple of PAGE_SIZE.",
        "for bss in (4000, 4096): print(bss, bss % 4096)"),
    Misconception(
        "bytes-up-to-the-offset",
        "The offset in the page says how much there is to clear.",
        "It says how much is data. The rest is PAGE_SIZE minus the offset.",
        "Subtract.",
        "bss = 4096 + 3000; print(bss % 4096, 4096 - bss % 4096)"),
    Misconception(
        "file-ends-in-zeros",
        "Behind the data of a program there are zeros in its file.",
        "There is whatever comes next in the file. bss has no bytes there at all.",
        "Clear the rest of the page.",
        'print(*experiment.programs["LINUX1"].maps(), sep="\\n")'),
    Misconception(
        "the-first-pays-what-all-pay",
        "Each guest costs as much as one guest alone.",
        "A bill for one guest holds what is paid once, too. A second guest does not pay that again.",
        "Subtract the bill of one guest from that of two.",
        'for n in (1, 2): print(memory_bill(n, in_place=True, commands=("hello",)).total)'),
    Misconception(
        "all-divide-everything",
        "The cost of a guest is the bill divided by the guests.",
        "That counts a part of what is paid once for each. With more guests it gets smaller, and nothing has "
        "changed.",
        "Subtract two bills, do not divide.",
        'for n in (1, 2, 8): print(n, memory_bill(n, in_place=True, commands=("hello",)).total / n)'),
    Misconception(
        "two-guests-are-one",
        "What is paid once is the bill of one guest.",
        "The bill of one guest has two parts: what is paid once, and what this guest pays.",
        "Subtract what each guest pays.",
        'bill = memory_bill(1, in_place=True, commands=("hello",)); print(bill.total, bill.shared)'),
)

PREDICTIONS = {
    "08.start": Prediction(
        "counter has been started in LINUX1, in place. Not one of its instructions has run. Which frames are "
        "in its page table?",
        {"a": Choice("Text, rodata and data: exec has loaded the program.",
                     "A program on a disk without a cache would have to be loaded. But even there exec only "
                     "notes what belongs where. Text comes with the first instruction.",
                     "exec-loads-the-program"),
         "b": Choice("None: nothing has been touched.",
                     "The program has touched nothing. But Linux has put the arguments on its stack, and "
                     "zeros behind its data.", "nothing-before-the-first-instruction"),
         "c": Choice("A page of stack and a page of data, both LINUX1's own.",
                     "Linux has put the arguments on the stack. And it has cleared the page of data behind "
                     "the last variable: that store made the copy.")},
        right="c"),
    "08.library": Prediction(
        "greet in LINUX1 and shout in LINUX2 use the library libgreet.so. It lies at different addresses in "
        "the two. How many frames hold its instructions?",
        {"a": Choice("Two: at another address the instructions must be others.",
                     "It would be so if the instructions named addresses. These name distances: call what is "
                     "so many bytes ahead. Compare the frames in the two page tables.",
                     "address-is-in-the-code"),
         "b": Choice("One, the segment's.",
                     "A page table maps any address to any frame. The instructions need no change, so all "
                     "can have the same ones."),
         "c": Choice("None: in place, a library needs no frame.",
                     "The guests need none of their own. But the processor fetches instructions from a "
                     "frame, and that is a frame of the segment.", "in-place-needs-no-memory")},
        right="b"),
    "08.patch": Prediction(
        "Both guests run greet and have greeted Ann. In the segment, the byte for “.” in the library becomes "
        "“!”. Then both go on and greet Bob. What do they write?",
        {"a": Choice("Both “Hello, Bob.”: their programs run already.",
                     "A program that was loaded would go on as it was. Here nothing was loaded. The next "
                     "call fetches the instruction from the segment.", "running-code-is-loaded-code"),
         "b": Choice("Both “Hello, Bob!”.",
                     "One byte was changed, and there is only this one. Whoever calls the function next "
                     "executes it."),
         "c": Choice("One “!” and one “.”: the change reaches a guest when it starts the program anew.",
                     "With a page cache in each guest it could be so. In place, no guest has anything that "
                     "could be out of date.", "one-guest-is-changed")},
        right="b"),
    "08.bill": Prediction(
        "64 guests run counter and greet. Through the page cache they use some number of frames. In place, "
        "how many of these are left?",
        {"a": Choice("Nearly none: one set of frames for all.",
                     "It is so for text and rodata. But each program stores into variables and stacks, and "
                     "each has page tables. Look at the bars.", "in-place-needs-no-memory"),
         "b": Choice("A few hundredths, for variables and stacks.",
                     "Large programs are mostly text and constants. These two have a page of each per file, "
                     "and more page tables than that.", "text-is-most-of-a-program"),
         "c": Choice("About three quarters.",
                     "Text and rodata are there once. The rest is as it was, and in programs as small as "
                     "these the rest is most.")},
        right="c"),
}
