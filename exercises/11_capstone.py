# %% intro [markdown]
# # Exercise 11: the capstone
#
# **The question of this exercise: can five functions of your own run a program that nobody has copied?**
#
# You will *build* the five functions that execute-in-place consists of, and *measure* that they copy
# nothing. A guest mounts a segment through them, writes a program, reads it back, and executes it where it
# lies. You need notebooks 00 and 05 to 08, and their exercises help. It takes about 45 minutes.
#
# ```
#  a program's instruction        page fault ──▶ 5  xip_file_fault
#  read(), write()  ──▶ 3  xip_file_read   4  xip_file_write  │
#                                       └──────────┬──────────┘
#                                        2  get_xip_mem
#                                                  │
#                                        1  direct_access ──▶ the segment's frame
# ```
#
# Each function counts for itself. Where one is not written yet, the model's own takes its place. The last
# question takes all five together.

# %% setup
import errno

import xiplab
from xiplab import PAGE_SIZE, SECTOR_SIZE
from xiplab.course.questions.stage_11 import (
    cache_frames,
    carry,
    execute,
    measure,
    own_programs,
    sigbus,
    stores_reach_the_file,
)
from xiplab.errors import NoData
from xiplab.linux.fs.ext2.indirect import ext2_get_block
from xiplab.linux.fs.inode import mark_inode_dirty
from xiplab.linux.mm.filemap_xip import xip_sparse_page, xip_unmap
from xiplab.linux.mm.memory import vm_insert_mixed
from xiplab.widgets.execute import ExecuteView

# %% carried-words [markdown]
# `carry` shows what the guest does on your functions. Without any, it runs on the model's own:

# %% carried
print(carry())

# %% task-11-1 [markdown]
# ## 11.1 Your direct_access (build, 2 points)
#
# Why it matters: this is all that a device must do. Write `direct_access(bdev, sector)`: it returns `(kaddr,
# pfn)`, the address and the frame number of the page that begins with this sector. It raises `OSError` with
# ENODEV if there is no segment, EINVAL if the sector is not the first one of a page, ERANGE if the page does
# not lie wholly inside the segment; in this order. `info.start` and `info.end` are the addresses of the
# segment's first and last byte.

# %% q11-1
# Your turn: 11.1
def direct_access(bdev, sector):
    info = bdev.bd_disk.private_data
    # YOUR CODE HERE
    raise NotImplementedError()

# %% look-11-1
print(carry(direct_access=direct_access))

# %% q11-1-check
print(xiplab.check("11.1", __file__))

# %% task-11-2 [markdown]
# ## 11.2 Your get_xip_mem (build, 2 points)
#
# Why it matters: this is all that a file system must do. Write `get_xip_mem(mapping, pgoff, create)`: it
# returns what the device's `direct_access` gives for the block of page `pgoff`, or raises `NoData("...")`
# for a hole. `ext2_get_block(inode, pgoff, create)` gives `(block, new)`, with block 0 for a hole.
# `inode.i_sb.s_bdev` is the device `bdev`, and `bdev.bd_disk.fops.direct_access(bdev, sector)` asks it.

# %% q11-2
# Your turn: 11.2
def get_xip_mem(mapping, pgoff, create):
    inode = mapping.host
    # YOUR CODE HERE
    raise NotImplementedError()

# %% look-11-2
print(carry(direct_access=direct_access, get_xip_mem=get_xip_mem))

# %% q11-2-check
print(xiplab.check("11.2", __file__))

# %% task-11-3 [markdown]
# ## 11.3 Your xip_file_read (build, 2 points)
#
# Why it matters: one copy is what a read costs, and here it is yours to make. Write `xip_file_read(filp,
# buf, count, pos)`: it brings up to `count` bytes of the file, from byte `pos` on, to the buffer of the
# program, and returns how many. The file ends after `i_size` bytes. A hole is zeros.
#
# | call | what it does |
# |---|---|
# | `mapping.a_ops.get_xip_mem(mapping, pgoff, False)` | address and frame of a page, or `NoData` |
# | `buf.copy_to_user(memory.span(address, n))` | copies `n` bytes of storage to the program |
# | `buf.clear_user(n)` | gives the program `n` zeros |

# %% q11-3
# Your turn: 11.3
def xip_file_read(filp, buf, count, pos):
    mapping, memory = filp.f_mapping, filp.f_mapping.kernel.memory
    # YOUR CODE HERE
    raise NotImplementedError()

