"""The scene of notebook 05."""

from __future__ import annotations

from typing import Any

from xiplab.course.experiments.block_map import BlockMap
from xiplab.widgets.block_map import BlockMapView, scene_of


def panel(experiment: BlockMap, area: str) -> Any:
    return next(panel for panel in scene_of(experiment)["panels"] if panel["area"] == area)


def test_every_page_is_a_tile_or_within_a_gap() -> None:
    experiment = BlockMap()
    experiment.write(1040, "far")
    tiles = panel(experiment, "pages")["tiles"]

    assert sum(tile.get("gap", 1) for tile in tiles) == experiment.pages


def test_every_block_of_the_segment_is_a_tile_or_within_a_gap() -> None:
    experiment = BlockMap()
    tiles = panel(experiment, "device")["tiles"]

    assert sum(tile.get("gap", 1) for tile in tiles) == len(experiment.segment) // 4096


def test_blocks_of_the_file_are_marked_on_the_device() -> None:
    experiment = BlockMap()
    marked = [int(tile["text"]) for tile in panel(experiment, "device")["tiles"]
              if tile.get("marks") == ["used"]]

    assert marked == sorted([*filter(None, experiment.blocks()), *experiment.indirect()])


def test_page_slot_and_block_carry_the_same_key() -> None:
    experiment = BlockMap()
    key = f"block:{experiment.blocks()[15]}"
    page = panel(experiment, "pages")["tiles"][15]
    slot = panel(experiment, "map")["nodes"][-1]["children"][0]
    block = next(tile for tile in panel(experiment, "device")["tiles"] if key in tile.get("key", ""))

    assert all(key in item["key"].split() for item in (page, slot, block))


def test_map_behind_two_indirect_blocks_is_two_levels_deep() -> None:
    experiment = BlockMap()
    experiment.write(1040, "far")
    top = panel(experiment, "map")["nodes"][-1]

    assert top["text"] == "i_block[13]"
    assert top["children"][0]["children"][0]["cells"] == [f"block {experiment.blocks()[1040]}", "page 1040"]


def test_static_table_tells_the_way() -> None:
    experiment = BlockMap()
    experiment.ask(5)
    view = BlockMapView(experiment)
    data, _ = view._repr_mimebundle_() or ({}, {})

    assert "get_xip_mem(page 5, create 0)" in data["text/html"]
    assert "frame 0x1000b" in data["text/html"]
