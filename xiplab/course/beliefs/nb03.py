"""Notebook 03: its predictions, and what people believe about devices, bios and direct_access.

The evidence runs after the notebook's first code cell (names: Devices, experiment).
"""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

PREDICTIONS = {
    "03.add": Prediction(
        "PART1 and PART2 are neighbours: PART2 begins where PART1 ends. You write \"PART2:PART1\" into the "
        "driver's file add. What do you get?",
        {"a": Choice("An error: the segments are given in the wrong order.",
                     "The driver does check that there is no gap. But it sorts the segments by address "
                     "first, so any order will do.", "order-must-fit"),
         "b": Choice("One disk of 4,096 sectors. It begins with PART2, as given.",
                     "The order that you give decides one thing, the name of the folder. The bytes lie "
                     "where they lie: sector 0 is the lowest address. Read it and see.",
                     "order-given-is-order-on-disk"),
         "c": Choice("One disk of 4,096 sectors. It begins with PART1.",
                     "The segments are sorted by address. The folder is called PART2, after the first one "
                     "given."),
         "d": Choice("Two disks of 2,048 sectors each.",
                     "A colon joins segments to one disk. For two disks you write into add twice.",
                     "one-disk-for-each-segment")},
        right="c"),
    "03.copy": Prediction(
        "LINUX1 has read a page of PART1 with a bio, and it has asked direct_access where the same page "
        "lies. Now LINUX2 stores a K into PART1. Where does LINUX1 see the K?",
        {"a": Choice("In the bytes that the bio brought, and at the address.",
                     "Both showed the same letters before. But the bio's bytes are a copy in a frame of "
                     "LINUX1's own. It has the sign ≠ now.", "bio-stays-connected"),
         "b": Choice("Only at the address.",
                     "The address names the segment itself. The bio's bytes are a copy from before."),
         "c": Choice("Nowhere, until it asks direct_access again.",
                     "direct_access does not bring bytes, so it brings no old ones. It has told a place. "
                     "Who loads from there gets what is there now.", "hands-out-bytes"),
         "d": Choice("Nowhere: LINUX2 has the segment for itself.",
                     "Both have loaded it shared, and its type is SW. One frame, two guests, as in "
                     "notebook 02.",
                     "segment-per-guest")},
        right="b"),
    "03.release": Prediction(
        "LINUX1 holds an address from direct_access. It closes the disk, and nobody else has it open. The "
        "segment is still there. May LINUX1 load from the address now?",
        {"a": Choice("Yes: an address of memory stays an address of memory.",
                     "The memory is there, for now. But from the release on, the driver may load the "
                     "segment elsewhere, or let it go. Whoever uses the address then reads something else.",
                     "address-is-for-ever"),
         "b": Choice("No: the address was valid until the release.",
                     "The last close is the release. After it nobody promises what lies at the address."),
         "c": Choice("Yes, but it gets zeros.",
                     "Zeros would be a promise as well, and there is none. In this model the load is "
                     "refused; in the real kernel anything may happen.", "release-clears")},
        right="b"),
    "03.save": Prediction(
        "A program has the disk open and has changed it. You write 1 into its file save. What happens?",
        {"a": Choice("The segment is saved at once.",
                     "Then half of a change might be saved, while the program still writes. The file says "
                     "1, and the catalogue still has the old number: it waits.", "save-is-at-once"),
         "b": Choice("An error, EBUSY: the disk is in use.",
                     "The file shared does answer so, because there the bytes would be exchanged. A save "
                     "can wait.", "busy-is-an-error"),
         "c": Choice("It is saved when the last program has closed the disk.",
                     "The save is pending. The driver's release carries it out.")},
        right="c"),
    "03.none": Prediction(
        "The disk sda has no direct_access. You mount its file system with the options ro,xip. What happens?",
        {"a": Choice("An error: the option cannot be obeyed.",
                     "That would be a fair answer. Linux chose another one: the option is a wish. Read the "
                     "line in the log.", "option-is-an-order"),
         "b": Choice("It is mounted in place: the file system finds the disk's addresses itself.",
                     "Only the driver knows where its bytes lie. A disk's bytes lie in no memory at all, "
                     "so there is nothing to find.", "file-system-finds-addresses"),
         "c": Choice("It is mounted with the page cache, and a line in the log says so.",
                     "The operation is optional. The file system looks for it once, at the mount.")},
        right="c"),
}

