"""Descriptors of a process: which number is free, and that none is lost."""

import errno

import pytest

from xiplab import O_CREAT, O_RDWR, ZVM, Process
from xiplab.linux.fs.fcntl import F_DUPFD


@pytest.fixture
def process() -> Process:
    return ZVM().logon("LINUX1").process("sh")


def test_dupfd_takes_the_lowest_free_descriptor_from_the_argument_on(process: Process) -> None:
    fd = process.open("/tmp/file", O_CREAT | O_RDWR)

    taken = [process.fcntl(fd, F_DUPFD, least) for least in (0, 5, 5, 2)]

    assert taken == [1, 5, 6, 2]


@pytest.mark.parametrize("least", [-1, 1024])
def test_dupfd_past_the_limit_raises_einval(process: Process, least: int) -> None:
    fd = process.open("/tmp/file", O_CREAT | O_RDWR)

    with pytest.raises(OSError, match=r"\w") as refused:
        process.fcntl(fd, F_DUPFD, least)

    assert refused.value.errno == errno.EINVAL


def test_cp_that_fails_leaves_no_file_open(process: Process) -> None:
    process.echo("text", "/tmp/file")

    with pytest.raises(OSError, match="no files can be made here"):
        process.cp("/tmp/file", "/sys/file")

    assert not any(process.task.files)
