"""The supervisor: one child process for each service, restarted when it falls, stopped when we are.

Rules of this room:

- A child tells its parent over a status pipe, one JSON object a line: `{"ready": "dhcp 67"}` or `{"faults": [...]}`.
- At the first start every child must become ready; if any cannot, all faults are told at once and all stop.
- Later a child that ends is started again after RESTART_S, doubled up to RESTART_MAX_S, and reset once it has run for
  STEADY_S. The others go on. Each end is an event `service.crashed` with the exit reason.
- SIGTERM and SIGINT stop the children in reverse order of start, so that the journal is the last to go and keeps their
  last words; who does not stop in STOP_S is killed. SIGHUP is passed on to all.
- One thread, one `select`; signals arrive over a wake-up descriptor.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from twinboot.faults import Stop

__all__ = ["PARENT_VARIABLE", "STATUS_VARIABLE", "Supervisor"]

STATUS_VARIABLE = "TWINBOOT_STATUS_FD"
PARENT_VARIABLE = "TWINBOOT_PARENT"
RESTART_S = 0.5
RESTART_MAX_S = 30.0
STEADY_S = 60.0
STOP_S = 5.0
START_S = 60.0  # a share that hangs at the first start is a fault to tell, not a reason to wait for ever
STATUS_BYTES_MAX = 64 * 1024
REASON_CHARS_MAX = 300
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass
class Child:
    """One service as the supervisor sees it."""

    name: str
    argv: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    status: int = -1
    heard: bytes = b""
    ready: str = ""
    faults: list[str] = field(default_factory=list)
    started: float = 0.0
    delay_s: float = RESTART_S
    restart_at: float | None = None

    @property
    def pid(self) -> int:
        """Process id, 0 when it does not run."""
        return self.process.pid if self.process else 0


def exit_reason(returncode: int, faults: Sequence[str]) -> str:
    """Why a child ended, in words."""
    if returncode < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-returncode).name}"
    return "; ".join(faults)[:REASON_CHARS_MAX] or f"exit code {returncode}"


class Supervisor:
    """Runs `commands` (service name -> argv, in order of start) until told to stop."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        emit: Callable[..., None],
        when_ready: Callable[[list[str]], None],
        warn: Callable[[str], None],
    ) -> None:
        self._children = [Child(name, argv) for name, argv in commands.items()]
        self._emit = emit
        self._when_ready = when_ready
        self._warn = warn
        self._selector = selectors.DefaultSelector()
        self._started = False
        self._stopping = False

    def run(self) -> None:
        """Start everything and return after a clean stop. Stop with all faults if the first start fails."""
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)
        before = {number: signal.signal(number, _ignore) for number in SIGNALS}
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ)
        try:
            self._loop(reader)
        finally:
            self._stop_all()
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            reader.close()
            writer.close()

    def _loop(self, wakeup: socket.socket) -> None:
        for child in self._children:
            self._start(child)
        give_up_at = time.monotonic() + START_S
        while not self._stopping:
            for key, _ in self._selector.select(self._wait_s(give_up_at)):
                if key.fileobj is wakeup:
                    self._on_signals(wakeup.recv(256))
                else:
                    self._on_status(key.data)
            self._reap()
            if not self._started:
                self._judge_start(give_up_at)

    def _wait_s(self, give_up_at: float) -> float | None:
        times = [child.restart_at for child in self._children if child.restart_at is not None]
        if not self._started:
            times.append(give_up_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _on_signals(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._stopping = True
        elif signal.SIGHUP in numbers:
            for child in self._children:
                if child.process and child.ready:  # before that it has no handler and would die of it
                    child.process.send_signal(signal.SIGHUP)

    def _start(self, child: Child) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        environment = {**os.environ, STATUS_VARIABLE: str(writer), PARENT_VARIABLE: str(os.getpid())}
        child.process = subprocess.Popen(
            child.argv, stdin=subprocess.DEVNULL, env=environment, pass_fds=(writer,), start_new_session=True
        )
        os.close(writer)
        child.status, child.heard, child.ready, child.faults = reader, b"", "", []
        child.started, child.restart_at = time.monotonic(), None
        self._selector.register(reader, selectors.EVENT_READ, child)
        self._emit("service.started", detail=child.name, pid=child.pid)

    def _on_status(self, child: Child) -> None:
        try:
            data = os.read(child.status, STATUS_BYTES_MAX)
        except BlockingIOError:
            return
        if not data:
            self._close_status(child)
            return
        *lines, child.heard = (child.heard + data)[-STATUS_BYTES_MAX:].split(b"\n")
        for line in lines:
            try:
                said: dict[str, Any] = json.loads(line)
            except ValueError:
                continue  # a child's library wrote to our descriptor: not worth the other services
            child.ready = said.get("ready", child.ready)
            child.faults += said.get("faults", [])

    def _close_status(self, child: Child) -> None:
        if child.status >= 0:
            self._selector.unregister(child.status)
            os.close(child.status)
            child.status = -1

    def _reap(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= now:
                self._start(child)
            elif child.process and child.process.poll() is not None:
                self._bury(child)
                if self._started and not self._stopping:
                    self._plan_restart(child, now)

    def _bury(self, child: Child) -> None:
        """Read the last words of a child that ended, and forget the process."""
        while child.status >= 0:
            self._on_status(child)
        assert child.process is not None
        reason = exit_reason(child.process.returncode, child.faults)
        child.process = None
        if self._stopping:
            self._emit("service.stopped", detail=child.name)
        else:
            child.faults = child.faults or [f"{child.name}: {reason}"]
            self._emit("service.crashed", detail=child.name, reason=reason)

    def _plan_restart(self, child: Child, now: float) -> None:
        if now - child.started >= STEADY_S:
            child.delay_s = RESTART_S
        child.restart_at = now + child.delay_s
        self._warn(f"{child.faults[0]}; starting {child.name} again in {child.delay_s:g} s")
        child.delay_s = min(child.delay_s * 2, RESTART_MAX_S)

    def _judge_start(self, give_up_at: float) -> None:
        running = [child for child in self._children if child.process]
        if all(child.ready for child in self._children) and len(running) == len(self._children):
            self._started = True
            self._when_ready([child.ready for child in self._children])
            return
        undecided = [child.name for child in running if not child.ready and not child.faults]
        late = time.monotonic() >= give_up_at
        if (len(running) < len(self._children) and not undecided) or late:
            faults = [fault for child in self._children for fault in child.faults]
            faults += [f"{name}: not ready after {START_S:g} s; does the share answer?" for name in undecided]
            raise Stop(*dict.fromkeys(faults))

    def _stop_all(self) -> None:
        self._stopping = True
        for child in reversed(self._children):
            child.restart_at = None
            if child.process is None:
                continue
            child.process.terminate()
            try:
                child.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._warn(f"{child.name} did not stop in {STOP_S:g} s and was killed")
                child.process.kill()
                child.process.wait()
            self._bury(child)


def _ignore(number: int, frame: object) -> None:
    """Let the wake-up descriptor tell; a default action would end us."""
    del number, frame
