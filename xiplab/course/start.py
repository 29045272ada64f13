"""The course's first experiment: change one byte of storage, and see who sees it.

    LINUX1   LINUX2     LINUX3        programs; each has mapped the file /lib/greeting
      │        │          │
      │        │        page cache    a copy, taken at the first touch
      ▼        ▼          ⇡
     segment SHLIB      disk sda      storage; both hold the same ext2 image

`Experiment` boots one z/VM with three guests. LINUX1 and LINUX2 mount the image in the segment with
the option xip; LINUX3 mounts a copy of the image, on an ordinary disk, through the page cache.
`store` changes the same byte of both storages; everything else is looking:

    experiment = Experiment()
    experiment.store(0, ord("J"))       both storages hold the new byte
    experiment.step()                   the next guest loads the byte through its mapping
    experiment.undo(), .reset()         back
    experiment.look(0x800)              another part of the page
    experiment.views()                  what each place holds, as bytes
    experiment.counters()               faults, bytes copied, page-cache frames of each guest
    experiment.sentence(), .path()      what happened, and the way of the byte, in words
    experiment.python()                 the calls that lead to this state

The widget calls these methods and nothing else.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

from xiplab.errors import bug_on
from xiplab.guest import ZVM, Guest
from xiplab.linux.include.mm import MAP_SHARED, PROT_READ
from xiplab.mapping import Mapping
from xiplab.ondisk import Bytes
from xiplab.tools.image import shipped_image
from xiplab.trace import Recording
from xiplab.units import PAGE_SIZE, MiB, Pfn, bytes_to_sectors, pfn_to_paddr

FILE = "/lib/greeting"
WINDOW = 24
MARKED_STEPS = 3


@dataclass(frozen=True, slots=True)
class View:
    """The window's bytes as one place holds them.

    Attributes:
        where: the place's own address, in hex.
        changed: offsets in the page that a recent store reached, and that show it here.
        stale: offsets in the page that differ from the storage on this side.
    """

    name: str
    title: str
    where: str
    data: bytes
    changed: list[int]
    stale: list[int]


@dataclass(slots=True)
class Counter:
    """What a guest's mapping has cost since mmap()."""

    guest: str
    faults: int = 0
    copied: int = 0
    frames: int = 0

    def __str__(self) -> str:
        return (f"{self.guest}: page faults {self.faults}, bytes copied {self.copied}, "
                f"page-cache frames {self.frames}")


@dataclass(frozen=True, slots=True)
class Store:
    """A store: byte `offset` of the page was `old` and is `value`."""

    offset: int
    value: int
    old: int

    def __str__(self) -> str:
        return f"experiment.store(0x{self.offset:03x}, 0x{self.value:02x})"


@dataclass(frozen=True, slots=True)
class Step:
    """A step: the next guest loaded the byte."""

    def __str__(self) -> str:
        return "experiment.step()"


def byte_name(value: int) -> str:
    """0x4a ('J'); only 0x0a for what is no letter, digit or sign."""
    return f"0x{value:02x} ('{chr(value)}')" if 0x20 < value < 0x7F else f"0x{value:02x}"


def text_of(data: bytes) -> str:
    """Bytes as a line of text, a dot for what is no letter, digit or sign."""
    return "".join(chr(value) if 0x20 <= value < 0x7F else "·" for value in data)


