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
from typing import Final, NamedTuple

from dhcp.options import CLIENT_ID, END, MESSAGE_TYPE, OVERLOAD, RELAY_INFO, MessageType

BOOTREQUEST: Final = 1
BOOTREPLY: Final = 2
ETHERNET: Final = 1
BROADCAST_FLAG: Final = 0x8000

HEADER_BYTES: Final = 240  # fixed part and cookie
MIN_PACKET_BYTES: Final = 300  # RFC 951: what a BOOTP relay or client may insist on
MAX_PACKET_BYTES: Final = 8192
CHADDR_BYTES: Final = 16
SNAME_BYTES: Final = 64
FILE_BYTES: Final = 128
IP_UDP_BYTES: Final = 28  # headers that option 57 counts and a datagram's payload does not
MIN_MESSAGE_BYTES: Final = 576  # RFC 2131 section 2: what every client must accept

FIXED_SIZES: Final[Mapping[int, int]] = {50: 4, 51: 4, 52: 1, 53: 1, 54: 4, 57: 2, 58: 4, 59: 4}

_COOKIE: Final = 0x63825363
_HEADER: Final = Struct(">BBBBIHHIIII16s64s128sI")
_SIZES: Final = tuple(FIXED_SIZES.items())
_MESSAGE_TYPES: Final[Mapping[bytes, MessageType]] = {bytes((kind,)): kind for kind in MessageType}
_QUERY_TYPES: Final = frozenset(key for key, kind in _MESSAGE_TYPES.items() if kind >= MessageType.LEASEQUERY)
_NO_SNAME: Final = bytes(SNAME_BYTES)
_NO_FILE: Final = bytes(FILE_BYTES)
_BYTE: Final = tuple(bytes((value,)) for value in range(256))
_HEAD: Final = Struct(">BBBBIHHIIII16s")  # up to the hardware address
_COOKIE_BYTES: Final = _COOKIE.to_bytes(4, "big")
_END_MARK: Final = b"\xff"


class WireError(Exception):
    """Bytes that are no acceptable packet, or a reply that cannot be written.

    `reason` is one of a few short words to count by: short, long, op, hlen, chaddr, option-past-end, overload,
    bad-message-type, length (decode); text, no-room (encode).
    """

    def __init__(self, reason: str, text: str) -> None:
        """Keep the reason to count by, and the sentence for people."""
        super().__init__(text)
        self.reason = reason


class Packet(NamedTuple):
    """One packet. Addresses are integers; `sname` and `file` are without their trailing NULs.

    `raw_chaddr` holds all 16 octets, so that a reply can copy them; `chaddr` is the hlen octets that count.
    `options` maps codes to values in the order first seen.
    """

    op: int
    htype: int
    hlen: int
    hops: int
    xid: int
    secs: int
    flags: int
    ciaddr: int
    yiaddr: int
    siaddr: int
    giaddr: int
    raw_chaddr: bytes
    sname: bytes
    file: bytes
    options: dict[int, bytes]
    has_cookie: bool = True

    @property
    def chaddr(self) -> bytes:
        """The hardware address, `hlen` octets long."""
        return self.raw_chaddr[: self.hlen]

    @property
    def mac(self) -> str:
        """The hardware address as text, `00:14:4f:00:00:01`."""
        return self.raw_chaddr[: self.hlen].hex(":")

    @property
    def mac_id(self) -> bytes:
        """The client id of a machine that sends none: hardware type and address."""
        return _BYTE[self.htype] + self.raw_chaddr[: self.hlen]

    @property
    def message_type(self) -> MessageType | None:
        """The value of option 53; None for BOOTP."""
        return _MESSAGE_TYPES.get(self.options.get(MESSAGE_TYPE, b""))

    @property
    def client_id(self) -> bytes:
        """The client's only key: option 61 of a DHCP client, else hardware type and address (always for BOOTP)."""
        options = self.options
        if CLIENT_ID in options and MESSAGE_TYPE in options:
            return options[CLIENT_ID]
        return self.mac_id

    @property
    def broadcast(self) -> bool:
        """Whether the client asks for broadcast replies; the other flag bits are reserved and ignored."""
        return self.flags >= BROADCAST_FLAG

    @property
    def waiting_s(self) -> int:
        """Seconds that the client has been trying; a `secs` field in the wrong byte order is turned round.

        Some clients store it little-endian: a multiple of 256 is far more often that than four minutes to the second.
        """
        return self.secs if self.secs & 0xFF else self.secs >> 8


def decode(data: bytes, op: int = BOOTREQUEST) -> Packet:
    """Parse one datagram whose first octet must be `op`; raise WireError for anything malformed."""
    if not HEADER_BYTES <= len(data) <= MAX_PACKET_BYTES:
        raise WireError("short" if len(data) < HEADER_BYTES else "long", f"packet of {len(data)} bytes")
    fields = _HEADER.unpack_from(data)
    chaddr, sname, file, cookie = fields[11:]
    options: dict[int, bytes] = {}
    if cookie == _COOKIE:
        _read_options(data, HEADER_BYTES, options)
        if OVERLOAD in options:
            sname, file = _read_overloaded(options, sname, file)
        if CLIENT_ID in options and len(options[CLIENT_ID]) < 2:
            del options[CLIENT_ID]
        _check_options(options)
    _check_identity(fields, chaddr, options, op)
    sname = b"" if sname == _NO_SNAME else sname.partition(b"\0")[0]
    file = b"" if file == _NO_FILE else file.partition(b"\0")[0]
    return Packet._make((*fields[:12], sname, file, options, cookie == _COOKIE))


