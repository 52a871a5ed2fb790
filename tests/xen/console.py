"""What is typed and what is seen: each line tells what happened and when."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = Path(sys.executable).parent
BOOT_S, GUEST_S, LEAVE_S, SLOW_S = 400.0, 240.0, 3.0, 2.0
STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:7.1f}  {text}", flush=True)


def check(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"VERDICT: failed: {what}")
    say(f"ok: {what}")


class Console:
    """The guest's console on a terminal of ours."""

    def __init__(self, *argv: str) -> None:
        typed(argv)
        self._terminal, inner = pty.openpty()
        command = [str(PROGRAMS / argv[0]), *argv[1:]]
        self._process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
        os.close(inner)
        self._seen = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the command has ended
            while piece := os.read(self._terminal, 4096):
                self._seen += piece.decode(errors="replace")

    def expect(self, pattern: str, timeout_s: float = GUEST_S) -> re.Match[str]:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if match := re.search(pattern, self._seen):
                self._seen = self._seen[match.end() :]
                say(f"console: {match[0].strip()}")
                return match
            time.sleep(0.1)
        raise SystemExit(f"VERDICT: failed: the console says no {pattern!r}: {self._seen[-1500:]}")

    def type(self, line: str) -> None:
        os.write(self._terminal, line.encode() + b"\n")

    def close(self) -> None:
        """Leave as a person does, by Ctrl-]."""
        os.write(self._terminal, b"\x1d")
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def typed(argv: Iterable[str]) -> None:
    say(f"$ {shlex.join(argv)}")


def does(*argv: str, code: int = 0) -> str:
    """Type a command, show what it says, see that it ends as it should."""
    typed(argv)
    began = time.monotonic()
    done = subprocess.run(
        [str(PROGRAMS / argv[0]), *argv[1:]], capture_output=True, text=True, check=False, timeout=BOOT_S
    )
    for line in (done.stdout + done.stderr).splitlines():
        print(f"         {line}")
    if done.returncode != code:
        raise SystemExit(f"VERDICT: failed: {argv[0]} ended with {done.returncode}, not {code}")
    if time.monotonic() - began > SLOW_S:
        say(f"({time.monotonic() - began:.1f} s)")
    return done.stdout + done.stderr
