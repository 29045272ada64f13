"""The experiment of notebook 04: the way to a byte, and what others say of a damaged image."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from xiplab.course.experiments.ext2_bytes import Ext2Bytes, changed_fields, real_e2fsck
from xiplab.tools.image import shipped_image

GREETING = 18816


@pytest.fixture
def experiment() -> Ext2Bytes:
    return Ext2Bytes()


def test_step_goes_from_stop_to_stop_and_stays_at_the_end(experiment: Ext2Bytes) -> None:
    blocks = []
    for _ in range(13):
        experiment.step()
        blocks.append(experiment.block)

    assert blocks == [0, 1, 4, 4, 6, 4, 4, 14, 4, 4, 27, 27, 27]
    assert experiment.sentence() == "This is the end of the way."
    assert experiment.here() == experiment.stops()[-1]


def test_follow_begins_another_way(experiment: Ext2Bytes) -> None:
    experiment.step()
    experiment.follow("/holes", 61443)

    assert (experiment.taken, experiment.block) == (0, 0)
    assert "'e'" in experiment.stops()[-1].leads


def test_clean_image_is_read_and_has_no_problem(experiment: Ext2Bytes) -> None:
    assert experiment.driver() == experiment.driver("ro") == "it reads 'byte 4992 ..............'."
    assert experiment.problems() == []


def test_wrong_slot_is_noticed_by_e2fsck_alone(experiment: Ext2Bytes) -> None:
    experiment.look(GREETING)
    experiment.change("inode 20: i_block[1]", 28)

    assert "byte 9088" in experiment.driver()
    assert any("block 28: used by" in problem for problem in experiment.problems())
    assert "e2fsck finds 4 problems" in experiment.sentence()


@pytest.mark.parametrize(("place", "name", "value", "in_place", "cached"), [
    (GREETING, "inode 20: i_block[1]", 9999, "ERANGE", "EIO"),
    (GREETING, "inode 20: i_mode", 0, "EINVAL", "EINVAL"),
    (1024, "s_magic", 0, "EINVAL", "EINVAL"),
    (4096, "group 0: bg_inode_table", 5, "ESTALE", "ESTALE"),
    (57388, "record 3: inode", 9999, "ENOENT", "ENOENT")])
def test_driver_names_the_errno(experiment: Ext2Bytes, place: int, name: str, value: int, in_place: str,
                                cached: str) -> None:
    experiment.look(place)
    experiment.change(name, value)

    assert experiment.driver().startswith(f"{in_place}, ")
    assert experiment.driver("ro").startswith(f"{cached}, ")


def test_way_through_damage_says_where_it_ends(experiment: Ext2Bytes) -> None:
    experiment.look(GREETING)
    experiment.change("inode 20: i_block[1]", 9999)
    stops, ended = experiment.way()

    assert len(stops) == 10
    assert "EUCLEAN, block 9999" in ended


def test_image_without_a_superblock_can_still_be_looked_at(experiment: Ext2Bytes) -> None:
    experiment.store(0x438, 0)

    assert experiment.roles() == experiment.fields() == experiment.stops() == []
    assert experiment.inode() == 0
    experiment.undo()
    assert experiment.problems() == []


@pytest.mark.parametrize(("deed", "number"), [
    (("store", 1 << 30, 0), errno.EFAULT), (("store", -1, 0), errno.EFAULT),
    (("store", 0, 256), errno.EINVAL), (("change", "s_nothing", 0), errno.ENOENT),
    (("change", "s_magic", 1 << 16), errno.EINVAL),
    (("change", "s_uuid", 1), errno.ENOENT)])
def test_changes_that_cannot_be_raise(experiment: Ext2Bytes, deed: tuple[str, ...], number: int) -> None:
    with pytest.raises(OSError, match=r".") as failure:
        getattr(experiment, deed[0])(*deed[1:])

    assert failure.value.errno == number
    assert bytes(experiment.image) == shipped_image()


def test_fields_are_those_of_one_record(experiment: Ext2Bytes) -> None:
    experiment.look(GREETING)

    assert {field.name.split(":")[0] for field in experiment.fields()} == {"inode 20"}
    assert "inode 20: i_size" in {field.name for field in experiment.fields()}
    assert all(field.value for field in experiment.fields())


def test_look_stays_in_the_image(experiment: Ext2Bytes) -> None:
    experiment.look(-5)
    assert experiment.block == 0
    experiment.look(1 << 40)

    assert experiment.block == 511


def test_changed_fields_name_block_and_field() -> None:
    before = np.frombuffer(shipped_image(), np.uint8)
    after = before.copy()
    after[GREETING + 4:GREETING + 6] = (1, 0)
    after[27 * 4096] = 0

    assert changed_fields(before, after) == [
        "block  4, inode table: inode 20: i_size 14336 → 1", "block 27, data: new bytes"]


def test_real_e2fsck_agrees_on_clean_and_damaged(experiment: Ext2Bytes) -> None:
    if real_e2fsck(shipped_image()) == "this computer has none":
        pytest.skip("e2fsprogs is not installed")
    experiment.look(GREETING)
    experiment.change("inode 20: i_block[1]", 28)

    assert (real_e2fsck(shipped_image()), real_e2fsck(experiment.image.tobytes())) == ("clean", "errors")


def test_python_gives_the_same_state(experiment: Ext2Bytes) -> None:
    experiment.follow("/holes", 61443)
    experiment.step()
    experiment.look(GREETING)
    names: dict[str, Ext2Bytes] = {}
    exec(experiment.python(), names)
    again = names["experiment"]

    assert (again.taken, again.block, str(again)) == (experiment.taken, experiment.block, str(experiment))