class Experiment:
    """One z/VM, a segment, a disk and three guests that have mapped the same file.

    Attributes:
        vm: the z/VM. linux1, linux2, linux3: its guests. text1, text2, text3: their mappings.
        position: where the file's first page begins on both storages, in bytes.
        segment, platter: that page in the segment and on the disk, as uint8 views.
        start, offset: first byte of the window; the byte that is looked at.
        actions: the stores and steps so far. watchers: called after each change.
    """

    def __init__(self) -> None:
        image = shipped_image()
        self.vm = ZVM()
        storage = self.vm.segment("SHLIB", size=16 * MiB, type="SR", at=0x10000000)
        self.vm.load("SHLIB", image)
        self.linux1, self.linux2, self.linux3 = (self.vm.logon(f"LINUX{n}") for n in (1, 2, 3))
        disk = self.linux3.add_disk("sda", image)
        for guest in (self.linux1, self.linux2):
            guest.echo("shlib", "/sys/devices/dcssblk/add")
            guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
        self.linux3.mount("/dev/sda", "/mnt", "ext2", "ro")

        self.cost: dict[Guest, Counter] = {}
        self.first_touch: dict[Guest, list[str]] = {}
        self.text1, self.text2, self.text3 = map(self._map, self.guests)
        self.position = pfn_to_paddr(self.pfn(self.linux1)) - storage.start
        self.segment: Bytes = storage.mem[self.position:][:PAGE_SIZE]
        self.platter: Bytes = disk.private_data.platter[self.position:][:PAGE_SIZE]

        self.start = self.offset = self.sequence = 0
        self.actions: list[Store | Step] = []
        self.watchers: list[Callable[[], None]] = []

    def _map(self, guest: Guest) -> Mapping:
        """Map the file's first page and touch it: the fault brings in a frame, or a copy."""
        text = guest.mmap(guest.open("/mnt" + FILE), PAGE_SIZE, PROT_READ, MAP_SHARED)
        cached = guest.frames["page cache"]
        with Recording() as recording:
            text[0]
        self.first_touch[guest] = recording.calls()
        self.cost[guest] = Counter(guest.name, recording.faults, recording.bytes_copied,
                                   guest.frames["page cache"] - cached)
        return text

    @property
    def guests(self) -> tuple[Guest, Guest, Guest]:
        return self.linux1, self.linux2, self.linux3

    def text(self, guest: Guest) -> Mapping:
        """The guest's mapping of the file."""
        return dict(zip(self.guests, (self.text1, self.text2, self.text3), strict=True))[guest]

    def pfn(self, guest: Guest) -> Pfn:
        """The guest's frame that its page table names for the page."""
        pfn = self.text(guest).pfn()
        bug_on(pfn is None, f"{guest.name}: the page is mapped, but not there")
        return Pfn(pfn or 0)

    # ---- what a learner does ----

    def store(self, offset: int, value: int) -> None:
        """Store `value` into byte `offset` of the page: in the segment, and on LINUX3's disk.

        Raises:
            OSError: EFAULT for an offset outside the page; EINVAL for a value that is no byte.
        """
        if not (isinstance(offset, int) and isinstance(value, int)):
            raise OSError(errno.EINVAL, f"store: {offset!r} and {value!r} must be whole numbers")
        if not 0 <= offset < PAGE_SIZE:
            raise OSError(errno.EFAULT, f"store: byte {offset:#x} is outside the page ({PAGE_SIZE:#x} bytes)")
        if not 0 <= value <= 0xFF:
            raise OSError(errno.EINVAL, f"store: {value:#x} does not fit into a byte (0xff)")
        self.actions.append(Store(offset, value, int(self.segment[offset])))
        self._put(offset, value)
        self._tell()

    def step(self) -> None:
        """The next guest loads the byte through its mapping; older marks fade."""
        self.actions.append(Step())
        self._tell()

    def undo(self) -> None:
        """Take the last store or step back; at the start nothing happens."""
        if self.actions:
            self._take_back()
            self._tell()

    def reset(self) -> None:
        """All bytes, and the window, as they were at first."""
        while self.actions:
            self._take_back()
        self.look(0)

    def look(self, offset: int) -> None:
        """Move the window to the part of the page that holds byte `offset`, or the nearest one."""
        self._point(min(max(offset, 0), PAGE_SIZE - 1))
        self._tell()

    def _put(self, offset: int, value: int) -> None:
        self.segment[offset] = value
        self.platter[offset] = value
        self._point(offset)

    def _take_back(self) -> None:
        last = self.actions.pop()
        if isinstance(last, Store):
            self._put(last.offset, last.old)

    def _point(self, offset: int) -> None:
        self.offset = offset
        self.start = min(offset // WINDOW * WINDOW, PAGE_SIZE - WINDOW)

    def _tell(self) -> None:
        self.sequence += 1
        for watcher in list(self.watchers):
            watcher()

    # ---- what there is to see ----

    @property
    def last_store(self) -> Store | None:
        return next((action for action in reversed(self.actions) if isinstance(action, Store)), None)

    @property
    def reader(self) -> Guest | None:
        """The guest that loads the byte in the last action, if that is a step."""
        steps = 0
        while steps < len(self.actions) and isinstance(self.actions[-1 - steps], Step):
            steps += 1
        return self.guests[(steps - 1) % len(self.guests)] if steps else None

    def load(self, guest: Guest, start: int, nbytes: int = 1) -> bytes:
        """Bytes of the page as the guest's program loads them; what that costs is counted."""
        with Recording() as recording:
            data = bytes(self.text(guest)[start:start + nbytes])
        self.cost[guest].faults += recording.faults
        self.cost[guest].copied += recording.bytes_copied
        return data

    def views(self) -> list[View]:
        """The window as each place holds it: programs, segment, page cache, disk."""
        end = self.start + WINDOW
        in1, in2, in3 = (self.load(guest, self.start, WINDOW) for guest in self.guests)
        frame, cache = self.pfn(self.linux1), self.pfn(self.linux3)
        cached = bytes(self.text3.frame()[self.start:end])
        segment, platter = bytes(self.segment[self.start:end]), bytes(self.platter[self.start:end])
        return [
            self._view("LINUX1", "LINUX1's program", f"virtual {self.text1.vaddr:#x}", in1, segment),
            self._view("LINUX2", "LINUX2's program", f"virtual {self.text2.vaddr:#x}", in2, segment),
            self._view("segment", "Storage: segment SHLIB", f"frame {frame:#x}, "
                       f"address {pfn_to_paddr(frame):#x}", segment, segment),
            self._view("LINUX3", "LINUX3's program", f"virtual {self.text3.vaddr:#x}", in3, platter),
            self._view("cache", "LINUX3's page cache", f"frame {cache:#x}, "
                       f"address {pfn_to_paddr(cache):#x}", cached, platter),
            self._view("disk", "Storage: disk sda", f"sector {bytes_to_sectors(self.position):#x}, "
                       f"byte {self.position:#x}", platter, platter),
        ]

    def _view(self, name: str, title: str, where: str, data: bytes, storage: bytes) -> View:
        stale = [self.start + i for i in range(WINDOW) if data[i] != storage[i]]
        recent = {action.offset for action in self.actions[-1 - MARKED_STEPS:] if isinstance(action, Store)}
        changed = [i for i in range(self.start, self.start + WINDOW) if i in recent and i not in stale]
        return View(name, title, where, data, changed, stale)

    def counters(self) -> list[Counter]:
        """Page faults, bytes copied and page-cache frames of each guest's mapping, since mmap()."""
        return [self.cost[guest] for guest in self.guests]

    # ---- the same in words ----

    def __str__(self) -> str:
        lines = [f"{view.title:24} {text_of(view.data)}".rstrip() for view in self.views()]
        return "\n".join([*lines, self.sentence()])

    def arrows(self) -> dict[str, str]:
        """What joins the places: each guest's page table entry, and LINUX3's one copy."""
        entries = {guest.name: f"page table: frame {self.pfn(guest):#x}" for guest in self.guests}
        return entries | {"copy": f"copied once: {self.cost[self.linux3].copied:,} bytes"}

    def sentence(self) -> str:
        """What the last action did, and who sees it."""
        reader, store = self.reader, self.last_store
        if reader is not None:
            return self._sentence_of_load(reader)
        if store is None:
            return "All six places hold the same bytes."
        seen = {guest.name: self.load(guest, store.offset)[0] for guest in self.guests}
        *others, last = (name for name, value in seen.items() if value == store.value)
        misses = [f" {name} still sees {byte_name(value)}: it reads its copy."
                  for name, value in seen.items() if value != store.value]
        return (f"Byte {store.offset:#05x} of both storages is now {byte_name(store.value)}. "
                f"{', '.join(others)} and {last} see it at once; nothing was copied.{''.join(misses)}")

    def _sentence_of_load(self, guest: Guest) -> str:
        value = self.load(guest, self.offset)[0]
        start = f"{guest.name} loads byte {self.offset:#05x} and gets {byte_name(value)}"
        if guest is not self.linux3:
            return f"{start}, straight from the segment."
        stored = int(self.platter[self.offset])
        tail = "" if stored == value else f" Its disk holds {byte_name(stored)}; nobody asked the disk again."
        return f"{start}, from its page cache.{tail}"

    def path(self) -> list[str]:
        """The way of the byte: of the load in the last step, of the last store, or of the first touches."""
        if self.reader is not None:
            return self._path_of_load(self.reader)
        if self.last_store is not None:
            return self._path_of_store(self.last_store)
        return [f"{guest.name}, first touch: {' → '.join(self.first_touch[guest])}" for guest in self.guests]

    def _path_of_load(self, guest: Guest) -> list[str]:
        pfn = self.pfn(guest)
        home = "the page cache of LINUX3" if guest is self.linux3 else "segment SHLIB"
        return [f"{guest.name}'s program loads virtual {self.text(guest).vaddr + self.offset:#x}",
                f"page table: frame {pfn:#x}, put there at the first touch",
                f"frame {pfn:#x} lies in {home}: address {pfn_to_paddr(pfn) + self.offset:#x}",
                f"the byte there: {byte_name(self.load(guest, self.offset)[0])}"]

    def _path_of_store(self, store: Store) -> list[str]:
        address = pfn_to_paddr(self.pfn(self.linux1)) + store.offset
        return [f"segment SHLIB, address {address:#x}: {byte_name(store.old)} → {byte_name(store.value)}",
                "LINUX1 and LINUX2: their page tables name this very frame; no work",
                f"disk sda, byte {self.position + store.offset:#x}: {byte_name(store.old)} → "
                f"{byte_name(store.value)}",
                "LINUX3: its page table names its cache frame; nothing tells it"]

    def python(self) -> str:
        """The calls that lead to this state; pasted into a cell they give the same picture."""
        lines = ["experiment = Experiment()", *map(str, self.actions)]
        last = self.last_store
        if self.offset != (last.offset if last is not None else 0):
            lines.append(f"experiment.look(0x{self.offset:03x})")
        return "\n".join(["from xiplab.course.start import Experiment", "", *lines])
