"""The TFTP server: one process, one epoll loop, thousands of transfers, read only.

What is asked for comes from a resolver (`pxe.content.Resolver`), so files and rendered texts look alike.
Rules of the room:

* No datagram stops the loop. What is malformed is answered by the table below or dropped, counted and
  reported at a bounded rate; a bug met on the way ends that one transfer and is reported as such.
* Deadlines are lazy: an ACK only writes a number into its session. Each session has one entry in a heap;
  when it comes up and the deadline has moved, the entry is put back. No timer is touched for an ACK.
* Every client has its limit, and the server has one. Beyond them the answer is "busy", and a client
  that nobody has heard again is the first to go when the table is full, for its address may be forged.
* A request that is repeated before its answer was acknowledged gets the same answer from the same port,
  never a second transfer; later, the same port starting over replaces its old transfer.

Events: tftp.start (bytes: size of the file), tftp.progress (bytes acknowledged so far, at most one a
second for a transfer), tftp.done, tftp.failed, tftp.refused. A client that ends a transfer before the first
byte has asked for the size only, as PXE ROMs do: that is tftp.done with bytes=0.
"""

from __future__ import annotations

import heapq
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from pxe.content import Resolver
from pxe.tftp_limits import Budget, Limits, within_descriptors
from pxe.tftp_netascii import TooLarge, in_mode
from pxe.tftp_options import negotiate
from pxe.tftp_patience import Patience
from pxe.tftp_requests import Denied, read_request, wanted
from pxe.tftp_session import Ended, Session
from pxe.tftp_sockets import Address, Datagram, listen, receive, reply
from pxe.tftp_strangers import Strangers
from pxe.tftp_wire import Code, Request, error_packet
from pxe.tree import close

TFTP_PORT = 69
MAX_REQUESTS_PER_WAKE = 64  # then the running transfers have their turn
PROGRESS_S = 1.0

_READABLE, _WRITABLE = select.EPOLLIN, select.EPOLLOUT

Emit = Callable[..., None]

BUSY = "the server is busy: try again in a minute"


