# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   language_info:
#     name: python
#   xiplab:
#     minutes: 42
# ---

# %% title [markdown]
# # Where are a file's bytes?
#
# A disk is a row of numbered blocks. A program asks for byte 5,000 of `/lib/greeting`. Who turns that name
# and that number into a place on the disk? All it takes is written on the disk itself, and you can read it
# there.
#
# **You will be able to** follow a byte from the superblock to its block, compute that way in Python, say
# what a hole costs, and predict who notices a damaged number.
#
# **You need** notebook [03](03_dcssblk.ipynb). **Time:** 42 minutes.

# %% recall [markdown]
# ## Three questions from before (2 minutes)
#
# Answer each one aloud, then open it.
#
# <details><summary>What does direct_access need to know, and what does it answer?</summary>
# The disk and a sector. It answers with an address and the number of a frame.
# </details>
#
# <details><summary>Two guests have loaded a segment shared. One saves a new version. What does the other
# one see?</summary>
# The old version, until it lets go and loads again.
# </details>
#
# <details><summary>What stands in the page table of a program that has mapped a file in place?</summary>
# The number of the frame of the storage itself.
# </details>

# %% words [markdown]
# ## Eight words (3 minutes)
#
# | word | meaning here |
# |---|---|
# | **ext2** | the *second extended file system*: a way to lay files on a disk, in Linux since 1993 |
# | **block** | 4,096 bytes of the disk, so 8 sectors; blocks are numbered from 0 |
# | **superblock** | the record about the file system as a whole; it begins at byte 1,024 |
# | **inode** | the record about one file: its size, and where its bytes are. It has a number, not a name |
# | **slot** | one of 15 numbers in an inode. Twelve name blocks of the file |
# | **indirect block** | a block full of block numbers, for files that need more than 12 |
# | **directory** | a file whose content is a list of names, each with the number of an inode |
# | **bitmap** | a block with one bit for each block or inode: 1 is taken, 0 is free |

# %% build
import os

import numpy as np

from xiplab import ZVM, MiB
from xiplab.course.experiments.ext2_bytes import Ext2Bytes, changed_fields, real_e2fsck
from xiplab.course.predict import predict, reveal
from xiplab.host import probe
from xiplab.linux.fs.ext2.ext2_fs import Ext2Inode, Ext2SuperBlock
from xiplab.tools import debugfs
from xiplab.tools.image import course_image, shipped_image
from xiplab.widgets.ext2_bytes import Ext2BytesView

experiment = Ext2Bytes()
image = shipped_image()

# %% map [markdown]
# ## A map of the disk (4 minutes)
#
# ```
#   block 0        1            2        3        4 and 5       6 ...
#   superblock     group        block    inode    inode         directories, files,
#                  descriptors  bitmap   bitmap   table         indirect blocks
# ```
#
# Large disks are cut into *groups*, each with its own bitmaps and inodes. The *group descriptors* say where
# these are. Our disk is small and has one group. Here is what each block holds.

# %% map-run
roles = debugfs.roles(image)
for block in (0, 1, 2, 3, 4, 5, 6, 12, 14, 26, 27, 30):
    print(f"block {block:3}: {roles[block]}")
print(len(roles), "blocks,", sum(role.kind == "free" for role in roles), "of them free")

# %% map-super [markdown]
# The superblock is a record of 1,024 bytes. Python can lay a type over these bytes and read them by their
# names, which are those of Linux.

# %% map-super-run
sb = Ext2SuperBlock(np.frombuffer(image, np.uint8), 1024)
print(f"s_magic {sb.s_magic:#x}, s_blocks_count {sb.s_blocks_count}")
print(f"block size: 1024 << {sb.s_log_block_size} = {1024 << sb.s_log_block_size}")
print(f"s_inodes_count {sb.s_inodes_count}, s_free_blocks_count {sb.s_free_blocks_count}")

assert sb.s_free_blocks_count == sum(role.kind == "free" for role in roles), "it keeps count"

# %% follow [markdown]
# ## Follow one byte (10 minutes)
#
# Two questions before we go.

