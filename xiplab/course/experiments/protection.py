"""What this computer does with a store into a page that may only be read.

    store_into_protected_page()     "SIGSEGV", said of another Python that tried
"""

from __future__ import annotations

import signal
import subprocess
import sys

STORE = """
import ctypes, mmap, numpy
page = numpy.frombuffer(mmap.mmap(-1, 4096, access=mmap.ACCESS_READ), numpy.uint8)
ctypes.memset(page.ctypes.data, ord("J"), 1)
"""


def store_into_protected_page() -> str:
    """Let another Python store into a page that it has mapped for reading; what became of it."""
    ended = subprocess.run([sys.executable, "-c", STORE], capture_output=True, check=False).returncode
    if ended >= 0:
        return "this system does not say"
    return f"the program was ended by {signal.Signals(-ended).name}"
