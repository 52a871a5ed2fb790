"""The DNS server's sockets and their one loop; who may ask what is said here, what is answered in `dnsanswer`.

Rules of this room (RFC 7766 for TCP):

- Every packet passes the guard first. What it refuses is dropped and counted; a response is never answered, so two
  servers cannot be made to talk to one another for ever.
- UDP is answered in place; only a question that waits for a look at the share or for another name server becomes a
  task, WAITING_MAX of them at most. A reply that the kernel will not take now is lost, not queued.
- TCP: TCP_CLIENTS_MAX at once, the oldest gives way to the next; TCP_IDLE_S to ask, TCP_S in all.
- Other names than ours: passed on for clients of our networks if that is configured, refused for all others.
- Of each reason at most one event in TELL_S, with the count since the last.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network

from dnslib import DNSRecord

from dhcp.sockets import SO_RCVBUFFORCE
from twinboot.dnsanswer import fit, refusal, reply, size_limit
from twinboot.dnsforward import Forwarder
from twinboot.dnsguard import QUESTION_BYTES_MAX, DnsRefused, guarded_parse
from twinboot.dnszone import ZoneKeeper

__all__ = ["DnsServer", "Refusals", "Sockets", "bind"]

UDP_BATCH = 32
WAITING_MAX = 512
RECEIVE_BUFFER_BYTES = 1 << 20  # a thousand questions or so wait while a container is read
TCP_CLIENTS_MAX = 64
TCP_IDLE_S = 5.0
TCP_S = 30.0
TCP_QUESTIONS_MAX = 100
STALL_MS = 30_000  # a peer that takes no data is cut off by the kernel
TCP_BYTES_MAX = 65_535
TELL_S = 60.0

Peer = tuple[str, int]
Sockets = tuple[socket.socket, socket.socket]
"""UDP and TCP of one address."""


def bind(address: str, port: int) -> Sockets:
    """The two sockets of an address. OSError."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_MS)  # accepted sockets inherit it
        _widen(udp)
        for sock in (udp, tcp):
            sock.bind((address, port))
            sock.setblocking(False)
        tcp.listen(TCP_CLIENTS_MAX)
    except OSError:
        udp.close()
        tcp.close()
        raise
    return udp, tcp


def _widen(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


class Refusals:
    """Counts what was not answered, by reason, and tells of it now and then."""

    def __init__(self, emit: Callable[..., None], clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._emit = emit
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def __call__(self, reason: str, address: str) -> None:
        """Count one, from `address`."""
        self.counts[reason] += 1
        until, count = self._told.get(reason, (0.0, 0))
        now = self._clock()
        if now >= until:
            self._told[reason] = (now + TELL_S, self.counts[reason])
            self._emit("dns.refused", reason=reason, address=address, count=self.counts[reason] - count)


class DnsServer:
    """Answers on sockets that are bound."""

    def __init__(
        self, keeper: ZoneKeeper, forwarder: Forwarder, refusals: Refusals, networks: Iterable[IPv4Network]
    ) -> None:
        self._keeper = keeper
        self._forwarder = forwarder
        self._refused = refusals
        self._networks = tuple(networks)
        self._tasks: set[asyncio.Task[None]] = set()
        self._tcp: dict[asyncio.StreamWriter, None] = {}

    async def run(self, sockets: Sequence[Sockets], ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Serve until `stop`; the sockets are closed then."""
        loop = asyncio.get_running_loop()
        servers = [await asyncio.start_server(self._serve_tcp, sock=tcp, limit=TCP_BYTES_MAX) for _, tcp in sockets]
        for udp, _ in sockets:
            loop.add_reader(udp, self._on_udp, udp)
        ready()
        await stop.wait()
        for udp, _ in sockets:
            loop.remove_reader(udp)
            udp.close()
        for server in servers:
            server.close()
        for writer in list(self._tcp):
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    def _on_udp(self, sock: socket.socket) -> None:
        for _ in range(UDP_BATCH):
            try:
                data, peer = sock.recvfrom(QUESTION_BYTES_MAX + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # an earlier reply met a closed port
            question = self._guarded(data, peer[0])
            if question is None:
                continue
            made = self._answered(question, peer[0]) if self._keeper.is_fresh else None
            if made is not None:
                _send(sock, fit(made, size_limit(question)), peer)
            elif len(self._tasks) < WAITING_MAX:
                self._spawn(self._later(sock, question, peer))
            else:
                self._refused("busy", peer[0])

    def _guarded(self, data: bytes, client: str) -> DNSRecord | None:
        try:
            return guarded_parse(data)
        except DnsRefused as why:
            self._refused(str(why), client)
            return None

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, sock: socket.socket, question: DNSRecord, peer: Peer) -> None:
        data = await self._reply(question, peer[0], by_tcp=False)
        if sock.fileno() >= 0:
            _send(sock, data, peer)

    def _answered(self, question: DNSRecord, client: str) -> DNSRecord | None:
        """What can be said at once; None if it is to be passed on."""
        made = reply(question, self._keeper.zone, int(time.time()))
        passes = self._passes(client)
        if made is None and not (passes and question.header.rd):
            self._refused("not-ours", client)
            made = refusal(question, "REFUSED")
        if made is not None:
            made.header.ra = int(passes)
        return made

    def _passes(self, client: str) -> bool:
        return bool(self._forwarder) and any(IPv4Address(client) in net for net in self._networks)

    async def _reply(self, question: DNSRecord, client: str, *, by_tcp: bool) -> bytes:
        if not self._keeper.is_fresh:
            await self._keeper.freshen()
        made = self._answered(question, client)
        if made is None:
            passed = await self._forwarder.ask(question, client, by_tcp=by_tcp)
            if passed is not None:
                return passed
            made = refusal(question, "SERVFAIL")
        return fit(made, TCP_BYTES_MAX if by_tcp else size_limit(question))

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = writer.get_extra_info("peername")
        if len(self._tcp) >= TCP_CLIENTS_MAX:
            oldest = next(iter(self._tcp))
            del self._tcp[oldest]
            oldest.transport.abort()
            self._refused("tcp-busy", client[0] if client else "")
        self._tcp[writer] = None
        try:
            if client:
                async with asyncio.timeout(TCP_S):
                    await self._converse(reader, writer, client[0])
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # slow, or gone: nothing is owed
        finally:
            self._tcp.pop(writer, None)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str) -> None:
        for _ in range(TCP_QUESTIONS_MAX):
            async with asyncio.timeout(TCP_IDLE_S):
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                if size > QUESTION_BYTES_MAX:
                    self._refused("long", client)
                    return
                question = self._guarded(await reader.readexactly(size), client)
            if question is None:
                return
            data = await self._reply(question, client, by_tcp=True)
            writer.write(struct.pack("!H", len(data)) + data)
            await writer.drain()


def _send(sock: socket.socket, data: bytes, peer: Peer) -> None:
    with suppress(OSError):  # no room now, or a peer that no packet can reach (port 0): it asks again, or not
        sock.sendto(data, peer)
