"""Imports point down only: the floors of the house, read from the import statements."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "xiplab").rglob("*.py"))

FLOORS = {
    "base": ("xiplab.units", "xiplab.errors", "xiplab.ondisk", "xiplab.trace",
             "xiplab.trace_views"),
    "hw": ("xiplab.hw",),
    "zvm": ("xiplab.zvm",),
    "linux/include": ("xiplab.linux.include",),
    "linux/fs/inode": ("xiplab.linux.fs.inode", "xiplab.linux.fs.file_table"),
    "linux/mm": ("xiplab.linux.mm",),
    "linux/arch": ("xiplab.linux.arch",),
    "linux/block": ("xiplab.linux.block",),
    "linux/drivers": ("xiplab.linux.drivers",),
    "linux/fs": ("xiplab.linux.fs",),
    "linux/fs/ext2": ("xiplab.linux.fs.ext2",),
    "linux/kernel": ("xiplab.linux.kernel",),
    "host": ("xiplab.host",),
    "guest": ("xiplab.mapping", "xiplab.process", "xiplab.process_data", "xiplab.process_names",
              "xiplab.program", "xiplab.guest"),
    "tools": ("xiplab.tools",),
    "course": ("xiplab.course",),
    "widgets": ("xiplab.widgets",),
    "xiplab": ("xiplab",),
    "cli": ("xiplab.cli", "xiplab.__main__"),
}
"""Lowest first. A module belongs to the floor with the longest fitting name."""

ORDER = list(FLOORS)
RAW_BYTES_ONLY = "xiplab.linux.fs.ext2.ext2_fs"
"""The format: imports the base alone, so that the tools may import it and still judge the driver."""

PACKAGES = {"numpy": set(ORDER), "unicorn": {"hw"}, "capstone": {"hw"}}
"""What the floors up to the tools may import beside the standard library."""


@dataclass(frozen=True)
class Edge:
    module: str
    imported: str
    for_types: bool

    def __str__(self) -> str:
        return f"{self.module} ({floor(self.module)}) -> {self.imported} ({floor(self.imported)})"


def floor(module: str) -> str:
    names = [(len(prefix), name) for name, prefixes in FLOORS.items() for prefix in prefixes
             if module == prefix or module.startswith(f"{prefix}.")]
    return max(names)[1]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {module_name(path) for path in MODULES}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(tree: ast.AST, for_types: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import statement, also within functions, and whether it is only for annotations."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, for_types
        else:
            yield from statements(node, for_types or is_type_checking(node))


def edges(path: Path) -> Iterator[Edge]:
    """The modules that one file imports; `from package import module` counts as the module."""
    module = module_name(path)
    for node, for_types in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{module}: imports are written in full, not relative"
            base = node.module or ""
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in KNOWN else base
                     for alias in node.names]
        yield from (Edge(module, name, for_types) for name in names)


EDGES = [edge for path in MODULES for edge in edges(path)]
INSIDE = [edge for edge in EDGES if edge.imported.partition(".")[0] == "xiplab"]


def is_allowed(edge: Edge) -> bool:
    """Down or along a floor; annotations may make a circle among the kernel's structs only, and name what
    the machine imports late."""
    here, there = floor(edge.module), floor(edge.imported)
    if edge.for_types:
        return here == there and here in ("linux/include", "hw")
    if edge.module == RAW_BYTES_ONLY:
        return there == "base"
    if here == "tools":
        return there in ("base", "tools") or edge.imported == RAW_BYTES_ONLY
    return ORDER.index(there) <= ORDER.index(here)


def test_every_module_belongs_to_a_floor() -> None:
    """A file directly under xiplab/ is named in FLOORS; no new floor appears unnoticed."""
    named = {prefix for prefixes in FLOORS.values() for prefix in prefixes}
    tops = {".".join(name.split(".")[:2]) for name in KNOWN} - {"xiplab.linux"}

    assert tops - named == set()


def test_imports_point_down() -> None:
    """No module imports from a floor above its own."""
    assert [str(edge) for edge in INSIDE if not is_allowed(edge)] == []


def test_imports_at_run_time_make_no_circle() -> None:
    """Along a floor too, modules can be read one after the other."""
    imports = {name: {edge.imported for edge in INSIDE if edge.module == name and not edge.for_types}
               for name in KNOWN}
    while leaves := {name for name, needs in imports.items() if not needs & imports.keys()}:
        imports = {name: needs for name, needs in imports.items() if name not in leaves}

    assert sorted(imports) == []


def test_floors_below_the_course_need_numpy_only() -> None:
    """A model of memory needs no notebook, widget or plot; the processor alone needs more."""
    low = set(ORDER[:ORDER.index("course")])
    foreign = [str(edge.module + " -> " + edge.imported) for edge in EDGES
               if floor(edge.module) in low and (top := edge.imported.partition(".")[0]) != "xiplab"
               and top not in sys.stdlib_module_names and floor(edge.module) not in PACKAGES.get(top, set())]

    assert foreign == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=module_name)
def test_packages_run_no_code(path: Path) -> None:
    """A package's own file would be an edge to all that it imports. Only the top one has names."""
    body = ast.parse(path.read_text()).body
    is_docstring = ast.get_docstring(ast.Module(body, [])) is not None

    assert len(body) == is_docstring or module_name(path) == "xiplab"


def test_readme_house_shows_these_floors() -> None:
    """The README's picture has each floor once, highest first."""
    readme = (ROOT / "README.md").read_text()
    picture = re.search(r"## The house\n.*?```\n(.*?)```", readme, re.DOTALL)

    assert picture is not None
    shown = [line.split()[0] for line in picture[1].splitlines() if line and not line.startswith(" ")]
    assert shown == ORDER[::-1]


@pytest.mark.parametrize(("edge", "allowed"), [
    (Edge("xiplab.hw.memory", "xiplab.units", False), True),
    (Edge("xiplab.hw.memory", "xiplab.zvm.cp", False), False),
    (Edge("xiplab.linux.fs.super", "xiplab.linux.fs.ext2.super", False), False),
    (Edge("xiplab.linux.include.fs", "xiplab.linux.include.mm", True), True),
    (Edge("xiplab.linux.mm.memory", "xiplab.guest", True), False),
    (Edge("xiplab.tools.e2fsck", "xiplab.linux.fs.ext2.ext2_fs", False), True),
    (Edge("xiplab.tools.e2fsck", "xiplab.linux.fs.ext2.inode", False), False),
    (Edge("xiplab.hw.memory", "xiplab", False), False),
], ids=str)
def test_is_allowed_knows_good_and_bad_edges(edge: Edge, allowed: bool) -> None:
    """The rule itself is tested, since a rule that allows all would pass above."""
    assert is_allowed(edge) is allowed
