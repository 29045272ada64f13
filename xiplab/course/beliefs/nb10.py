"""Notebook 10: its predictions, and what people believe about DAX and about shared memory.

The evidence runs after the notebook's first code cell (names: experiment, native, after).
"""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

PREDICTIONS = {
    "10.race": Prediction(
        "A program loads from page 2 of a file mapped in place. Linux looks the block up. Before the frame "
        "is in the page table, another program cuts the file off and writes a secret into a new file, which "
        "gets the freed block. Then the page fault ends. What does the program see?",
        {"a": Choice("SIGBUS: the page is not in the file any more.",
                     "So it should be, and with DAX it is. Execute-in-place looks at the size once, at the "
                     "beginning.", "size-is-watched"),
         "b": Choice("The letter's old bytes.",
                     "The frame is the old one, but it is storage, not a copy. Whoever gets the block writes "
                     "into that same frame.", "freed-is-gone"),
         "c": Choice("The secret, which belongs to another file.",
                     "The page table names the block's frame, and the block belongs to another file by now."),
         "d": Choice("Zeros: a freed block is cleared.",
                     "Nobody clears a block when it is freed. It keeps its bytes until its next owner "
                     "writes.",
                     "freed-is-gone")},
        right="c"),
    "10.time": Prediction(
        "A program maps a file for writing, loads a byte, then stores one. Does Linux change the file's time "
        "of modification?",
        {"a": Choice("Both kernels do: a store is a write.",
                     "write() calls Linux. A store through a page table calls nobody, unless the entry is "
                     "protected.", "stores-are-noticed"),
         "b": Choice("Neither: a store cannot be noticed.",
                     "It can be, once: DAX protects the page until its first store, and that store is a page "
                     "fault.", "stores-are-noticed"),
         "c": Choice("Linux 4.1 with DAX does; Linux 3.6 with execute-in-place does not.",
                     "DAX enters the page protected. The first store faults, and the fault sets the time.")},
        right="c"),
    "10.see": Prediction(
        "Three processes of your own computer have the file. Processes 1 and 2 have mapped the segment's "
        "memory, process 3 has read the file into memory of its own. A byte of the segment changes. Who sees "
        "it at once?",
        {"a": Choice("Processes 1 and 2.", "They have the segment's frames in their page tables."),
         "b": Choice("All three, because they have the same file.",
                     "Process 3 has a copy. Nothing connects a copy with what it was made from.",
                     "cache-is-the-storage"),
         "c": Choice("None: processes cannot see each other's memory.",
                     "Not unless they map the same memory. These were given the descriptor of it.",
                     "processes-are-apart")},
        right="a"),
    "10.pss": Prediction(
        "Eight processes map 16 MiB of the segment, and touch all of it. Linux counts for each process the "
        "frames in its page table (Rss). What is the sum, and how much memory is really taken?",
        {"a": Choice("Sum 16 MiB, taken 16 MiB.",
                     "Rss counts a frame in each process that has it, shared or not.", "rss-is-memory"),
         "b": Choice("Sum 128 MiB, taken 128 MiB.",
                     "That is the sum. But all eight tables name the same frames: there are 16 MiB of them.",
                     "rss-is-memory"),
         "c": Choice("Sum 128 MiB, taken 16 MiB.",
                     "Rss counts each frame eight times. Pss gives each process an eighth.")},
        right="c"),
    "10.code": Prediction(
        "The file holds six or eight bytes of machine code: return 42. Another process calls them, where "
        "they lie. You change a byte in the segment, so that it is: return 43. It calls them again, with no "
        "step in between. What comes back?",
        {"a": Choice("42 and 42: the process has loaded the code.",
                     "It has loaded nothing. The processor takes each instruction from the frame, and the "
                     "frame has changed.", "code-is-loaded"),
         "b": Choice("42, then the process crashes.",
                     "It would, had it seen half an instruction. Here one byte changed, and the code is "
                     "whole.",
                     "processes-are-apart"),
         "c": Choice("42 and 43.", "It executes what lies in storage: that is the name of the thing.")},
        right="c"),
}

