"""The widget of notebook 04: the way, the blocks, the bytes with their fields, and the judges."""

from __future__ import annotations

from typing import Any

import pytest

from xiplab.course.experiments.ext2_bytes import Ext2Bytes
from xiplab.widgets.ext2_bytes import Ext2BytesView, scene_of
from xiplab.widgets.panels import items_of

GREETING = 18816


@pytest.fixture
def experiment() -> Ext2Bytes:
    return Ext2Bytes()


def panel(experiment: Ext2Bytes, area: str) -> Any:
    return next(panel for panel in scene_of(experiment)["panels"] if panel["area"] == area)


def test_way_shows_only_the_stops_that_were_made(experiment: Ext2Bytes) -> None:
    for _ in range(3):
        experiment.step()
    shown = panel(experiment, "way")

    assert [step["text"] for step in shown["steps"]] == [stop.text for stop in experiment.stops()[:3]]
    assert shown["at"] == 2


def test_bytes_are_the_block_of_the_stop_with_its_fields(experiment: Ext2Bytes) -> None:
    for _ in range(10):
        experiment.step()
    shown = panel(experiment, "bytes")
    fields = {field["name"]: field for field in shown["fields"]}

    assert (shown["start"], shown["at"]) == (0x4900, GREETING + 44)
    assert shown["data"] == experiment.image[0x4900:0x4B00].tobytes()
    assert fields["inode 20: i_block[1]"]["words"] == "27"
    assert fields["inode 20: i_block[1]"]["key"] == "block:27"
    assert fields["inode 20: i_size"]["words"] == "14,336"
    assert "block" in shown["note"]


def test_data_has_bytes_and_no_fields(experiment: Ext2Bytes) -> None:
    for _ in range(11):
        experiment.step()
    shown = panel(experiment, "bytes")

    assert (shown["at"], shown["fields"]) == (27 * 4096 + 904, [])
    assert shown["title"] == "Block 27: data of inode 20, for its block 1"


def test_blocks_of_the_file_are_marked(experiment: Ext2Bytes) -> None:
    tiles = panel(experiment, "blocks")["tiles"]

    assert [tile["text"] for tile in tiles if "mapped" in tile.get("marks", ())] == ["26", "27", "28", "29"]
    assert [tile["gap"] for tile in tiles if "gap" in tile] == [512 - 32 - 1]


def test_stored_byte_is_marked_and_judged(experiment: Ext2Bytes) -> None:
    experiment.store(GREETING + 44, 28)

    assert panel(experiment, "bytes")["marks"] == {GREETING + 44: ["changed"]}
    judged = [row["cells"] for row in panel(experiment, "judges")["rows"]]
    assert judged[0] == ["ext2, mounted in place", "it reads 'byte 9088 ..............'."]
    assert judged[-1] == ["e2fsck", "and 1 more"]


def test_every_call_in_the_picture_works(experiment: Ext2Bytes) -> None:
    calls = [item["call"] for item in items_of(scene_of(experiment)["panels"]) if "call" in item]
    view = Ext2BytesView(experiment)
    for name, *args in calls:
        before = experiment.sequence
        view._call(None, {"call": name, "args": args}, None)
        assert experiment.sequence == before + 1
        assert view.picture["panels"][2]["start"] == args[0]
        assert view.picture["panels"][2]["title"].startswith(f"Block {args[0] // 4096}: ")
    view.close()

    assert {name for name, *_ in calls} == {"look"}


@pytest.mark.parametrize("place", [0x438, 0x418, 4104, GREETING, 24676 + 4])
def test_damaged_image_can_be_shown(experiment: Ext2Bytes, place: int) -> None:
    """Magic number, block size, inode table, mode of the file, length of a record."""
    view = Ext2BytesView(experiment)
    experiment.store(place, 0xFF)
    experiment.step()
    bundle: Any = view._repr_mimebundle_()
    view.close()

    assert "What others say of this image" in bundle[0]["text/html"]


def test_window_ends_with_the_block(experiment: Ext2Bytes) -> None:
    experiment.look(5 * 4096 - 1)

    assert panel(experiment, "bytes")["data"] == experiment.image[5 * 4096 - 256:5 * 4096].tobytes()


def test_table_without_a_kernel_shows_the_bytes_of_the_stop(experiment: Ext2Bytes) -> None:
    experiment.step()
    view = Ext2BytesView(experiment)
    bundle: Any = view._repr_mimebundle_()
    view.close()

    assert "s_log_block_size" in bundle[0]["text/html"]
    assert "0x400" in bundle[0]["text/html"]


def test_picture_is_small(experiment: Ext2Bytes) -> None:
    experiment.look(4 * 4096)

    assert len(panel(experiment, "bytes")["data"]) == 512
    assert len(panel(experiment, "bytes")["fields"]) < 24
