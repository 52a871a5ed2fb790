"""DHCP and BOOTP packets: bytes <-> `Packet` (RFC 951, 1542, 2131, 2132; long options RFC 3396).

Rules of the room:

- `decode` accepts any bytes and raises nothing but `WireError`; it never loops or keeps more than the packet's own
  size (`MAX_PACKET_BYTES`). A malformed packet is dropped whole, with a short reason to count it by.
- The option areas are read in RFC 3396 order: options, `file`, `sname`; the latter two only when option 52 says so,
  and a second 52 inside them is not obeyed. The result never holds 52: it tells where options lay, not what they are.
- An option that comes again is joined to its first part (RFC 3396; RFC 2131 section 4.1), for a part
  cannot be told from a repeat. Options of one fixed short size (`FIXED_SIZES`) are never split, so there the first
  occurrence stands: joining would let a second option 53 or 54 spoil a packet that Solaris and others answer.
- A client must be known by something: hlen 0, or a zero, multicast or broadcast Ethernet address, is refused unless
  a lease query (RFC 4388, which has no client) or, for hlen 0, an option 61 (InfiniBand, RFC 4390) says who it is.
- Client ids shorter than two octets (RFC 2132 section 9.14) count as absent; one zero octet marks a free record.

The parse is one `struct` unpack and one pass over the options without an object for each: it runs for every packet.
"""

from collections.abc import Mapping
from struct import Struct
from typing import Final

from dhcp.options import CLIENT_ID, END, MESSAGE_TYPE, OVERLOAD, RELAY_INFO, MessageType
from dhcp.packet import BYTE, ETHERNET, Packet

BOOTREQUEST: Final = 1
BOOTREPLY: Final = 2

HEADER_BYTES: Final = 240  # fixed part and cookie
MIN_PACKET_BYTES: Final = 300  # RFC 951: what a BOOTP relay or client may insist on
MAX_PACKET_BYTES: Final = 8192
CHADDR_BYTES: Final = 16
SNAME_BYTES: Final = 64
FILE_BYTES: Final = 128
IP_UDP_BYTES: Final = 28  # headers that option 57 counts and a datagram's payload does not
MIN_MESSAGE_BYTES: Final = 576  # RFC 2131 section 2: what every client must accept

FIXED_SIZES: Final[dict[int, int]] = {50: 4, 51: 4, 52: 1, 53: 1, 54: 4, 57: 2, 58: 4, 59: 4}

_SIZES: Final = bytes(FIXED_SIZES.get(code, 0) for code in range(256))
"""By code, 0 for options of any size."""
_QUERIES: Final = frozenset(kind for kind in MessageType if kind >= MessageType.LEASEQUERY)
HEAD: Final = Struct(">BBBBIHHIIII16s")  # up to the hardware address
_COOKIE_BYTES: Final = b"\x63\x82\x53\x63"
_BARE_AREAS: Final = bytes(SNAME_BYTES + FILE_BYTES) + _COOKIE_BYTES  # between hardware address and options, mostly
_NOBODY: Final = tuple(bytes(size) for size in range(CHADDR_BYTES + 1))
END_MARK: Final = b"\xff"


class WireError(Exception):
    """Bytes that are no acceptable packet, or a reply that cannot be written.

    `reason` is one of a few short words to count by: short, long, op, hlen, chaddr, option-past-end, overload,
    bad-message-type, length (decode); text, no-room (encode).
    """

    def __init__(self, reason: str, text: str) -> None:
        """Keep the reason to count by, and the sentence for people."""
        super().__init__(text)
        self.reason = reason


def decode(data: bytes, op: int = BOOTREQUEST) -> Packet:
    """Parse one datagram whose first octet must be `op`; raise WireError for anything malformed."""
    if not HEADER_BYTES <= len(data) <= MAX_PACKET_BYTES:
        raise WireError("short" if len(data) < HEADER_BYTES else "long", f"packet of {len(data)} bytes")
    first, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr = HEAD.unpack_from(data)
    sname = file = b""
    cookie = True
    if data[44:HEADER_BYTES] != _BARE_AREAS:
        sname, file = data[44:108], data[108:236]
        cookie = data[236:HEADER_BYTES] == _COOKIE_BYTES
    options: dict[int, bytes] = {}
    if cookie:
        fits = _read_options(data, HEADER_BYTES, options)
        if OVERLOAD in options:
            sname, file = _read_overloaded(options, data[44:108], data[108:236])
            fits = False
        if CLIENT_ID in options and len(options[CLIENT_ID]) < 2:
            del options[CLIENT_ID]
        if not fits:
            _check_sizes(options)
    if sname:
        sname = sname.partition(b"\0")[0]
    if file:
        file = file.partition(b"\0")[0]
    packet = Packet(
        first, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, options, cookie
    )
    _check_identity(packet, op)
    return packet


