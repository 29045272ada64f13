"""Records that live in storage: a typed view of bytes, not a parsed copy of them.

    class Ext2GroupDesc(OnDisk, size=32):
        bg_block_bitmap: le32
        ...
    desc = Ext2GroupDesc(mem, offset)     # reads and assignments go to `mem` itself

Integers come out as Python ints, arrays and byte strings as views. Byte order is always written:
`le` for ext2, `be` for z/VM and s390. `size` is checked when the class is made.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self, TypeAlias, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

u8: TypeAlias = Annotated[int, "u1"]
le16: TypeAlias = Annotated[int, "<u2"]
le32: TypeAlias = Annotated[int, "<u4"]
be16: TypeAlias = Annotated[int, ">u2"]
be32: TypeAlias = Annotated[int, ">u4"]
be64: TypeAlias = Annotated[int, ">u8"]

Bytes: TypeAlias = NDArray[np.uint8]


class Field:
    """One field: reads as a Python int (arrays: as a view); assignment reaches the storage."""

    def __init__(self, name: str, scalar: bool) -> None:
        self.name = name
        self.scalar = scalar

    def __get__(self, record: OnDisk | None, owner: type | None = None) -> Any:
        if record is None:
            return self
        value = record.raw[self.name]
        return value.item() if self.scalar else value

    def __set__(self, record: OnDisk, value: Any) -> None:
        record.raw[self.name] = value


class OnDisk:
    """A record in storage; subclasses list its fields in their order there.

    Attributes:
        raw: 0-d structured array on the storage itself.
        dtype: the record's layout, also used by pictures and tables.
    """

    __slots__ = ("raw",)
    dtype: ClassVar[np.dtype[np.void]]

    def __init_subclass__(cls, size: int) -> None:
        hints = get_type_hints(cls, include_extras=True)
        layout = [(name, *get_args(hints[name])[1:]) for name in cls.__annotations__]
        cls.dtype = np.dtype(layout)
        if cls.dtype.itemsize != size:
            raise TypeError(f"{cls.__name__}: {cls.dtype.itemsize} bytes, not {size}")
        for name, *form in layout:
            setattr(cls, name, Field(name, scalar=len(form) == 1))

    def __init__(self, mem: Any, offset: int = 0) -> None:
        self.raw: NDArray[np.void] = np.ndarray((), self.dtype, mem, offset)

    @classmethod
    def table(cls, mem: Any, offset: int, count: int) -> NDArray[np.void]:
        """`count` records in a row as one structured array, for scans."""
        return np.ndarray((count,), cls.dtype, mem, offset)

    @classmethod
    def blank(cls) -> Self:
        """A record of zeros in memory of its own."""
        return cls(bytearray(cls.dtype.itemsize))

    def tobytes(self) -> bytes:
        return self.raw.tobytes()

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)}" for name in self.dtype.names or ())
        return f"{type(self).__name__}({fields})"
