"""The daemon's end of one share worker: at most one call at a time, and no wait without an end."""

import os
import select
import signal
import time
from contextlib import suppress
from typing import Any, Final

from storage.records import worker_wire as wire
from storage.records.port import Epoch
from storage.records.worker_process import OPENING, RECEIVE_BYTES, Opener, start

FLOW_S = 0.1
"""While pieces of a long message go over, the share is not what is waited for: so long for each further piece."""

_NUMBER_MAX: Final = 0xFFFFFFFF
Answer = tuple[str, Any]
"""Value of an `Outcome` and a line for people; or "" and what was asked for."""


class GoneError(Exception):
    """The worker is no more."""


class Link:
    """A worker that has been forked, and the connection to it. Callers lock."""

    def __init__(self, opener: Opener) -> None:
        """Fork it; OSError. The first answer to be had is how opening went."""
        self.pid, self._connection = start(opener)
        self.born = self.asked = time.monotonic()
        """When it was forked, and when it was last asked something."""
        self.pending: int | None = OPENING
        """Number of the call that it has not answered yet."""
        self.epoch: Epoch | None = None
        """That of the datastore, as it came with the last answer that told one."""
        self._number = OPENING
        self._inbox = wire.Inbox()
        self._unsent = memoryview(b"")
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)

    def is_quiet(self) -> bool:
        """Tell whether nothing is pending and nothing came in: it can be asked."""
        return self.pending is None and not self._poll.poll(0)

    def ask(self, method: str, arguments: tuple[object, ...], patience_s: float) -> None:
        """Begin a call, which the worker will not begin itself after `patience_s`; TooLongError, GoneError."""
        assert self.pending is None
        self.asked = time.monotonic()
        number = self._number % _NUMBER_MAX + 1
        message = wire.pack(number, (method, arguments, self.asked + patience_s))
        self._number = self.pending = number
        self._unsent = memoryview(message)
        self._send()

    def answer(self, patience_s: float) -> Answer | None:
        """The answer to the pending call; None when nothing has moved for that long. GoneError."""
        until = time.monotonic() + patience_s
        while True:  # ends when the worker has neither taken nor given anything for a while; messages are bounded
            message = self._take()
            if message is not None:
                number, (outcome, value, epoch) = message
                if epoch is not None:
                    self.epoch = Epoch(*epoch)
                if number == self.pending:
                    self.pending = None
                    return (outcome, value)
            elif self._send() or self._receive():
                until = max(until, time.monotonic() + FLOW_S)
            elif not self._poll.poll(max(until - time.monotonic(), 0.0) * 1000):
                return None

    def kill(self) -> None:
        """Kill it. That it is dead shows when the connection ends; a hung share may hold it back."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def close(self, patience_s: float) -> int | None:
        """Hang up, upon which it ends when it has done what it is at; its exit code, None if that is not known yet."""
        self._connection.close()
        return exit_code(self.pid, patience_s)

    def _take(self) -> tuple[int, Any] | None:
        try:
            return self._inbox.take()
        except wire.TooLongError:
            self.kill()
            raise GoneError from None

    def _send(self) -> bool:
        if not self._unsent:
            return False
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            self._poll.modify(self._connection, select.POLLIN | select.POLLOUT)
            return False
        except ConnectionError:
            raise GoneError from None
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._poll.modify(self._connection, select.POLLIN)
        return True

    def _receive(self) -> bool:
        try:
            piece = self._connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except ConnectionError:
            raise GoneError from None
        if not piece:
            raise GoneError
        self._inbox.feed(piece)
        return True


def exit_code(pid: int, patience_s: float) -> int | None:
    """How a child of ours ended, as `os.waitstatus_to_exitcode` tells it; None if it has not within that time."""
    try:
        watch = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(watch, select.POLLIN)
            poll.poll(patience_s * 1000)
        finally:
            os.close(watch)
        found, status = os.waitpid(pid, os.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        return 0  # somebody else has waited for it
    return os.waitstatus_to_exitcode(status) if found else None
