"""Notebook 01: what people expect of the page cache before they have counted its copies."""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

MISCONCEPTIONS = (
    Misconception(
        "second-read-is-free",
        "What is in the page cache costs nothing to read again.",
        "The device is not asked again. But read() still copies, from the page cache into the program's "
        "buffer, each time.",
        "Read a page twice and look at the bill.",
        "experiment = Disk()\n"
        "experiment.read(0); experiment.read(0)\n"
        "print(experiment.bill)"),
    Misconception(
        "write-reaches-the-device",
        "When write() or a store returns, the device has the new bytes.",
        "The page cache has them, and notes the page as dirty. The device gets them later, in a copy.",
        "Store a letter through the mapping and compare page cache and device.",
        "experiment = Disk()\n"
        'experiment.store(0, "A")\n'
        "print(experiment)"),
    Misconception(
        "others-need-msync",
        "Other programs see a store only after msync.",
        "All programs of one guest that use the page share one frame of the page cache. msync is for the "
        "device, not for the neighbours.",
        "Store through the mapping and read the page, with no msync between them.",
        "experiment = Disk()\n"
        'experiment.store(0, "A"); experiment.read(0)\n'
        "print(experiment.rows()[0].buffer)"),
    Misconception(
        "memory-needs-no-cache",
        "A ramdisk is memory, so its pages need no copy in the page cache.",
        "Linux sees a block device, and asks any block device for blocks in the same way: copy them into a "
        "frame of the page cache.",
        "Count the frames after one page of the new ramdisk was mapped.",
        "experiment = NewRamdisk()\n"
        "experiment.touch(0)\n"
        "print(experiment.frames())"),
    Misconception(
        "ramdisk-keeps-the-original",
        "The old ramdisk keeps the image that it was loaded from.",
        "It copies the image into the page cache, keeps a reference to those pages, and discards the "
        "original. The copy is the only instance.",
        "Load the boot image and count frames before and after.",
        "experiment = OldRamdisk(); before = experiment.frames()\n"
        "experiment.load()\n"
        "print(before, experiment.frames())"),
    Misconception(
        "dirty-is-always-written",
        "A dirty page can always be written to its device, and then dropped.",
        "The old ramdisk has nowhere to write to. Its writepage makes the page dirty again, so the page can "
        "never be dropped.",
        "Let memory become short after the ramdisk was loaded.",
        "experiment = OldRamdisk(); experiment.load()\n"
        "experiment.press()\n"
        "print(experiment.frames())"),
    Misconception(
        "cache-is-shared-by-guests",
        "Guests that use one segment share one page cache.",
        "A page cache belongs to one Linux. Eight guests that use the segment as a disk make eight copies "
        "of each page.",
        "Measure one guest and eight.",
        "print(measure(16, 1, in_place=False))\n"
        "print(measure(16, 8, in_place=False))"),
    Misconception(
        "in-place-still-grows",
        "In place it costs less, but still something for each guest and each page.",
        "Each guest writes frame numbers into its page table. The frames themselves are the segment's, for "
        "any number of guests.",
        "Measure one guest and eight, in place.",
        "print(measure(16, 1, in_place=True))\n"
        "print(measure(16, 8, in_place=True))"),
    # ---- exercise 01
    Misconception(
        "write-reads-first",
        "Before a page is written, its old bytes are read in.",
        "Only if some of them are kept. Who writes a whole page needs none of the old ones.",
        "Write a whole page into an empty cache, and look at the bill.",
        'experiment = Disk(); experiment.write(0, "plums"); print(experiment.bill)'),
    Misconception(
        "msync-copies-all",
        "msync copies all pages of the page cache to the device.",
        "It copies the dirty ones. Of a clean page the device has the same bytes.",
        "Read a page, store into another one, call msync.",
        'experiment = Disk(); experiment.read(0); experiment.store(1, "B"); experiment.sync()\n'
        "print(experiment.sentence())"),
    Misconception(
        "cache-keeps-for-ever",
        "What is in the page cache stays there.",
        "It stays until somebody else needs the frames. A copy can be made again.",
        "Let memory be short.",
        "experiment = Disk(); experiment.read(0); experiment.press(); experiment.press()\n"
        'print(experiment.frames()["page cache"], "frames")'),
    Misconception(
        "dirty-pages-stay",
        "A dirty page cannot be given back.",
        "It can, after its bytes were written to the device. Then it is clean.",
        "Store into a page, unmap, and let memory be short.",
        'experiment = Disk(); experiment.write(0, "plums"); experiment.press(); experiment.press()\n'
        "print(experiment.bill)"),
    Misconception(
        "dirty-can-be-dropped",
        "A frame that is wanted can be taken, whatever is in it.",
        "A dirty page is newer than the device: who drops it loses what the program has written.",
        "Call writepage before you drop it."),
    Misconception(
        "stale-is-dirty",
        "When the device was changed from outside, the page cache's page becomes dirty.",
        "Dirty means: the page is newer than the device. Here it is older, and nobody tells the page cache.",
        "Change the device, and look at the page.",
        'experiment = Disk(); experiment.read(2); experiment.change(2, "plums"); print(experiment)'),
    Misconception(
        "frame-comes-filled",
        "A new page of the page cache has the device's bytes at once.",
        "add_page takes an empty frame. The bytes come when the page is read from the device.",
        "Copy to the program after the page was read in."),
    Misconception(
        "each-read-takes-a-frame",
        "Each read takes a frame for what it reads.",
        "Only if the page is not there yet. All reads of a page use one frame; that is what makes it a "
        "cache.",
        "Look for the page before you take a frame.",
        "experiment = Disk(); experiment.read(0); experiment.read(0)\n"
        'print(experiment.frames()["page cache"])'),
    Misconception(
        "no-writing-means-clean",
        "A page that need not be written is clean.",
        "Clean means: its bytes are elsewhere as well, so the frame can be taken. These bytes are nowhere "
        "else.",
        "Let memory be short, and read the ramdisk.",
        'old = OldRamdisk(); old.load(); old.press(); print(old.frames()["page cache"], "frames stay")'),
    Misconception(
        "refusing-keeps-it",
        "To keep a page, writepage must refuse with an error.",
        "The page stays then, but whoever calls msync gets the error, and nothing was wrong.",
        "Keep it dirty, and return."),
    Misconception(
        "flag-is-still-set",
        "In writepage the flag dirty still says what the page was.",
        "Linux clears it before the call. A driver that wants it set must set it.",
        "Set the flag without asking for it."),
    Misconception(
        "mapped-can-go",
        "A page that a program has mapped can be taken away.",
        "A page table names its frame. Who gave the frame to somebody else would show the program foreign "
        "bytes.",
        "Leave pages alone whose mapcount is not 0."),
    Misconception(
        "written-means-clean",
        "After writepage a page is clean.",
        "Usually. The old ramdisk has nowhere to write to, so its pages are dirty again, and are all there "
        "is.",
        "Look at the flag once more, after writepage."),
    Misconception(
        "more-is-better",
        "When memory is short, all that can go should go.",
        "So many frames are wanted, and each page that goes may have to be read in again.",
        "Stop when enough frames are free."),
    Misconception(
        "looked-at-is-freed",
        "Each page that was looked at counts.",
        "Wanted are frames. A page that stays gives none.",
        "Count where you drop."),
    Misconception(
        "equal-is-the-same",
        "Equal bytes are the same memory.",
        "A copy has equal bytes, in a frame of its own. That is what a copy is.",
        "Ask shares_memory, not same_bytes.",
        "experiment = NewRamdisk(); experiment.touch(0)\n"
        "one, other = experiment.cache_page(0).frame, experiment.storage(0)\n"
        "print(bytes(one) == bytes(other), np.shares_memory(one, other))"),
    Misconception(
        "each-name-is-memory",
        "Each place where the page can be seen is memory of its own.",
        "Places are names. A page table, a page cache and a segment may name one frame.",
        "Ask of each two places whether they share memory.",
        "experiment = Disk(); experiment.touch(0)\n"
        "print(np.shares_memory(experiment.mapping().frame(0), experiment.cache_page(0).frame))"),
    Misconception(
        "one-comparison-is-enough",
        "It is enough to compare each place with one other, the first one or its neighbour.",
        "The old friend may be any of those before. So compare with all that you have met.",
        "Keep a list of the different ones."),
    Misconception(
        "original-is-not-counted",
        "The original is no copy, so it is not counted.",
        "The question is how many frames hold the page. The original is in one of them.",
        "Count all that are different."),
)

