"""Notebook 02: its predictions, and what people believe about segments, types and saving.

The evidence runs after the notebook's first code cell (names: Segments, experiment).
"""

from __future__ import annotations

from xiplab.course.problem import Choice, Misconception, Prediction

PREDICTIONS = {
    "02.skeleton": Prediction(
        "MAINT gives CP the command DEFSEG DATA 10200-102FF SW. CP answers that DATA was successfully "
        "defined. Then LINUX1 loads DATA. What does it get?",
        {"a": Choice("256 pages of zeros: the segment is new and empty.",
                     "It looks so: CP said \"successfully defined\", and new memory is often zero. But a "
                     "definition is only a form to be filled in. Look at the class: S, a skeleton.",
                     "defined-is-saved"),
         "b": Choice("An error: there is nothing to load yet.",
                     "DEFSEG makes a skeleton: a name, pages and a type. SAVESEG gives it contents."),
         "c": Choice("256 pages with whatever LINUX1 has at these addresses.",
                     "SAVESEG does take the contents from whoever gives that command. DEFSEG takes "
                     "nothing, and to load never takes: it only gives.", "load-fills-the-segment")},
        right="b"),
    "02.frames": Prediction(
        "SHLIB has 256 pages. LINUX1 and LINUX2 load it shared; call that the first step. In a second step "
        "LINUX2 loads it again, exclusive. How many frames does z/VM need in addition in each step?",
        {"a": Choice("First 512, then none: each guest has its own copy from the start.",
                     "So it is with files that two computers copy. Here both guests get an address, and "
                     "behind it lies the same frame. The counter says 0.", "segment-per-guest"),
         "b": Choice("First none, then 256.",
                     "Shared, a guest gets the segment's own frames. Exclusive, it gets frames of its own "
                     "with a copy."),
         "c": Choice("First 256, then none: the first guest brings the segment in, the other finds it there.",
                     "That is how a page cache works. A saved segment has its frames already, whether "
                     "anybody loads it or not.", "load-brings-bytes-in"),
         "d": Choice("None in both steps: exclusive means that LINUX2 alone may use the segment.",
                     "In many systems \"exclusive\" is a lock. Here it is a copy: LINUX1 keeps the "
                     "segment, and LINUX2 gets 256 frames of its own.", "exclusive-is-a-lock")},
        right="b"),
    "02.store": Prediction(
        "LINUX1 and LINUX2 have loaded SHLIB, type SR, shared. LINUX1 stores a J over the first letter. "
        "What comes of it?",
        {"a": Choice("Both guests see the J: they share the frame.",
                     "They do share it, and that is why the store must not happen. The second letter of SR "
                     "says what a guest may do: R, read. The letter stays A on both sides.",
                     "shared-means-writable"),
         "b": Choice("LINUX1 sees the J and LINUX2 does not: LINUX1 gets a copy of the page now.",
                     "A private mapping in Linux works that way. A segment is shared or exclusive from the "
                     "moment it is loaded. No copy is made later: the counter says 0.", "store-makes-a-copy"),
         "c": Choice("Nobody sees a J: the machine refuses the store.",
                     "The page is protected in tables that the hardware reads, so the store itself fails."),
         "d": Choice("Both see the J if LINUX1 has the rights of a system user, else nobody.",
                     "Rights by user are the file system's way. CP writes the protection into the tables "
                     "at the load. It goes by the segment's type, not by who asks.", "rights-go-by-user")},
        right="c"),
    "02.save": Prediction(
        "LINUX2 has loaded SHLIB and reads it. LINUX1 has an exclusive copy, changes it, and saves it "
        "under the name SHLIB. What does LINUX2 read now?",
        {"a": Choice("The new version, at once: there is one SHLIB, and it has changed.",
                     "There are two: look at the catalogue. The name belongs to the new file. LINUX2's "
                     "addresses lead to the old one.", "save-reaches-everybody"),
         "b": Choice("The old version, until it lets go of SHLIB and loads it again.",
                     "CP keeps the old file, class P, for as long as somebody has it loaded."),
         "c": Choice("Nothing: the old version was replaced under its feet, and its next load fails.",
                     "A program that runs from the segment would crash then. CP avoids that: the old file "
                     "waits, pending purge, for its last user.", "purge-takes-it-away")},
        right="b"),
    "02.restart": Prediction(
        "Both guests share BOARD, type SW. LINUX1 stores \"Hi!\" and LINUX2 sees it. Then z/VM is shut "
        "down and started again. What stands in BOARD?",
        {"a": Choice("\"Hi!\": it was stored into the segment itself, and CP keeps segments.",
                     "CP keeps what was saved. A store reaches the frames and not the spool. Nobody saved, "
                     "so the text is what it was.", "store-lasts"),
         "b": Choice("The text that it had before the store.",
                     "CP starts again from its spool, and there lies what was last saved."),
         "c": Choice("Zeros: a segment is memory, and memory is lost.",
                     "The frames are lost, but CP has the saved contents on a disk, in its spool, and "
                     "fills new frames from there.", "segment-dies-with-the-power")},
        right="b"),
}