def _read_options(area: bytes, at: int, options: dict[int, bytes]) -> None:
    """Add the options of one area to `options`: pads skipped, up to the end mark or the end of the area."""
    end = len(area)
    code = 0
    try:
        while at < end:
            code = area[at]
            if code == END:
                return
            if code == 0:
                at += 1
                continue
            start = at + 2
            at = start + area[at + 1]  # past the end: the loop stops here, and the option is refused below
            if code not in options:
                options[code] = area[start:at]
            elif code not in FIXED_SIZES:
                options[code] += area[start:at]
    except IndexError:
        at = end + 1
    if at > end:
        raise WireError("option-past-end", f"option {code} runs past the end of its area")


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


def _check_options(options: dict[int, bytes]) -> None:
    """Refuse options of the wrong size, and message types that do not exist."""
    for code, size in _SIZES:
        if code in options and len(options[code]) != size:
            reason = "bad-message-type" if code == MESSAGE_TYPE else "length"
            raise WireError(reason, f"option {code} has {len(options[code])} bytes, not {size}")
    if MESSAGE_TYPE in options and options[MESSAGE_TYPE] not in _MESSAGE_TYPES:
        raise WireError("bad-message-type", f"message type {options[MESSAGE_TYPE][0]} is unknown")


def _check_identity(fields: tuple[int, ...], chaddr: bytes, options: dict[int, bytes], op: int) -> None:
    """Refuse a packet of the wrong direction, or from nobody."""
    if fields[0] != op:
        raise WireError("op", f"op is {fields[0]} instead of {op}")
    hlen = fields[2]
    if hlen > CHADDR_BYTES:
        raise WireError("hlen", f"hardware address of {hlen} bytes, at most {CHADDR_BYTES} fit")
    kind = options.get(MESSAGE_TYPE)
    if kind in _QUERY_TYPES:
        return
    if hlen == 0:
        if kind is None or CLIENT_ID not in options:
            raise WireError("hlen", "neither hardware address nor client id")
    elif fields[1] == ETHERNET and (chaddr[0] & 1 or not chaddr[:hlen].strip(b"\0")):
        raise WireError("chaddr", f"{chaddr[:hlen].hex(':')} is no station's hardware address")


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
        return (_HEADER.pack(*packet[:14], 0)).ljust(MIN_PACKET_BYTES, b"\0")
    options = packet.options
    if RELAY_INFO in options:
        options = {**options}
        options[RELAY_INFO] = options.pop(RELAY_INFO)
    data = b"".join((_HEADER.pack(*packet[:14], _COOKIE), option_run(options), _END_MARK))
    if len(data) > limit_bytes:
        return _encode_overloaded(packet, options, limit_bytes)
    return data.ljust(MIN_PACKET_BYTES, b"\0")


def option_run(options: Mapping[int, bytes]) -> bytes:
    """Options as they stand in a packet, one after the other; long ones in parts (RFC 3396). No end mark."""
    parts: list[bytes] = []
    for code, value in options.items():
        size = len(value)
        if size < 256:
            parts += _BYTE[code], _BYTE[size], value
        else:
            parts += (_triple(code, value[at : at + 255]) for at in range(0, size, 255))
    return b"".join(parts)


def text_areas(sname: bytes, file: bytes) -> bytes:
    """What stands between the hardware address and the options: server name, boot file, cookie."""
    return sname.ljust(SNAME_BYTES, b"\0") + file.ljust(FILE_BYTES, b"\0") + _COOKIE_BYTES


def join_reply(request: Packet, ciaddr: int, yiaddr: int, siaddr: int, rest: tuple[bytes, ...]) -> bytes:
    """Write a reply from parts that are encoded already: `rest` is `text_areas` and the options without an end mark.

    The same bytes as `encode` makes, without looking at each option. The length is the caller's business.
    """
    _, htype, hlen, _, xid, _, flags, _, _, _, giaddr, chaddr, *_ = request
    head = _HEAD.pack(BOOTREPLY, htype, hlen, 0, xid, 0, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr)
    return b"".join((head, *rest, _END_MARK)).ljust(MIN_PACKET_BYTES, b"\0")


def _triple(code: int, value: bytes) -> bytes:
    return _BYTE[code] + _BYTE[len(value)] + value


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
    fields = packet._replace(sname=sname.bytes() or packet.sname, file=file.bytes() or packet.file)
    overload = _triple(OVERLOAD, _BYTE[used]) if used else b""
    data = _HEADER.pack(*fields[:14], _COOKIE) + b"".join(main.held) + overload + tail + b"\xff"
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
