"""The widget of notebook 05: pages of a file, the block map, and the blocks of the segment.

    BlockMapView(experiment)            an experiment is a BlockMap (xiplab.course.experiments.block_map)

A page, its slot in the block map, its block and its frame carry the same keys, so that pointing at one
shows all. Clicking a page asks get_xip_mem for it.
"""

from __future__ import annotations

from itertools import groupby

from xiplab.course.experiments.block_map import FILE, BlockMap
from xiplab.tools.debugfs import Role
from xiplab.units import PAGE_SIZE
from xiplab.widgets.panels import FactsPanel, Gap, Item, Node, Scene, StepsPanel, TilesPanel, TreePanel
from xiplab.widgets.scene import SceneView

FEW = 20
"""So many pages in a row, all holes, are drawn one by one; more become a gap."""
NDIR = 12
"""The slots of i_block behind these lead to indirect blocks."""


def page_key(experiment: BlockMap, page: int, block: int) -> str:
    if not block:
        return f"pgoff:{page}"
    return f"pgoff:{page} block:{block} frame:{experiment.frame_of(block):#x}"


def answered_tile(experiment: BlockMap, page: int, block: int) -> Item:
    """A page as a plugged get_xip_mem sees it: marked where it is not so."""
    answer = experiment.answer(page)
    right = answer == (experiment.frame_of(block) if block else "a hole")
    if isinstance(answer, str):
        text, key, place = str(page), f"pgoff:{page}", answer
    else:
        seen = answer - experiment.first_frame
        text, place = f"{page} → {seen}", f"block {seen}, frame {answer:#x}"
        key = f"pgoff:{page} block:{seen} frame:{answer:#x}"
    marks = experiment.marks(f"pgoff:{page}") or (["hole"] if answer == "a hole" else [])
    return {"text": text, "key": key, "marks": marks if right else ["error"],
            "label": f"page {page}: {place}{'' if right else ', which is not so'}", "call": ["ask", page]}


def page_tile(experiment: BlockMap, page: int, block: int) -> Item:
    if experiment.plugged:
        return answered_tile(experiment, page, block)
    marks = experiment.marks(f"pgoff:{page}") or ([] if block else ["hole"])
    place = f"block {block}, frame {experiment.frame_of(block):#x}" if block else "a hole"
    return {"text": f"{page} → {block}" if block else str(page), "key": page_key(experiment, page, block),
            "marks": marks, "label": f"page {page}: {place}", "call": ["ask", page]}


def pages_panel(experiment: BlockMap) -> TilesPanel:
    tiles: list[Item | Gap] = []
    for isolated, group in groupby(enumerate(experiment.blocks()), key=lambda pair: bool(pair[1])):
        pairs = list(group)
        if not isolated and len(pairs) > FEW:
            tiles.append({"gap": len(pairs), "text": f"pages, {pairs[0][0]} to {pairs[-1][0]}, all holes"})
        else:
            tiles += [page_tile(experiment, page, block) for page, block in pairs]
    return {"kind": "tiles", "area": "pages", "title": f"File {FILE}: page → block", "columns": 5,
            "where": f"{experiment.inode.i_size:,} bytes", "role": "program", "tiles": tiles}


def slot_node(experiment: BlockMap, page: int, block: int, name: str) -> Node:
    return {"text": name, "key": page_key(experiment, page, block),
            "cells": [f"block {block}", f"page {page}"],
            "marks": experiment.marks(f"pgoff:{page}"), "call": ["ask", page]}


def indirect_node(experiment: BlockMap, name: str, depth: int, pages: list[int]) -> Node:
    """A slot that leads to an indirect block, and what is behind it; `depth` counts the slots above."""
    block = experiment.branch(pages[0])[depth]
    children: list[Node] = []
    for slot, group in groupby(pages, key=lambda page: experiment.slots(page)[depth + 1]):
        inner = list(group)
        if len(experiment.slots(inner[0])) == depth + 2:
            children.append(slot_node(experiment, inner[0], experiment.branch(inner[0])[-1], f"slot {slot}"))
        else:
            children.append(indirect_node(experiment, f"slot {slot}", depth + 1, inner))
    return {"text": name, "key": f"block:{block}", "cells": [f"indirect block {block}"], "children": children}


