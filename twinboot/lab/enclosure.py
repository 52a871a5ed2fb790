"""Private namespaces that stay while their owner does, entered by one program at a time.

`isolate` runs one command inside; this is for an owner that stays outside, such as a test run that starts and ends many
programs. A holder process is the first of its process table and ends with its owner by a parent-death signal
(prctl(2)), SIGKILL of the owner included; its end is the end of every program inside, of all links and of all mounts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from twinboot.lab.isolate import LabError

__all__ = ["Enclosure", "Program"]

READY_TIMEOUT_S = 10.0
END_TIMEOUT_S = 10.0
POLL_S = 0.02
RUN_TIMEOUT_S = 60.0

_UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_HOLD = "mount -t tmpfs -o mode=755 twinboot-lab /run && ip link set lo up && echo ready && exec sleep infinity"


class Program:
    """A program inside. It leads a process group of its own, and only that group is ever signalled."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the program and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    @property
    def inside_pid(self) -> int:
        """Process id, as seen from outside, of the program itself: nsenter(1) waits for it."""
        return _only_child(self.process.pid)

    def kill(self) -> None:
        """End it at once and wait for that."""
        self.signal(signal.SIGKILL)
        self.process.wait(END_TIMEOUT_S)

    def ask_to_end(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """SIGTERM, then SIGKILL after `timeout_s`; return its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode


class Enclosure:
    """A context manager: namespaces for network, mounts and processes, with a /run of its own. Needs root."""

    def __init__(self) -> None:
        self._holder: subprocess.Popen[str] | None = None
        self._inside = 0

    def __enter__(self) -> Enclosure:
        """Make the namespaces. LabError when this machine refuses."""
        command = ["setpriv", "--pdeathsig", "KILL", *_UNSHARE, "sh", "-c", _HOLD]
        self._holder = holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert holder.stdout
        assert holder.stderr
        if holder.stdout.readline().strip() != "ready":
            raise LabError(f"private namespaces cannot be made: {holder.stderr.read().strip()}: run this as root")
        self._inside = _only_child(holder.pid)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """End everything inside."""
        if self._holder:
            self._holder.kill()
            self._holder.communicate()
            self._holder = None

    def command(self, argv: Sequence[str], namespace: str = "") -> list[str]:
        """The command line that runs `argv` inside, in one of its named network namespaces if one is given."""
        within = ("ip", "netns", "exec", namespace) if namespace else ()
        return ["nsenter", "--target", str(self._inside), "--mount", "--net", "--pid", "--", *within, *argv]

    def run(self, *argv: str, namespace: str = "", timeout_s: float = RUN_TIMEOUT_S) -> str:
        """Run a program to its end and return what it printed. LabError with its own words when it fails."""
        command = self.command(argv, namespace)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
        if done.returncode:
            raise LabError(f"`{' '.join(argv)}` failed in the lab: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def start(
        self,
        argv: Sequence[str],
        namespace: str = "",
        environment: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = subprocess.DEVNULL,
    ) -> Program:
        """Start a program; its stderr goes where its stdout goes."""
        process = subprocess.Popen(
            self.command(argv, namespace),
            env={**os.environ, **(environment or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return Program(process)


def _only_child(pid: int) -> int:
    """The process that unshare(1) forked, as we see it from outside."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        found = children.read_text().split()
        if found:
            return int(found[0])
        time.sleep(POLL_S)
    raise LabError("the lab's namespaces have no first process; please report this")
