"""The port to the share: every file operation that a datastore makes there, and what NFS promises for each.

Rules:

1. Operations are coarse and stateless: no descriptor outlives one. A descriptor kept open across a replacement by
   rename serves old data or ESTALE on NFS, and a process that holds dirty ones hangs with the share.
2. Names are relative to the root of the store, `folder/name` at most. Every failure is an OSError with its errno.
3. An error other than those named below tells nothing about whether the operation took place: a reply can be lost
   after the server has done the work. Who must know has to look.

One port, so that there may be several of it: direct (`LocalFiles`), a process of its own with a deadline for shares
that hang, and simulated ones that lose, tear and delay on purpose.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from storage.records import descriptors

FILE_MAX_BYTES = 256 * 2**20
"""Two million rows; a larger file is a mistake (or an attack on our memory) rather than one of ours."""

READ_TRIES = 3
"""Looks at a file that was replaced meanwhile, or seems damaged, before that is believed."""


T = TypeVar("T")


class Stamp(NamedTuple):
    """What tells one state of a file or directory from another.

    `generation` tells apart the files that had one inode number, ioctl_fs(4); 0 where the file system does not say
    (NFS does not). Equal stamps are no proof: times tick every few milliseconds at best.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    generation: int = 0

    @classmethod
    def of(cls, status: os.stat_result, generation: int = 0) -> "Stamp":
        """The stamp of a stat result."""
        ids = (status.st_dev, status.st_ino, status.st_size)
        return cls(*ids, status.st_mtime_ns, status.st_ctime_ns, generation)


class Files(Protocol):
    """Files in one directory tree that other hosts change as well."""

    location: str
    """Canonical name of the root (a real path); two objects with one location see the same files."""

    stat_is_current: bool
    """Whether `stat` tells at once what any other process did. False on NFS, where attributes are cached for
    seconds to a minute (and names that were looked for in vain are, too): there, list the folder instead."""

    def names(self, folder: str = "") -> list[str]:
        """Names in a folder, unsorted, `.nfs*` (files removed while open elsewhere) left out. FileNotFoundError.

        NFS: asks the server whether the folder changed, so it is current within milliseconds whatever the mount
        options. A listing is not one instant if it takes several requests: of what comes and goes meanwhile,
        some may be missing.
        """

    def read(self, name: str) -> bytes:
        """The whole contents, opened anew. FileNotFoundError; EFBIG beyond `FILE_MAX_BYTES`; ESTALE if it was
        replaced on the server between two steps: read again.

        NFS: opening asks the server (close-to-open), so what another host wrote and closed before is seen. A name
        must come from a listing: one that was looked up in vain stays invisible for up to half a minute.
        """

    def write(self, name: str, pieces: Iterable[bytes], like: str = "") -> None:
        """Create a file that must not exist, with these contents; they are on the disk when this returns.

        Mode 0644 whatever the umask, or mode and (as root) owner of the file `like`. FileExistsError; ENOSPC,
        EDQUOT, EFBIG, EROFS, EACCES; after an error the file is removed if that is possible.

        NFS: a full disk shows only when the data are synced, and only once. So this one error is the verdict;
        asking again would get a wrong "yes".
        """

    def link(self, name: str, new: str) -> None:
        """Give a file the further name `new` if nobody has it yet: FileExistsError means somebody was first.

        FileNotFoundError: `name` is gone. The put-if-absent that everything rests on: atomic on every local file
        system and on NFS, where the server decides. After a lost reply the client's own repetition gets
        FileExistsError although it was first: look whose file it is.
        """

    def rename(self, name: str, new: str) -> None:
        """Put a file in the place of another, at one instant. FileNotFoundError.

        NFS: a descriptor that some host holds of the replaced file goes stale there; a new open finds the new one.
        After a lost reply the repetition gets FileNotFoundError although the rename took place.
        """

    def remove(self, name: str) -> None:
        """Remove a file. FileNotFoundError, on NFS also after a lost reply."""

    def make(self, folder: str) -> None:
        """Make a folder with the mode and (as root) the owner of the root folder: who may write there, may here.

        FileExistsError, on NFS also after a lost reply.
        """

    def sync(self, folder: str = "") -> None:
        """Put the names in a folder on the disk.

        Needed on a local file system before anybody relies on a create, link, rename or remove. NFS: nothing to do,
        the server does so before it answers.
        """

    def stat(self, name: str) -> Stamp:
        """The stamp of a file or folder. FileNotFoundError.

        Read after the stamp, contents are at least as new as it. NFS: opens a file for the purpose, since a bare
        stat is answered from the cache; of folders see `stat_is_current`.
        """


