"""Events: what a service says happened, sent to the journal over a Unix datagram socket.

Rules of this room:

- `emit` never blocks and never raises: a service must not slow down or fall because the journal is slow or gone.
- The first try is a direct send. While the kernel's queue is full (ten datagrams on a stock kernel) events wait in a
  bounded queue that one thread empties; beyond that bound they are dropped and counted, and the count itself is sent
  as `journal.dropped` as soon as something gets through.
- An event is one JSON object of at most EVENT_BYTES_MAX: `at` (Unix seconds), `kind`, and fields of plain values.
  Texts are cut at TEXT_CHARS_MAX: what the network said may be long and hostile.
"""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["EVENT_BYTES_MAX", "Emit", "Emitter", "Event", "bind_socket", "decode", "encode", "tell_journal"]

EVENT_BYTES_MAX = 8192
TEXT_CHARS_MAX = 512
FIELDS_MAX = 32
WAITING_MAX = 4096  # events held while the journal is busy: about a second of a busy server
RETRY_S = 0.05
SEND_TIMEOUT = struct.pack("@ll", 0, 250_000)  # timeval: how long one send may wait in the kernel
CLOSE_S = 0.5
COMMAND = "command"
"""The service that events of commands name."""

Event = dict[str, Any]
Emit = Callable[..., None]
"""`emit(kind, **fields)`, as those see it who report events and leave their sending to others."""


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text[:TEXT_CHARS_MAX]


def encode(kind: str, at: float, fields: dict[str, object]) -> bytes:
    """One event as a datagram."""
    event = {"at": at, "kind": kind}
    event.update((name, _plain(value)) for name, value in list(fields.items())[:FIELDS_MAX] if value is not None)
    data = json.dumps(event, separators=(",", ":")).encode()
    return data if len(data) <= EVENT_BYTES_MAX else encode(kind, at, {"detail": "event too large to keep"})


def decode(data: bytes) -> Event | None:
    """The event in a datagram, or None: anything on this machine that may write the socket could have sent it."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
        return None
    at = event.get("at")
    if isinstance(at, bool) or not isinstance(at, int | float) or not math.isfinite(at):
        return None
    return {name: _plain(value) for name, value in event.items()}


def bind_socket(path: Path, owner: tuple[int, int] | None = None) -> socket.socket:
    """The journal's end of the socket at `path` (replacing a left-over one), writable by its owner only."""
    path.unlink(missing_ok=True)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    before = os.umask(0o177)
    try:
        receiver.bind(str(path))
    finally:
        os.umask(before)
    if owner:
        os.chown(path, *owner)
    return receiver


def tell_journal(path: Path, events: Iterable[tuple[str, Mapping[str, object]]]) -> None:
    """Send what a command has to tell, kind and fields of each; never raises. For a process that is about to end.

    A busy journal is waited for as long as one send may take; one that is not there is not, and hears nothing.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as patient:
        patient.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIMEOUT)
        with suppress(OSError):
            for kind, fields in events:
                patient.sendto(encode(kind, time.time(), {**fields, "service": COMMAND}), str(path))


class Emitter:
    """Sends the events of one process. Calling it is `emit(kind, **fields)`; safe from any thread."""

    def __init__(self, path: Path, service: str, clock: Callable[[], float] = time.time) -> None:
        self._path = str(path)
        self._service = service
        self._clock = clock
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._waiting: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._closed = False
        self._close_at = 0.0
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def __call__(self, kind: str, **fields: object) -> None:
        """Report one event; never blocks, never raises."""
        fields.setdefault("service", self._service)
        data = encode(kind, self._clock(), fields)
        with self._lock:
            if not self._waiting and self._send(data):
                return
            if len(self._waiting) >= WAITING_MAX or self._closed:
                self.dropped += 1
                return
            self._waiting.append(data)
            self._begin_thread()
        self._some.set()

    def close(self) -> None:
        """Give what waits a last chance of CLOSE_S, then let go."""
        with self._lock:
            self._closed = True
            self._close_at = time.monotonic() + CLOSE_S
            thread = self._thread
        self._some.set()
        if thread:
            thread.join(2 * CLOSE_S)
        self._socket.close()

    def _begin_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._drain, name="events", daemon=True)
            self._thread.start()

    def _send(self, data: bytes) -> bool:
        try:
            self._socket.sendto(data, self._path)
        except OSError:
            return False
        return True

    def _drain(self) -> None:
        """Send what waits, oldest first; only this thread takes from the queue. A full kernel queue lets it sleep."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as patient:
            patient.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIMEOUT)
            while True:
                self._some.wait()
                self._drain_some(patient)
                with self._lock:
                    if self._closed and (not self._waiting or time.monotonic() >= self._close_at):
                        return
                    if not self._waiting and not self._closed:
                        self._some.clear()

    def _drain_some(self, patient: socket.socket) -> None:
        try:
            if self.dropped:
                with self._lock:
                    count, self.dropped = self.dropped, 0
                told = encode("journal.dropped", self._clock(), {"service": self._service, "count": count})
                self._told_dropped(patient, told, count)
            for _ in range(len(self._waiting)):
                patient.sendto(self._waiting[0], self._path)
                self._waiting.popleft()
        except BlockingIOError:
            return  # the wait in the kernel timed out: the journal is slow
        except OSError:
            time.sleep(RETRY_S)  # the journal is not there

    def _told_dropped(self, patient: socket.socket, told: bytes, count: int) -> None:
        try:
            patient.sendto(told, self._path)
        except OSError:
            with self._lock:
                self.dropped += count
            raise
