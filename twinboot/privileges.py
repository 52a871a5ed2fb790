"""Giving up root, for good, once the sockets are bound; and dying with the supervisor.

Order matters (setuid(2), prctl(2)): supplementary groups, group, user, in that order; then a check that root cannot be
taken back; then PR_SET_NO_NEW_PRIVS. PR_SET_PDEATHSIG is set last, because a change of credentials clears it.
"""

from __future__ import annotations

import ctypes
import getpass
import os
import pwd
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from twinboot.faults import Stop

__all__ = ["account", "acting_as", "die_with_parent", "drop", "typist"]

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
LIBC = ctypes.CDLL(None, use_errno=True)


def account(user: str) -> tuple[int, int] | None:
    """(uid, gid) of the account that services run as when root starts them; None when not root. Stop if unknown."""
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise Stop(f"server.user: no account {user!r}: create it (adduser --system {user}) or name another") from None
    return found.pw_uid, found.pw_gid


def typist() -> str:
    """The account of who types: also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return os.environ.get("USER") or getpass.getuser()


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Do a command's work on the share as the account of the services, so that what it writes is theirs.

    Without root, or when services run as root, nothing changes. Stop if the account is unknown.
    """
    ids = account(user)
    if ids is None or ids[0] == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(user, ids[1]))
    os.setegid(ids[1])
    os.seteuid(ids[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def drop(user: str) -> None:
    """Become `user` with no way back. Without root, only forbid new privileges. Stop if the kernel refuses."""
    ids = account(user)
    try:
        if ids is not None and ids[0] != 0:
            uid, gid = ids
            os.setgroups(os.getgrouplist(user, gid))
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            _check_gone()
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        raise Stop(f"cannot become {user!r}: {error.strerror}; start as root, or as {user} itself") from error


def _check_gone() -> None:
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise Stop("root could be taken back after dropping it: refusing to serve")


def die_with_parent(parent: int) -> None:
    """Be sent SIGTERM when process `parent` ends; end at once if it already has."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)


def _prctl(option: int, value: int) -> None:
    if LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
