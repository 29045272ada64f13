"""DIAGNOSE X'64': how a guest finds, loads and purges saved segments. Subcodes, records, answers.

    Rx = address of the name (8 EBCDIC bytes), or of a Qin64 for the extended query
    Ry = subcode
    after it: Rx, Ry = first and last byte of the segment, or Ry = return code; condition code:

             0                      1                 2              3
    find     loaded by this guest   exists            Ry says why    unknown subcode
    load     loaded                                   Ry says why    unknown subcode
    purge    done                   was not loaded    Ry says why    unknown subcode

This page is all that a guest's kernel and CP have in common. Old subcodes work with 31-bit addresses
and see segments below 2 GiB; the new ones came with z/VM 5.4.
Kernel: v3.6 arch/s390/mm/extmem.c (the guest's side)
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from xiplab.ondisk import Bytes, OnDisk, be16, be32, be64, u8

LOADSHR = 0x00
LOADNSR = 0x04
PURGESEG = 0x08
FINDSEG = 0x0C
LOADNOLY = 0x10
SEGEXT = 0x18
LOADSHRX = 0x20
LOADNSRX = 0x24
FINDSEGX = 0x2C
SEGEXTX = 0x38

FINDSEGA = 0x0C
"""What Qin64.qopcode asks of the extended query: type and ranges."""

MAX_RANGES = 6
"""An answer holds this many ranges; segcnt tells how many there are."""

RC_NOT_FOUND = 44
RC_PAGING_ERROR = 177
RC_OUTSIDE_STORAGE = 8
RC_BAD_BLOCK = 12
RC_OVERLAY = 36
RC_NAMESAVE = 40
"""Return codes. The manuals name the first two; a guest should only tell them from 0."""

u8x3: TypeAlias = Annotated[Bytes, "u1", 3]
u8x8: TypeAlias = Annotated[Bytes, "u1", 8]
be32x12: TypeAlias = Annotated[Bytes, ">u4", (6, 2)]
be64x12: TypeAlias = Annotated[Bytes, ">u8", (6, 2)]


class Qin64(OnDisk, size=24):
    """What the extended query is asked. qoutptr, qoutlen: where its answer goes."""

    qopcode: u8
    rsrv1: u8x3
    qrcode: u8
    rsrv2: u8x3
    qname: u8x8
    qoutptr: be32
    qoutlen: be16
    pad: be16


class Qout64(OnDisk, size=120):
    """Its answer to subcode X'38'.

    Fields:
        segstart, segend: first and last byte. segcnt: ranges there are. segrcnt: ranges given here.
        range: per range the first page's address, its last byte the type; the last page's address.
    """

    segstart: be64
    segend: be64
    segcnt: be32
    segrcnt: be32
    range: be64x12


class Qout64Old(OnDisk, size=64):
    """The same for subcode X'18', in words."""

    segstart: be32
    segend: be32
    segcnt: be32
    segrcnt: be32
    range: be32x12


def encode_name(name: str) -> bytes:
    """A segment's name as it goes over the wire: upper case, 8 EBCDIC bytes, padded with blanks."""
    return name.upper().encode("cp037", "replace")[:8].ljust(8, b"\x40")


def decode_name(name: bytes) -> str:
    return name.decode("cp037").rstrip()
