"""What several processes on one file cost in memory, told by the host's kernel.

    for share in bill(filp, 8):
        print(share.processes, share.rss, share.pss)

Rss counts each frame in each process that has it, so it cannot tell sharing from copies. Pss divides a
frame among its processes: added up, it is the memory that is really taken.

Kernel: none (this is user space on the host; Linux computes both in fs/proc/task_mmu.c)
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from xiplab.host.native import Peer
from xiplab.linux.include.fs import File


@dataclass(frozen=True, slots=True)
class Share:
    """The sums over the first `processes` processes, in KiB."""

    processes: int
    rss: int
    pss: int


def bill(filp: File, processes: int, *, copied: bool = False) -> list[Share]:
    """Start processes that map the file; let one after the other touch all of it, and sum up.

    This Python has the file's frames in its own page table as well and is not in the sums: n processes
    that share are charged n of n + 1 parts.
    Args:
        copied: each process reads the file into memory of its own instead.
    Raises:
        OSError: those of Peer().
    """
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(filp, copied=copied)) for _ in range(processes)]
        return [_sums(peers[:count]) for count in range(1, processes + 1)]


def _sums(peers: list[Peer]) -> Share:
    """What these processes have, after the last of them has touched its pages."""
    peers[-1].touch()
    memory = [peer.memory() for peer in peers]
    return Share(len(peers), sum(each["Rss"] for each in memory), sum(each["Pss"] for each in memory))
