"""An experiment with every kind of panel, for the tests of the widget family."""

from __future__ import annotations

import errno

from xiplab.course.experiments.stage import Stage, action, looking
from xiplab.widgets.panels import (
    BarsPanel,
    BytesPanel,
    FactsPanel,
    Gap,
    Item,
    Panel,
    Scene,
    StepsPanel,
    TablePanel,
    TilesPanel,
    TreePanel,
)
from xiplab.widgets.scene import SceneView

START = 0x400
SIZE = 0x400
KINDS = ("bytes", "table", "tiles", "tree", "steps", "bars", "facts")


class Sample(Stage):
    """Some bytes, a block that is chosen, and a trace that is played."""

    def build(self) -> None:
        self.data = bytearray(n * 7 % 256 for n in range(SIZE))
        self.at, self.block, self.position = START, 0, 0

    @action
    def store(self, address: int, value: int) -> None:
        if not START <= address < START + SIZE:
            raise OSError(errno.EFAULT, f"store: byte {address:#x} is outside")
        self.data[address - START] = value
        self.at = address
        self.mark(f"byte:{address:#x}")

    @action
    def choose(self, block: int) -> None:
        self.block = block
        self.mark(f"block:{block}")

    @action
    def play(self, position: int) -> None:
        self.position = position

    @looking
    def look(self, address: int) -> None:
        self.at = min(address, START + SIZE - 1)

    def sentence(self) -> str:
        return f"Block {self.block} is chosen; byte {self.at:#x} holds {self.data[self.at - START]:#04x}."


def bytes_panel(sample: Sample) -> BytesPanel:
    marks = {address: sample.marks(f"byte:{address:#x}") for address in range(START, START + SIZE)}
    return {"kind": "bytes", "area": "bytes", "title": "Superblock", "where": "block 0", "role": "storage",
            "data": bytes(sample.data), "start": START, "at": sample.at, "edit": "store", "look": "look",
            "marks": {address: some for address, some in marks.items() if some},
            "fields": [{"name": "s_inodes_count", "start": START, "length": 4, "words": "2,048 inodes"},
                       {"name": "s_log_block_size", "start": START + 4, "length": 2, "words": "4,096 bytes"},
                       {"name": "s_first", "start": START + 6, "length": 3, "words": "block 3",
                        "key": "block:3"}]}


def table_panel(sample: Sample) -> TablePanel:
    return {"kind": "table", "area": "table", "title": "Segments", "columns": ["name", "range", "type"],
            "rows": [{"cells": ["SHLIB", {"text": "0x10000-0x10fff", "marks": ["shared"]}, "SR"],
                      "key": "segment:SHLIB"},
                     {"cells": ["DATA", "0x20000-0x20fff", {"text": "SW", "call": ["choose", 5]}]}]}


def tiles_panel(sample: Sample) -> TilesPanel:
    tiles: list[Item | Gap] = []
    for block in range(12):
        marks = ["hole"] if block == 2 else sample.marks(f"block:{block}")
        tiles.append({"text": str(block), "key": f"block:{block}", "marks": marks, "call": ["choose", block],
                      "label": f"block {block}"})
    return {"kind": "tiles", "area": "tiles", "title": "Blocks",
            "tiles": [*tiles[:10], {"gap": 1200, "text": "blocks, all free"}, *tiles[10:]]}


def tree_panel(sample: Sample) -> TreePanel:
    return {"kind": "tree", "area": "tree", "title": "Page table",
            "nodes": [{"text": "region 0x000", "children": [
                {"text": "page 0x3ffe0001", "cells": [{"text": "frame 0x10003", "key": "block:3"}],
                 "marks": ["protected"]},
                {"text": "page 0x3ffe0002", "cells": ["not there"]}]},
                {"text": "region 0x001", "closed": True, "children": [{"text": "inner"}]}]}


def steps_panel(sample: Sample) -> StepsPanel:
    return {"kind": "steps", "area": "steps", "title": "read()", "at": sample.position, "play": "play",
            "steps": [{"text": "xip_file_read"}, {"text": "get_xip_mem", "level": 1, "note": "frame 0x10003"},
                      {"text": "direct_access", "level": 2, "key": "block:3", "note": "kaddr, pfn"}],
            "counters": [("bytes copied", 4096 * sample.position), ("faults", 0)]}


def bars_panel(sample: Sample) -> BarsPanel:
    return {"kind": "bars", "area": "bars", "title": "Memory bill", "unit": "frames",
            "bars": [{"text": "page cache", "parts": [{"text": "copies", "value": 12},
                                                      {"text": "tables", "value": 3}]},
                     {"text": "in place", "parts": [{"text": "tables", "value": 3}]}]}


def facts_panel(sample: Sample) -> FactsPanel:
    return {"kind": "facts", "area": "facts", "title": "The inode",
            "facts": [{"name": "i_size", "text": "8,192 bytes"},
                      {"name": "i_blocks", "text": "16", "marks": ["stale"]},
                      {"name": "i_block[0]", "text": "3", "key": "block:3"}]}


def scene_of(sample: Sample) -> Scene:
    panels: list[Panel] = [
        bytes_panel(sample), table_panel(sample), tiles_panel(sample), tree_panel(sample),
        steps_panel(sample), bars_panel(sample), facts_panel(sample)]
    return {"title": "Every kind", "areas": [["bytes", "tiles"], ["table", "tree"], ["steps", "facts"],
                                             ["bars", "bars"]],
            "panels": panels, "links": [("block:7", "segment:SHLIB", "lies in")],
            "controls": [{"call": "choose", "label": "Choose", "title": "Choose a block",
                          "fields": [{"label": "block", "kind": "number", "value": 4}]}]}


class SampleView(SceneView):
    scene = staticmethod(scene_of)
