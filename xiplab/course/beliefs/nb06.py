"""Notebook 06: what people expect of reads and writes in place."""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

_NEW = "experiment = ReadWrite()\n"

MISCONCEPTIONS = (
    Misconception(
        "read-in-place-copies-nothing",
        "In place nothing is copied, so a read copies nothing.",
        "A read has to put the bytes into the program's buffer: one copy. What is left out is the copy into "
        "the page cache.",
        "Read a page in place and look at the copies.",
        f'{_NEW}experiment.get("read", 4096, 0)\n'
        'print(experiment.outcomes["in place"].copied, experiment.outcomes["page cache"].copied)'),
    Misconception(
        "xip-fills-the-cache",
        "Reading in place still leaves the page in the page cache.",
        "A file in place has get_xip_mem and no readpage. Nothing fills its page cache.",
        "Count the frames that a read takes on each side.",
        f'{_NEW}experiment.get("read", 4096, 0)\n'
        'print(experiment.outcomes["in place"].frames, experiment.outcomes["page cache"].frames)'),
    Misconception(
        "in-place-needs-fsync",
        "Data written in place reaches the storage at fsync.",
        "The copy goes to the storage itself. fsync is still needed for what describes the file: its size "
        "and the list of its blocks.",
        "Write, and compare the two storages before any fsync.",
        f'{_NEW}experiment.put("write", "Hello", 0)\n'
        "print(*(experiment.place(side, 0).stored for side in experiment.fds))"),
    Misconception(
        "document-is-the-code",
        "What a kernel's documentation lists is what the kernel has.",
        "xip.txt names aio_read, readv and sendfile for files in place. No release had an aio_read for them; "
        "code and text drifted apart.",
        "Look into the table of operations of a file in place.",
        f'{_NEW}print(experiment.filp("in place").f_op.aio_read)'),
    Misconception(
        "all-or-nothing",
        "A write does all of its work, or none of it.",
        "What was done before the obstacle counts and stays. The answer says how much; the error comes with "
        "the next call.",
        "Leave one free block and write more than a page behind the end.",
        f"{_NEW}experiment.fill(1)\n"
        'experiment.put("write", "x" * 5000, 12288); print(experiment.sentence())\n'
        'experiment.put("write", "x", 16384); print(experiment.sentence())'),
    Misconception(
        "partial-write-is-undone",
        "A call that comes to an obstacle takes back what it has done.",
        "Nothing is taken back. The bytes before the obstacle are in the file, and the answer counts them.",
        "Leave one free block, write more than a page, and look at the size.",
        f"{_NEW}experiment.fill(1)\n"
        'experiment.put("write", "x" * 5000, 12288); print(experiment.size("in place"))'),
    Misconception(
        "read-and-write-count-alike",
        "Read and write count the bytes before a bad address in the same way.",
        "A write counts every byte that came. A read in place counts whole pieces, up to a page each: a "
        "piece that was broken off counts nothing.",
        "Read and write with a buffer of which only 5,000 bytes can be used.",
        f"{_NEW}print(experiment.broken_buffer(8192, 5000))"),
    Misconception(
        "nothing-costs-nothing",
        "A read of 0 bytes does nothing and answers 0.",
        "From 2.6.26 on, the loop of the read in place tests its condition at the end. It looks the page up "
        "first, and a hole is an error.",
        "Read 0 bytes, over data and over the hole.",
        f'{_NEW}experiment.get("read", 0, 0); print(experiment.sentence())\n'
        'experiment.get("read", 0, 4096); print(experiment.sentence())'),
    Misconception(
        "read-fills-the-buffer",
        "A read fills the whole buffer.",
        "It stops at the end of the file, and says how many bytes came. What lies behind the end in the last "
        "page is nobody's.",
        "Read 100 bytes, 8 bytes before the end.",
        f'{_NEW}experiment.get("read", 100, 12280); print(experiment.sentence())'),
    Misconception(
        "end-is-an-error",
        "A read at the end of the file fails.",
        "It answers 0, and 0 means: here is the end. That is how programs find it.",
        "Read at the end.",
        f'{_NEW}experiment.get("read", 100, 12288); print(experiment.sentence())'),
    Misconception(
        "hole-ends-the-read",
        "A read stops at a hole.",
        "Only the end of the file stops it. A hole has bytes like any other page: zeros.",
        "Read across the hole and look at the answer.",
        f'{_NEW}experiment.get("read", 12288, 0); print(experiment.sentence())'),
    Misconception(
        "hole-is-skipped",
        "For a hole there is nothing to do.",
        "The buffer holds whatever was in it. The zeros have to be stored: that is clear_user.",
        "Fill a buffer with something before you read a hole into it."),
    Misconception(
        "length-is-the-total",
        "The last piece may be as long as the whole request.",
        "It may be as long as what is left. Linux had this wrong from 2.6.26 to 2.6.29 and stored behind the "
        "program's buffer.",
        "Subtract what is copied already.",
        'print("5,000 bytes at 0:", min(4096, 5000 - 4096), "in the last piece")'),
    Misconception(
        "copy-begins-with-the-page",
        "get_xip_mem leads to the byte.",
        "It leads to the page. The byte lies pos % PAGE_SIZE behind it. Linux 2.6.24-rc1 to rc4 forgot that "
        "in a write.",
        "Add the offset within the page to the address.",
        "print(4100 // PAGE_SIZE, 4100 % PAGE_SIZE)"),
    Misconception(
        "position-is-an-offset",
        "The position in the file is what to add to the address.",
        "The address is that of one page. Behind it lies another block, of any file. Add the offset within "
        "the page alone.",
        "Use pos % PAGE_SIZE.",
        "print(9000, 9000 % PAGE_SIZE)"),
    Misconception(
        "every-failure-is-a-hole",
        "Whatever get_xip_mem raises, there are zeros.",
        "Only ENODATA means a hole. EIO means that the page cannot be reached, and zeros would be a lie.",
        "Look at the errno before you clear."),
    Misconception(
        "error-is-the-end",
        "After an error a call answers how much it did, even if that is nothing.",
        "0 would mean the end of the file, or a write of nothing. If not a byte was moved, the error itself "
        "is the answer.",
        "Raise the error if nothing has been done."),
    Misconception(
        "a-read-returns-bytes",
        "A read returns what it read.",
        "It fills a buffer that the program has given, and returns how many bytes are in it.",
        "Return a number.",
        f'{_NEW}experiment.get("read", 100, 0); print(experiment.results())'),
    Misconception(
        "hole-cannot-be-written",
        "A write into a hole fails.",
        "It asks a second time, with create. Then the file system takes a free block, full of zeros.",
        "Write into the hole and look at its block.",
        f'{_NEW}experiment.put("write", "Hello", 4100); print(experiment.place("in place", 4100))'),
    Misconception(
        "file-cannot-grow",
        "A write stops at the end of the file, as a read does.",
        "A write makes the file longer. Only a limit or a full disk stops it.",
        "Append, and look at the size.",
        f'{_NEW}experiment.put("append", "The end", 0); print(experiment.size("in place"))'),
    Misconception(
        "size-follows",
        "A file is as long as its last block.",
        "Its length is a number in the inode. Who writes behind the end has to set it, or nobody can read "
        "what was written.",
        "Set i_size if the write ends behind it.",
        f'{_NEW}experiment.put("append", "x", 0); print(experiment.size("in place"))'),
    Misconception(
        "size-is-where-the-write-ends",
        "After a write the file ends where the write ended.",
        "That would cut off what follows. The size only grows.",
        "Compare before you set i_size.",
        f'{_NEW}experiment.put("write", "x", 0); print(experiment.size("in place"))'),
    Misconception(
        "writes-always-fit",
        "A write moves all that it was asked to.",
        "It moves what finds a block. On a full disk that may be a part, and the answer says how much.",
        "Leave one free block, and write two pages.",
        f'{_NEW}experiment.fill(1)\n'
        'experiment.put("write", "x" * 8192, 12288); print(experiment.sentence())'),
    Misconception(
        "table-has-every-call",
        "A call that the table of operations lacks cannot work.",
        "Linux makes some calls out of others: readv out of read, sendfile out of read and a copy. aio it "
        "cannot make.",
        "Try each of them in place.",
        f'{_NEW}for how in ("readv", "sendfile", "aio_read"):\n'
        '    experiment.get(how, 100, 0); print(experiment.sentence())'),
    Misconception(
        "buffers-begin-anew",
        "Each buffer of a readv is read from the same position.",
        "Together they are one read: each goes on where the last one ended.",
        "Add what is moved so far to the position.",
        f'{_NEW}experiment.get("readv", 100, 0); print(experiment.outcomes["in place"].data[:12])'),
    Misconception(
        "short-read-goes-on",
        "After a short read the next buffer can be filled.",
        "Then there would be a gap: bytes that count as read, and are not there. A short piece ends the "
        "call.",
        "Stop at the first piece that came short."),
)