def _read_options(area: bytes, at: int, options: dict[int, bytes]) -> bool:
    """Add the options of one area to `options`: pads skipped, up to the end mark or the end of the area.

    True: each has a size that its code allows.
    """
    end = len(area)
    code = 0
    fits = True
    try:
        while at < end:
            code = area[at]
            if code == END:
                return fits
            if code == 0:
                at += 1
                continue
            start = at + 2
            size = area[at + 1]
            at = start + size  # past the end: the loop stops here, and the option is refused below
            if code not in options:
                options[code] = area[start:at]
                wanted = _SIZES[code]
                if wanted and wanted != size:
                    fits = False
            elif code not in FIXED_SIZES:
                options[code] += area[start:at]
    except IndexError:
        at = end + 1
    if at > end:
        raise WireError("option-past-end", f"option {code} runs past the end of its area")
    return fits


def _read_overloaded(options: dict[int, bytes], sname: bytes, file: bytes) -> tuple[bytes, bytes]:
    """Read the options that option 52 says lie in `file` and `sname`; return what is left of (sname, file)."""
    areas = options.pop(OVERLOAD)
    if areas not in (b"\1", b"\2", b"\3"):
        raise WireError("overload", f"option 52 is {areas[:4].hex() or 'empty'}, not 1, 2 or 3")
    if areas != b"\2":
        _read_options(file, 0, options)
        file = b""
    if areas != b"\1":
        _read_options(sname, 0, options)
        sname = b""
    options.pop(OVERLOAD, None)
    return sname, file


def _check_sizes(options: dict[int, bytes]) -> None:
    for code, size in FIXED_SIZES.items():
        if code in options and len(options[code]) != size:
            reason = "bad-message-type" if code == MESSAGE_TYPE else "length"
            raise WireError(reason, f"option {code} has {len(options[code])} bytes, not {size}")


def _check_identity(packet: Packet, op: int) -> None:
    """Refuse a packet of the wrong direction, of no known type, or from nobody."""
    if packet.message_type is None and MESSAGE_TYPE in packet.options:
        raise WireError("bad-message-type", f"message type {packet.options[MESSAGE_TYPE][0]} is unknown")
    if packet.op != op:
        raise WireError("op", f"op is {packet.op} instead of {op}")
    hlen, chaddr = packet.hlen, packet.raw_chaddr
    if hlen > CHADDR_BYTES:
        raise WireError("hlen", f"hardware address of {hlen} bytes, at most {CHADDR_BYTES} fit")
    if hlen and not (packet.htype == ETHERNET and (chaddr[0] & 1 or chaddr.startswith(_NOBODY[hlen]))):
        return
    if packet.message_type in _QUERIES:
        return
    if hlen == 0:
        if packet.message_type is None or CLIENT_ID not in packet.options:
            raise WireError("hlen", "neither hardware address nor client id")
    else:
        raise WireError("chaddr", f"{packet.mac} is no station's hardware address")


def payload_limit(max_message_bytes: int) -> int:
    """How long a reply may be for a client whose option 57 says `max_message_bytes` (0: it sent none).

    Values under 576 are not legal and count as 576; the headers that the option includes are taken off.
    """
    return max(max_message_bytes, MIN_MESSAGE_BYTES) - IP_UDP_BYTES


