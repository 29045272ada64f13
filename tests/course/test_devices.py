"""The experiment of notebook 03: a segment as a disk, asked by files, bios and direct_access."""

from __future__ import annotations

import errno

import pytest

from xiplab.course.experiments.devices import Devices


@pytest.fixture
def experiment() -> Devices:
    return Devices()


@pytest.fixture
def opened(experiment: Devices) -> Devices:
    """PART1 is dcssblk0, open, and its first page is read and held."""
    experiment.echo("part1", "add")
    experiment.open("dcssblk0")
    experiment.read("dcssblk0", 0)
    experiment.direct_access("dcssblk0", 0)
    return experiment


def test_add_makes_a_disk_over_the_segment(experiment: Devices) -> None:
    experiment.echo("part1", "add")
    disk = experiment.disks()[-1]

    assert (disk.name, disk.folder, disk.sectors, disk.direct_access) == ("dcssblk0", "PART1", 2048, True)
    assert (experiment.file("PART1/shared"), experiment.file("PART1/save")) == ("1", "0")
    assert experiment.disk == "dcssblk0"


def test_add_of_two_sorts_them_by_address(experiment: Devices) -> None:
    """The folder is called as the first one given; sector 0 is the lowest one's."""
    experiment.echo("PART2:PART1", "add")

    assert experiment.disks()[-1].folder == "PART2"
    assert experiment.stored("dcssblk0", 0).startswith("PART1 page 0")
    assert experiment.stored("dcssblk0", 2048).startswith("PART2 page 0")


@pytest.mark.parametrize(("text", "file", "name"), [
    ("nosuch", "add", "ENOENT"), ("part2:apps", "add", "EINVAL"), ("apps:part1", "add", "EINVAL"),
    ("", "add", "ENAMETOOLONG"), ("part1:", "add", "ENAMETOOLONG"), ("part1", "remove", "ENODEV"),
    ("2", "PART1/shared", "ENOENT")])
def test_refusals_are_answers_with_the_errno(experiment: Devices, text: str, file: str, name: str) -> None:
    assert f": {name}, " in experiment.echo(text, file)
    assert len(experiment.disks()) == 1


def test_bio_copies_and_direct_access_does_not(experiment: Devices) -> None:
    experiment.echo("part1", "add")
    experiment.open("dcssblk0")
    experiment.read("dcssblk0", 8)
    assert (experiment.copied, experiment.copy and experiment.copy.text) == (4096, "PART1 page 1    ")
    experiment.direct_access("dcssblk0", 8)

    assert experiment.copied == 0
    assert experiment.held is not None
    assert (experiment.held.kaddr, experiment.held.pfn) == (0x10101000, 0x10101)


def test_store_of_another_guest_shows_at_the_address_and_not_in_the_copy(opened: Devices) -> None:
    opened.other("PART1", "K")

    assert opened.held_text()[0] == opened.stored("dcssblk0", 0)[0] == "K"
    assert opened.copy is not None
    assert opened.copy.text[0] == "P"


def test_address_is_refused_after_the_last_close(opened: Devices) -> None:
    opened.open("dcssblk0")
    opened.close("dcssblk0")
    assert "There stands 'PART1" in opened.load()
    opened.close("dcssblk0")

    assert "load: ENXIO" in opened.load()
    assert opened.held_text() == ""


@pytest.mark.parametrize(("sector", "name"), [(4, "EINVAL"), (2048, "ERANGE"), (-8, "ERANGE")])
def test_direct_access_refuses_sectors(opened: Devices, sector: int, name: str) -> None:
    assert f": {name}, " in opened.direct_access("dcssblk0", sector)
    assert opened.held is not None
    assert opened.held.sector == 0


def test_read_only_segment_hands_out_an_address_that_cannot_be_stored_to(experiment: Devices) -> None:
    experiment.echo("apps", "add")
    experiment.open("dcssblk0")

    assert "lies at address 0x100ff000" in experiment.direct_access("dcssblk0", 2040)
    assert "protection exception" in experiment.store("J")
    assert ": EIO, " in experiment.write("dcssblk0", 0, "J")


def test_ordinary_disk_has_no_direct_access(experiment: Devices) -> None:
    experiment.open("sda")

    assert "EOPNOTSUPP" in experiment.direct_access("sda", 0)
    assert "has copied" in experiment.read("sda", 0)


def test_save_of_an_open_disk_waits_for_the_last_close(opened: Devices) -> None:
    opened.store("J")
    opened.echo("1", "PART1/save")
    assert opened.file("PART1/save") == "1"
    assert bytes(opened.vm.segments["PART1"].mem[:1]) == b"J"
    assert opened.vm.segments["PART1"].spoolid == 2
    opened.close("dcssblk0")

    assert opened.file("PART1/save") == "0"
    assert opened.vm.segments["PART1"].spoolid == 4


def test_exclusive_device_is_a_copy_of_its_own(experiment: Devices) -> None:
    experiment.echo("apps", "add")
    experiment.echo("0", "APPS/shared")
    experiment.open("dcssblk0")
    experiment.write("dcssblk0", 0, "Mine")

    assert experiment.stored("dcssblk0", 0).startswith("Mine")
    assert bytes(experiment.vm.segments["APPS"].mem[:4]) == b"APPS"


def test_bios_need_an_open_disk(experiment: Devices) -> None:
    assert "EBADF" in experiment.read("sda", 0)


def test_show_of_no_disk_raises(experiment: Devices) -> None:
    with pytest.raises(OSError, match="no such device") as failure:
        experiment.show("sdb")

    assert failure.value.errno == errno.ENXIO


def test_removed_disk_is_not_shown_any_more(opened: Devices) -> None:
    opened.close("dcssblk0")
    opened.echo("PART1", "remove")

    assert opened.disk == "sda"
    assert [disk.name for disk in opened.disks()] == ["sda"]


def test_python_gives_the_same_state(opened: Devices) -> None:
    opened.other("PART1", "K")
    opened.show("dcssblk0", 8)
    names: dict[str, Devices] = {}
    exec(opened.python(), names)

    assert names["experiment"].state() == opened.state()
    assert names["experiment"].sector == 8


def test_undo_takes_one_action_back(opened: Devices) -> None:
    before = opened.state()
    opened.store("J")
    opened.undo()

    assert opened.state() == before
