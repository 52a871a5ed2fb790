"""Who asks: the network that a request comes from, and the client that it is from.

The client id (option 61, else hardware type and address) is the only key of a client, with two exceptions that the
engine's rules name: a reservation by MAC makes all ids of that machine one client, and a second machine with
another's id is told apart by its MAC.
"""

from dhcp import options as o
from dhcp.decision import ADDRESS_BYTES, Arrival, Asked, Networks, World, relay_says
from dhcp.options import DISCOVER, LEASEQUERY
from dhcp.packet import Packet
from dhcp.view import NetworkView
from storage.records import FOREVER_S, MANUAL, PERMANENT, Binding


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
    link = relay_says(request).link if o.RELAY_INFO in options else 0
    if not link and o.SUBNET_SELECTION in options and len(options[o.SUBNET_SELECTION]) == ADDRESS_BYTES:
        link = int.from_bytes(options[o.SUBNET_SELECTION], "big")
    return networks.find(link or request.giaddr or arrival.server)


def ask(request: Packet, arrival: Arrival, world: World, view: NetworkView, now_s: int) -> Asked:
    """Gather what is known about a request before its message type is looked at."""
    options = request.options
    wanted = int.from_bytes(options[o.REQUESTED_ADDRESS], "big") if o.REQUESTED_ADDRESS in options else None
    client_id, is_clone = request.client_id, False
    if client_id != request.mac_id:
        client_id, is_clone = identify(request, view, request.ciaddr or wanted or 0, now_s - world.skew_s)
    server_id = relay_says(request).server_id if o.RELAY_INFO in options else 0
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
