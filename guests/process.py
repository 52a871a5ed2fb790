"""Which command is at work: this one, and whether another one still lives. A process is known by machine, number and
the moment it began, so that a number given out again is not taken for it."""

import os
import socket
from pathlib import Path

from guests.guest import Work

_STARTED_FIELD = 19
"""Of /proc/PID/stat after the command's name: when the process began, in ticks since boot; proc(5)."""


def work_here(command: str, steps: tuple[str, ...]) -> Work:
    """The work of this process."""
    pid = os.getpid()
    return Work(command, socket.gethostname(), pid, _began(pid), steps)


def is_alive(work: Work) -> bool | None:
    """Whether the command still runs; None if it runs, or ran, on another machine."""
    if work.node != socket.gethostname():
        return None
    return work.began != 0 and _began(work.pid) == work.began


def _began(pid: int) -> int:
    """When a process of this machine began, in its own ticks; 0 if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[_STARTED_FIELD])
