"""Where a reply goes: RFC 2131 section 4.1; RFC 1542 for BOOTP. Pure: nothing is sent here.

A client that has no address yet cannot answer ARP, so a unicast reply to it is a whole Ethernet frame (`Via.FRAME`,
see `dhcp.frame`); everything else goes out of the UDP socket. A shell that may not send frames broadcasts instead.
"""

from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from dhcp.packet import ETHERNET, Packet

SERVER_PORT: Final = 67
CLIENT_PORT: Final = 68
LIMITED_BROADCAST: Final = 0xFFFFFFFF
_MAC_BYTES: Final = 6


class Via(Enum):
    """How a reply leaves."""

    SOCKET = "socket"
    FRAME = "frame"


class Destination(NamedTuple):
    """Where one reply goes; `mac` is the station of a frame and empty for a socket."""

    via: Via
    address: int
    port: int
    mac: bytes = b""


def destination(
    request: Packet, yiaddr: int, port_offset: int = 0, *, refused: bool = False, ciaddr_is_local: bool = True
) -> Destination:
    """Say where the reply to `request` that gives the address `yiaddr` (0: none) goes; `refused`: it is a NAK.

    A relay gets it on the server's port. A refusal (NAK) is broadcast, for the client must not trust the address that
    it has, unless `ciaddr_is_local` is false: then the client wrote from beyond a router, where no broadcast of ours
    is heard. Other replies go to the address that the client says it uses; else, to a client without one, by
    broadcast if it asks for that or its hardware cannot be framed, and by frame if not.
    """
    if request.giaddr:
        return to_relay(request.giaddr, port_offset)
    client_port = CLIENT_PORT + port_offset
    if request.ciaddr and not (refused and ciaddr_is_local):
        return Destination(Via.SOCKET, request.ciaddr, client_port)
    framable = request.htype == ETHERNET and request.hlen == _MAC_BYTES and yiaddr
    if refused or request.broadcast or not framable:
        return Destination(Via.SOCKET, LIMITED_BROADCAST, client_port)
    return Destination(Via.FRAME, yiaddr, client_port, request.chaddr)


@lru_cache(maxsize=4096)  # a site has fewer relays, and most replies go to one
def to_relay(giaddr: int, port_offset: int) -> Destination:
    """Say where a relay with this address gets its replies."""
    return Destination(Via.SOCKET, giaddr, SERVER_PORT + port_offset)
