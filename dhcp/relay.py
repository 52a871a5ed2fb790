"""What a BOOTP relay agent does with one packet: RFC 1542 section 4, RFC 2131 section 4.1; in.dhcpd -r. Pure.

Rules of the room:

* A relay reads the fixed header only and changes nothing but `hops` and an empty `giaddr` (RFC 1542 section 4.1.1):
  options are between client and server, and what a server refuses is the server's to refuse.
* Requests are taken where clients are heard, and go to every destination, except that a client is not relayed to a
  server of its own network, which has heard it as well.
* Nothing goes round in a circle: `hops` is bounded by RELAY_HOPS, and a request that bears an address of ours as its
  `giaddr` has been here before.
* Replies are taken where `giaddr` is our address on a network of clients, and leave there: by frame or broadcast as
  `dhcp.route` says, with `giaddr` left as it is.
"""

from collections.abc import Mapping
from struct import Struct
from typing import Final, NamedTuple

from dhcp import wire
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.route import SERVER_PORT, Destination, destination
from storage.records import ipv4_text

HOPS_MAX: Final = 255  # the field is one octet

DROPPED: Final[Mapping[str, str]] = {
    "short": "shorter than the fixed part of a packet",
    "long": f"longer than {wire.MAX_PACKET_BYTES} bytes",
    "op": "neither a request nor a reply",
    "hlen": f"its hardware address is longer than {wire.CHADDR_BYTES} bytes",
    "hops": "it crossed more relays than RELAY_HOPS allows",
    "loop": "a request that this relay has passed on before, or that forges its address",
    "server-side": "a request from an interface that INTERFACES does not name",
    "no-destination": "every destination is in the client's own network and has heard it",
    "not-ours": "a reply to a relay that is not this one",
}
"""Reason for which a packet goes no further -> the sentence that people read."""

_FIXED: Final = Struct(">BBBBIHHIIII16s")
_HOPS_AT: Final = 3
_GIADDR_AT: Final = 24
_NEXT_AT: Final = 28


class Link(NamedTuple):
    """An interface of the relay: name, own address and netmask, and whether clients are heard there."""

    name: str
    address: int
    mask: int
    has_clients: bool = True


class Plan(NamedTuple):
    """What a relay is told: the servers' addresses, RELAY_HOPS, its interfaces by own address, DEBUG_PORT_OFFSET."""

    destinations: tuple[int, ...]
    hops_max: int
    links: Mapping[int, Link]
    port_offset: int = 0


class Onward(NamedTuple):
    """A request as it goes on to each of these servers, on their port."""

    data: bytes
    servers: tuple[int, ...]
    port: int
    head: Packet


class Homeward(NamedTuple):
    """A reply as it goes to the client from the interface that has the address `link`."""

    data: bytes
    link: int
    to: Destination
    head: Packet


class Dropped(NamedTuple):
    """A packet that goes no further: one of the reasons of `DROPPED`, and whom it names."""

    reason: str
    mac: str = ""
    giaddr: str = ""


def decide(data: bytes, came_in: Link, plan: Plan) -> Onward | Homeward | Dropped:
    """Say what becomes of one datagram from the network of `came_in`. No bytes make it raise."""
    if not wire.HEADER_BYTES <= len(data) <= wire.MAX_PACKET_BYTES:
        return Dropped("short" if len(data) < wire.HEADER_BYTES else "long")
    op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr = _FIXED.unpack_from(data)
    head = Packet(
        op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, b"", b"", {}, has_cookie=False
    )
    if head.hlen > wire.CHADDR_BYTES:
        return Dropped("hlen")
    if head.op == wire.BOOTREQUEST:
        return _request(data, head, came_in, plan)
    if head.op == wire.BOOTREPLY:
        return _reply(data, head, plan)
    return Dropped("op")


def _drop(head: Packet, reason: str) -> Dropped:
    return Dropped(reason, head.mac, ipv4_text(head.giaddr))


def _request(data: bytes, head: Packet, came_in: Link, plan: Plan) -> Onward | Dropped:
    if head.giaddr in plan.links:
        return _drop(head, "loop")
    if not came_in.has_clients:
        return _drop(head, "server-side")
    if head.hops > plan.hops_max or head.hops >= HOPS_MAX:
        return _drop(head, "hops")
    servers = plan.destinations
    if not head.giaddr:
        servers = tuple(server for server in servers if (server ^ came_in.address) & came_in.mask)
    if not servers:
        return _drop(head, "no-destination")
    giaddr = (head.giaddr or came_in.address).to_bytes(4, "big")
    hops = bytes((head.hops + 1,))
    onward = data[:_HOPS_AT] + hops + data[_HOPS_AT + 1 : _GIADDR_AT] + giaddr + data[_NEXT_AT:]
    return Onward(onward, servers, SERVER_PORT + plan.port_offset, head)


def _reply(data: bytes, head: Packet, plan: Plan) -> Homeward | Dropped:
    link = plan.links.get(head.giaddr)
    if link is None or not link.has_clients:
        return _drop(head, "not-ours")
    direct = head.altered(giaddr=0)  # the last relay is to the client what a server on its network would be
    to = destination(direct, head.yiaddr, plan.port_offset, refused=head.message_type is MessageType.NAK)
    return Homeward(data, link.address, to, head)
