"""Notebook 09: its predictions, and what people believe about highmem, flash and modules.

The evidence runs after the notebook's first code cell (names: ramdisk, flash, loading).
"""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

PREDICTIONS = {
    "09.address": Prediction(
        "The ramdisk's pages lie in highmem. Its driver answers direct_access with the right frame, and with "
        "address 0. A program has mapped the file; then it calls read() as well. Who gets the file's bytes?",
        {"a": Choice("Both: a frame number is enough to find the bytes.",
                     "It is enough for a page table. But read() copies with the kernel's own hands, through "
                     "the address it was given. At address 0 lies something else.", "frame-is-enough"),
         "b": Choice("The mapping, but not read().",
                     "The mapping needs the frame, read() needs the address. The frame is right, the address "
                     "is not."),
         "c": Choice("read(), but not the mapping.",
                     "It is the other way round. The page table was filled with the frame, and the frame is "
                     "right.", "kernel-reaches-all"),
         "d": Choice("Nobody: the mount notices and fails.",
                     "Nobody compares the two answers. That makes it bad: wrong bytes and no error.",
                     "somebody-checks")},
        right="b"),
    "09.slots": Prediction(
        "Another driver takes a slot with kmap for each page that direct_access is asked for. There are "
        "8 slots. You read the 12 pages of the file, one after the other. What happens?",
        {"a": Choice("All 12 reads are right: a slot is used again once the copy is done.",
                     "It would be, if somebody gave it back. direct_access has no second half: nobody tells "
                     "the driver that the address is no longer used.", "kmap-gives-back"),
         "b": Choice("Eight reads are right, the next one waits for ever.",
                     "Each page keeps its slot, because its address must stay valid."),
         "c": Choice("From the ninth page on the oldest slot is taken, and its page reads wrong.",
                     "Linux does not take a slot away while it is in use. It has no way to know that this "
                     "one is not.", "kmap-gives-back"),
         "d": Choice("All 12 reads fail.",
                     "The first eight find a free slot. Look at the table of slots.", "kernel-reaches-all")},
        right="b"),
    "09.and": Prediction(
        "A byte of the log holds 0xf0. You program 0x0f over it, and there is no error. What does the byte "
        "hold then?",
        {"a": Choice("0x0f: it was written.",
                     "So it is in memory and on a disk. A flash cell can lose its 1 and cannot get it back "
                     "by "
                     "programming.", "program-replaces"),
         "b": Choice("0xf0: flash has to be erased first.",
                     "Half right: to get a 1 back takes an erase. But zeros can be programmed at any time, "
                     "and "
                     "the upper four bits became 0.", "program-replaces"),
         "c": Choice("0x00: only the bits that are 1 in both stay 1.",
                     "Programming is AND. No bit is 1 in both."),
         "d": Choice("0xff: bits are added.",
                     "That would be OR. Programming makes zeros: an erased block is all ones.",
                     "program-replaces")},
        right="c"),
    "09.busy": Prediction(
        "The program runs in place from block 1 of the chip. Somebody erases block 9 of the same chip, which "
        "takes half a second. What does the program load in the meantime?",
        {"a": Choice("Its own bytes: block 1 is not touched.",
                     "Its cells are not touched. But a chip has one mode for all of its range, and now every "
                     "read gives the status.", "blocks-are-apart"),
         "b": Choice("Nothing: the load waits until the chip is ready.",
                     "A disk makes its readers wait. A load from memory cannot wait; it takes what the chip "
                     "answers.", "flash-makes-wait"),
         "c": Choice("The chip's status, in place of its code.",
                     "Every read of the chip gives the status, whatever its address."),
         "d": Choice("Ones: erased cells read 0xff.",
                     "Those of block 9 will, when it is done. The program's mapping shows something else.",
                     "blocks-are-apart")},
        right="c"),
    "09.pointed": Prediction(
        "The same again, but now the mount has pointed the chip: it has told the flash driver that somebody "
        "reads in place. What happens to the erase?",
        {"a": Choice("It runs, and the driver suspends it for each load of the program.",
                     "The driver would have to know of each load. A load through a page table tells nobody. "
                     "Only read() goes through the driver.", "driver-sees-loads"),
         "b": Choice("It fails with EBUSY.",
                     "Tempting, but nobody is refused. The driver puts the writer to sleep until the last "
                     "reader has left.", "flash-makes-wait"),
         "c": Choice("It waits until the file system is unmounted.",
                     "Reads proceed, writers sleep. So there is execution in place, and no writing."),
         "d": Choice("It runs as before.",
                     "Then the mark would be of no use. Look at the chip: its blocks stay as they are.",
                     "blocks-are-apart")},
        right="c"),
    "09.insmod": Prediction(
        "The file hello.ko lies in a segment that is mounted in place. A guest loads it as a kernel module. "
        "How often are its bytes copied?",
        {"a": Choice("Not at all: its file lies in place.",
                     "The file does. What runs is not the file: a module is put together in the kernel's own "
                     "memory.", "module-in-place"),
         "b": Choice("Once: out of the segment into the kernel.",
                     "It would be enough. But insmod is a program: it reads the file, and hands its memory "
                     "over.", "module-in-place"),
         "c": Choice("Three times: to insmod, to the kernel, and into the places where they run.",
                     "The list of copies says it, with the bytes of each.")},
        right="c"),
    "09.patch": Prediction(
        "Two guests have loaded the same module. You compare the bytes of its code: in the file, in LINUX1's "
        "kernel, in LINUX2's kernel. Which are equal?",
        {"a": Choice("All three: code is code.",
                     "Machine code holds addresses, and distances to other code. Where they belong the file "
                     "has zeros.", "code-is-fixed"),
         "b": Choice("The two kernels', but not the file's.",
                     "Both are filled in. But the module lies at another address in each, so its distance to "
                     "the kernel differs.", "code-is-fixed"),
         "c": Choice("None of them.",
                     "Each kernel fills in what fits its own addresses. That is why one shared frame cannot "
                     "serve both.")},
        right="c"),
}

