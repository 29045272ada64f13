"""What xiplab costs, beside what one would take instead: the same work by every side, in one run.

    xiplab bench [--quick]            everything: a table, a JSON file and a plot
    python -m benchmarks.bars         the goals only: xiplab in place beside system calls on tmpfs
    python -m benchmarks.cpu          the processor beside plain Unicorn
    python -m benchmarks.growth       cost against size
    python -m benchmarks.grading      a class of learners, with one judging process and with more

    tree       the files that all sides begin with, in a folder and in images by mke2fs
    sides      system calls on tmpfs, mmap, the kernel's ext2, a guest in place, a guest with a page cache
    readers    packages that read ext2 images        } each absent or present
    memories   packages that keep files in memory    }
    workload   what a family of workloads is, and how it is measured
    bigfile, smallfiles, images, sharing     the families
    goals      all families, and how a row's figures are written
    figures    what has no side: cpu (instructions, faults), course (import, widgets, judge, notebooks)
    growth     cost against size, with an exponent
    profiles   where the time goes in the five rows furthest from their goals
    report, picture  tables, JSON, and the section of the README
    run        the command

No goal is a test: times differ from computer to computer. Tests run every workload at a tiny size, and
compare what the sides did.
"""
