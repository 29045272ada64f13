"""Where a file's bytes are: the way from the superblock to one byte, in an image that can be damaged.

`Ext2Bytes` has an ext2 image, a file in it and a position in that file. Each step goes one stop further
on the way to that byte (xiplab/tools/way.py). All of it is read from the image's bytes, so a changed
byte changes the way.

    experiment = Ext2Bytes()
    experiment.follow("/lib/greeting", 5000)        another file or position
    experiment.step()                               the next stop
    experiment.stops()                              the whole way
    experiment.store(0x438, 0)                      change a byte of the image
    experiment.change("inode 20: i_size", 5)        change a number in the block that is shown
    experiment.look(0xc000)                         show the block that holds this byte
    experiment.fields()                             the fields of the record that is shown
    experiment.driver()                             what ext2 says when a guest mounts and reads it
    experiment.problems()                           what e2fsck says
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from xiplab.course.experiments.stage import Stage, action, looking
from xiplab.course.experiments.words import refusal
from xiplab.course.start import text_of
from xiplab.errors import Panic
from xiplab.guest import ZVM
from xiplab.host import probe
from xiplab.ondisk import Bytes
from xiplab.tools import debugfs, e2fsck
from xiplab.tools.debugfs import Piece, Role
from xiplab.tools.image import SYSTEM_FOLDERS, shipped_image
from xiplab.tools.way import Stop, way
from xiplab.units import PAGE_SIZE

T = TypeVar("T")

FILES = ("/lib/greeting", "/lib/fragmented", "/holes", "/etc/motd", "/hello")
SHOWN = 24
"""So many bytes of a file are shown."""
LEFT_OUT = ("s_def", "s_hash", "s_last", "s_creator", "s_w", "s_frags", "s_max", "s_mtime", "s_check",
            "s_log_frag", "s_r_blocks", "i_atime", "i_ctime", "i_mtime", "i_generation")
SUPERBLOCK_AT = 1024


class Ext2Bytes(Stage):
    """An image, the way to a byte in it, and what the driver and e2fsck say of it.

    Attributes:
        image: its bytes; they may be changed by `store` and `change` alone.
        path, position: whose byte is looked for. taken: how many stops have been made.
        block: the block that is shown. answer: what came of the last action.
    """

    def build(self) -> None:
        self.image = np.frombuffer(bytearray(shipped_image()), np.uint8)
        self.path, self.position = FILES[0], 5000
        self.taken = 0
        self.block = 0
        self.shown_at = SUPERBLOCK_AT
        self._known: dict[tuple[str, ...], Any] = {}
        self.answer = f"Step goes one stop further on the way to byte {self.position:,} of {self.path}."

    # ---- what a learner does ----

    @action
    def follow(self, path: str, position: int = 0) -> None:
        """Begin the way to another byte."""
        self.path, self.position, self.taken = path, position, 0
        self.block, self.shown_at = 0, SUPERBLOCK_AT
        self.answer = f"The way to byte {position:,} of {path}: it begins at the superblock."

    @action
    def step(self) -> None:
        """Go to the next stop of the way; at its end nothing happens."""
        stops, ended = self.way()
        if self.taken < len(stops):
            self.taken += 1
            self._stand_at(stops[self.taken - 1])
        else:
            self.answer = ended

    def _stand_at(self, stop: Stop) -> None:
        self.block, self.shown_at = stop.start // PAGE_SIZE, stop.start
        self.answer = f"Stop {self.taken}, {stop.text}: {stop.leads}."

    @action
    def store(self, address: int, value: int) -> None:
        """Change a byte of the image.

        Raises:
            OSError: EFAULT outside the image; EINVAL for a value that is no byte.
        """
        if not 0 <= address < len(self.image):
            raise OSError(errno.EFAULT, f"store: byte {address:#x}, the image has {len(self.image):#x}")
        if not 0 <= value <= 0xFF:
            raise OSError(errno.EINVAL, f"store: {value:#x} does not fit into a byte (0xff)")
        self._put(address, bytes([value]), f"byte {address:#x}")

    @action
    def change(self, name: str, value: int) -> None:
        """Change a number in the block that is shown, by its name: "inode 20: i_size".

        Raises:
            OSError: ENOENT no such number in this block; EINVAL a value that does not fit.
        """
        piece = next((p for p in self.pieces() if p.name == name and isinstance(p.value, int)), None)
        if piece is None:
            raise OSError(errno.ENOENT, f"{name}: block {self.block} has no number of this name")
        if not 0 <= value < 1 << 8 * piece.length:
            raise OSError(errno.EINVAL, f"{name}: {value} does not fit into {piece.length} bytes")
        self._put(self.block * PAGE_SIZE + piece.offset, value.to_bytes(piece.length, "little"), name)

    def _put(self, address: int, data: bytes, what: str) -> None:
        before = bytes(self.image[address:address + len(data)])
        self.image[address:address + len(data)] = memoryview(data)
        self._known.clear()
        self.block, self.shown_at = address // PAGE_SIZE, address
        for place in range(address, address + len(data)):
            self.mark(f"byte:{place:#x}")
        self.answer = (f"{what} was {int.from_bytes(before, 'little')} and is "
                       f"{int.from_bytes(data, 'little')} now. {self._judged()}")

    def _judged(self) -> str:
        number = len(self.problems())
        found = "nothing wrong" if not number else "1 problem" if number == 1 else f"{number} problems"
        return f"The driver: {self.driver()} e2fsck finds {found}."

    @looking
    def look(self, address: int) -> None:
        """Show the block that holds this byte of the image, and the record that begins there or before."""
        self.shown_at = min(max(address, 0), len(self.image) - 1)
        self.block = self.shown_at // PAGE_SIZE

    # ---- what there is to see ----

    def way(self) -> tuple[list[Stop], str]:
        """The stops that the way has, and how it ends."""
        stops: list[Stop] = []
        try:
            for stop in way(self.image, self.path, self.position):
                stops.append(stop)
        except OSError as failure:
            return stops, f"The way ends here: {refusal(failure)}"
        return stops, "This is the end of the way."

    def stops(self) -> list[Stop]:
        return self.way()[0]

    def here(self) -> Stop | None:
        """The stop that was made last, if it is still there."""
        stops = self.stops()
        return stops[self.taken - 1] if 0 < self.taken <= len(stops) else None

    def _once(self, compute: Callable[..., T], *arguments: str) -> T:
        """What `compute` says of the image; it is asked again only when a byte has changed."""
        key = (compute.__name__, *arguments)
        if key not in self._known:
            self._known[key] = compute(self.image, *arguments)
        found: T = self._known[key]
        return found

    def inode(self) -> int:
        """The number of the file's inode; 0 if its name leads nowhere."""
        return self._once(inode_of, self.path)

    def roles(self) -> list[Role]:
        """What each block is; nothing if there is no superblock to tell."""
        return self._once(roles_of)

    def pieces(self) -> list[Piece]:
        """The fields of the block that is shown; none if there is no superblock to tell."""
        try:
            return debugfs.overlay(self.image, self.block)
        except OSError:
            return []

    def fields(self) -> list[Piece]:
        """The fields of the record that is shown, as far as they have a value; a file's data has none."""
        pieces = [piece for piece in self.pieces() if piece.name != "boot block"]
        offset = self.shown_at - self.block * PAGE_SIZE
        at = next((p for p in pieces if p.offset <= offset < p.offset + p.length), None)
        if at is None or at.length == PAGE_SIZE:
            return []
        owner = at.name.rpartition(": ")[0]
        same = [piece for piece in pieces if piece.name.rpartition(": ")[0] == owner]
        return [piece for piece in same if piece is at or is_worth_showing(piece)]

    def driver(self, options: str = "ro,xip") -> str:
        """What ext2 answers when a guest mounts the image with these options and reads from the position."""
        return self._once(driver_says, self.path, str(self.position), options)

    def problems(self) -> list[str]:
        """What e2fsck finds in the image."""
        return self._once(problems_of)

    def sentence(self) -> str:
        return self.answer

    def __str__(self) -> str:
        stops = [f"{stop.text}: {stop.leads}" for stop in self.stops()[:self.taken]]
        return "\n".join([*stops, self.sentence()])


