"""Random numbers: the same for a guest of the same name each time, so that runs can be repeated.

Kernel: v3.6 drivers/char/random.c
Differs: a generator with the guest's name as its seed; nothing here is secret.
"""

from __future__ import annotations

from random import Random

from xiplab.linux.include.kernel import Kernel


def get_random_bytes(kernel: Kernel, nbytes: int) -> bytes:
    generator: Random = kernel.statics.setdefault("random", Random(kernel.name))
    return generator.randbytes(nbytes)
