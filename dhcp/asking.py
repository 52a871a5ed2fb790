"""Who asks: the network that a request comes from, by what it or its relay says, and the client that it is from.

The client id (option 61, else hardware type and address) is the only key of a client, with two exceptions that the
engine's rules name: a reservation by MAC makes all ids of that machine one client, and a second machine with
another's id is told apart by its MAC.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from dhcp import options as o
from dhcp.options import DISCOVER, LEASEQUERY
from dhcp.packet import Packet
from dhcp.view import NetworkView
from dhcp.world import Arrival, Asked, Networks, World
from storage.records import FOREVER_S, MANUAL, PERMANENT, Binding

_ADDRESS_BYTES: Final = 4


class _Said(NamedTuple):
    """What a relay wrote into option 82 for us, as addresses; 0: nothing."""

    link: int  # RFC 3527
    server_id: int  # RFC 5107


_NOTHING_SAID: Final = _Said(0, 0)


def _relay_says(request: Packet) -> _Said:
    """Return what option 82 of a relay says."""
    data = request.options.get(o.RELAY_INFO)
    if not data or not request.giaddr or not (o.RELAY_LINK_SELECTION in data or o.RELAY_SERVER_ID in data):
        return _NOTHING_SAID  # as mostly: the bytes are not there that would announce it
    return _said(data)


@lru_cache(maxsize=4096)  # a relay writes one value for each of its ports
def _said(data: bytes) -> _Said:
    try:
        found = o.suboptions(data)
    except ValueError:
        return _NOTHING_SAID  # a relay's slip in another sub-option is echoed, not punished
    values = (found.get(code, b"") for code in (o.RELAY_LINK_SELECTION, o.RELAY_SERVER_ID))
    return _Said._make(int.from_bytes(value, "big") if len(value) == _ADDRESS_BYTES else 0 for value in values)


def view_of(request: Packet, arrival: Arrival, networks: Networks) -> NetworkView | None:
    """Find the client's network: by its own address if it has one, else by what its relay or it selects (RFC 3527,
    RFC 3011), else by its relay's address, else by that of the interface. None for networks that are not ours.
    """
    kind = request.message_type
    if kind is LEASEQUERY:
        return None  # it may be about any network
    if request.ciaddr and kind is not DISCOVER:
        return networks.find(request.ciaddr)
    options = request.options
    link = _relay_says(request).link if o.RELAY_INFO in options else 0
    if not link and o.SUBNET_SELECTION in options and len(options[o.SUBNET_SELECTION]) == _ADDRESS_BYTES:
        link = int.from_bytes(options[o.SUBNET_SELECTION], "big")
    return networks.find(link or request.giaddr or arrival.server)


def ask(request: Packet, arrival: Arrival, world: World, view: NetworkView, now_s: int) -> Asked:
    """Gather what is known about a request before its message type is looked at."""
    options = request.options
    wanted = int.from_bytes(options[o.REQUESTED_ADDRESS], "big") if o.REQUESTED_ADDRESS in options else None
    client_id, is_clone = request.client_id, False
    if client_id != request.mac_id:
        client_id, is_clone = identify(request, view, request.ciaddr or wanted or 0, now_s - world.skew_s)
    server_id = _relay_says(request).server_id if o.RELAY_INFO in options else 0
    return Asked(request, arrival, world, view, now_s, client_id, is_clone, wanted, server_id or arrival.server)


def identify(request: Packet, view: NetworkView, named: int, over_s: int) -> tuple[bytes, bool]:
    """Return the client id to serve under, and whether option 61 was set aside because another machine holds it.

    A lease that had ended by `over_s` (Unix time) holds nothing.
    """
    said, mac = request.client_id, request.mac_id
    if said == mac or not request.hlen:
        return said, False
    if view.reservation_of(said) is None:
        if view.reservation_of(mac) is not None:
            return mac, False
        row = view.rows.get(named)
        if row is not None and row.client_id == mac:
            return mac, False
    holder, _ = view.heard.of(said)
    offer = view.offers.get(said)
    if offer is not None and offer.mac != mac:
        return mac, True
    if holder and holder != mac and any(runs(row, over_s) for row in view.bindings_of(said)):
        return mac, True
    return said, False


def is_fixed(row: Binding) -> bool:
    """Tell whether a binding can only be one client's, whatever the time."""
    return row.flags & (MANUAL | PERMANENT) != 0


def runs(row: Binding, now_s: int) -> bool:
    """Tell whether a binding's lease has not ended."""
    return row.lease_s > now_s or row.lease_s == FOREVER_S or row.flags & MANUAL != 0