PREDICTIONS = {
    "06.copies": Prediction(
        "A program reads one page that nobody has used before. How many bytes are copied, in place and "
        "through the page cache?",
        {"a": Choice("0 in place; 4,096 through the page cache.",
                     "A mapping in place copies nothing. A read is different: it has to fill a buffer of the "
                     "program's. See “storage to user”.", "read-in-place-copies-nothing"),
         "b": Choice("4,096 in place; 8,192 through the page cache.",
                     "One copy from the storage to the buffer. Through the page cache: one into the cache, "
                     "one into the buffer."),
         "c": Choice("8,192 on both sides: the page cache is filled in any case.",
                     "A file in place cannot fill a page cache: it has no readpage. The counter of frames "
                     "says 0.", "xip-fills-the-cache")},
        right="b"),
    "06.durable": Prediction(
        "A program writes “Hello” over the beginning of the file, on both mounts. No fsync follows. Which "
        "storage holds “Hello”?",
        {"a": Choice("Both: write() has returned.",
                     "write() promises that later reads see the bytes. On the page cache's side they are in "
                     "the cache, and dirty. Look at the last column.", "write-reaches-the-device"),
         "b": Choice("Neither: that is what fsync is for.",
                     "For the page cache it is. In place there is nowhere else to write to: the copy goes to "
                     "the storage.", "in-place-needs-fsync"),
         "c": Choice("Only the one in place.",
                     "The copy was made into the storage itself. The other storage follows at writeback.")},
        right="c"),
    "06.list": Prediction(
        "xip.txt says that files in place have aio_read, readv and sendfile. Linux 3.6 is asked for each, "
        "on a file in place. What happens?",
        {"a": Choice("All three work: it is written there.",
                     "The text was written for the first version, before the code was finished. Two of the "
                     "three work, but in another way than it says.", "document-is-the-code"),
         "b": Choice("readv and sendfile work; aio_read answers EINVAL.",
                     "readv works by one read for each buffer. sendfile works by a copy. Nobody gave a file "
                     "in place an aio_read."),
         "c": Choice("None of them works: only read, write and mmap are there.",
                     "The table has only these. But Linux makes readv and sendfile out of read, for any file "
                     "that has one.", "document-is-the-code")},
        right="b"),
    "06.partial": Prediction(
        "The device has one free block of 4,096 bytes. A program writes 5,000 bytes behind the end of the "
        "file, which has no block there yet. What does write() answer?",
        {"a": Choice("ENOSPC: there is no room for 5,000 bytes.",
                     "There is room for a part of them. Linux asks for the second block when the first page "
                     "is already written.", "all-or-nothing"),
         "b": Choice("4,096. The next write answers ENOSPC.",
                     "A short answer: so much was done. The program has to try again with the rest, and that "
                     "gets the error."),
         "c": Choice("ENOSPC, and the first page is taken back.",
                     "No call takes data back that it has written. The size has grown by 4,096.",
                     "partial-write-is-undone")},
        right="b"),
    "06.buffer": Prediction(
        "Of a program's buffer of 8,192 bytes only the first 5,000 can be used; the address behind them is "
        "bad. It reads 8,192 bytes into it, in place, and then writes 8,192 bytes from it. What do the calls "
        "answer?",
        {"a": Choice("5,000 and 5,000.",
                     "Fair, and so it was for reads up to 2.6.25. Then the read's loop was written anew: a "
                     "piece that breaks off counts nothing.", "read-and-write-count-alike"),
         "b": Choice("EFAULT and EFAULT.",
                     "EFAULT is the answer if nothing could be done. Here a part was done, and that counts.",
                     "all-or-nothing"),
         "c": Choice("4,096 and 5,000.",
                     "The read counts whole pieces of a page, the write every byte.")},
        right="c"),
    "06.nothing": Prediction(
        "A program reads 0 bytes at the beginning of the hole. What is the answer, in place and through the "
        "page cache?",
        {"a": Choice("0 and 0: nothing was asked for.",
                     "That would be sensible, and the page cache does so. The read in place looks first and "
                     "thinks later.", "nothing-costs-nothing"),
         "b": Choice("ENODATA and 0.",
                     "In place the page is looked up before anybody asks whether it is needed. The hole is "
                     "ENODATA, and no byte was read that could cover it."),
         "c": Choice("ENODATA and ENODATA: there is no block.",
                     "A hole is no error for a reader: it reads as zeros, on both sides. Only nothing at all "
                     "is an error, and only in place.", "nothing-costs-nothing")},
        right="b"),
}