MISCONCEPTIONS = (
    Misconception(
        "order-must-fit",
        "Segments must be given in the order of their addresses.",
        "The driver sorts them. It refuses a gap between them, and types that do not go together.",
        "Add two neighbours in both orders.",
        'print(experiment.echo("PART2:PART1", "add"))\n'
        "print(experiment.disks()[-1])"),
    Misconception(
        "order-given-is-order-on-disk",
        "A disk over several segments begins with the one that was given first.",
        "It begins with the one at the lowest address. The first one given lends its name to the folder.",
        "Look at sector 0 of such a disk.",
        'experiment.echo("PART2:PART1", "add")\n'
        'print(experiment.stored("dcssblk0", 0))'),
    Misconception(
        "one-disk-for-each-segment",
        "Each segment becomes a disk of its own.",
        "With a colon between them, neighbours become one disk.",
        "Count the disks after one echo with a colon."),
    Misconception(
        "bio-stays-connected",
        "What was read from a disk in memory is that memory.",
        "A bio copies, even if both sides are memory. From then on there are two.",
        "Read a page with a bio, change the segment, and compare.",
        'experiment.echo("part1", "add"); experiment.open("dcssblk0"); experiment.read("dcssblk0", 0)\n'
        'experiment.other("PART1", "K"); print(experiment.copy, experiment.stored("dcssblk0", 0))'),
    Misconception(
        "address-is-for-ever",
        "An address from direct_access stays valid.",
        "It is valid until the release, that is until the last opener has closed the disk.",
        "Close the disk and load.",
        'experiment.echo("part1", "add"); experiment.open("dcssblk0")\n'
        'experiment.direct_access("dcssblk0", 0)\n'
        'experiment.close("dcssblk0"); print(experiment.load())'),
    Misconception(
        "release-clears",
        "A release clears the memory.",
        "It clears nothing and promises nothing: what lies at the address afterwards may be anybody's.",
        "Ask what was promised, not what is there."),
    Misconception(
        "save-is-at-once",
        "Writing 1 into save saves at once.",
        "If the disk is open, the save is pending until the last close.",
        "Read the file save before and after the close.",
        'experiment.echo("part1", "add"); experiment.open("dcssblk0"); experiment.echo("1", "PART1/save")\n'
        'print(experiment.file("PART1/save")); experiment.close("dcssblk0")\n'
        'print(experiment.file("PART1/save"), experiment.log)'),
    Misconception(
        "busy-is-an-error",
        "While a disk is open, none of its files can be written.",
        "shared and remove answer EBUSY. save waits.",
        "Write into all three while the disk is open."),
    Misconception(
        "option-is-an-order",
        "A mount with the option xip fails if the disk cannot do it.",
        "It is mounted with the page cache; only the log says so.",
        "Read the log after the mount."),
    Misconception(
        "file-system-finds-addresses",
        "The file system can find out where a disk's bytes lie in memory.",
        "Only the driver knows, and direct_access is how it is asked.",
        "Ask for direct_access in the disk's operation table."),
    # ---- exercise 03
    Misconception(
        "gap-is-bridged",
        "A gap between two segments becomes a part of the disk that cannot be used.",
        "A disk has no holes. The driver refuses with EINVAL unless each segment begins where another ends.",
        "Add APPS and PART2, and leave PART1 out.",
        'print(experiment.echo("apps:part2", "add"))'),
    Misconception(
        "types-do-not-matter",
        "Segments of any types can form one disk.",
        "The types must be equal. Only EW and EN may be mixed, because both are copies of one's own.",
        "Add APPS, type SR, together with its neighbour PART1, type SW.",
        'print(experiment.echo("apps:part1", "add"))'),
    Misconception(
        "types-must-be-equal",
        "All segments of a disk must have the same type.",
        "EW and EN may be mixed: for both a guest gets a copy of its own. All others must be equal.",
        "Look at the first letter of both types."),
    Misconception(
        "one-segment-two-disks",
        "A segment can be a part of two disks.",
        "It belongs to one disk at most. The driver refuses the second one with EEXIST.",
        "Add the same segment twice.",
        'print(experiment.echo("part1", "add"), experiment.echo("part2:part1", "add"))'),
    Misconception(
        "too-short-is-not-too-long",
        "A name that is empty or too long is an invalid argument, EINVAL; an empty one at the end is none.",
        "The driver answers ENAMETOOLONG for each name that has not 1 to 8 letters, for an empty one too.",
        "Write a line that ends in a colon.",
        'print(experiment.echo("part1:", "add"))'),
    Misconception(
        "busy-means-taken",
        "A segment that is a disk already is busy: EBUSY.",
        "EBUSY means open. That something exists already is EEXIST.",
        "Add a segment twice while nobody has it open.",
        'experiment.echo("part1", "add"); print(experiment.echo("part1", "add"))'),
    Misconception(
        "any-close-is-the-release",
        "A pending save is done at the next close.",
        "It waits for the last close. The driver counts who has the disk open, and looks at the count.",
        "Open the disk twice, ask for a save, close once.",
        'experiment.echo("part1", "add"); experiment.open("dcssblk0"); experiment.open("dcssblk0")\n'
        'experiment.echo("1", "PART1/save"); experiment.close("dcssblk0")\n'
        'print(experiment.file("PART1/save"))'),
    Misconception(
        "first-segment-is-the-device",
        "The device has the name of its first segment, so to save that name saves it all.",
        "Each segment is saved by its own name. The device's name is that of the first one given, no more.",
        "Save a disk of two segments, and look at both in the spool.",
        'experiment.echo("part1:part2", "add"); experiment.echo("1", "PART1/save")\n'
        'print(experiment.vm.segments["PART1"].spoolid, experiment.vm.segments["PART2"].spoolid)'),
    Misconception(
        "counted-too-late",
        "It does not matter when in the function the driver counts.",
        "Whoever closes is still in the count until it is lowered. Ask before, and the last close looks like "
        "the last but one.",
        "Lower the count first, then ask."),
    Misconception(
        "save-stays-pending",
        "A save that was carried out needs no further care.",
        "save_pending is a wish, and stays one until somebody clears it. Else the next last close saves "
        "again.",
        "Open and close once more after the save, and look at the spool."),
    Misconception(
        "save-is-forgotten",
        "A close clears the wish to save.",
        "Only two things clear it: the save itself, and a 0 written into the file save.",
        "Clear the wish where it is fulfilled, under the same if."),
    Misconception(
        "end-minus-start",
        "From start to end there are end - start bytes.",
        "`end` is the address of the last byte, and that one counts as well: end - start + 1.",
        "Count a segment of one page: start 0, end 4095.",
        'experiment.echo("part1", "add"); info = experiment.bdev("dcssblk0").bd_disk.private_data\n'
        "print(info.end - info.start, info.end - info.start + 1)"),
    Misconception(
        "size-is-granted",
        "Who asks for so many bytes gets so many.",
        "The answer is how many there are, up to the size asked for. Near the end they are fewer.",
        "Ask at the last but one page for eight pages."),
    Misconception(
        "whole-pages-mend-it",
        "Rounding to whole pages mends a size that is a byte short.",
        "It makes a loss of one byte a loss of one page. Mend the size, then nothing needs rounding.",
        "Ask for the last page: how many bytes come back?"),
    Misconception(
        "nothing-is-an-answer",
        "For the first sector behind the end, 0 bytes is a good answer.",
        "There is nothing at that address, so there is no address to give. The answer is ERANGE.",
        "Compare the offset of the first sector behind the end with the size."),
    Misconception(
        "each-piece-at-the-start",
        "Each piece of a bio is copied from the bio's first sector on.",
        "bi_sector says where the first piece lies. The next one lies behind it, by its length.",
        "Read two pages with one bio, and compare them."),
    Misconception(
        "bio-is-done-piece-by-piece",
        "Each piece of a bio is completed when it is copied.",
        "A bio is one order, and is completed once, after the last piece. Whoever waits for it may free the "
        "memory then.",
        "Call bio_endio behind the loop."),
    Misconception(
        "refused-means-ignored",
        "A bio that cannot be carried out is left alone.",
        "Somebody waits for it. It is completed in any case, with an errno if it failed.",
        "Call bio_endio with EIO where you refuse."),
    Misconception(
        "bio-errors-are-raised",
        "A driver raises an error for a bio that it refuses.",
        "A bio is an order for later; its sender may be gone from the call. The errno travels in the bio.",
        "Call bio_endio(bio, errno.EIO)."),
    Misconception(
        "copied-is-completed",
        "When the bytes are copied, the bio is done.",
        "Nobody looks at the bytes until the driver says so. bio_endio says so.",
        "Complete the bio behind the loop as well."),
    Misconception(
        "type-alone-decides",
        "A disk over a segment of type SR can never be written.",
        "While it is shared. With 0 in the file shared the guest has a copy of its own, and may write it.",
        "Write 0 into shared, then write a page.",
        'experiment.echo("apps", "add"); experiment.echo("0", "APPS/shared"); experiment.open("dcssblk0")\n'
        'print(experiment.write("dcssblk0", 0, "J"))'),
    Misconception(
        "machine-will-protect",
        "The driver needs no check for writes: the machine protects the segment.",
        "It does, by a protection exception in the middle of the kernel. A driver answers EIO before.",
        "Look at is_shared, the type and the direction before you copy.",
        'experiment.echo("apps", "add"); experiment.open("dcssblk0")\n'
        'experiment.direct_access("dcssblk0", 0); print(experiment.store("J"))\n'
        'print(experiment.write("dcssblk0", 0, "J"))'),
    Misconception(
        "not-now-is-yes",
        "EAGAIN is no real error, so the switch has happened.",
        "EAGAIN means: not now. Nothing was reloaded, and the segment is shared as before.",
        "Change is_shared only when every segment was reloaded."),
    Misconception(
        "last-segment-decides",
        "What the last segment answers counts for the disk.",
        "The disk is all its segments. One refusal is enough, wherever it comes in the list.",
        "Try it with the first of two segments in use."),
    Misconception(
        "one-segment-is-enough",
        "When one segment was reloaded, the disk is.",
        "Then a part of the disk is a copy of one's own, and a store into the other part reaches all guests.",
        "Try it with one of two segments in use."),
    Misconception(
        "every-error-is-not-now",
        "All errors of a reload mean that it did not work this time.",
        "Only EAGAIN leaves the segment as it was. After any other error it is not loaded any more.",
        "Let all errors but EAGAIN pass."),
)
