"""The initramfs archive, cpio's `newc` format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

Written here so that the same input gives the same bytes, and so that neither root nor a staging directory is needed:
names sorted, every owner root, every time 0, inode numbers counted from 1.
"""

import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

NAME_MAX_BYTES = 4096


class Entry(NamedTuple):
    """One file of the archive: its full mode and its bytes (a symbolic link's bytes are its target)."""

    mode: int
    data: bytes = b""


DIRECTORY = Entry(stat.S_IFDIR | 0o755)


def executable(data: bytes) -> Entry:
    """A program."""
    return Entry(stat.S_IFREG | 0o755, data)


def regular(data: bytes) -> Entry:
    """A plain file."""
    return Entry(stat.S_IFREG | 0o644, data)


def link_to(target: str) -> Entry:
    """A symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def archive(entries: Mapping[str, Entry]) -> bytes:
    """The archive of these paths (relative, no leading slash); missing parent directories are added."""
    tree = dict(entries)
    for path in entries:
        parts = path.split("/")[:-1]
        for depth in range(len(parts)):
            tree.setdefault("/".join(parts[: depth + 1]), DIRECTORY)
    return b"".join(_records(tree))


def _records(tree: Mapping[str, Entry]) -> Iterator[bytes]:
    for inode, path in enumerate(sorted(tree), start=1):
        yield from _record(inode, path, tree[path])
    yield from _record(0, "TRAILER!!!", Entry(0))


def _record(inode: int, path: str, entry: Entry) -> Iterator[bytes]:
    name = path.encode() + b"\0"
    if len(name) > NAME_MAX_BYTES:
        raise ValueError(f"{path[:60]!r}... is too long a name for an initramfs")
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # inode, mode, uid, gid, nlink, mtime, size, device major+minor, special device major+minor, name size, check
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    yield head + bytes(-len(head) % 4)
    yield entry.data + bytes(-len(entry.data) % 4)
