"""DHCP packets as clients and the checker see them: an own small writer and reader (RFC 2131, 2132).

It shares no line with `dhcp.wire`, so that a slip there cannot hide itself.
"""

import struct
from functools import lru_cache
from typing import NamedTuple

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = 1, 2, 3, 4, 5, 6, 7
KINDS = {1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 4: "DECLINE", 5: "ACK", 6: "NAK", 7: "RELEASE"}
FOREVER_S = 0xFFFFFFFF

_HEADER = struct.Struct("!4BIHHIIII16s192sI")
_COOKIE = 0x63825363
_WANTED, _LEASE, _KIND, _SERVER, _CLIENT_ID, _END = 50, 51, 53, 54, 61, 255
_NO_NAMES = bytes(192)


class Message(NamedTuple):
    """What one packet says; 0 or b"" where it says nothing. Addresses and times (seconds) are ints."""

    kind: int
    xid: int
    mac: bytes
    ciaddr: int = 0
    yiaddr: int = 0
    secs: int = 0
    wanted: int = 0  # option 50
    server: int = 0  # option 54
    lease_s: int = 0  # option 51
    client_id: bytes = b""  # option 61

    def __str__(self) -> str:
        parts = [KINDS.get(self.kind, str(self.kind)), f"xid {self.xid:08x}"]
        named = {"ciaddr": self.ciaddr, "yiaddr": self.yiaddr, "wanted": self.wanted, "server": self.server}
        parts += [f"{name} {dotted(address)}" for name, address in named.items() if address]
        if self.lease_s:
            parts.append("lease forever" if self.lease_s == FOREVER_S else f"lease {self.lease_s} s")
        return " ".join(parts)


def dotted(address: int) -> str:
    """Return an address as people write it."""
    return ".".join(str(byte) for byte in address.to_bytes(4, "big"))


def request(message: Message) -> bytes:
    """Return a client's packet."""
    parts = [
        _HEADER.pack(
            *(1, 1, 6, 0),
            *(message.xid, message.secs, 0, message.ciaddr, 0, 0, 0),
            *(message.mac, _NO_NAMES, _COOKIE),
        ),
        bytes((_KIND, 1, message.kind)),
    ]
    if message.client_id:
        parts.append(bytes((_CLIENT_ID, len(message.client_id))) + message.client_id)
    for code, value in ((_WANTED, message.wanted), (_SERVER, message.server), (_LEASE, message.lease_s)):
        if value:
            parts.append(bytes((code, 4)) + value.to_bytes(4, "big"))
    parts.append(b"\xff")
    return b"".join(parts).ljust(300, b"\0")


@lru_cache(maxsize=1024)  # each packet is read by the checker as it leaves and arrives, and by its client
def read(data: bytes) -> Message:
    """Read a packet of either direction."""
    _, _, hlen, _, xid, secs, _, ciaddr, yiaddr, _, _, chaddr, _, _ = _HEADER.unpack_from(data)
    options: dict[int, bytes] = {}
    at = _HEADER.size
    while (code := data[at]) != _END:
        if code:
            end = at + 2 + data[at + 1]
            options[code] = data[at + 2 : end]
            at = end
        else:
            at += 1

    numbers = [int.from_bytes(options.get(code, b""), "big") for code in (_KIND, _WANTED, _SERVER, _LEASE)]
    kind, wanted, server, lease_s = numbers
    client_id = options.get(_CLIENT_ID, b"")
    return Message(kind, xid, chaddr[:hlen], ciaddr, yiaddr, secs, wanted, server, lease_s, client_id)