_NEW_VERSION = ('experiment.load("LINUX2", "SHLIB")\n'
                'experiment.load("LINUX1", "SHLIB", "exclusive"); experiment.store("LINUX1", "SHLIB", "J")\n')

MISCONCEPTIONS = (
    Misconception(
        "defined-is-saved",
        "A segment that is defined can be loaded.",
        "DEFSEG makes a skeleton, class S. Only SAVESEG gives it contents and makes it available, class A.",
        "Load a segment between DEFSEG and SAVESEG.",
        'experiment.cp("DEFSEG DATA 10200-102FF SW")\n'
        'print(experiment.load("LINUX1", "DATA"))'),
    Misconception(
        "load-fills-the-segment",
        "A guest that loads a segment puts its own bytes there.",
        "To load makes the segment's bytes visible to the guest. Only SAVESEG takes bytes from a guest.",
        "Load a segment and look at its first bytes."),
    Misconception(
        "load-brings-bytes-in",
        "The first guest that loads a segment brings its bytes into memory.",
        "A saved segment has its frames already. To load it shared takes no frame.",
        "Read the counter after the first load.",
        'print(experiment.load("LINUX1", "SHLIB"))\n'
        "print(experiment.taken)"),
    Misconception(
        "exclusive-is-a-lock",
        "Loading a segment exclusive keeps other guests out of it.",
        "It keeps nobody out: the guest gets a copy in frames of its own, and the others go on sharing.",
        "Load it exclusive in one guest and shared in the other.",
        'print(experiment.load("LINUX1", "SHLIB", "exclusive"))\n'
        'print(experiment.load("LINUX2", "SHLIB"))'),
    Misconception(
        "shared-means-writable",
        "Who shares a segment may write it.",
        "Sharing and writing are two letters of the type. SR is shared and read only; SW shared and "
        "written by all.",
        "Store into a segment of type SR.",
        'experiment.load("LINUX1", "SHLIB")\n'
        'print(experiment.store("LINUX1", "SHLIB", "J"))'),
    Misconception(
        "store-makes-a-copy",
        "A store into a shared read-only segment gives the guest its own copy of the page.",
        "There is no copy on write here. The store is refused. Who wants a copy loads the segment exclusive.",
        "Count the frames before and after the store."),
    Misconception(
        "rights-go-by-user",
        "A powerful user may write where others may not.",
        "CP writes the protection into the tables by the segment's type, for every guest that loads it.",
        "Load SHLIB in the other guest and store there."),
    Misconception(
        "save-reaches-everybody",
        "A segment that is saved anew changes for all who have loaded it.",
        "They keep the old file, class P. The new one is for those who load it from then on.",
        "Save a new version and look at the catalogue.",
        f"{_NEW_VERSION}"
        'experiment.save("LINUX1", "SHLIB"); print(experiment)'),
    Misconception(
        "purge-takes-it-away",
        "PURGE takes a segment from the guests that use it.",
        "A segment in use only becomes class P. It goes when its last user lets go.",
        "Purge a segment that is loaded, and read it.",
        'experiment.load("LINUX1", "SHLIB"); print(experiment.cp("PURGE NSS SHLIB"))\n'
        "print(experiment)"),
    Misconception(
        "store-lasts",
        "What is stored into a shared segment stays there.",
        "It stays as long as somebody has the segment loaded. Then the saved contents count again.",
        "Store, let go in every guest, load again.",
        'experiment.load("LINUX1", "BOARD"); experiment.store("LINUX1", "BOARD", "Hi!")\n'
        'experiment.unload("LINUX1", "BOARD"); experiment.load("LINUX1", "BOARD"); print(experiment)'),
    Misconception(
        "segment-dies-with-the-power",
        "A segment is memory, so it is gone when z/VM ends.",
        "What was saved lies in CP's spool, on a disk. After a start CP fills frames from there.",
        "Restart z/VM and look at the catalogue.",
        "print(experiment.restart())\n"
        "print(experiment)"),
)