def is_worth_showing(piece: Piece) -> bool:
    """Fields without a value, and those that only e2fsck reads, are left out of a picture."""
    name = piece.name.rpartition(": ")[2]
    if isinstance(piece.value, bytes):
        return name in ("name", "s_volume_name")
    return bool(piece.value) and not name.startswith(LEFT_OUT)


def inode_of(image: Bytes, path: str) -> int:
    try:
        return debugfs.namei(image, path)
    except OSError:
        return 0


def roles_of(image: Bytes) -> list[Role]:
    try:
        return debugfs.roles(image)
    except OSError:
        return []


def driver_says(image: Bytes, path: str, position: str, options: str) -> str:
    """Mount the image in a new guest and read: some bytes, or the errno."""
    vm = ZVM()
    vm.segment("SHLIB", len(image), "SR")
    vm.load("SHLIB", image)
    guest = vm.logon("LINUX1", clock=lambda: 0)
    guest.echo("shlib", "/sys/devices/dcssblk/add")
    try:
        guest.mount("/dev/dcssblk0", "/mnt", "ext2", options)
        fd = guest.open("/mnt" + path)
        data = guest.pread(fd, SHOWN, int(position))
    except OSError as failure:
        return refusal(failure)
    except Panic as panic:
        return f"the kernel stops: {panic}."
    return f"it reads {text_of(data)!r}." if data else "it reads nothing: this is behind the end."