class TftpServer:
    """Serves what `resolver` gives and reports through `emit`. bind, drop root, serve."""

    def __init__(self, resolver: Resolver, emit: Emit, limits: Limits = Limits()) -> None:  # noqa: B008 - immutable
        self._resolver = resolver
        self._emit = emit
        self._limits = limits
        self._listeners: dict[int, socket.socket] = {}
        self._sessions: dict[int, Session] = {}
        self._by_peer: dict[tuple[Address, str], Session] = {}
        self._per_client: dict[str, int] = {}
        self._unheard: dict[Session, None] = {}  # not yet acknowledged anything, oldest first
        self._timers: list[tuple[float, int]] = []  # (when, session's number)
        self._numbered: dict[int, Session] = {}
        self._started = 0
        self._refusals = Budget()
        self._epoll = select.epoll()
        self._patience = Patience(self._epoll)
        self._strangers = Strangers()
        self._epoll.register(self._strangers, _READABLE)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, _READABLE)
        self._stopping = False

    def bind(self, addresses: Sequence[str], port: int = TFTP_PORT) -> list[Address]:
        """Listen on each address; returns (address, port) as bound. Raises ListenError, one line."""
        bound: list[Address] = []
        for address in addresses:
            sock = listen(address, port)
            self._listeners[sock.fileno()] = sock
            self._epoll.register(sock, _READABLE)
            bound.append(sock.getsockname())
        return bound

    def serve(self) -> None:
        """Serve until `stop`; then give back every socket and file."""
        self._limits = within_descriptors(self._limits)
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._close()

    def stop(self) -> None:
        """End `serve` soon. For signal handlers and other threads."""
        if not self._stopping:
            os.eventfd_write(self._wake, 1)  # first: from the flag on `serve` may close the descriptor at any time
            self._stopping = True

    def _turn(self) -> None:
        ready = self._patience.look() if self._sessions else []
        if not ready:
            ready = self._epoll.poll(max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1)
        now_s = time.monotonic()
        sessions = self._sessions
        for fd, mask in ready:
            session = sessions.get(fd)
            if session is None:
                self._on_other(fd, now_s)
                continue
            try:
                if mask & _WRITABLE:
                    self._on_writable(session)
                if mask != _WRITABLE and session.on_readable(now_s):
                    self._end(session, "tftp.done")
                elif session.backlog is not None:
                    self._epoll.modify(session.sock, _READABLE | _WRITABLE)
            except Exception as error:  # noqa: BLE001 - the boundary: a bug ends one transfer, not the server
                self._fail(session, error)
        if self._timers and self._timers[0][0] <= now_s:
            self._on_timers(now_s)

    def _on_other(self, fd: int, now_s: float) -> None:
        if fd == self._strangers.fileno():
            self._strangers.answer()
        elif fd in self._listeners:
            self._on_requests(self._listeners[fd], now_s)

    # -- requests

    def _on_requests(self, sock: socket.socket, now_s: float) -> None:
        for _ in range(MAX_REQUESTS_PER_WAKE):
            try:
                datagram = receive(sock)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier answer: it concerns no one any more
                continue
            try:
                self._on_request(datagram, now_s)
            except Denied as denied:
                self._deny(sock, datagram, denied)
            except Exception as bug:  # noqa: BLE001 - the boundary: one poison packet ends nothing but itself
                self._deny(sock, datagram, Denied(Code.UNDEFINED, f"fault in the server: {bug!r}"))

    def _on_request(self, datagram: Datagram, now_s: float) -> None:
        request, local = read_request(datagram)
        peer = datagram.peer
        if not self._repeats(request, (peer, local), now_s):
            self._start(request, peer, local, now_s)

    def _repeats(self, request: Request, key: tuple[Address, str], now_s: float) -> bool:
        """Whether the request belongs to a transfer that runs; one that starts over ends the old one."""
        running = self._by_peer.get(key)
        if running is None:
            return False
        same = running.request == request
        if same and not running.transfer.started:
            self._guard(running, running.repeat)
            return True
        if same and now_s - running.heard_s < running.terms.timeout_s:
            return True  # late on a slow way: its transfer is well under way
        self._end(running, "tftp.failed", "the client started over")
        return False

    def _start(self, request: Request, peer: Address, local: str, now_s: float) -> None:
        self._make_room(peer[0])
        content = wanted(request, peer[0], self._resolver)
        try:
            content, size = in_mode(content, request.mode)
            session = Session(request, content, size, negotiate(request.options, size), peer, local)
        except OSError as error:
            close(content)
            raise Denied(Code.UNDEFINED, f"no transfer can be started: {error.strerror}") from None
        except TooLarge as too_large:
            close(content)
            raise Denied(Code.ILLEGAL, str(too_large)) from None
        self._started += 1
        session.number = self._started
        self._numbered[session.number] = session
        self._sessions[session.sock.fileno()] = session
        self._by_peer[peer, local] = session
        self._per_client[peer[0]] = self._per_client.get(peer[0], 0) + 1
        self._unheard[session] = None
        self._epoll.register(session.sock, _READABLE)
        self._strangers.watch(session.door)
        self._report("tftp.start", session, bytes=size)
        self._guard(session, partial(session.start, now_s))
        if session.number in self._numbered:
            self._set_timer(session, now_s)

    def _make_room(self, client: str) -> None:
        if self._per_client.get(client, 0) >= self._limits.per_client:
            raise Denied(Code.UNDEFINED, BUSY)
        if len(self._sessions) < self._limits.transfers:
            return
        while self._unheard:
            oldest = next(iter(self._unheard))
            if not oldest.transfer.started:
                self._end(oldest, "tftp.failed", "never acknowledged anything, and others need the place")
                return
            del self._unheard[oldest]
        raise Denied(Code.UNDEFINED, BUSY)

    def _deny(self, sock: socket.socket, datagram: Datagram, denied: Denied) -> None:
        if denied.code is not None and datagram.local is not None:
            with suppress(OSError):  # the peer's address leads nowhere: as good as lost on the way
                reply(sock, error_packet(denied.code, str(denied)), datagram.peer, datagram.local)
        skipped = self._refusals.take()
        if skipped is not None:
            self._emit("tftp.refused", address=datagram.peer[0], reason=str(denied), count=skipped + 1)

    # -- transfers

    def _on_writable(self, session: Session) -> None:
        session.on_writable()
        if session.backlog is None:
            self._epoll.modify(session.sock, _READABLE)

    def _guard(self, session: Session, step: Callable[[], None]) -> None:
        try:
            step()
            if session.backlog is not None:
                self._epoll.modify(session.sock, _READABLE | _WRITABLE)
        except Exception as error:  # noqa: BLE001 - the same boundary, for what no datagram set off
            self._fail(session, error)

    def _fail(self, session: Session, error: Exception) -> None:
        ended = error if isinstance(error, Ended) else Ended(f"fault in the server: {error!r}", Code.UNDEFINED)
        if ended.code is not None:
            session.send_error(ended.code, str(ended))
        elif not session.acked_bytes:
            self._end(session, "tftp.done", str(ended))
            return
        self._end(session, "tftp.failed", str(ended))

    def _end(self, session: Session, kind: str, reason: str = "") -> None:
        elapsed_s = round(time.monotonic() - session.started_s, 6)
        more = {"reason": reason} if reason else {}
        self._report(kind, session, bytes=session.acked_bytes, elapsed_s=elapsed_s, **more)
        self._epoll.unregister(session.sock)
        self._strangers.forget(session.door)
        del self._sessions[session.sock.fileno()]
        del self._numbered[session.number]
        del self._by_peer[session.peer, session.local]
        self._unheard.pop(session, None)
        client = session.peer[0]
        self._per_client[client] -= 1
        if not self._per_client[client]:
            del self._per_client[client]
        session.close()

    def _report(self, kind: str, session: Session, **fields: object) -> None:
        self._emit(
            kind,
            address=session.peer[0],
            server=session.local,
            file=session.name,
            blksize=session.terms.blksize,
            windowsize=session.terms.windowsize,
            **fields,
        )

    # -- timers

    def _set_timer(self, session: Session, now_s: float) -> None:
        heapq.heappush(self._timers, (min(session.deadline_s, now_s + PROGRESS_S), session.number))

    def _on_timers(self, now_s: float) -> None:
        while self._timers and self._timers[0][0] <= now_s:
            session = self._numbered.get(heapq.heappop(self._timers)[1])
            if session is None:
                continue  # ended meanwhile
            if session.deadline_s <= now_s:
                self._guard(session, partial(session.on_deadline, now_s))
            elif session.transfer.started and now_s - session.reported_s >= PROGRESS_S:
                session.reported_s = now_s
                self._report("tftp.progress", session, bytes=session.acked_bytes)
            if session.number in self._numbered:
                self._set_timer(session, now_s)

    def _close(self) -> None:
        for session in list(self._sessions.values()):
            self._fail(session, Ended("the server stops", Code.UNDEFINED))
        for sock in self._listeners.values():
            sock.close()
        self._strangers.close()
        self._epoll.close()
        os.close(self._wake)