def again(call: Callable[[], T], passing: Container[int | None] = frozenset({errno.ESTALE})) -> T:
    """Call, and once more for each ESTALE (replaced on the server meanwhile), a bounded number of times. OSError.

    `passing` are the errors that may be over at the next try. No sync may be tried again after EIO: see `write`.
    """
    for _ in range(READ_TRIES - 1):
        try:
            return call()
        except OSError as error:
            if error.errno not in passing:
                raise
    return call()


def fetch(files: Files, name: str) -> bytes:
    """Read a file that a listing showed. FileNotFoundError, OSError.

    EIO too may be over at the next try: a Linux client of NFS v4.1 answers it while its lease at the server has ended
    (it slept, or was cut off) and is made anew.
    """
    return again(lambda: files.read(name), frozenset({errno.ESTALE, errno.EIO}))


class LocalFiles:
    """The operations as plain system calls of this process. On a hung share each of them hangs."""

    def __init__(self, root: str | Path) -> None:
        """Use the directory `root`, which need not be there yet."""
        self.location = os.path.realpath(root)
        self.stat_is_current = _file_system(self.location) in _LOCAL_FILE_SYSTEMS

    def names(self, folder: str = "") -> list[str]:
        """Names in a folder."""
        return [name for name in os.listdir(self._path(folder)) if not name.startswith(".nfs")]

    def read(self, name: str) -> bytes:
        """The whole contents."""
        fd = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return _contents(fd, name)
        finally:
            os.close(fd)

    def write(self, name: str, pieces: Iterable[bytes], like: str = "") -> None:
        """Create a file, durably."""
        status = os.stat(self._path(like)) if like else None
        path = self._path(name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                descriptors.dress(fd, status)
                descriptors.write(fd, list(pieces))
                os.fsync(fd)
            finally:
                os.close(fd)  # NFS reports a full disk here at the latest
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to report
                os.unlink(path)
            raise

    def link(self, name: str, new: str) -> None:
        """Put if absent."""
        os.link(self._path(name), self._path(new), follow_symlinks=False)

    def rename(self, name: str, new: str) -> None:
        """Replace."""
        os.rename(self._path(name), self._path(new))

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._path(name))

    def make(self, folder: str) -> None:
        """Make a folder."""
        path = self._path(folder)
        os.mkdir(path, 0o700)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            descriptors.dress(fd, os.stat(self.location))
        finally:
            os.close(fd)

    def sync(self, folder: str = "") -> None:
        """Put names on the disk."""
        descriptors.sync_directory(self._path(folder))

    def stat(self, name: str) -> Stamp:
        """The stamp."""
        fd = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return Stamp.of(os.fstat(fd), descriptors.generation(fd))
        finally:
            os.close(fd)

    def _path(self, name: str) -> str:
        return f"{self.location}/{name}"


_LOCAL_FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "zfs", "f2fs", "overlay", "bcachefs"})
"""Those whose attributes no other host changes; any other is taken for a network's."""


def _file_system(path: str) -> str:
    """Type of the file system that holds `path`, proc_pid_mountinfo(5); empty if that cannot be told."""
    found, length = "", -1
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                place, _, rest = line.partition(" - ")
                point = place.split(" ")[4].replace("\\040", " ").rstrip("/") + "/"
                if len(point) >= length and f"{path}/".startswith(point):
                    found, length = rest.split(" ")[0], len(point)
    except (OSError, IndexError):
        return ""
    return found


def _contents(fd: int, name: str) -> bytes:
    size = os.fstat(fd).st_size
    if size > FILE_MAX_BYTES:
        raise OSError(errno.EFBIG, f"{size} bytes, more than {FILE_MAX_BYTES}", name)
    parts = []
    total = 0
    while part := os.read(fd, size + 1):  # one more than expected, so that most files need two reads
        parts.append(part)
        total += len(part)
        if total > FILE_MAX_BYTES:
            raise OSError(errno.EFBIG, f"grows beyond {FILE_MAX_BYTES} bytes", name)
    return parts[0] if len(parts) == 1 else b"".join(parts)
