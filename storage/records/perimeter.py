"""The exclusive perimeter around one container: Sun's lock, shared with every process and host that honours it.

The lock is an fcntl record lock over the whole of `.<container>.lock` in the container's directory, as Sun's
`dsvclockd` takes it: mode 0600, never unlinked (two hosts would then lock two different files). On NFS the server
arbitrates. Two traps of POSIX locks shape this module: they belong to the process, so threads need a mutex as well;
and closing *any* descriptor of the file drops them, so a process has at most one open at a time. The kernel drops
the lock of a process that dies.
"""

import contextlib
import fcntl
import os
import random
import threading
import time
from collections.abc import Iterator

from storage.records.durable import records_error
from storage.records.port import Outcome, RecordsError

POLL_MIN_S = 0.001
POLL_MAX_S = 0.02
"""A waiter looks again after a millisecond at first, then less often: fcntl has no wait with a time-out."""

_mutexes: dict[str, threading.Lock] = {}
_mutexes_guard = threading.Lock()


def _begin_anew() -> None:
    """A forked child has none of its parent's locks, but copies of its mutexes, held by threads it has not."""
    global _mutexes_guard  # noqa: PLW0603 - the only state a fork must reset
    _mutexes_guard = threading.Lock()
    _mutexes.clear()


os.register_at_fork(after_in_child=_begin_anew)


@contextlib.contextmanager
def perimeter(lock_path: str, timeout_s: float) -> Iterator[None]:
    """Hold the container's lock. RecordsError BUSY after `timeout_s`; DENIED, UNAVAILABLE if it cannot be taken.

    `lock_path` must be a real path: it also names the mutex between threads.
    """
    deadline = time.monotonic() + timeout_s
    with _mutexes_guard:
        mutex = _mutexes.setdefault(lock_path, threading.Lock())
    if not mutex.acquire(timeout=timeout_s):
        raise _busy(lock_path)
    try:
        fd = _locked_descriptor(lock_path, deadline)
        try:
            yield
        finally:
            os.close(fd)
    finally:
        mutex.release()


def _locked_descriptor(lock_path: str, deadline: float) -> int:
    while True:  # ends at the deadline
        try:
            fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise records_error(error, lock_path) from error
        try:
            _wait(fd, lock_path, deadline)
            if os.path.samestat(os.fstat(fd), os.stat(lock_path)):
                return fd
        except FileNotFoundError:
            pass  # somebody tidied the lock file away while we waited: lock the one that others will find
        except OSError as error:
            os.close(fd)
            raise records_error(error, lock_path) from error
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        if time.monotonic() >= deadline:
            raise _busy(lock_path)


def _wait(fd: int, lock_path: str, deadline: float) -> None:
    pause_s = POLL_MIN_S
    while True:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # POSIX allows either for "held by another"
            if time.monotonic() >= deadline:
                raise _busy(lock_path) from error
        else:
            return
        time.sleep(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(pause_s * 2, POLL_MAX_S)


def _busy(lock_path: str) -> RecordsError:
    return RecordsError(
        Outcome.BUSY, f"{lock_path}: held by another process: try again; `fuser` on its host tells which"
    )