# %% where-predict
# Your turn: put "a", "b" or "c" in place of "skip", and run the cell.
predict("04.where", "skip")

# %% where-run
answer = reveal("04.where")
print("/lib/fragmented:", debugfs.blocks(image, "/lib/fragmented"))
print("/lib/greeting:  ", debugfs.blocks(image, "/lib/greeting"))
answer

# %% name-predict
# Your turn: "a", "b", "c" or "skip".
predict("04.name", "skip")

# %% follow-try [markdown]
# Now walk. Press *Step* until you stand at the byte. At each stop the picture shows the bytes that are
# read there, and their fields. Where did the name stand?
#
# - **▶** is the block that is shown below; **→** marks the blocks of the file that you follow.
# - Click a block to look into it. The fields are named as in Linux.
# - Then follow byte 61,443 of `/holes`, which goes through an indirect block.

# %% follow-picture
Ext2BytesView(experiment)

# %% follow-run
answer = reveal("04.name")
experiment.reset()
for stop in experiment.stops():
    print(f"{stop.text:46} {stop.leads}")
answer

# %% follow-check
root, lib, greeting = 2, debugfs.namei(image, "/lib"), debugfs.namei(image, "/lib/greeting")
names = {entry.name.decode(): entry.inode for entry in debugfs.ls(image, "/lib")}
print(names)

assert names["greeting"] == greeting, "a directory knows names and numbers"
assert names["."] == lib, "and itself: each directory begins with . and .."
assert names[".."] == root, "the root directory is always inode 2"

# %% hand [markdown]
# ## By hand (7 minutes)
#
# No magic is needed: a few numbers at known places. They lie with the least byte first. The way has four
# steps: **block size, table, inode, slot**. Here they are for the first page of `/lib/greeting`, inode 20.

# %% worked
def number(place, length=4):
    """A number in the image, least byte first."""
    return int.from_bytes(image[place:place + length], "little")


size = 1024 << number(1024 + 24)               # block size: byte 24 of the superblock
table = number(size + 8)                       # table: byte 8 of the group descriptor
inode = table * size + (20 - 1) * 128          # inode: 128 bytes each, the first is number 1
slot = number(inode + 40)                      # slot: the 15 slots begin at byte 40
print(f"inode 20 begins at byte {inode}, slot 0 names block {slot}")
print(image[slot * size:slot * size + 23])

# %% faded-words [markdown]
# The file `/etc/motd` has inode 18. One of the four steps is wrong here. Mend it.

# %% faded
size = 1024 << number(1024 + 24)               # block size
table = number(size + 8)                       # table
inode = table * size + 18 * 128                # inode: Your turn, what is wrong here?
slot = number(inode + 40)                      # slot
motd = image[slot * size:slot * size + 16]
print("It works." if motd == b"This file system" else f"Not yet: {motd!r}")

# %% task-words [markdown]
# Now for any page. Pages 0 to 11 have slots of their own. From page 12 on, slot 12 names an indirect
# block, and there the number for page 12 stands first. A number 0 is a hole, on each level.

# %% task
def block_of(ino, page):
    """The block that holds a page of an inode, 0 for a hole. Your turn."""
    return 0


asked = [("/lib/fragmented", page) for page in range(8)]
asked += [("/holes", page) for page in (0, 1, 5, 15, 19)]
right = sum(block_of(debugfs.namei(image, path), page) == debugfs.blocks(image, path)[page]
            for path, page in asked)
print(f"{right} of {len(asked)} answers are right.")

# %% task-answer [markdown]
# <details><summary>One way to do it</summary>
#
# ```python
# size = 1024 << number(1024 + 24)
# table = number(size + 8)
# inode = table * size + (ino - 1) * 128
# if page < 12:
#     return number(inode + 40 + page * 4)
# indirect = number(inode + 40 + 12 * 4)
# return number(indirect * size + (page - 12) * 4) if indirect else 0
# ```
#
# Slots 13 and 14 go on in the same way, with two and three levels. Together they reach a file of 4 TiB.
# </details>