MISCONCEPTIONS = (
    Misconception(
        "size-is-watched",
        "Linux notices when a file gets shorter during a page fault.",
        "It does only if it looks twice. Execute-in-place looked at the size once, before the block was "
        "entered into the page table.",
        "Run the race in both kernels.",
        'print(after.race("xip"), after.race("dax"))'),
    Misconception(
        "freed-is-gone",
        "What was in a freed block cannot be seen any more.",
        "A freed block keeps its frame. Who still has that frame in a page table sees whatever comes there "
        "next.",
        "Look at what the program sees after the race.",
        'print(after.race("xip"))'),
    Misconception(
        "stores-are-noticed",
        "Linux knows of every store.",
        "It knows of a store only if the page is protected: then the store is a page fault. DAX protects "
        "pages until their first store.",
        "Compare the file's time in both kernels.",
        'print(after.store("xip"), after.store("dax"))'),
    Misconception(
        "processes-are-apart",
        "Two processes never have the same memory.",
        "They have if both map the same file or the same segment. Then their page tables name the same "
        "frames.",
        "Let one process store, and another one load.",
        "if not native.unavailable():\n    experiment.write(1, 0, 0x4A)\nprint(experiment)"),
    Misconception(
        "rss-is-memory",
        "The sum of Rss is the memory that the processes take.",
        "Rss counts a shared frame once for each process. Pss divides it among them, so the sum of Pss is "
        "what is really taken.",
        "Compare both columns.",
        "print([(row.rss, row.pss) for row in experiment.rows()])"),
    Misconception(
        "code-is-loaded",
        "Code has to be loaded before it runs.",
        "The processor executes what lies in a frame. If the frame is storage, the code runs where it is "
        "stored.",
        "Change a byte of code between two calls.",
        "experiment.guest.pwrite(experiment.fd, code.returning(42), 0)\n"
        "with Peer(experiment.filp, PROT_READ | PROT_EXEC) as other: print(other.call(0))\n"
        "print('the bytes in the segment:', experiment.storage()[:1].hex())"),
    Misconception(
        "dax-is-a-new-name",
        "DAX is execute-in-place under another name.",
        "The idea is the same, the code is not. A fault looks at the size again under a lock, only stores "
        "take blocks, and the first store sets the time.",
        "Ask both kernels the same.",
        'print(after.race("xip"), after.race("dax"), after.load_hole("xip"), after.load_hole("dax"))'),
    Misconception(
        "lock-can-go-early",
        "The lock is needed for the look at the size alone.",
        "It is needed until the entry stands in the page table. Truncate removes entries that it finds "
        "there; one that comes later it does not find.",
        "Unlock after the entry is made.",
        'print(after.race("xip"))'),
    Misconception(
        "one-look-is-enough",
        "A size that was read once stays true.",
        "It was true when it was read. Under the lock it has to be read again, because truncate may have "
        "come in between.",
        "Ask for the number of pages a second time.",
        'print(after.race("xip"))'),
    Misconception(
        "an-error-lets-go",
        "An exception gives back the lock.",
        "Nobody does that but you. Each way out of the function has to unlock.",
        "Unlock before you raise."),
    Misconception(
        "may-write-means-writes",
        "Who may write a page is going to write it.",
        "Most programs map for loads and stores and only load. Execute-in-place gave each hole a block then; "
        "DAX waits for the store.",
        "Count the blocks after one load.",
        'print(after.load_hole("xip"), after.load_hole("dax"))'),
    Misconception(
        "private-store-needs-a-block",
        "A store into a private mapping of a hole needs a block.",
        "The store goes to a page of the program's own, made from the zeros. The file does not change, and "
        "the disk gives no block.",
        "Ask whether the mapping is shared, too."),
    Misconception(
        "zeros-can-be-stored-into",
        "The page of zeros will do for a store as well.",
        "It stands for the holes of all files. A byte stored there would show up in every one of them. A "
        "store needs a block first.",
        "Give a store into a shared mapping a block."),
    Misconception(
        "run-is-as-long-from-anywhere",
        "A run of n pages has n times 4,096 bytes for you, wherever you begin.",
        "If you begin in the middle of its first page, so much is missing at its end. Behind the run lies "
        "another file's block.",
        "Subtract the offset within the page from the length of the run."),
    Misconception(
        "block-zero-is-a-block",
        "Block 0 is where the disk begins, so it can be read.",
        "As an answer to “which block?”, 0 means: none. The page is a hole and reads as zeros.",
        "Test for 0 before you ask direct_access."),
    Misconception(
        "one-question-for-each-page",
        "Each page needs a question of its own.",
        "direct_access of 4.0 has a length. Pages that lie in a row need one question together.",
        "Ask for the whole run.",
        'print(after.read_file("xip")["dcssblk_devops.direct_access"],'
        ' after.read_file("dax")["dcssblk_devops.direct_access_run"])'),
    Misconception(
        "size-is-memory",
        "A mapping takes as much memory as it is long.",
        "Size is the length of the mapping. What is in the page table is Rss, and only after it was touched.",
        "Read Rss, not Size.",
        "print([(row.rss, row.pss) for row in experiment.rows()])"),
    Misconception(
        "every-mapping-counts",
        "The process's whole memory is what the segment costs.",
        "A process maps much more: its program, libraries, stack. Each mapping has counters of its own, "
        "below its line.",
        "Count only what stands below a line with the segment's name."),
    Misconception(
        "counters-begin-alike",
        "A line that begins with Pss is the Pss.",
        "There are Pss_Dirty and others. They are parts of it, and would be counted twice.",
        "Compare the whole name, with its colon."),
)