def problems_of(image: Bytes) -> list[str]:
    return [str(problem) for problem in e2fsck.check(image)]


def real_e2fsck(image: bytes) -> str:
    """What the real e2fsck says of the image: "clean", "errors", or that this computer has none."""
    program = shutil.which("e2fsck", path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS]))
    if program is None:
        return "this computer has none"
    if why_not := probe.files() or probe.processes():
        return f"cannot be asked: {why_not}"
    with tempfile.NamedTemporaryFile() as file:
        file.write(image)
        file.flush()
        ended = subprocess.run([program, "-fn", file.name], capture_output=True, check=False).returncode
    return "clean" if not ended else "errors"


def changed_fields(before: Bytes, after: Bytes) -> list[str]:
    """What differs between two images, field by field. Times are left out; data is only named."""
    places = np.flatnonzero(before != after)
    roles = debugfs.roles(after)
    lines = []
    for block in sorted(set((places // PAGE_SIZE).tolist())):
        offsets = places[places // PAGE_SIZE == block] - block * PAGE_SIZE
        old = {piece.name: piece.value for piece in debugfs.overlay(before, block)}
        fields = [change_of(piece, old.get(piece.name)) for piece in debugfs.overlay(after, block)
                  if ((offsets >= piece.offset) & (offsets < piece.offset + piece.length)).any()
                  and not piece.name.rpartition(": ")[2].startswith(LEFT_OUT)]
        owners = [field.rpartition(": ")[0] for field in fields]
        shown = [field.removeprefix(f"{owner}: ") if owner and owner == last else field
                 for field, owner, last in zip(fields, owners, ["", *owners], strict=False)]
        lines.append(f"block {block:2}, {roles[block].kind}: {', '.join(shown)}")
    return lines


def change_of(piece: Piece, old: object) -> str:
    """A field that has changed: from what to what, if that is a number or a bit pattern."""
    if isinstance(piece.value, bytes):
        return "new bytes" if len(piece.value) > SHOWN else f"{piece.name} {piece.value.decode()!r}"
    return f"{piece.name} {piece.value}" if old is None else f"{piece.name} {old} → {piece.value}"
