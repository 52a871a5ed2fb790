"""Packets as bytes, and what the codec says of them."""

import struct

import pytest

from dhcp.packet import Packet
from dhcp.wire import BOOTREQUEST, WireError, decode

MAC = bytes.fromhex("00144f000001")
COOKIE = bytes.fromhex("63825363")
DISCOVER = b"\x35\x01\x01"


def raw(
    options: bytes = DISCOVER + b"\xff",
    *,
    op: int = 1,
    htype: int = 1,
    hlen: int = 6,
    secs: int = 0,
    flags: int = 0,
    chaddr: bytes = MAC,
    sname: bytes = b"",
    file: bytes = b"",
    cookie: bytes = COOKIE,
) -> bytes:
    head = struct.pack(">BBBBIHHIIII", op, htype, hlen, 0, 0xCAFE, secs, flags, 0, 0, 0, 0)
    return head + struct.pack("16s64s128s", chaddr, sname, file) + cookie + options


def packet(options: dict[int, bytes], **fields: object) -> Packet:
    made = Packet(BOOTREQUEST, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0, MAC.ljust(16, b"\0"), b"", b"", options)
    return made.altered(**fields)


def reason(data: bytes) -> str:
    with pytest.raises(WireError) as caught:
        decode(data)
    assert str(caught.value)
    return caught.value.reason


def area(data: bytes) -> list[int]:
    """Codes in the options field of an encoded packet, in order."""
    codes, at = [], 240
    while data[at] != 255:
        codes.append(data[at])
        at += 2 + data[at + 1]
    return codes