MISCONCEPTIONS = (
    Misconception(
        "frame-is-enough",
        "Whoever knows the frame can reach its bytes.",
        "A program reaches a frame through its page table. The kernel's own code needs a kernel address, and "
        "a frame of highmem has none.",
        "Compare frame and address of a page.",
        "print(hex(ramdisk.frame(0)), hex(ramdisk.address(0)))"),
    Misconception(
        "kernel-reaches-all",
        "The kernel can always reach all memory.",
        "It can make any frame visible for a time, in a slot. Only lowmem is visible all the time.",
        "Ask for the kernel's address of a page in lowmem and in highmem.",
        'ramdisk.driver("lowmem"); print(hex(ramdisk.address(0)))\n'
        'ramdisk.driver("highmem"); print(hex(ramdisk.address(0)))'),
    Misconception(
        "somebody-checks",
        "Wrong answers of a driver are noticed.",
        "Nobody compares address and frame. A wrong pair gives wrong bytes, without an error.",
        "Read the same page both ways.",
        "ramdisk.read(0); print(ramdisk)\nramdisk.load(0); print(ramdisk)"),
    Misconception(
        "kmap-gives-back",
        "A slot of kmap comes back by itself.",
        "Whoever takes a slot gives it back with kunmap. direct_access has no such end: its address must "
        "hold "
        "until the device is released.",
        "Count the slots after three reads.",
        'ramdisk.driver("kmap"); [ramdisk.read(page) for page in range(3)]\n'
        "print(sum(pfn is not None for pfn in ramdisk.slots()))"),
    Misconception(
        "program-replaces",
        "Writing to flash replaces what was there.",
        "Programming makes ones into zeros and never the other way round: the result is old AND new. An "
        "erase "
        "makes a whole block all ones.",
        "Program two values over each other.",
        "flash.program(0, 0xf0); flash.program(0, 0x0f)\nprint(flash.log_cells()[:1].hex())"),
    Misconception(
        "blocks-are-apart",
        "While one block is erased, the others can be read.",
        "A chip has one mode for all of its range. While it is busy, and until it is told otherwise, each "
        "read "
        "gives the status.",
        "Erase a block and look at another one.",
        "flash.erase(9); print(flash.sees()[:4].hex(), flash.cells()[:4].hex())"),
    Misconception(
        "flash-makes-wait",
        "A busy device makes its readers wait.",
        "A driver can make its callers wait. A load through a page table calls nobody: it takes what the "
        "chip "
        "answers.",
        "Load while the chip is busy: the answer is there at once, and wrong.",
        "flash.erase(9); before = flash.chip.now_us\n"
        "print(flash.sees()[:4].hex(), flash.chip.now_us - before)"),
    Misconception(
        "driver-sees-loads",
        "The driver knows when a program uses its mapping.",
        "After the first touch the page table answers. Neither the driver nor Linux is asked again.",
        "Count the calls of a load.",
        "from xiplab import Recording\nwith Recording() as recording: flash.text[0]\n"
        "print(recording.calls())"),
    Misconception(
        "module-in-place",
        "A module on a XIP file system is executed in place.",
        "insmod reads the file, the kernel copies it and copies its parts again. Only then does it run.",
        "Load it and list what was copied.",
        'loading.insmod("LINUX1"); print(loading.copies["LINUX1"])'),
    Misconception(
        "code-is-fixed",
        "Machine code is the same wherever it is loaded.",
        "A module's code holds distances to the kernel's functions. They are filled in when it is loaded, "
        "and "
        "differ with its address.",
        "Compare the code in two kernels.",
        'loading.insmod("LINUX1"); loading.insmod("LINUX2")\n'
        'print(bytes(loading.code("LINUX1")[-4:]).hex(), bytes(loading.code("LINUX2")[-4:]).hex())'),
    Misconception(
        "programming-sets-bits",
        "Programming adds bits: old OR new.",
        "It is the other way round: programming makes ones into zeros, old AND new. An erased byte is 0xff.",
        "Program 0xf0, then 0x0f.",
        "flash.program(0x10, 0xF0); flash.program(0x10, 0x0F)\n"
        "print(hex(flash.log_cells(0x10)[0]))"),
    Misconception(
        "chip-goes-back-by-itself",
        "Once the chip is ready, loads give its cells again.",
        "It goes on giving its status until somebody writes the command READ_ARRAY.",
        "Wait longer than an erase takes, and look at the program's bytes.",
        "flash.erase(9); flash.wait(2000)\nprint(flash)"),
    Misconception(
        "point-is-only-an-address",
        "To point a chip is to ask for its address.",
        "It is a promise with an end: until unpoint the chip stays in array mode, and whoever wants to "
        "program or erase sleeps.",
        "Mount pointed, and ask for an erase.",
        'flash.mount("pointed"); flash.erase(9); flash.wait(2000)\nprint(flash)'),
    Misconception(
        "erase-needs-no-status",
        "An erase takes so long, then it is done.",
        "How long it takes nobody knows: chips age. The status says when it is over, and whether it has "
        "worked.",
        "Read the status until the bit SR_READY is set.",
        "flash.erase(9)\nfor ms in (1, 300, 300): flash.wait(ms); print(flash.chip_status())"),
    Misconception(
        "old-errors-go-by-themselves",
        "The status tells of the last command only.",
        "An error stays in the status until somebody clears it. Without that, an old error looks like a new "
        "one.",
        "Write CLEAR_STATUS before you begin.",
        "flash.chip.locked.add(9); flash.chip.write(9 * 0x8000, 0x20); flash.chip.write(9 * 0x8000, 0xD0)\n"
        "flash.chip.locked.clear(); print(flash.chip_status())"),
    Misconception(
        "suspend-is-at-once",
        "Behind the command SUSPEND the chip is ready.",
        "It needs some time to stop, and takes no other command meanwhile. The status says when.",
        "Read the status until the bit SR_READY is set, and sleep between.",
        "flash.erase(9); flash.chip.write(0, 0xB0)\nprint(flash.chip_status())\n"
        "flash.chip.advance(20); print(flash.chip_status())"),
    Misconception(
        "erase-goes-on-by-itself",
        "A suspended erase goes on by itself after the read.",
        "It waits for the command RESUME. Without it the block is never erased.",
        "Write RESUME, if you have suspended an erase.",
        "flash.erase(9); flash.chip.write(0, 0xB0); flash.chip.advance(10_000_000)\n"
        "print(flash.chip_status())"),
    Misconception(
        "erase-was-suspended",
        "Whoever asked for a suspend has suspended something.",
        "The erase may have come to its end first, or there was none. Then there is nothing to resume, and "
        "the chip must stay in array mode.",
        "Look at the bit SR_ERASE_SUSPENDED before you write RESUME.",
        "flash.chip.write(0, 0xB0)\nprint(flash.chip_status())"),
    Misconception(
        "each-call-is-a-page",
        "Each call may answer with a new page.",
        "A page that was written has its frame for good. Another frame holds other bytes.",
        "Take a page only if pfn is None.",
        "print(ramdisk.frame(3), ramdisk.frame(3))"),
    Misconception(
        "lowmem-is-plenty",
        "Lowmem is always the better choice.",
        "There is little of it, and Linux needs it for itself. Without direct_access nobody keeps an address "
        "of these pages, so highmem will do.",
        "Ask has_direct_access before you choose.",
        "zone = ramdisk.guest.kernel.highmem\nprint(hex(zone.first), hex(zone.end))"),
    Misconception(
        "counters-begin-at-zero",
        "A counter says what the last action has cost.",
        "It counts since the machine was started. The cost is the difference of two looks.",
        "Look at the counters before you load the module."),
    Misconception(
        "copies-keep-their-memory",
        "Every copied byte stays in memory.",
        "Two of the copies are given back when the module runs. What stays is the part that runs.",
        "Count frames before and after, not bytes.",
        'loading.insmod("LINUX1")\nprint(loading.guests["LINUX1"].frames["vmalloc"])'),
)
