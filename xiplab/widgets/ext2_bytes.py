"""The widget of notebook 04: the way to a byte, and the bytes on which it is written.

    Ext2BytesView(experiment)       experiment: xiplab.course.experiments.ext2_bytes.Ext2Bytes
"""

from __future__ import annotations

from xiplab.course.experiments.ext2_bytes import FILES, Ext2Bytes
from xiplab.tools.debugfs import Piece, Role, meaning
from xiplab.units import PAGE_SIZE
from xiplab.widgets.panels import (
    BytesPanel,
    Control,
    Field,
    Gap,
    Item,
    Row,
    Scene,
    StepsPanel,
    TablePanel,
    TilesPanel,
)
from xiplab.widgets.scene import SceneView

TILES = 32
"""So many blocks from the first one on are drawn."""
WINDOW, BEGINS = 512, 256
"""So many bytes are drawn, from a multiple of the second number on."""
PROBLEMS = 3
BLOCK_NUMBERS = ("i_block[", "pointer[", "bg_block_bitmap", "bg_inode_bitmap", "bg_inode_table")
"""Fields that hold the number of a block."""


def way_panel(experiment: Ext2Bytes) -> StepsPanel:
    taken = experiment.stops()[:experiment.taken]
    return {"kind": "steps", "area": "way",
            "title": f"The way to byte {experiment.position:,} of {experiment.path}",
            "steps": [{"text": stop.text, "note": stop.leads, "key": f"block:{stop.start // PAGE_SIZE}"}
                      for stop in taken] or [{"text": "not begun: press Step"}],
            "at": len(taken) - 1}


def tile(experiment: Ext2Bytes, block: int, role: Role | None, inode: int) -> Item:
    marks = ["current"] if block == experiment.block else []
    if role is not None and role.ino and role.ino == inode:
        marks.append("mapped")
    elif role is not None and role.kind == "free":
        marks.append("free")
    return {"text": str(block), "key": f"block:{block}", "marks": marks, "call": ["look", block * PAGE_SIZE],
            "label": f"block {block}: {role or 'not known'}"}


def blocks_panel(experiment: Ext2Bytes) -> TilesPanel:
    roles = experiment.roles()
    count = len(experiment.image) // PAGE_SIZE
    inode = experiment.inode()
    known = [*roles, *([None] * (count - len(roles)))]
    tiles: list[Item | Gap] = [tile(experiment, block, known[block], inode) for block in range(TILES)]
    last = tile(experiment, count - 1, known[count - 1], inode)
    tiles += [{"gap": count - TILES - 1, "text": "blocks"}, last]
    return {"kind": "tiles", "area": "blocks", "title": "Blocks of the image", "where": "4,096 bytes each",
            "columns": 8, "tiles": tiles}


def words_of(piece: Piece) -> str:
    """A field's value as people say it."""
    if isinstance(piece.value, bytes):
        return piece.value.rstrip(b"\0").decode("latin-1")
    if piece.name.endswith(("s_magic", "i_mode")):
        return f"{piece.value:#x}"
    return f"{piece.value:,}" if isinstance(piece.value, int) else str(piece.value)


def field_of(piece: Piece, start: int) -> Field:
    """A field with its value in words; the number of a block lights that block up."""
    field: Field = {"name": piece.name, "start": start + piece.offset, "length": piece.length,
                    "words": words_of(piece)}
    if piece.value and piece.name.rpartition(": ")[2].startswith(BLOCK_NUMBERS):
        field["key"] = f"block:{piece.value}"
    return field


def bytes_panel(experiment: Ext2Bytes) -> BytesPanel:
    block, roles = experiment.block, experiment.roles()
    first = block * PAGE_SIZE
    start = experiment.shown_at // BEGINS * BEGINS
    end = min(start + WINDOW, first + PAGE_SIZE)
    what = str(roles[block]) if block < len(roles) else "not known"
    panel: BytesPanel = {
        "kind": "bytes", "area": "bytes", "role": "storage",
        "title": f"Block {block}: {what}", "where": f"bytes {start:#x} to {end - 1:#x}",
        "data": experiment.image[start:end].tobytes(), "start": start,
        "columns": 16, "rows": 6, "at": experiment.shown_at, "edit": "store", "look": "look", "key": "byte",
        "marks": {place: marks for place in range(start, end)
                  if (marks := experiment.marks(f"byte:{place:#x}"))},
        "fields": [field_of(piece, first) for piece in experiment.fields()]}
    here = experiment.here()
    if here is not None and here.start // PAGE_SIZE == block:
        short = here.name.rpartition(": ")[2]
        panel["note"] = f"{here.name}: {explained(short)}"
    return panel


def explained(name: str) -> str:
    """One line on a field; pointers and data are what they are called."""
    try:
        return meaning(name)
    except KeyError:
        return "the byte that was looked for" if name == "data" else "the number of a block"


def judges_panel(experiment: Ext2Bytes) -> TablePanel:
    problems = experiment.problems()
    rows: list[Row] = [{"cells": ["ext2, mounted in place", experiment.driver()]},
                       {"cells": ["ext2, through the page cache", experiment.driver("ro")]}]
    rows += [{"cells": ["e2fsck", problem], "marks": ["error"]} for problem in problems[:PROBLEMS]]
    if len(problems) > PROBLEMS:
        rows.append({"cells": ["e2fsck", f"and {len(problems) - PROBLEMS} more"]})
    if not problems:
        rows.append({"cells": ["e2fsck", "finds nothing wrong"]})
    return {"kind": "table", "area": "judges", "title": "What others say of this image",
            "columns": ["who", "what"], "rows": rows}


def controls(experiment: Ext2Bytes) -> list[Control]:
    return [{"call": "step", "label": "Step", "title": "One stop further on the way"},
            {"call": "follow", "label": "Follow", "title": "Begin the way to another byte", "fields": [
                {"label": "file", "kind": "choice", "value": experiment.path,
                 "choices": [*dict.fromkeys((*FILES, experiment.path))]},
                {"label": "byte", "kind": "number", "value": experiment.position}]}]


def scene_of(experiment: Ext2Bytes) -> Scene:
    """What there is to see, as plain data."""
    return {"title": "The way to a byte", "widths": [4, 3],
            "areas": [["way", "blocks"], ["bytes", "bytes"], ["judges", "judges"]],
            "panels": [way_panel(experiment), blocks_panel(experiment), bytes_panel(experiment),
                       judges_panel(experiment)],
            "controls": controls(experiment),
            "legend": {"current": "shown below", "mapped": "a block of this file", "error": "a problem"}}


class Ext2BytesView(SceneView):
    """A view of `Ext2Bytes`."""

    scene = staticmethod(scene_of)