def encode(packet: Packet, limit_bytes: int = MAX_PACKET_BYTES) -> bytes:
    """Write a packet of 300 to `limit_bytes` bytes, options (codes 1 to 254) in the order given, 82 last.

    Options that do not fit go on in `file` and then `sname` where those are empty (option 52); none is ever left
    out. Raises WireError "no-room" if they do not fit even so, "text" if `sname` or `file` is too long.
    """
    if len(packet.sname) > SNAME_BYTES or len(packet.file) > FILE_BYTES:
        raise WireError("text", "boot file or server name too long for its field: send it as option 67 or 66")
    if not packet.has_cookie:
        return _head(packet, packet.sname, packet.file)[:-4].ljust(MIN_PACKET_BYTES, b"\0")
    options = packet.options
    if RELAY_INFO in options:
        options = {**options}
        options[RELAY_INFO] = options.pop(RELAY_INFO)
    data = b"".join((_head(packet, packet.sname, packet.file), option_run(options), END_MARK))
    if len(data) > limit_bytes:
        return _encode_overloaded(packet, options, limit_bytes)
    return data.ljust(MIN_PACKET_BYTES, b"\0")


def _head(packet: Packet, sname: bytes, file: bytes) -> bytes:
    """The fixed part, cookie and all."""
    one = packet
    numbers = (one.op, one.htype, one.hlen, one.hops, one.xid, one.secs, one.flags)
    head = HEAD.pack(*numbers, one.ciaddr, one.yiaddr, one.siaddr, one.giaddr, one.raw_chaddr)
    return head + text_areas(sname, file)


def option_run(options: Mapping[int, bytes]) -> bytes:
    """Options as they stand in a packet, one after the other; long ones in parts (RFC 3396). No end mark."""
    parts: list[bytes] = []
    for code, value in options.items():
        size = len(value)
        if size < 256:
            parts += BYTE[code], BYTE[size], value
        else:
            parts += (_triple(code, value[at : at + 255]) for at in range(0, size, 255))
    return b"".join(parts)


def text_areas(sname: bytes, file: bytes) -> bytes:
    """What stands between the hardware address and the options: server name, boot file, cookie."""
    return sname.ljust(SNAME_BYTES, b"\0") + file.ljust(FILE_BYTES, b"\0") + _COOKIE_BYTES


def _triple(code: int, value: bytes) -> bytes:
    return BYTE[code] + BYTE[len(value)] + value


class _Area:
    """One place for options: what it holds, and how many bytes are left in it."""

    __slots__ = ("held", "room")

    def __init__(self, room: int) -> None:
        self.held: list[bytes] = []
        self.room = room

    def put(self, code: int, value: bytes) -> None:
        self.held.append(_triple(code, value))
        self.room -= 2 + len(value)

    def bytes(self) -> bytes:
        return b"".join(self.held) + b"\xff" if self.held else b""


def _encode_overloaded(packet: Packet, options: dict[int, bytes], limit_bytes: int) -> bytes:
    """Spread the options over the three areas; each area keeps one byte for its end mark."""
    relay = options.get(RELAY_INFO)  # a relay looks for it in the options field only, RFC 3046
    tail = b"" if relay is None else _triple(RELAY_INFO, relay[:255])
    main = _Area(limit_bytes - HEADER_BYTES - len(b"\x34\x01\x00") - len(tail) - 1)
    file = _Area(0 if packet.file else FILE_BYTES - 1)
    sname = _Area(0 if packet.sname else SNAME_BYTES - 1)
    for code, value in options.items():
        if code != RELAY_INFO:
            _place((main, file, sname), code, value)
    used = (1 if file.held else 0) | (2 if sname.held else 0)
    if main.room < 0 or (relay is not None and len(relay) > 255):
        raise WireError("no-room", f"relay information does not fit {limit_bytes} bytes")
    head = _head(packet, sname.bytes() or packet.sname, file.bytes() or packet.file)
    overload = _triple(OVERLOAD, BYTE[used]) if used else b""
    data = head + b"".join(main.held) + overload + tail + b"\xff"
    return data.ljust(MIN_PACKET_BYTES, b"\0")


def _place(areas: tuple[_Area, ...], code: int, value: bytes) -> None:
    """Put an option whole into the first area with room; only if there is none, in parts (RFC 3396)."""
    size = len(value)
    if size < 256:
        for area in areas:
            if area.room >= 2 + size:
                area.put(code, value)
                return
    if code not in FIXED_SIZES:
        for area in areas:
            while value and area.room > 2:
                part = value[: min(area.room - 2, 255)]
                area.put(code, part)
                value = value[len(part) :]
    if value or code in FIXED_SIZES:
        raise WireError("no-room", f"option {code} ({size} bytes) does not fit: ask the client for a larger option 57")
