"""TFTP packets: bytes to values and back. RFC 1350 (packets, error codes), RFC 2347 (options, OACK).

Rules of the room:

* `parse` reads any bytes and either gives a packet or raises Malformed; it never reads past the end and
  never looks at more than MAX_OPTIONS options.
* Strict in what decides, tolerant in what does not: file name and mode must each end in NUL. What
  follows the last whole option is ignored, because tunnels pad short datagrams with zeros, and some
  Open Firmware appends garbage. For the same reason an ACK may be longer than its four bytes.
* Option names keep the spelling of the client, so that the OACK repeats what the client will compare.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from enum import Enum, IntEnum
from typing import NamedTuple

MAX_REQUEST_BYTES = 1468  # RFC 2347 says 512; one whole Ethernet frame leaves room for padding
MAX_OPTIONS = 16  # four are known; a client that sends more than this is not negotiating
MAX_TEXT_CHARS = 200  # of an error text, either way: one line, in one small datagram

_HEADER = struct.Struct("!HH")


class Opcode(IntEnum):
    """The first two bytes of every packet."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class Code(IntEnum):
    """Error codes: RFC 1350 appendix, and 8 from RFC 2347."""

    UNDEFINED = 0
    NOT_FOUND = 1
    ACCESS = 2
    DISK_FULL = 3
    ILLEGAL = 4
    UNKNOWN_TID = 5
    EXISTS = 6
    NO_USER = 7
    OPTIONS = 8


class Mode(Enum):
    """Transfer modes. The obsolete `mail` is refused like any unknown word."""

    OCTET = "octet"
    NETASCII = "netascii"


class Request(NamedTuple):
    """RRQ or WRQ. `options` as (name, value) texts in the client's order and spelling."""

    opcode: Opcode
    name: str
    mode: Mode
    options: tuple[tuple[str, str], ...]


class Ack(NamedTuple):
    """ACK of a 16-bit block number."""

    block: int


class Oack(NamedTuple):
    """OACK: the options that the server accepted."""

    options: tuple[tuple[str, str], ...]


class Error(NamedTuple):
    """ERROR; it ends a transfer and is never answered. `code` may be outside the table."""

    code: int
    text: str


Packet = Request | Ack | Oack | Error


class Malformed(Exception):  # noqa: N818 - the peer's fault, said as what the packet is
    """Not a packet we take. `code` is the ERROR to answer with, or None where silence is right."""

    def __init__(self, text: str, code: Code | None) -> None:
        super().__init__(text)
        self.code = code


def parse(data: bytes | bytearray | memoryview) -> Packet:
    """One datagram. Raises Malformed for everything else, DATA included: we only send that."""
    raw = bytes(data)
    if len(raw) < 2:
        raise Malformed("shorter than an opcode", None)
    number = int.from_bytes(raw[:2], "big")
    reader = _READERS.get(number)
    if reader is None:
        silent = number == Opcode.DATA
        raise Malformed(f"opcode {number} is not for a server", None if silent else Code.ILLEGAL)
    return reader(raw)


def error_packet(code: Code, text: str) -> bytes:
    """ERROR with one line of ASCII (RFC 1350 section 5), cut to MAX_TEXT_CHARS."""
    line = text[:MAX_TEXT_CHARS].replace("\0", " ").encode("ascii", "replace")
    return _HEADER.pack(Opcode.ERROR, code) + line + b"\0"


def oack_packet(options: Iterable[tuple[str, str]]) -> bytes:
    """OACK of the accepted options."""
    fields = (f"{name}\0{value}\0".encode("ascii", "replace") for name, value in options)
    return Opcode.OACK.to_bytes(2, "big") + b"".join(fields)


def _request(raw: bytes) -> Request:
    if len(raw) > MAX_REQUEST_BYTES:
        raise Malformed(f"request is longer than {MAX_REQUEST_BYTES} bytes", Code.ILLEGAL)
    fields = raw[2:].split(b"\0", 2)
    if len(fields) < 3:
        raise Malformed("file name or mode does not end in NUL", Code.ILLEGAL)
    name, mode_word, rest = fields
    try:
        mode = Mode(mode_word.decode("ascii", "replace").lower())
    except ValueError:
        raise Malformed(f"mode {mode_word[:16]!r} is neither octet nor netascii", Code.ILLEGAL) from None
    return Request(Opcode(raw[1]), name.decode("utf-8", "surrogateescape"), mode, _options(rest))


def _options(rest: bytes) -> tuple[tuple[str, str], ...]:
    """Whole `name NUL value NUL` pairs up to the first empty name: what follows is padding."""
    fields = rest.split(b"\0", 2 * MAX_OPTIONS)[:-1]
    pairs = []
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if not name:
            break
        pairs.append((name.decode("ascii", "replace"), value.decode("ascii", "replace")))
    return tuple(pairs)


def _ack(raw: bytes) -> Ack:
    if len(raw) < 4:
        raise Malformed("ACK without a block number", None)
    return Ack(int.from_bytes(raw[2:4], "big"))


def _oack(raw: bytes) -> Oack:
    return Oack(_options(raw[2:MAX_REQUEST_BYTES]))


def _error(raw: bytes) -> Error:
    if len(raw) < 4:
        raise Malformed("ERROR without a code", None)
    line = raw[4:].split(b"\0", 1)[0][:MAX_TEXT_CHARS].decode("ascii", "replace")
    text = "".join(char if char.isprintable() else "?" for char in line)
    return Error(int.from_bytes(raw[2:4], "big"), text)


_READERS: dict[int, Callable[[bytes], Packet]] = {
    int(Opcode.RRQ): _request,
    int(Opcode.WRQ): _request,
    int(Opcode.ACK): _ack,
    int(Opcode.OACK): _oack,
    int(Opcode.ERROR): _error,
}
