"""Packets in words, for `VERBOSE=TRUE`: what a client sent and what it was answered, option by option. Pure."""

from typing import Final

from dhcp import wire
from dhcp.option_text import describe
from dhcp.options import MESSAGE_TYPE
from storage.records import ipv4_text

RECEIVED: Final = ("dhcp.packet", wire.BOOTREQUEST)
SENT: Final = ("dhcp.reply", wire.BOOTREPLY)
"""Kind of the event, and what a packet of that way must be."""

_ADDRESSES: Final = ("ciaddr", "yiaddr", "siaddr", "giaddr")


def in_words(data: bytes, op: int) -> dict[str, object]:
    """Return the fields of an event about a packet, printable ASCII whatever the packet holds."""
    try:
        packet = wire.decode(data, op)
    except wire.WireError as error:
        return {"state": "malformed", "detail": f"{len(data)} bytes: {error}"}
    addresses = [f"{name} {ipv4_text(getattr(packet, name))}" for name in _ADDRESSES if getattr(packet, name)]
    options = [describe(code, value) for code, value in packet.options.items() if code != MESSAGE_TYPE]
    return {
        "mac": packet.mac,
        "xid": f"{packet.xid:08x}",
        "state": packet.kind,
        "detail": "; ".join([*addresses, *options]),
    }