PREDICTIONS = {
    "01.twice": Prediction(
        "The page cache is empty. The program reads page 0 of the disk (4,096 bytes), and then reads it "
        "again. How many bytes are copied in all?",
        {"a": Choice("4,096: one copy into the page cache, and both reads use it.",
                     "The device is asked once, that is so. But the program's buffer is memory of its own, "
                     "and read() must put the bytes there. Look for “page cache to user”.",
                     "second-read-is-free"),
         "b": Choice("8,192: each read copies the page from the disk to the program.",
                     "Every byte of the disk arrives in the page cache first, so the first read makes two "
                     "copies. The second read makes one.", "cache-is-the-storage"),
         "c": Choice("12,288: one copy into the page cache, and one into the buffer for each read.",
                     "One copy for the page cache, and one for each read. The page cache saves the way to "
                     "the disk, not the copy for the program."),
         "d": Choice("16,384: two copies for each read.",
                     "The second read finds the page in the page cache. The bill has only one line “disk to "
                     "memory”, of 4,096 bytes.", "cache-asks-again")},
        right="c"),
    "01.dirty": Prediction(
        "The program stores a letter into page 1 through its mapping. Nothing else happens. Who has the new "
        "letter?",
        {"a": Choice("The page cache and the disk.",
                     "For the program it looks so, and after a while it will be so. Now the page is only "
                     "noted as dirty: the disk's column shows the old word.", "write-reaches-the-device"),
         "b": Choice("The page cache alone. A read() by another program finds it there.",
                     "The mapping's page is the page cache's page. It is newer than the disk, and marked as "
                     "dirty."),
         "c": Choice("This program alone, until it calls msync.",
                     "A shared mapping has no frame of its own: its page table names the frame of the page "
                     "cache. Whoever reads the page gets the new letter.", "others-need-msync")},
        right="b"),
    "01.memory": Prediction(
        "This disk is a ramdisk: its storage is frames of memory. The program maps page 0 through the page "
        "cache and loads a byte. In how many frames does page 0 lie then?",
        {"a": Choice("1: the page is in memory already, so it is mapped as it is.",
                     "It would be enough. But Linux asked a block device for a block, and got what every "
                     "disk gives: a copy. Count the frames.", "memory-needs-no-cache"),
         "b": Choice("2: the ramdisk's own frame, and a copy in the page cache.",
                     "Two frames of the same memory with the same bytes. This is the waste that "
                     "execute-in-place ends."),
         "c": Choice("3: the ramdisk's, the page cache's, and one for the mapping.",
                     "A mapping takes no frame: its page table names the frame of the page cache.",
                     "mapping-is-a-copy")},
        right="b"),
    "01.trick": Prediction(
        "The old ramdisk is loaded from a boot image of 4 pages, as a starting Linux does it. In how many "
        "frames do the pages lie while it loads the last one, and afterwards?",
        {"a": Choice("4, and 4: the image itself becomes the ramdisk.",
                     "Nearly. But the ramdisk's storage is its page cache, so the image must come there, by "
                     "a copy. Look at the way: frames are taken first, given back last.",
                     "memory-needs-no-cache"),
         "b": Choice("8, and 4: it copies, and then discards the original.",
                     "This is what xip.txt says: it reads the data into the page cache, keeps a reference, "
                     "and discards the original data."),
         "c": Choice("8, and 8: the image, and the copy.",
                     "So it is with the new ramdisk, where page cache and storage both stay. The old one "
                     "gives the image's frames back: the line “initrd” says 0.",
                     "ramdisk-keeps-the-original")},
        right="b"),
    "01.short": Prediction(
        "Memory is short. Linux wants frames back, and looks at the four pages of the loaded old ramdisk. No "
        "program has mapped them. What happens?",
        {"a": Choice("They are dropped, and read from the device when they are needed again.",
                     "So it goes with a clean page of a disk. These pages are the device: once dropped, "
                     "there would be nothing to read. So the driver keeps them dirty.",
                     "cache-is-the-storage"),
         "b": Choice("They are written to the device and then dropped.",
                     "So it goes with a dirty page of a disk. Here writepage has nowhere to write to, and "
                     "makes the page dirty again.", "dirty-is-always-written"),
         "c": Choice("Nothing: they stay dirty for ever, so that they cannot be dropped.",
                     "This is how the ramdisk “keeps a reference”: a page that never becomes clean is never "
                     "taken.")},
        right="c"),
    "01.guests": Prediction(
        "Eight guests use one segment, and each maps the same file of 16 pages. How many frames of the "
        "guests hold pages of the file: through the page cache, and in place?",
        {"a": Choice("16 and 0: one page cache for all, and none in place.",
                     "The segment is shared; the page caches are not. Each guest runs its own Linux, and "
                     "its page cache lies in frames of its own.", "cache-is-shared-by-guests"),
         "b": Choice("128 and 0.",
                     "8 guests × 16 pages through the page cache. In place the frames are the segment's, and "
                     "no guest needs one of its own."),
         "c": Choice("128 and 16: in place one frame is enough for each page.",
                     "One frame for each page, yes: but it is the segment's, which was there before. The "
                     "guests' own frames count 0.", "in-place-still-grows")},
        right="b"),
}
