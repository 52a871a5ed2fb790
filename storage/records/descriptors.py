"""What is done to an open file, by whoever writes one: its pieces, its mode and owner, its identity, its folder."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Sequence
from typing import Final

CREATED_MODE: Final = 0o644
PIECES_MAX: Final = 1024
"""IOV_MAX of Linux, pieces for one write."""

_FS_IOC_GETVERSION: Final = 0x80087601


def write(fd: int, pieces: Sequence[bytes]) -> None:
    """Write all pieces, in as few system calls as there can be; OSError, and then some of them may be written."""
    for at in range(0, len(pieces), PIECES_MAX):
        _write_all(fd, pieces[at : at + PIECES_MAX])


def _write_all(fd: int, pieces: Sequence[bytes]) -> None:
    written = os.writev(fd, pieces)
    if written < sum(map(len, pieces)):  # a nearly full disk, or a signal
        view = memoryview(b"".join(pieces))[written:]
        while view:
            view = view[os.write(fd, view) :]


def dress(fd: int, like: os.stat_result | None, mode: int = CREATED_MODE) -> None:
    """Give a file the mode and (as root) the owner of another one, or this mode whatever the umask; OSError."""
    os.fchmod(fd, mode if like is None else like.st_mode & 0o7777)
    if like is not None and os.geteuid() == 0:
        with contextlib.suppress(PermissionError):  # an export that squashes root: it owns our files anyway
            os.fchown(fd, like.st_uid, like.st_gid)


def generation(fd: int) -> int:
    """Which of all the files that had this inode number it is, ioctl_fs(4); 0 where the file system does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(fd, _FS_IOC_GETVERSION, bytes(8))[:4], sys.byteorder)
    except OSError:
        return 0


def sync_directory(path: str) -> None:
    """Put the names in a directory on the disk; OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
