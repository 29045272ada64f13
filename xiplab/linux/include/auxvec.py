"""Types of entries in the auxiliary vector, by which the kernel tells a program about itself.

Kernel: v3.6 include/linux/auxvec.h
"""

from __future__ import annotations

AT_NULL = 0
AT_IGNORE = 1
AT_EXECFD = 2
AT_PHDR = 3      # address of the program headers
AT_PHENT = 4     # size of one
AT_PHNUM = 5     # how many
AT_PAGESZ = 6
AT_BASE = 7      # where the interpreter (the dynamic linker) is
AT_FLAGS = 8
AT_ENTRY = 9     # where the program itself begins
AT_UID = 11
AT_EUID = 12
AT_GID = 13
AT_EGID = 14
AT_PLATFORM = 15
AT_HWCAP = 16
AT_CLKTCK = 17
AT_SECURE = 23
AT_RANDOM = 25   # address of 16 random bytes
AT_EXECFN = 31   # address of the file's name
