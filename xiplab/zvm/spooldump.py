"""All saved segments in one file of the host, as a system leaves them at shutdown.

    page 0   label
    page n   descriptor of the first segment, then its pages (from its first to its last)
    ...      descriptor of the next one, then its pages

Pages that are all zero are holes of the file. Only saved contents are written: skeletons, files
pending purge and unsaved changes are not, as they do not outlive a system.
"""

from __future__ import annotations

import errno
import os
from io import BufferedWriter, FileIO

from xiplab.ondisk import OnDisk, be32, be64
from xiplab.units import PAGE_SHIFT, PAGE_SIZE, Pfn
from xiplab.zvm.diag64 import decode_name, encode_name, u8x8
from xiplab.zvm.segment import (
    MAX_RANGES,
    SEGMENT_TYPES,
    PageRange,
    SavedSegment,
    check_ranges,
    data_extents,
    is_name,
    read_sparse,
)
from xiplab.zvm.spool import MAX_SPOOLID, Spool

MAGIC = 0x58495053504F4F4C
RESTRICTED = 1
LOADNSHR = 2

TYPE_OF_CODE = {t.code: t for t in SEGMENT_TYPES.values()}


class Label(OnDisk, size=16):
    """Page 0. next_spoolid: the number of the next file that is defined."""

    magic: be64
    count: be32
    next_spoolid: be32


class Descriptor(OnDisk, size=40):
    """The page before a segment's pages. Its ranges follow; names are EBCDIC, times ns since 1970."""

    name: u8x8
    originid: u8x8
    created: be64
    spoolid: be32
    flags: be32
    range_count: be32
    npages: be32


class RangeRecord(OnDisk, size=12):
    """One page range of a descriptor. type: the page descriptor code's number."""

    first: be32
    last: be32
    type: be32


def write_spool(spool: Spool, path: str | os.PathLike[str]) -> None:
    """Write what is saved; a file that was at `path` is replaced when all is written.

    Raises:
        OSError: what the host answers.
    """
    files = list(spool.saved.values())
    partial = f"{os.fspath(path)}.partial"
    with open(partial, "wb") as image:
        label = Label(bytearray(PAGE_SIZE))
        label.magic, label.count, label.next_spoolid = MAGIC, len(files), spool.next_spoolid
        image.write(label.tobytes())
        position = PAGE_SIZE
        for file in files:
            position = write_segment(image, position, file)
        image.truncate(position)
    os.replace(partial, path)


def write_segment(image: BufferedWriter, position: int, file: SavedSegment) -> int:
    """Write descriptor and pages at `position`; returns where they end."""
    image.seek(position)
    image.write(describe(file))
    position += PAGE_SIZE
    frames = file.spool or file.frames
    start, stop = frames.start << PAGE_SHIFT, frames.stop << PAGE_SHIFT
    contents = memoryview(file.storage.map)
    for first, end in data_extents(file.storage.fd, start, stop):
        image.seek(position + first - start)
        image.write(contents[first:end])
    return position + stop - start


def describe(file: SavedSegment) -> bytes:
    """The descriptor page of a segment."""
    page = bytearray(PAGE_SIZE)
    record = Descriptor(page)
    record.name[:] = memoryview(encode_name(file.name))
    record.originid[:] = memoryview(encode_name(file.originid))
    record.created, record.spoolid = file.created, file.spoolid
    record.flags = file.restricted * RESTRICTED | file.loadnshr * LOADNSHR
    record.range_count, record.npages = len(file.ranges), file.npages
    table = RangeRecord.table(page, Descriptor.dtype.itemsize, len(file.ranges))
    table[:] = [(pages.first, pages.last, pages.type.code) for pages in file.ranges]
    return bytes(page)


def read_spool(spool: Spool, path: str | os.PathLike[str]) -> None:
    """Fill an empty spool from a file that write_spool made.

    Raises:
        OSError: EINVAL for a file that is none, or is damaged; ENOMEM; what the host answers. The
            spool is empty then.
    """
    with open(path, "rb", buffering=0) as image:
        size = os.fstat(image.fileno()).st_size
        try:
            read_segments(spool, image, size)
        except OSError:
            for file in list(spool.files):
                spool.delete(file)
            raise


def damaged(what: str) -> OSError:
    return OSError(errno.EINVAL, f"saved spool: {what}")


def read_page(image: FileIO, position: int) -> bytearray:
    image.seek(position)
    page = bytearray(image.read(PAGE_SIZE))
    if len(page) < PAGE_SIZE:
        raise damaged(f"ends before byte {position + PAGE_SIZE}")
    return page


def read_segments(spool: Spool, image: FileIO, size: int) -> None:
    """Read label and segments."""
    label = Label(read_page(image, 0))
    if label.magic != MAGIC or not 0 < label.next_spoolid <= MAX_SPOOLID + 1:
        raise damaged("no label")
    position = PAGE_SIZE
    for _ in range(label.count):
        file = segment_of(spool, read_page(image, position))
        end = position + PAGE_SIZE + file.size
        if end > size:
            raise damaged(f"{file.name} ends at byte {end}, the file at {size}")
        file.take_frames()
        spool.files.append(file)
        read_sparse(image, position + PAGE_SIZE, file.mem.data)
        position = end
    spool.next_spoolid = label.next_spoolid


def segment_of(spool: Spool, page: bytearray) -> SavedSegment:
    """The segment that a descriptor page describes, still without frames."""
    record = Descriptor(page)
    name = decode_name(record.name.tobytes())
    if not is_name(name) or name in spool.saved:
        raise damaged(f"{name!r} is no name, or is there twice")
    if not 0 < record.range_count <= MAX_RANGES or not 0 < record.spoolid <= MAX_SPOOLID:
        raise damaged(f"{name} has {record.range_count} page ranges and the number {record.spoolid}")
    table = RangeRecord.table(page, Descriptor.dtype.itemsize, record.range_count).tolist()
    if any(code not in TYPE_OF_CODE for _, _, code in table):
        raise damaged(f"{name} has a page range of an unknown type")
    ranges = tuple(PageRange(Pfn(first), Pfn(last), TYPE_OF_CODE[code]) for first, last, code in table)
    if problem := check_ranges(ranges):
        raise damaged(f"{name}: {problem}")
    file = SavedSegment(record.spoolid, name, ranges, spool.storage, bool(record.flags & RESTRICTED),
                        bool(record.flags & LOADNSHR), decode_name(record.originid.tobytes()), record.created)
    if file.npages != record.npages:
        raise damaged(f"{name} has {record.npages} pages, its ranges {file.npages}")
    file.class_ = "R" if file.restricted else "A"
    return file
