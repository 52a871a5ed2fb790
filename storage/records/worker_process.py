"""The share worker: a forked process that owns every descriptor on the share, and does one call after the other.

It is forked before anything on the share is open. It keeps nothing of its parent's but one end of a socket pair:
whatever else was open (the sockets of the service, the one to the journal) is replaced by /dev/null, so that neither
a port stays bound nor a message is stolen through it. It has no thread of its own.

Who wants it gone closes the socket, and it ends when it looks; the kernel kills it at once when its parent (to be
exact: the thread that forked it) dies, which helps even against a call that hangs in the share. Signals meant for the
service, which systemd or a terminal sends to the whole group, are ignored.
"""

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, Final, NoReturn

from storage.records import worker_wire as wire
from storage.records.port import Epoch, Outcome, Records, RecordsError

NAME = b"twinboot-share"
"""What ps(1) shows."""

TEND_S = 1.0
"""How often a datastore that keeps house gets the time to."""

OPENING: Final = 0
"""Number of the message by which a worker tells how opening went."""

RECEIVE_BYTES = 1 << 16
STDERR = 2
EXIT_ORPHANED = 0
EXIT_BUG = 70  # EX_SOFTWARE, sysexits.h

GC_THRESHOLDS: Final = (50_000, 20, 50)
"""A datastore holds many values that never point at one another in a circle; looking for circles is time lost."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_IGNORED: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

Opener = Callable[[], Records]


def start(opener: Opener) -> tuple[int, socket.socket]:
    """Fork a worker for the datastore that `opener` opens; its process id and our end of the connection. OSError.

    Its first message says how opening went, and where the datastore is; it looks like the answer to a call.
    """
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid == 0:
        _child(opener, theirs, parent)
    theirs.close()
    ours.setblocking(False)
    return pid, ours


def _child(opener: Opener, connection: socket.socket, parent: int) -> NoReturn:
    try:
        _settle_in(connection, parent)
        _Worker(connection).run(opener)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(EXIT_ORPHANED)
    except BaseException:  # noqa: BLE001 - nothing may return into the copy of the parent's code
        os.write(STDERR, traceback.format_exc().encode(errors="replace"))
        os._exit(EXIT_BUG)
    os._exit(EXIT_ORPHANED)


def _settle_in(connection: socket.socket, parent: int) -> None:
    """Become a process of our own."""
    signal.set_wakeup_fd(-1)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _LIBC.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    _LIBC.prctl(_PR_SET_NAME, ctypes.c_char_p(NAME), 0, 0, 0)
    if os.getppid() != parent:
        raise BrokenPipeError  # it died before we asked to be told
    gc.freeze()  # the parent's values are not ours to tidy away
    gc.set_threshold(*GC_THRESHOLDS)
    _let_go(connection.fileno())


def _let_go(kept: int) -> None:
    """Replace every descriptor but stderr and `kept` by /dev/null. The numbers stay taken, so that a copy of a
    parent's object that is tidied away late closes nothing of ours."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number not in (kept, null, STDERR):
            with contextlib.suppress(OSError):  # the listing's own is gone by now
                os.fstat(number)
                os.dup2(null, number, inheritable=False)


class _Worker:
    """The loop."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._inbox = wire.Inbox()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def run(self, opener: Opener) -> None:
        """Open the datastore and do what is asked, until the other end is gone."""
        try:
            records = opener()
        except RecordsError as error:
            self._answer(OPENING, (*_said(error), None))
            return
        self._answer(OPENING, ("", records.location, _plain(records.epoch())))
        tended = time.monotonic()
        while True:
            wait_s = tended + TEND_S - time.monotonic()
            if wait_s <= 0:
                with contextlib.suppress(RecordsError):  # the next call tells who asked
                    records.tend()
                tended = time.monotonic()
            elif self._poll.poll(wait_s * 1000) and not self._hear(records):
                return

    def _hear(self, records: Records) -> bool:
        """Take what came in, and do it; False: nobody is there any more."""
        piece = self._connection.recv(RECEIVE_BYTES)
        self._inbox.feed(piece)
        while (message := self._inbox.take()) is not None:
            number, (method, arguments, expires_s) = message
            answer = _done(records, method, arguments, expires_s)
            self._answer(number, (*answer, _plain(records.epoch())))
        return bool(piece)

    def _answer(self, number: int, answer: tuple[Any, ...]) -> None:
        try:
            data = wire.pack(number, answer)
        except wire.TooLongError as error:
            said = _said(RecordsError(Outcome.UNAVAILABLE, f"the table is too large: {error}"))
            data = wire.pack(number, (*said, None))
        self._connection.sendall(data)


def _done(records: Records, method: str, arguments: tuple[Any, ...], expires_s: float) -> tuple[Any, ...]:
    """Do one call; the answer. What nobody waits for any more is not begun."""
    if time.monotonic() > expires_s:
        return _said(RecordsError(Outcome.UNAVAILABLE, "not begun: it had waited too long"))
    try:
        return ("", METHODS[method](records, *arguments))
    except RecordsError as error:
        return _said(error)


def _plain(epoch: Epoch | None) -> tuple[float, ...] | None:
    return None if epoch is None else tuple(epoch)


def _said(error: RecordsError) -> tuple[str, str]:
    return (error.outcome.value, str(error))


def _peers(records: Records) -> dict[str, tuple[Any, ...]]:
    peers: dict[str, Any] = getattr(records, "peers", dict)()
    return {name: astuple(peer) for name, peer in peers.items()}


METHODS: Final[Mapping[str, Callable[..., Any]]] = {
    "tables": lambda records: records.tables(),
    "create": lambda records, table: records.create(table),
    "drop": lambda records, table: records.drop(table),
    "read": lambda records, table, since: wire.plain_delta(records.read(table, since)),
    "commit": lambda records, changes: wire.plain_results(records.commit(wire.changes_of(changes))),
    "rescan": lambda records: tuple(records.rescan()),
    "peers": _peers,
}
"""What may be asked for, and how its result travels."""
