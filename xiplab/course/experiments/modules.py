"""Notebook 09, third part: a kernel module lies in a segment, and is copied all the same.

    /lib/hello.ko in the segment ──read()──► insmod ──► the kernel's image ──► core, then patched
                                   copy 1         copy 2                copy 3

`Loading` boots two guests that share a segment in place. LINUX2 has used some memory before, so its
kernel puts a module at another address.

    experiment = Loading()
    experiment.map("LINUX1")            a program maps the file: no copy
    experiment.insmod("LINUX1")         the kernel loads it
    experiment.rmmod("LINUX1")
    experiment.copies["LINUX1"]         bytes copied by the last insmod, by what
    experiment.file_code(), .code("LINUX1"), .patched("LINUX1")
"""

from __future__ import annotations

import errno
from functools import cache

from xiplab.course.experiments.stage import Stage, action
from xiplab.guest import ZVM, Guest
from xiplab.linux.include.elf import Elf64Ehdr, Elf64Shdr
from xiplab.linux.include.module import Module
from xiplab.linux.kernel.module import delete_module, insmod
from xiplab.linux.mm.vmalloc import vmalloc
from xiplab.mapping import Mapping
from xiplab.ondisk import Bytes
from xiplab.tools.image import DATA
from xiplab.tools.mke2fs import mke2fs
from xiplab.trace import Recording
from xiplab.units import PAGE_SIZE, KiB, MiB

FILE = "/mnt/lib/hello.ko"
TEXT = ".text"
USED_BEFORE = 16 * PAGE_SIZE
"""What LINUX2's kernel has allocated before."""


@cache
def module_file() -> bytes:
    return (DATA / "modules" / "hello.ko").read_bytes()


@cache
def image(padding: int = 0) -> Bytes:
    """The file system; so many zeros stand behind the module in its file."""
    return mke2fs(256 * KiB, tree={"lib": {"hello.ko": module_file() + bytes(padding)}})


@cache
def text_section() -> tuple[int, int]:
    """Offset and length of the code in the module's file."""
    ehdr = Elf64Ehdr(module_file())
    sections = [Elf64Shdr(module_file(), ehdr.e_shoff + ehdr.e_shentsize * i) for i in range(ehdr.e_shnum)]
    names = module_file()[sections[ehdr.e_shstrndx].sh_offset:]
    code = next(s for s in sections if names[s.sh_name:].startswith(TEXT.encode() + b"\0"))
    return code.sh_offset, code.sh_size


class Loading(Stage):
    """Two guests on one segment, and a module in it.

    Attributes:
        vm: the z/VM. guests: by name. modules: what is loaded, by guest. mappings: of the file, by guest.
        padding: zeros behind the module in its file.
        copies: bytes that the guest's last action copied, by from where to where.
    """

    padding = 0
    vm: ZVM
    guests: dict[str, Guest]
    modules: dict[str, Module]
    mappings: dict[str, Mapping]
    copies: dict[str, dict[str, int]]
    calls: dict[str, list[str]]
    said: str

    def build(self) -> None:
        self.vm = ZVM()
        self.vm.segment("MODULES", size=1 * MiB, type="SR", at=0x10000000)
        self.vm.load("MODULES", image(self.padding).tobytes())
        self.guests = {name: self.vm.logon(name) for name in ("LINUX1", "LINUX2")}
        for guest in self.guests.values():
            guest.echo("modules", "/sys/devices/dcssblk/add")
            guest.mount("/dev/dcssblk0", "/mnt", "ext2", "ro,xip")
            guest.stat(FILE)
        vmalloc(self.guests["LINUX2"].kernel, USED_BEFORE)
        self.modules, self.mappings = {}, {}
        self.copies = {name: {} for name in self.guests}
        self.calls = {name: [] for name in self.guests}
        self.said = "Both guests have mounted the segment in place. No module is loaded."

    # ---- what a learner does ----

    @action
    def map(self, name: str) -> None:
        """A program of the guest maps the file and loads all of it.

        Raises:
            OSError: ESRCH no such guest; EEXIST it has mapped it already.
        """
        guest = self._guest(name)
        if name in self.mappings:
            raise OSError(errno.EEXIST, f"{name} has mapped the file already")
        with Recording() as recording:
            mapping = guest.mmap(guest.open(FILE))
            for offset in range(0, len(mapping), PAGE_SIZE):
                mapping[offset]
        self.mappings[name] = mapping
        self._count(name, recording)
        self.said = f"{name}'s program has mapped hello.ko: {recording.bytes_copied} bytes copied."

    @action
    def insmod(self, name: str) -> None:
        """The guest loads the module.

        Raises:
            OSError: ESRCH no such guest; EEXIST the module is loaded already.
        """
        guest = self._guest(name)
        with Recording() as recording:
            self.modules[name] = insmod(guest.task, FILE)
        self._count(name, recording)
        self.mark(f"guest:{name}")
        module = self.modules[name]
        self.said = (f"{name} has loaded hello.ko at {module.module_core:#x}: {recording.bytes_copied:,} "
                     f"bytes copied in {len(recording.bytes_by_what)} steps, then "
                     f"{len(self.patched(name))} bytes of its code patched.")

    @action
    def rmmod(self, name: str) -> None:
        """The guest removes the module.

        Raises:
            OSError: ESRCH no such guest; ENOENT the module is not loaded.
        """
        guest = self._guest(name)
        with Recording() as recording:
            delete_module(guest.task, "hello")
        del self.modules[name]
        self._count(name, recording)
        self.said = f"{name} has removed the module and has its frames back."

    def _guest(self, name: str) -> Guest:
        if name not in self.guests:
            raise OSError(errno.ESRCH, f"{name!r} is not one of {', '.join(self.guests)}")
        return self.guests[name]

    def _count(self, name: str, recording: Recording) -> None:
        self.copies[name] = dict(recording.bytes_by_what)
        self.calls[name] = recording.calls()

    # ---- what there is to see ----

    def file_code(self) -> Bytes:
        """The module's code in the segment itself."""
        offset, length = text_section()
        memory = self.vm.segments["MODULES"].mem
        start = image(self.padding).tobytes().index(module_file()[:PAGE_SIZE]) + offset
        return memory[start:start + length]

    def code(self, name: str) -> Bytes:
        """The module's code in the guest's kernel, where it is loaded.

        Raises:
            OSError: ESRCH no such guest; ENOENT the module is not loaded.
        """
        guest = self._guest(name)
        if name not in self.modules:
            raise OSError(errno.ENOENT, f"{name} has not loaded the module")
        return guest.kernel.memory.view(self.modules[name].sections[TEXT], text_section()[1])

    def patched(self, name: str) -> list[int]:
        """Where the guest's code differs from the file's, in bytes from its start."""
        if name not in self.modules:
            return []
        stored, loaded = self.file_code(), self.code(name)
        return [offset for offset in range(len(stored)) if stored[offset] != loaded[offset]]

    def sentence(self) -> str:
        return self.said