# %% holes [markdown]
# ## What costs a block, and what does not (6 minutes)

# %% holes-predict
# Your turn: "a", "b", "c", "d" or "skip".
predict("04.holes", "skip")

# %% holes-run
answer = reveal("04.holes")
print("blocks, 0 for a hole:", debugfs.blocks(image, "/holes"))
print("indirect blocks:     ", debugfs.indirect_blocks(image, "/holes"))
holes = debugfs.stat(image, "/holes")
print(f"size {holes['size']:,}; i_blocks {holes['blockcount']}, in units of 512 bytes")
answer

# %% holes-read [markdown]
# A *hole* is a page without a block. It reads as zeros, which the next line shows as dots.

# %% holes-check
experiment.follow("/holes", 4096)
print("model:", experiment.driver())

content = debugfs.cat(image, "/holes")
assert content[4096:8192] == bytes(4096), "page 1 is a hole and reads as zeros"
assert content[5 * 4096:5 * 4096 + 6] == b"page 5", "page 5 is not"

# %% symlink-predict
# Your turn: "a", "b", "c" or "skip".
predict("04.symlink", "skip")

# %% symlink-run
answer = reveal("04.symlink")
link = debugfs.stat(image, "/hello")
print("blocks:", link["blockcount"], " slots as bytes:", image[link["offset"] + 40:][:12])
answer

# %% new [markdown]
# ### What a new file changes
#
# A guest mounts this disk and writes a new file of 11 bytes. Guess before you run: in how many blocks of
# the disk does something change?

# %% new-run
vm = ZVM()
vm.segment("DATA", size=2 * MiB, type="SW")
disk = vm.load("DATA", image).mem
linux1 = vm.logon("LINUX1", clock=lambda: 1125273600 * 10**9)
linux1.echo("data", "/sys/devices/dcssblk/add")
linux1.mount("/dev/dcssblk0", "/mnt", "ext2", "xip")
linux1.sync()
before = disk.copy()
linux1.echo("A new file", "/mnt/new")
linux1.sync()
changes = changed_fields(before, disk)
print(*changes, sep="\n")
assert len(changes) == 7

# %% new-words [markdown]
# Seven blocks, for 11 bytes. The same thing is written twice: the bitmap has a bit, and the superblock
# counts the bits. That looks wasteful, and it is what lets a checker find mistakes.
#
# A second name for the same file costs a record, and no inode. The inode only counts its names.

# %% new-link
linux1.link("/mnt/new", "/mnt/also")
linux1.unlink("/mnt/new")
linux1.umount("/mnt")
print("also:", debugfs.cat(disk, "/also"), "links:", debugfs.stat(disk, "/also")["links"])

assert debugfs.namei(disk, "/also") == 21, "the name has gone, the inode has stayed"

# %% damage [markdown]
# ## Damage it (5 minutes)

# %% damage-predict
# Your turn: "a", "b", "c" or "skip".
predict("04.damage", "skip")

# %% damage-run
answer = reveal("04.damage")
experiment.reset()
print("before:", experiment.driver())
experiment.look(debugfs.stat(image, "/lib/greeting")["offset"])
experiment.change("inode 20: i_block[1]", 28)
print("after: ", experiment.driver())
print(*experiment.problems(), sep="\n")
answer

# %% damage-more [markdown]
# Some damage is noticed by the driver after all. Each line below changes one number. Guess the answer, then
# run the cell. Then change numbers of your own, here or in the picture above, and use *Undo*.

# %% damage-many
for place, name, value in ((18816, "inode 20: i_block[1]", 9999), (18816, "inode 20: i_size", 5),
                           (1024, "s_magic", 0), (1024, "s_log_block_size", 1),
                           (57388, "record 3: inode", 18), (4096, "group 0: bg_inode_table", 5)):
    experiment.reset()
    experiment.look(place)
    experiment.change(name, value)
    print(f"{name} = {value}\n  in place:   {experiment.driver()}")
    print(f"  page cache: {experiment.driver('ro')}")

