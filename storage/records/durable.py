"""Whole files replaced so that a crash at any instant leaves the old one or the new one, and either is on the disk.

The order is the point: write a temporary file in the same directory, fsync it, close it (an NFS client would
otherwise keep the replaced file under a `.nfs` name), rename it over the old one, fsync the directory. What a crash
leaves behind is a temporary file that no reader looks at; `sweep` removes those that have aged.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import socket
import sys
from collections.abc import Sequence

from storage.records.port import Outcome, RecordsError

TEMP_PREFIX = ".twinboot1_new."
"""Temporary names begin with a dot and this: no pattern of Sun's, for containers or locks, matches them."""

TEMP_KEPT_S = 3600
"""Age from which a temporary file cannot be a write in progress (a hung share included) and may be removed."""

CREATED_MODE = 0o644
PIECES_MAX = 1024
"""IOV_MAX of Linux, pieces for one write."""

_FS_IOC_GETVERSION = 0x80087601

_OUTCOMES = {
    errno.EEXIST: (Outcome.EXISTS, "it is there already"),
    errno.ENOENT: (Outcome.NOT_FOUND, "create it or mount the share"),
    errno.EACCES: (Outcome.DENIED, "give this user read and write access to the directory and its files"),
    errno.EPERM: (Outcome.DENIED, "give this user read and write access to the directory and its files"),
    errno.EROFS: (Outcome.DENIED, "mount the share read-write"),
    errno.ENOSPC: (Outcome.FULL, "free some space"),
    errno.EDQUOT: (Outcome.FULL, "raise the quota or free some space"),
    errno.EFBIG: (Outcome.FULL, "raise the file size limit"),
}
_OTHERWISE = (Outcome.UNAVAILABLE, "see to the share; nothing is lost, but the last write may or may not be there")


def records_error(error: OSError, path: str) -> RecordsError:
    """The port's error for a failed system call on `path`."""
    outcome, advice = _OUTCOMES.get(error.errno or 0, _OTHERWISE)
    return RecordsError(outcome, f"{path}: {error.strerror or error}: {advice}")


def create(directory: str, name: str, data: bytes) -> None:
    """Make a new file, durably and never over an existing one (FileExistsError); OSError."""
    temp, _ = _write_temp(directory, name, [data], None)
    try:
        os.link(temp, os.path.join(directory, name))
    finally:
        _discard(temp)
    _sync_directory(directory)


def replace(directory: str, name: str, pieces: Sequence[bytes], like: os.stat_result) -> tuple[int, int]:
    """Put new contents in the place of a file, with the mode (and as root the owner) of `like`; OSError.

    Returns the inode number and `generation` of the new file.
    """
    temp, identity = _write_temp(directory, name, pieces, like)
    try:
        os.rename(temp, os.path.join(directory, name))
    except BaseException:
        _discard(temp)
        raise
    _sync_directory(directory)
    return identity


def generation(fd: int) -> int:
    """Which of all the files that had this inode number it is, ioctl_fs(4); 0 where the file system does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(fd, _FS_IOC_GETVERSION, bytes(8))[:4], sys.byteorder)
    except OSError:
        return 0


def remove(directory: str, name: str) -> None:
    """Remove a file durably; OSError."""
    os.unlink(os.path.join(directory, name))
    _sync_directory(directory)


def sweep(directory: str, now_s: float) -> None:
    """Remove what crashed writers left. `now_s` is the share's own idea of time: that of a file just written."""
    for entry in os.scandir(directory):
        if entry.name.startswith(TEMP_PREFIX):
            with contextlib.suppress(FileNotFoundError):  # the other server sweeps, too
                if entry.stat(follow_symlinks=False).st_mtime < now_s - TEMP_KEPT_S:
                    os.unlink(entry.path)


def _write_temp(
    directory: str, name: str, pieces: Sequence[bytes], like: os.stat_result | None
) -> tuple[str, tuple[int, int]]:
    host = socket.gethostname().partition(".")[0]
    path = os.path.join(directory, f"{TEMP_PREFIX}{name}.{host}.{os.getpid()}.{secrets.token_hex(4)}")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            _dress(fd, like)
            for at in range(0, len(pieces), PIECES_MAX):
                _write(fd, pieces[at : at + PIECES_MAX])
            os.fsync(fd)
            identity = (os.fstat(fd).st_ino, generation(fd))
        finally:
            os.close(fd)  # NFS reports a full disk here at the latest
    except BaseException:
        _discard(path)
        raise
    return path, identity


def _write(fd: int, pieces: Sequence[bytes]) -> None:
    written = os.writev(fd, pieces)
    if written < sum(map(len, pieces)):  # a nearly full disk, or a signal
        view = memoryview(b"".join(pieces))[written:]
        while view:
            view = view[os.write(fd, view) :]


def _dress(fd: int, like: os.stat_result | None) -> None:
    os.fchmod(fd, CREATED_MODE if like is None else like.st_mode & 0o7777)
    if like is not None and os.geteuid() == 0:
        with contextlib.suppress(PermissionError):  # an export that squashes root: it owns our files anyway
            os.fchown(fd, like.st_uid, like.st_gid)


def _discard(path: str) -> None:
    with contextlib.suppress(OSError):  # the first error is the one to report; sweep gets what stays
        os.unlink(path)


def _sync_directory(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
