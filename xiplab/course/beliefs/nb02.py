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
    # ---- exercise 02
    Misconception(
        "copy-obeys-the-type",
        "In a segment of type SR nobody can store, whatever way it was loaded.",
        "Who loads exclusive has a copy and may write it. What it does there is nobody else's business.",
        "Load SHLIB exclusive, and store.",
        'experiment.load("LINUX1", "SHLIB", "exclusive"); print(experiment.store("LINUX1", "SHLIB", "J"))'),
    Misconception(
        "only-the-load-makes-copies",
        "A segment that is loaded shared is shared.",
        "With a first letter E each guest gets a copy, even if it asks for the segment shared.",
        "Define a segment of type EW, load it shared in both guests, store in one.",
        'experiment.cp("DEFSEG DATA 10200-102FF EW"); experiment.cp("SAVESEG DATA")\n'
        'print(experiment.load("LINUX1", "DATA"))'),
    Misconception(
        "copy-stays-connected",
        "A copy of a segment follows the segment, and the segment the copy.",
        "It was equal when it was made. From then on there are two pieces of memory.",
        "Look at the frames that both guests have."),
    Misconception(
        "n-is-saved-too",
        "SAVESEG saves what is in the segment.",
        "Not with a second letter N: its pages are never saved. Who loads the new file finds zeros.",
        "Save a segment of type SN, and look at the catalogue."),
    Misconception(
        "newest-store-counts",
        "A guest that loads a segment later gets what was stored last, wherever that was.",
        "It gets the segment's own frames. What was stored into somebody's copy reaches it by a save only.",
        "Store into a copy, and load in the other guest.",
        'experiment.load("LINUX1", "SHLIB", "exclusive"); experiment.store("LINUX1", "SHLIB", "J")\n'
        'experiment.load("LINUX2", "SHLIB"); print(experiment.found("LINUX2", "SHLIB").text)'),
    Misconception(
        "first-load-counts-twice",
        "Every load adds one to the count.",
        "The first load begins the count with one. If it is added again, the last unload leaves one behind, "
        "and the segment is never let go of.",
        "Load once, let go once, and see who has it."),
    Misconception(
        "mode-is-a-flag",
        "To change from shared to exclusive, Linux changes a mark.",
        "The frames are others. The segment must be let go of and loaded anew, and its users would have to "
        "agree.",
        "Compare the frames of both modes."),
    Misconception(
        "mode-does-not-matter",
        "Whoever has a segment can count one more user, in whatever mode.",
        "Who asks for a copy would get what all share. The second user must want the same mode, else EPERM.",
        "Load the segment shared, then exclusive, in one guest."),
    Misconception(
        "loaded-needs-no-count",
        "A segment that is loaded need not be counted again.",
        "Each user lets go of it once. Without the count the first one to do so takes it from the others.",
        "Load it twice, let go once, and use it."),
    Misconception(
        "once-is-enough",
        "A segment can be loaded once in a guest; the second one gets an error.",
        "Several parts of Linux may use it. They are counted, and the last one lets go.",
        "Count one more user if the mode is the same."),
    Misconception(
        "return-lets-go",
        "Who leaves a function gives back the lock that it took.",
        "A lock stays held until somebody lets go of it. Each way out of the function must do so.",
        "Look at each return."),
    Misconception(
        "lock-is-for-the-look",
        "A lock is needed only while the list is searched.",
        "What was found can be let go of by somebody else at once. The lock must be held as long as it is "
        "used.",
        "Let go after CP has answered."),
    Misconception(
        "looking-needs-no-lock",
        "Who only reads a list needs no lock.",
        "Somebody else may change the list while it is read, and what was found may be gone.",
        "Take the lock before the first look."),
    Misconception(
        "unlock-does-no-harm",
        "To let go of a lock once more does no harm.",
        "By then somebody else may hold it, and loses it.",
        "On each way through the function, let go exactly once."),
    Misconception(
        "save-tells",
        "Who saves a segment is told when that fails.",
        "segment_save has no result, for an unknown segment neither. Only the log has a line.",
        "Let go of the lock, and return.",
        'print(experiment.save("LINUX1", "NOSUCH")) if experiment.load("LINUX1", "NOSUCH") else None'),
    Misconception(
        "second-command-anyway",
        "SAVESEG is given whatever DEFSEG has answered.",
        "If DEFSEG is refused, there is no new skeleton to fill. The second command is not given.",
        "Stop at the first answer that is not 0."),
    Misconception(
        "limit-is-the-last",
        "A limit of so many pages is the number of the last page.",
        "Pages are numbered from 0. The page with the number max_pfn is the first one behind the limit.",
        "Try a segment whose last page is max_pfn."),
    Misconception(
        "start-is-enough",
        "A segment that begins below the limit fits.",
        "All its pages are loaded. The last one counts.",
        "Compare `last` with the limit."),
    Misconception(
        "one-page-to-be-safe",
        "It is safer to leave the last page below the limit free.",
        "That page can be addressed. Who refuses it refuses segments that fit.",
        "Try a segment that ends with page max_pfn - 1."),
    Misconception(
        "megabytes-can-be-shared",
        "Two segments may lie in one megabyte, if they have no page in common.",
        "Sharing goes by the megabyte: 256 pages are all shared or all the guest's own. So they may not.",
        "Compare page numbers divided by 256."),
    Misconception(
        "same-mode-loads-again",
        "Who asks for the mode that a segment has gets it loaded anew.",
        "Nothing happens. A new load would lose what was stored and not saved.",
        "Load exclusive, store, and ask for exclusive again."),
    Misconception(
        "others-follow",
        "When one user changes the mode, the other users of the guest change with it.",
        "They would find other frames under their hands. The answer is EAGAIN: not now.",
        "Look at ref_count first."),
    Misconception(
        "load-replaces",
        "A load replaces what was loaded before.",
        "At these addresses there is something already, so CP refuses. It must be let go of first.",
        "Purge before you load."),
    Misconception(
        "failed-load-changes-nothing",
        "A load that failed leaves everything as it was.",
        "The purge came before it: the guest has nothing at these addresses. The list must not say that it "
        "has.",
        "Destroy the segment if the load fails."),
    Misconception(
        "failure-needs-no-word",
        "After the segment was destroyed all is in order.",
        "Whoever asked believes to have it. The errno must reach the caller.",
        "Raise again what the load has raised."),
    Misconception(
        "cp-knows-the-mode",
        "CP knows how a segment is loaded, so Linux need not note it.",
        "Linux asks its own list. If the mode is not noted, the next change back is taken for none.",
        "Set do_nonshared after the load."),
)
