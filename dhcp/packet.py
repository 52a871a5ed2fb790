"""One packet as a value: what its fields say, and who sent it. Bytes become one, and it bytes, in `dhcp.wire`."""

from typing import Any, Final

from dhcp.options import CLIENT_ID, MESSAGE_TYPE, MessageType

ETHERNET: Final = 1
BROADCAST_FLAG: Final = 0x8000

BYTE: Final = tuple(bytes((value,)) for value in range(256))
_MESSAGE_TYPES: Final[dict[bytes, MessageType]] = {bytes((kind,)): kind for kind in MessageType}


class Packet:
    """One packet. Addresses are integers; `sname` and `file` are without their trailing NULs.

    `raw_chaddr` holds all 16 octets, so that a reply can copy them. `options` maps codes to values in the order first
    seen. Worked out once, because each is asked for several times on the way of a packet:

    `mac_id`: the client id of a machine that sends none, hardware type and address.
    `message_type`: the value of option 53; None for BOOTP.
    `client_id`: the client's only key, option 61 of a DHCP client, else hardware type and address (always for BOOTP).
    """

    __slots__ = (
        *("op", "htype", "hlen", "hops", "xid", "secs", "flags", "ciaddr", "yiaddr", "siaddr", "giaddr", "raw_chaddr"),
        *("sname", "file", "options", "has_cookie", "mac_id", "message_type", "client_id"),
    )

    def __init__(  # noqa: PLR0913, PLR0917 - a value: one for each field
        self,
        op: int,
        htype: int,
        hlen: int,
        hops: int,
        xid: int,
        secs: int,
        flags: int,
        ciaddr: int,
        yiaddr: int,
        siaddr: int,
        giaddr: int,
        raw_chaddr: bytes,
        sname: bytes,
        file: bytes,
        options: dict[int, bytes],
        has_cookie: bool = True,
    ) -> None:
        self.op = op
        self.htype = htype
        self.hlen = hlen
        self.hops = hops
        self.xid = xid
        self.secs = secs
        self.flags = flags
        self.ciaddr = ciaddr
        self.yiaddr = yiaddr
        self.siaddr = siaddr
        self.giaddr = giaddr
        self.raw_chaddr = raw_chaddr
        self.sname = sname
        self.file = file
        self.options = options
        self.has_cookie = has_cookie
        mac_id = BYTE[htype] + raw_chaddr[:hlen]
        self.mac_id = mac_id
        kind: MessageType | None = None
        client_id = mac_id
        if MESSAGE_TYPE in options:
            kind = _MESSAGE_TYPES.get(options[MESSAGE_TYPE])
            if CLIENT_ID in options:
                client_id = options[CLIENT_ID]
        self.message_type = kind
        self.client_id = client_id

    @property
    def chaddr(self) -> bytes:
        """The hardware address, `hlen` octets long."""
        return self.raw_chaddr[: self.hlen]

    @property
    def mac(self) -> str:
        """The hardware address as text, `00:14:4f:00:00:01`."""
        return self.raw_chaddr[: self.hlen].hex(":")

    @property
    def kind(self) -> str:
        """The name of its message type, or BOOTP."""
        return "BOOTP" if self.message_type is None else self.message_type.name

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

    def fields(self) -> dict[str, Any]:
        """What it is made of, by name."""
        return {name: getattr(self, name) for name in _FIELDS}

    def altered(self, **fields: Any) -> "Packet":
        """The same packet with other values of some fields."""
        return Packet(**{**self.fields(), **fields})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and self.fields() == other.fields()

    def __hash__(self) -> int:
        return hash((self.xid, self.raw_chaddr))

    def __repr__(self) -> str:
        return f"Packet({', '.join(f'{name}={value!r}' for name, value in self.fields().items())})"


_FIELDS: Final = (
    *("op", "htype", "hlen", "hops", "xid", "secs", "flags", "ciaddr", "yiaddr", "siaddr", "giaddr", "raw_chaddr"),
    *("sname", "file", "options", "has_cookie"),
)