# %% look-11-3
print(carry(direct_access=direct_access, get_xip_mem=get_xip_mem, xip_file_read=xip_file_read))

# %% q11-3-check
print(xiplab.check("11.3", __file__))

# %% task-11-4 [markdown]
# ## 11.4 Your xip_file_write (build, 2 points)
#
# Why it matters: what a write copies is on the device at once, and nothing writes it back later. Write
# `xip_file_write(filp, buf, count, pos)`: it brings `count` bytes from the program to the file, from byte
# `pos` on, and returns how many. A hole gets a block: ask again with `create` True, then call
# `xip_unmap(mapping, pgoff)`, so that programs which have mapped the hole no longer see the page of zeros.
# If the file is longer afterwards, set `inode.i_size` and call `mark_inode_dirty(inode)`.
#
# `buf.copy_from_user(memory.span(address, n, "store"))` copies `n` bytes from the program to storage. Where
# the position makes no sense, the request never comes to you.

# %% q11-4
# Your turn: 11.4
def xip_file_write(filp, buf, count, pos):
    mapping, memory = filp.f_mapping, filp.f_mapping.kernel.memory
    inode, get_xip_mem = mapping.host, mapping.a_ops.get_xip_mem
    # YOUR CODE HERE
    raise NotImplementedError()

# %% look-11-4
print(carry(direct_access=direct_access, get_xip_mem=get_xip_mem, xip_file_read=xip_file_read,
      xip_file_write=xip_file_write))

# %% q11-4-check
print(xiplab.check("11.4", __file__))

# %% task-11-5 [markdown]
# ## 11.5 Your xip_file_fault (build, 3 points)
#
# Why it matters: this is where execute-in-place happens. A processor that wants a page with no entry in its
# page table stops, and Linux calls you. Write `xip_file_fault(vma, vmf)`: it puts the right frame into the
# page table, by `vm_insert_mixed(vma, vmf.virtual_address, pfn)`, and returns nothing.
#
# | when | what to do |
# |---|---|
# | page `vmf.pgoff` lies wholly behind the end of the file | `sigbus(vma, vmf, "...")`, which raises |
# | the page has a frame | map it |
# | a hole, and `stores_reach_the_file(vma)` | ask with `create` True, then `xip_unmap(mapping, vmf.pgoff)` |
# | any other hole | map the page of zeros, `xip_sparse_page(mapping.kernel)` |

# %% q11-5
# Your turn: 11.5
def xip_file_fault(vma, vmf):
    mapping = vma.vm_file.f_mapping
    get_xip_mem = mapping.a_ops.get_xip_mem
    # YOUR CODE HERE
    raise NotImplementedError()

# %% look-11-5
own = {"direct_access": direct_access, "get_xip_mem": get_xip_mem, "xip_file_read": xip_file_read,
       "xip_file_write": xip_file_write, "xip_file_fault": xip_file_fault}
print(carry(**own))

# %% q11-5-check
print(xiplab.check("11.5", __file__))

# %% see [markdown]
# ## See it run
#
# The picture of notebook 08, with your five functions in the tables of both guests. Step through a program,
# and look at the frames: those of its text lie in the segment, for both guests the same.

# %% see-picture
print(ExecuteView(own_programs(own)))

# %% task-11-6 [markdown]
# ## 11.6 The whole, and its proof (measure, 5 points)
#
# Why it matters: "nothing is copied" is easily said. Measure it. Write `cached_by(guest, path)`: it executes
# the program at `path` and returns how many frames of the page cache that took.
#
# `execute(guest, path)` executes a program. `cache_frames(guest)` says how many frames the page cache has
# now. The judge measures with your function in place and on an ordinary disk, where other files were read
# before. Then it measures a program on a mount that your five functions carry, together.

# %% q11-6
# Your turn: 11.6
def cached_by(guest, path):
    # YOUR CODE HERE
    raise NotImplementedError()

# %% look-11-6
print(measure(cached_by))

# %% q11-6-check
print(xiplab.check("11.6", __file__))

# %% after [markdown]
# ## What to take with you
#
# - Five short functions are the whole of execute-in-place. Each knows one step, and asks the next one.
# - The frame that a processor fetches from is the frame of the device. Between them stand numbers, no
#   copies.
# - All that this needs of a device is one answer: this sector lies at that address. What it may *not* need,
#   and where it ends, was notebook 09; what became of it, notebook 10.
