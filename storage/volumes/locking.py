"""One at a time: locks between processes of one machine, which the kernel opens when their holder dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from storage.volumes.local_tools import os_failed
from storage.volumes.port import Outcome, VolumesError

LOCK_TIMEOUT_S = 10.0
LOCK_POLL_S = 0.01


def locked(fd: int) -> bool:
    """Take the lock of an open file or directory, if nobody has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def held(path: Path, what: object, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Have the lock that is the file `path`; BUSY if others keep it too long. An OSError inside becomes the port's."""
    fd = -1
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        deadline = time.monotonic() + timeout_s
        while not locked(fd):
            if time.monotonic() >= deadline:
                raise VolumesError(Outcome.BUSY, f"{what}: another command holds the store: try again")
            time.sleep(LOCK_POLL_S)
        yield
    except OSError as error:
        raise os_failed(error, error.filename or path) from error
    finally:
        if fd >= 0:
            os.close(fd)
