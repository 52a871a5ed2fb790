"""Passing a question on: to the configured name servers in turn, and only by what we wrote ourselves.

Rules of this room (RFC 5452):

- Each attempt has a socket of its own, so a random port and a connected peer, and a random id. A reply counts if its
  id and its whole question are ours; the others are counted, and FORGED_MAX of them end the attempt.
- The question is written anew: none of the client's options go out, so no client subnet either.
- The reply is passed on unparsed; what it may cost is bounded: FORWARDS_MAX at once, CLIENT_FORWARDS_MAX for one
  client, ATTEMPT_S for each attempt, UPSTREAMS_MAX attempts.
- There is no cache: the name servers behind us have one.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence

from dnslib import EDNS0, DNSHeader, DNSQuestion, DNSRecord

from twinboot.dnsanswer import EDNS_BYTES, asks_edns, size_limit

__all__ = ["Forwarder", "matches", "passed_on"]

Upstream = tuple[str, int]
Note = Callable[[str, str], None]
ATTEMPT_S = 1.5
UPSTREAMS_MAX = 3
FORWARDS_MAX = 256
CLIENT_FORWARDS_MAX = 32
FORGED_MAX = 8
REPLY_BYTES_MAX = 65_535
HEADER_BYTES = 12
QR, OPCODE, TC = 0x8000, 0x7800, 0x0200


class Forwarder:
    """Asks `upstreams` in their order. `note` is told the reason and the address of what went wrong."""

    def __init__(self, upstreams: Sequence[Upstream], note: Note) -> None:
        self._upstreams = tuple(upstreams)[:UPSTREAMS_MAX]
        self._note = note
        self._asking: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._upstreams)

    async def ask(self, question: DNSRecord, client: str, *, by_tcp: bool) -> bytes | None:
        """The reply for `client`, ready to be sent; None if nobody answered or there is too much to do."""
        if self._asking.total() >= FORWARDS_MAX or self._asking[client] >= CLIENT_FORWARDS_MAX:
            self._note("forward-busy", client)
            return None
        self._asking[client] += 1
        try:
            for upstream in self._upstreams:
                reply = await self._attempt(upstream, question, by_tcp=by_tcp)
                if reply is not None:
                    return passed_on(reply, question, by_tcp=by_tcp)
                self._note("forward-failed", upstream[0])
            return None
        finally:
            self._asking[client] -= 1
            if not self._asking[client]:
                del self._asking[client]

    async def _attempt(self, upstream: Upstream, question: DNSRecord, *, by_tcp: bool) -> bytes | None:
        packet = _rewritten(question)
        try:
            async with asyncio.timeout(ATTEMPT_S):
                return await (self._by_tcp if by_tcp else self._by_udp)(upstream, packet)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None

    async def _by_udp(self, upstream: Upstream, packet: bytes) -> bytes | None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(upstream)
            await loop.sock_sendall(sock, packet)
            for _ in range(FORGED_MAX):
                reply = await loop.sock_recv(sock, REPLY_BYTES_MAX)
                if matches(reply, packet):
                    return reply
                self._note("forged", upstream[0])
        return None

    async def _by_tcp(self, upstream: Upstream, packet: bytes) -> bytes | None:
        reader, writer = await asyncio.open_connection(*upstream)
        try:
            writer.write(struct.pack("!H", len(packet)) + packet)
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            reply = await reader.readexactly(size)
        finally:
            writer.transport.abort()
        if matches(reply, packet):
            return reply
        self._note("forged", upstream[0])
        return None


def _rewritten(question: DNSRecord) -> bytes:
    """The client's question with an id and options of our own."""
    header = DNSHeader(id=secrets.randbits(16), bitmap=0, rd=1, cd=question.header.cd)
    ours = DNSRecord(header, q=DNSQuestion(question.q.qname, question.q.qtype, question.q.qclass))
    if asks_edns(question):
        ours.add_ar(EDNS0(udp_len=EDNS_BYTES))
    return bytes(ours.pack())


def _question_end(packet: bytes) -> int:
    """Where the one question of a packet of ours ends."""
    at = HEADER_BYTES
    while packet[at]:
        at += packet[at] + 1
    return at + 5


def matches(reply: bytes, packet: bytes) -> bool:
    """Whether `reply` answers our `packet`: same id, a response, the same question byte for byte."""
    if len(reply) < HEADER_BYTES:
        return False
    number, flags, questions = struct.unpack_from("!3H", reply)
    end = _question_end(packet)
    is_response = flags & (QR | OPCODE) == QR and questions == 1
    return is_response and number == int.from_bytes(packet[:2], "big") and reply[12:end] == packet[12:end]


def passed_on(reply: bytes, question: DNSRecord, *, by_tcp: bool) -> bytes:
    """A reply under the client's own id; cut to the question, with TC, if the client cannot take it all."""
    number = struct.pack("!H", question.header.id)
    if by_tcp or len(reply) <= size_limit(question):
        return number + reply[2:]
    flags = int.from_bytes(reply[2:4], "big") | TC
    return number + struct.pack("!5H", flags, 1, 0, 0, 0) + reply[HEADER_BYTES : _question_end(reply)]
