"""The files that mke2fs puts into an image, as a tree of nodes.

A `Node` is one inode to be. The same node under two names is a hard link.

    tree = {"lib": {"greeting": "Hello\\n", "empty": b""}, "hi": symlink("lib/greeting")}
    root = from_dict(tree)            # text and bytes are files, a dict is a directory
    root = from_folder("some/folder") # files, links, modes, owners and times as they are there
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, Union

import numpy as np

from xiplab.ondisk import Bytes

NAME_LEN = 255
SYMLINK_LEN = 4095


@dataclass(eq=False)
class Node:
    """One inode to be.

    Attributes:
        mode: type and permissions, as st_mode.
        content: a file's bytes, or the path to read them from later; a symbolic link's target.
        entries: a directory's names.
        rdev: device number of a device node.
        mtime: seconds since 1970; None for the time of mke2fs.
    """

    mode: int
    content: bytes | Path = b""
    entries: dict[bytes, Node] = field(default_factory=dict)
    rdev: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int | None = None

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def read(self) -> Bytes:
        """The content as an array. Raises OSError if it is a path that cannot be read."""
        if isinstance(self.content, Path):
            return np.fromfile(self.content, np.uint8)
        return np.frombuffer(self.content, np.uint8)


Tree: TypeAlias = Mapping[str, Union["Tree", Node, str, bytes]]


def file(content: str | bytes, mode: int = 0o644) -> Node:
    """A regular file; text is stored as UTF-8."""
    return Node(stat.S_IFREG | mode, content.encode() if isinstance(content, str) else bytes(content))


def symlink(target: str) -> Node:
    """A symbolic link. Raises OSError: ENOENT empty target; ENAMETOOLONG above 4095 bytes."""
    content = os.fsencode(target)
    if not content:
        raise OSError(errno.ENOENT, "symbolic link with an empty target")
    if len(content) > SYMLINK_LEN:
        raise OSError(errno.ENAMETOOLONG, f"symbolic link: target of {len(content)} bytes, "
                                          f"limit {SYMLINK_LEN}")
    return Node(stat.S_IFLNK | 0o777, content)


def entry_name(name: str) -> bytes:
    """The bytes of a directory entry's name. Raises OSError: EINVAL, ENAMETOOLONG."""
    encoded = os.fsencode(name)
    if encoded in {b"", b".", b".."} or b"/" in encoded or b"\0" in encoded:
        raise OSError(errno.EINVAL, f"{name!r} cannot be a name in a directory")
    if len(encoded) > NAME_LEN:
        raise OSError(errno.ENAMETOOLONG, f"name of {len(encoded)} bytes, limit {NAME_LEN}: {name[:20]!r}...")
    return encoded


def from_dict(tree: Tree, mode: int = 0o755) -> Node:
    """The directory that `tree` describes; see the module's example.

    Raises:
        OSError: EINVAL or ENAMETOOLONG for a name that no directory can hold.
    """
    entries = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            node = from_dict(value)
        else:
            node = value if isinstance(value, Node) else file(value)
        entries[entry_name(name)] = node
    return Node(stat.S_IFDIR | mode, entries=entries)


def from_folder(folder: str | os.PathLike[str]) -> Node:
    """The tree below a folder of this computer; links in it are not followed, sockets are left out.

    Raises:
        OSError: what listing the folder answers, for example ENOENT or ENOTDIR.
    """
    links: dict[tuple[int, int], Node] = {}
    root = _node(Path(folder), os.stat(folder))
    pending = [(root, Path(folder))]
    while pending:
        parent, path = pending.pop()
        for entry in sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name)):
            attributes = entry.stat(follow_symlinks=False)
            if stat.S_ISSOCK(attributes.st_mode):
                continue
            node = links.setdefault((attributes.st_dev, attributes.st_ino), _node(Path(entry), attributes))
            parent.entries[entry_name(entry.name)] = node
            if node.is_dir:
                pending.append((node, Path(entry)))
    return root


def _node(path: Path, attributes: os.stat_result) -> Node:
    content = Path(path) if stat.S_ISREG(attributes.st_mode) else b""
    if stat.S_ISLNK(attributes.st_mode):
        content = os.fsencode(os.readlink(path))
    return Node(attributes.st_mode, content, rdev=attributes.st_rdev, uid=attributes.st_uid,
                gid=attributes.st_gid, mtime=int(attributes.st_mtime))


def walk(root: Node) -> Iterator[tuple[bytes, Node, Node]]:
    """Every name below `root` as (path, node, its directory), each directory before what it holds.

    Raises:
        OSError: EPERM for a directory with two names.
    """
    seen = {id(root)}
    pending = [(b"", root)]
    for path, directory in pending:
        for name, node in directory.entries.items():
            if node.is_dir:
                if id(node) in seen:
                    raise OSError(errno.EPERM, f"{os.fsdecode(path)}/{os.fsdecode(name)}: "
                                               "a directory has one name only")
                seen.add(id(node))
                pending.append((path + b"/" + name, node))
            yield path + b"/" + name, node, directory
