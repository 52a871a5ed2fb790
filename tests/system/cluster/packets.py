"""DHCP packets for the cluster's clients: written for this test alone, so that it shares no mistake with the product.

RFC 2131, figure 1; RFC 2132, section 9.
"""

import socket
import struct
from typing import NamedTuple

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = range(1, 8)
COOKIE = b"\x63\x82\x53\x63"
BROADCAST = 0x8000
FIXED = struct.Struct("!BBBBIHH4s4s4s4s16s192x4s")
MASK, REQUESTED, LEASE, KIND, SERVER = 1, 50, 51, 53, 54
NONE = "0.0.0.0"


class Answer(NamedTuple):
    """What a server said: kind, transaction, hardware address, address given, lease in seconds, server."""

    kind: int
    xid: int
    mac: bytes
    address: str
    lease_s: int
    server: str


def question(
    kind: int, xid: int, mac: bytes, ciaddr: str = NONE, *, requested: str = "", server: str = "", secs: int = 0
) -> bytes:
    """A client's packet; it asks for answers by broadcast while it has no address. `secs`: since when it has tried."""
    flags = 0 if ciaddr != NONE else BROADCAST
    head = FIXED.pack(1, 1, 6, 0, xid, secs, flags, socket.inet_aton(ciaddr), b"", b"", b"", mac, COOKIE)
    options = [(KIND, bytes([kind])), (55, bytes([MASK, 3, LEASE, SERVER]))]
    options += [(code, socket.inet_aton(text)) for code, text in ((REQUESTED, requested), (SERVER, server)) if text]
    body = b"".join(bytes([code, len(value)]) + value for code, value in options)
    return (head + body + b"\xff").ljust(300, b"\0")


def answer(data: bytes) -> Answer | None:
    """A server's packet, or None for what is none."""
    if len(data) < FIXED.size or data[0] != 2 or data[236:240] != COOKIE:
        return None
    fields = FIXED.unpack_from(data)
    options = dict(_options(data[FIXED.size :]))
    if KIND not in options:
        return None
    lease_s = int.from_bytes(options.get(LEASE, b""), "big")
    server = socket.inet_ntoa(options[SERVER]) if len(options.get(SERVER, b"")) == 4 else ""
    return Answer(options[KIND][0], fields[4], fields[11][:6], socket.inet_ntoa(fields[8]), lease_s, server)


def _options(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        length = data[at + 1]
        found.append((data[at], data[at + 2 : at + 2 + length]))
        at += 2 + length
    return found