# %% damage-words [markdown]
# Look at the first one. Mounted in place, ext2 asks direct_access for block 9,999, and that answers ERANGE:
# notebook 03 told why. Through the page cache the same block is read by a bio, which ends with EIO. And our
# walker, which looks at the number itself, says EUCLEAN: *the structure needs cleaning*.

# %% damage-walker
experiment.reset()
experiment.look(18816)
experiment.change("inode 20: i_block[1]", 9999)
stops, ended = experiment.way()
print(ended)

# %% real [markdown]
# ## The real tools (2 minutes)
#
# This is not a toy format. Where your computer has *e2fsprogs*, the programs that make and check ext2 on
# every Linux, the next cell asks them. `course_image` lets the real mke2fs make the disk, and the model
# reads it. The real e2fsck judges our disk, and the one that the guest wrote.

# %% real-run
theirs = course_image()
print("a disk by mke2fs, read by the model:", debugfs.cat(theirs, "/etc/motd")[:16])
print("the shipped disk, judged by e2fsck:", real_e2fsck(image))
print("the disk that LINUX1 wrote:        ", real_e2fsck(disk.tobytes()))
print("the damaged one:                   ", real_e2fsck(experiment.image.tobytes()))

# %% real-hole-words [markdown]
# Holes are no speciality of ext2. Here is a file on your own computer with one byte, a million bytes behind
# its start. If your file system knows holes, it takes less room than it is long.

# %% real-hole
if why_not := probe.files():
    print("Only the model runs here:", why_not)
else:
    with probe.file_of(b"", nbytes=0) as file:
        os.pwrite(file.fileno(), b"x", 1_000_000)
        status = os.fstat(file.fileno())
        zeros = os.pread(file.fileno(), 4096, 0) == bytes(4096)
    print(f"{status.st_size:,} bytes long; takes less: {status.st_blocks * 512 < 1_000_000}")
    print("its start reads as zeros:", zeros)

# %% real-check
for path in ("/lib/greeting", "/lib/fragmented", "/holes", "/bin/hello"):
    assert debugfs.cat(theirs, path) == debugfs.cat(image, path), "the same files, whoever made the disk"

# %% recall-end [markdown]
# ## Three questions to keep (2 minutes)
#
# <details><summary>Name the stops from the superblock to a byte of /etc/motd.</summary>
# Superblock, group descriptor, inode 2, its directory block, the inode of /etc, its directory block, the
# inode of motd, a slot, the block.
# </details>
#
# <details><summary>A file is 1 GiB long and has one byte written at its end. What does it cost?</summary>
# One block with data, and the indirect blocks on the way to it: for a page that far back, two. All else is
# holes.
# </details>
#
# <details><summary>Why can a file have two names, but not two sizes?</summary>
# Names stand in directories, as many as you like. The size stands in the inode, and there is one.
# </details>

# %% contract [markdown]
# ## What the next notebooks rely on (1 minute)
#
# The contract of this layer, as lines that run.

# %% contract-check
fs_blocks = len(image) // 4096
for path in ("/lib/greeting", "/lib/fragmented", "/holes"):
    blocks, content = debugfs.blocks(image, path), debugfs.cat(image, path)
    assert len(blocks) == -(-len(content) // 4096), "a slot or a pointer for each page"
    for page, block in enumerate(blocks):
        stored = image[block * 4096:][:4096] if block else bytes(4096)
        piece = content[page * 4096:][:4096]
        assert stored[:len(piece)] == piece, "a page is a whole block, or zeros"
        assert 0 <= block < fs_blocks, "block 0 means: none"
assert Ext2Inode(np.frombuffer(image, np.uint8), 18816).i_block[1] == 27, "inode 20, slot 1"
experiment.reset()

# %% next [markdown]
# **Now do** [exercise 04](../exercises/04_ext2.ipynb). **Back:** [notebook 03](03_dcssblk.ipynb). **Next:**
# in [notebook 05](05_get_xip_mem.ipynb) both ways meet. A block number times 8 is a sector, and
# direct_access tells its frame.
