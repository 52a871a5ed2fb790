"""The boot tree: names from the network to open regular files, never outside one directory.

Rules of the room:

* A name is cut into parts before anything is opened. Leading slashes are dropped (PXE ROMs and GRUB
  ask for `/grub/x`), backslashes are slashes (Windows boot loaders), `.` and empty parts vanish.
  `..`, NUL and over-long names are refused: no boot loader needs them.
* The kernel keeps us inside: openat2(2) with RESOLVE_BENEATH follows a symlink only while every step
  of it stays below the root. Kernels before 5.6, and seccomp filters that hide the call, get the same
  answer from a walk over directory descriptors with O_NOFOLLOW. An absolute symlink is refused by
  both, wherever it points: make it relative.
* Only regular files are served. The open never blocks (a FIFO would) and the type is asked of the open
  descriptor, so nothing can be swapped in between.
* The root is opened for each request, so that a share which is mounted late, or again, is seen.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections import deque
from pathlib import Path

from pxe.content import Content, FileContent, Refused, Why

MAX_NAME_BYTES = 1024  # a TFTP request is at most 512 bytes (RFC 2347), an HTTP path hardly longer
MAX_LINKS = 16  # symlinks followed for one name; the kernel stops at 40, an honest tree needs one or two
MAX_TRIES = 4  # openat2 says EAGAIN when a rename races with it
SHOWN_CHARS = 80  # of a name, in a message

_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_DIR_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_SYS_OPENAT2 = 437  # one number on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08

_REASONS: dict[int, tuple[Why, str]] = {
    errno.ENOENT: (Why.NOT_FOUND, "is not there"),
    errno.ENOTDIR: (Why.NOT_FOUND, "is not there"),
    errno.ENAMETOOLONG: (Why.NOT_FOUND, "is not there: its name is too long"),
    errno.EISDIR: (Why.ACCESS, "is a directory: ask for a file in it"),
    errno.EACCES: (Why.ACCESS, "may not be read by the server: chmod a+r it, and a+x its directories"),
    errno.EPERM: (Why.ACCESS, "may not be read by the server: chmod a+r it, and a+x its directories"),
    errno.EXDEV: (Why.ACCESS, "is a symlink that leaves the boot tree or is absolute: make it relative"),
    errno.ELOOP: (Why.ACCESS, "is a loop of symlinks"),
    errno.ENXIO: (Why.ACCESS, "is not a regular file"),
}
_MISSING_ROOT = (errno.ENOENT, errno.ENOTDIR)


class _OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW = _OpenHow(_OPEN_FLAGS, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
_HOW_BYTES = ctypes.c_size_t(ctypes.sizeof(_HOW))
_libc = ctypes.CDLL(None, use_errno=True)


def tidy_name(requested: str) -> str:
    """The name inside the tree, parts joined by '/'. Raises Refused for names that no tree can hold."""
    if len(os.fsencode(requested)) > MAX_NAME_BYTES:
        raise Refused(Why.NOT_FOUND, f"{shown(requested)} is longer than {MAX_NAME_BYTES} bytes")
    if "\0" in requested:
        raise Refused(Why.ACCESS, f"{shown(requested)} holds a NUL")
    parts = [part for part in requested.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused(Why.ACCESS, f"{shown(requested)} climbs with '..': name the file from the root")
    if not parts:
        raise Refused(Why.NOT_FOUND, "the name is empty: ask for a file")
    return "/".join(parts)


def shown(name: str) -> str:
    """The name as one short printable piece of a message, whatever bytes it has."""
    cut = name if len(name) <= SHOWN_CHARS else name[: SHOWN_CHARS - 3] + "..."
    return ascii(cut)


def open_beneath(root_fd: int, name: str) -> int:
    """Open `name` by openat2. Raises OSError; ENOSYS or EPERM-like where the kernel has no such call."""
    for _ in range(MAX_TRIES):
        fd = _libc.syscall(_SYS_OPENAT2, root_fd, os.fsencode(name), ctypes.byref(_HOW), _HOW_BYTES)
        if fd >= 0:
            return int(fd)
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code))


def open_by_walk(root_fd: int, name: str) -> int:
    """Open `name` part by part, each with O_NOFOLLOW, following relative symlinks that stay inside.

    Raises OSError with the codes openat2 would give: EXDEV for a way out, ELOOP for too many links.
    """
    parts = deque(name.split("/"))
    stack = [os.dup(root_fd)]
    links = 0
    try:
        while True:
            part = parts.popleft()
            if part == "..":
                if len(stack) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                os.close(stack.pop())
                continue
            try:
                target = os.readlink(part, dir_fd=stack[-1])
            except OSError as error:
                if error.errno != errno.EINVAL:  # EINVAL: it is there and is no link
                    raise
                if not parts:
                    return os.open(part, _OPEN_FLAGS | os.O_NOFOLLOW, dir_fd=stack[-1])
                stack.append(os.open(part, _DIR_FLAGS | os.O_NOFOLLOW, dir_fd=stack[-1]))
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if target.startswith("/"):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            parts.extendleft(reversed([step for step in target.split("/") if step not in ("", ".")] or ["."]))
    finally:
        for fd in stack:
            os.close(fd)


def has_openat2() -> bool:
    """Whether this kernel (and its seccomp filter, if any) lets us use openat2."""
    try:
        os.close(open_beneath(-100, "."))  # AT_FDCWD
    except OSError:
        return False
    return True


def close(content: Content) -> None:
    """Give back the descriptor of a file; a text has none."""
    if isinstance(content, FileContent):
        os.close(content.fd)


class BootTree:
    """The files below one directory. `open` may be called from any thread."""

    def __init__(self, root: Path | str, *, openat2: bool | None = None) -> None:
        self.root = str(root)
        kernel_helps = has_openat2() if openat2 is None else openat2
        self._open_inside = open_beneath if kernel_helps else open_by_walk

    def open(self, name: str) -> FileContent:
        """The regular file of that name, open; the caller closes it. Raises Refused."""
        tidy = tidy_name(name)
        try:
            root_fd = os.open(self.root, _DIR_FLAGS)
        except OSError as error:
            hint = "is the share mounted?" if error.errno in _MISSING_ROOT else "check the share"
            text = f"the boot tree {self.root} cannot be opened ({error.strerror}): {hint}"
            raise Refused(Why.UNAVAILABLE, text) from None
        try:
            fd = self._open_inside(root_fd, tidy)
        except OSError as error:
            raise _refusal(tidy, error) from None
        finally:
            os.close(root_fd)
        return _checked(fd, tidy)


def _checked(fd: int, name: str) -> FileContent:
    try:
        status = os.fstat(fd)
    except OSError as error:
        os.close(fd)
        raise _refusal(name, error) from None
    if stat.S_ISREG(status.st_mode):
        return FileContent(fd, status.st_size, name, status.st_mtime_ns)
    os.close(fd)
    code = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.ENXIO
    raise _refusal(name, OSError(code, ""))


def _refusal(name: str, error: OSError) -> Refused:
    why, what = _REASONS.get(error.errno or 0, (Why.UNAVAILABLE, f"cannot be opened: {error.strerror}"))
    return Refused(why, f"{shown(name)} {what}")
