"""Whole files replaced so that a crash at any instant leaves the old one or the new one, and either is on the disk.

The order is the point: write a temporary file in the same directory, fsync it, close it (an NFS client would
otherwise keep the replaced file under a `.nfs` name), rename it over the old one, fsync the directory. What a crash
leaves behind is a temporary file that no reader looks at; `sweep` removes those that have aged.

Several files take these steps side by side: a journalling file system makes one commit of the fsyncs that wait at one
time, so that 25 files take little longer than one (measured on ext4: 10 ms instead of 100).
"""

import contextlib
import errno
import os
import secrets
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from storage.records import descriptors, leftovers
from storage.records.port import Outcome, RecordsError

TEMP_PREFIX = ".twinboot1_new."
"""Temporary names begin with a dot and this: no pattern of Sun's, for containers or locks, matches them."""

TEMP_KEPT_S = 3600
"""Age from which a temporary file cannot be a write in progress (a hung share included) and may be removed."""

SYNCS_AT_ONCE = 8

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


def create(path: str | Path, data: bytes, mode: int = descriptors.CREATED_MODE) -> None:
    """Make a new file, durably and never over an existing one (FileExistsError); OSError."""
    directory, name = os.path.split(os.path.abspath(path))
    staged = stage(directory, name, [data], None, mode)
    synced = _synced(staged)
    if isinstance(synced, OSError):
        raise synced
    try:
        os.link(staged.temp, path)  # unlike a rename, it never replaces
    finally:
        _discard(staged.temp)
    descriptors.sync_directory(directory)


def replace(path: str | Path, data: bytes, mode: int = descriptors.CREATED_MODE) -> None:
    """Put a file in its place, or in that of another one, in one step and durably; OSError."""
    directory, name = os.path.split(os.path.abspath(path))
    (found,) = settle([stage(directory, name, [data], None, mode)])
    if isinstance(found, OSError):
        raise found


class Staged(NamedTuple):
    """New contents of a file, written beside it under the name `temp` but not yet on the disk."""

    directory: str
    name: str
    temp: str
    fd: int


def stage(
    directory: str,
    name: str,
    pieces: Sequence[bytes],
    like: os.stat_result | None,
    mode: int = descriptors.CREATED_MODE,
) -> Staged:
    """Write new contents for a file, with the mode (and as root the owner) of `like`, or with `mode`; OSError.

    Hand the result to `settle`, in any case.
    """
    try:
        return _staged(directory, name, pieces, like, mode)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT} or not leftovers.are_gone():
            raise
    return _staged(directory, name, pieces, like, mode)  # there is room again


def _staged(directory: str, name: str, pieces: Sequence[bytes], like: os.stat_result | None, mode: int) -> Staged:
    host = socket.gethostname().partition(".")[0]
    path = os.path.join(directory, f"{TEMP_PREFIX}{name}.{host}.{os.getpid()}.{secrets.token_hex(4)}")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        descriptors.dress(fd, like, mode)
        descriptors.write(fd, pieces)
    except BaseException:
        os.close(fd)
        _discard(path)
        raise
    return Staged(directory, name, path, fd)


def settle(staged: Sequence[Staged]) -> list[tuple[int, int] | OSError]:
    """Bring staged files to the disk and put each in the place of its file: all or nothing for each, not for all.

    Returns for each the inode number and `generation` of the file that is now there, or what went wrong. All of them
    are in one directory.
    """
    synced = [_synced(staged[0])] if len(staged) == 1 else list(_together().map(_synced, staged))
    replaced = leftovers.Leftovers()
    found = [
        one if isinstance(one, OSError) else _renamed(file, one, replaced)
        for file, one in zip(staged, synced, strict=True)
    ]
    try:
        if staged:
            descriptors.sync_directory(staged[0].directory)
    except OSError as error:
        return [one if isinstance(one, OSError) else _unsure(error) for one in found]
    finally:
        replaced.let_go()
    return found


def _unsure(error: OSError) -> OSError:
    """Which of the two files is there, and will be after a crash, is open: as after EIO, who must know looks again."""
    return OSError(errno.EIO, f"{error.strerror or error}, in the middle of the replacement")


@lru_cache(maxsize=1)
def _together() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(SYNCS_AT_ONCE, "fsync")


os.register_at_fork(after_in_child=_together.cache_clear)  # a child has none of its parent's threads


def _synced(staged: Staged) -> tuple[int, int] | OSError:
    try:
        try:
            os.fsync(staged.fd)
            return os.fstat(staged.fd).st_ino, descriptors.generation(staged.fd)
        finally:
            os.close(staged.fd)  # NFS reports a full disk here at the latest
    except OSError as error:
        _discard(staged.temp)
        return error


def _renamed(staged: Staged, identity: tuple[int, int], replaced: leftovers.Leftovers) -> tuple[int, int] | OSError:
    path = os.path.join(staged.directory, staged.name)
    if identity[1]:  # NFS tells no generation
        replaced.hold(path)
    try:
        os.rename(staged.temp, path)
    except OSError as error:
        _discard(staged.temp)
        # a reply that got lost is asked for again by NFS, which then finds no file of that name left
        return _unsure(error) if error.errno == errno.ENOENT else error
    return identity


def remove(directory: str, name: str) -> None:
    """Remove a file durably; OSError."""
    os.unlink(os.path.join(directory, name))
    descriptors.sync_directory(directory)


def sweep(directory: str, now_s: float) -> None:
    """Remove what crashed writers left. `now_s` is the share's own idea of time: that of a file just written."""
    for entry in os.scandir(directory):
        if entry.name.startswith(TEMP_PREFIX):
            with contextlib.suppress(FileNotFoundError):  # the other server sweeps, too
                if entry.stat(follow_symlinks=False).st_mtime < now_s - TEMP_KEPT_S:
                    os.unlink(entry.path)


def _discard(path: str) -> None:
    with contextlib.suppress(OSError):  # the first error is the one to report; sweep gets what stays
        os.unlink(path)