def map_panel(experiment: BlockMap) -> TreePanel:
    stored = [page for page, block in enumerate(experiment.blocks()) if block]
    nodes: list[Node] = []
    for slot, group in groupby(stored, key=lambda page: experiment.slots(page)[0]):
        pages = list(group)
        if slot < NDIR:
            nodes.append(slot_node(experiment, pages[0], experiment.branch(pages[0])[-1], f"i_block[{slot}]"))
        else:
            nodes.append(indirect_node(experiment, f"i_block[{slot}]", 0, pages))
    return {"kind": "tree", "area": "map", "title": "The block map of the inode",
            "where": f"inode {experiment.inode.i_ino}", "nodes": nodes, "note": "All other slots hold 0."}


def block_tile(experiment: BlockMap, block: int, role: Role) -> Item:
    mine = role.ino == experiment.inode.i_ino and role.kind in ("data", "indirect block")
    usual = "used" if mine else "free" if role.kind == "free" else ""
    marks = experiment.marks(f"block:{block}") or ([usual] if usual else [])
    frame = experiment.frame_of(block)
    whose = f"{role.kind} of {FILE}" if mine else role.kind
    return {"text": str(block), "key": f"block:{block} frame:{frame:#x}", "marks": marks,
            "label": f"block {block}, frame {frame:#x}: {whose}"}


def device_panel(experiment: BlockMap) -> TilesPanel:
    tiles: list[Item | Gap] = []
    numbered = enumerate(experiment.roles())
    for kind, group in groupby(numbered, key=lambda pair: pair[1].kind == "free"):
        pairs = list(group)
        shown = pairs if not kind else pairs[:2]
        tiles += [block_tile(experiment, block, role) for block, role in shown]
        if rest := len(pairs) - len(shown):
            tiles.append({"gap": rest, "text": "blocks, all free"})
    first, last = experiment.frame_of(0), experiment.frame_of(len(experiment.segment) // PAGE_SIZE - 1)
    return {"kind": "tiles", "area": "device", "title": "Segment SHLIB: its blocks", "columns": 8,
            "where": f"frames {first:#x} to {last:#x}", "role": "storage", "tiles": tiles}


def way_panel(experiment: BlockMap) -> StepsPanel:
    return {"kind": "steps", "area": "way", "title": "The way of the last question",
            "steps": [{"text": mile.text, "level": mile.level, "note": mile.result, "key": mile.key}
                      for mile in experiment.way],
            "at": len(experiment.way) - 1,
            "note": "" if experiment.way else "Click a page of the file, or use the controls below."}


def facts_panel(experiment: BlockMap) -> FactsPanel:
    return {"kind": "facts", "area": "facts", "title": "What it cost",
            "facts": [{"name": "blocks of the file, in 512-byte units (i_blocks)",
                       "text": str(experiment.inode.i_blocks)},
                      {"name": "free blocks of the file system", "text": str(experiment.free_blocks)},
                      {"name": "bytes of the file copied, last action", "text": f"{experiment.copied:,}"},
                      {"name": "pages of the file in the page cache", "text": str(experiment.cached)}]}


def block_reached(experiment: BlockMap, page: int) -> int | None:
    """The block in whose frame the file's get_xip_mem sees the page; None if in none."""
    if not experiment.plugged:
        return experiment.branch(page)[-1] or None
    answer = experiment.answer(page)
    return answer - experiment.first_frame if isinstance(answer, int) else None


def scene_of(experiment: BlockMap) -> Scene:
    """All that the widget shows."""
    links: list[tuple[str, str, str]] = []
    if experiment.page is not None and experiment.page < experiment.pages:
        block = block_reached(experiment, experiment.page)
        links = [(f"pgoff:{experiment.page}", f"block:{block}", "")] if block is not None else []
    return {"title": "From page to frame",
            "areas": [["pages", "map"], ["device", "way"], ["device", "facts"]],
            "panels": [pages_panel(experiment), map_panel(experiment), device_panel(experiment),
                       way_panel(experiment), facts_panel(experiment)],
            "links": links,
            "legend": {"used": f"a block of {FILE}", "new": "new in the last 3 steps",
                       "error": "not what is so"},
            "controls": [
                {"call": "ask", "label": "Ask get_xip_mem", "title": "Ask for the frame of a page",
                 "fields": [{"label": "page", "kind": "number", "value": 3},
                            {"label": "create", "kind": "choice", "value": 0, "choices": [0, 1]}]},
                {"call": "read", "label": "Read", "title": "read() a page of the file",
                 "fields": [{"label": "page", "kind": "number", "value": 3}]},
                {"call": "write", "label": "Write", "title": "write() to the start of a page",
                 "fields": [{"label": "page", "kind": "number", "value": 3},
                            {"label": "text", "kind": "text", "value": "new"}]}]}


class BlockMapView(SceneView):
    """Pages, block map and blocks of a BlockMap, side by side."""

    scene = staticmethod(scene_of)
