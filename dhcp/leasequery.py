"""Lease queries of relay agents and access concentrators: RFC 4388, by address, hardware address or client id.

Rules of the room:

* Only a relay is answered (giaddr set), at its own address: nobody else has use for the answer, and none of it goes to
  a client. Nothing is stored or promised.
* The datastore is the cluster's, so the answer is about all its bindings, whichever server gave them.
* LEASEACTIVE is said of a lease that runs; LEASEUNASSIGNED of an address that has a binding here and no such lease;
  LEASEUNKNOWN of everything else.
* Options are those of the query's parameter list, all that we know without one: 51 and 61 from the binding, 91 (when
  the client was last heard) and the hardware address from memory, 92 where one client has several leases. What was
  not heard since the start is left out. Option 82 of the client's last packet is not kept, so it is never told.
"""

from typing import Final, NamedTuple

from dhcp import options as o
from dhcp import wire
from dhcp.decision import Decision, Reply, unheard
from dhcp.macros import MacroTable
from dhcp.options import MessageType
from dhcp.packet import ETHERNET, Packet
from dhcp.route import destination
from dhcp.view import NetworkView
from dhcp.world import Arrival, World
from storage.records import FOREVER_S, FREE_ID, UNUSABLE, Binding, ipv4_text

LEASES_MAX: Final = 32  # told in one answer (option 92)
_MAC_ID_BYTES: Final = 7  # hardware type 1 and a MAC


class Lease(NamedTuple):
    """One lease that runs, and when and from which hardware address its client was last heard (0 and b"": unknown)."""

    row: Binding
    heard_s: int
    mac: bytes
    network: str


def decide(request: Packet, arrival: Arrival, world: World, now_s: int) -> Decision:
    """Answer one query. `now_s` is Unix time."""
    if not request.giaddr:
        return unheard(request, "query-unrelayed")
    if request.ciaddr:
        view = world.networks.find(request.ciaddr)
        row = None if view is None else view.rows.get(request.ciaddr)
        leases = [] if view is None else _running(view, [] if row is None else [row], now_s)
        missing = MessageType.LEASEUNKNOWN if row is None else MessageType.LEASEUNASSIGNED
    elif request.hlen or o.CLIENT_ID in request.options:
        leases = [lease for view in world.networks.views for lease in _running(view, _rows(view, request), now_s)]
        missing = MessageType.LEASEUNKNOWN
    else:
        return unheard(request, "query-empty")
    leases.sort(key=lambda lease: (lease.heard_s, lease.row.lease_s), reverse=True)
    kind = MessageType.LEASEACTIVE if leases else missing
    packet = _packet(request, arrival, kind, leases[:LEASES_MAX], world.macros, now_s)
    to = destination(request, 0, world.conf.debug_port_offset)
    fields: dict[str, object] = {
        "address": ipv4_text(packet.ciaddr),
        "mac": packet.mac,
        "xid": f"{request.xid:08x}",
        "state": kind.name,
        "server": ipv4_text(arrival.server),
        "detail": f"asked by {ipv4_text(request.giaddr)}",
    }
    return Decision("dhcp.leasequery", fields, reply=Reply(wire.encode(packet), to))


def _rows(view: NetworkView, request: Packet) -> list[Binding]:
    """Return the client's bindings in one network, whatever their state."""
    client_id = request.options.get(o.CLIENT_ID)
    if client_id is not None:
        return list(view.bindings_of(client_id))
    mac = bytes((request.htype,)) + request.chaddr
    ids = dict.fromkeys((mac, view.heard.id_of(mac)))
    return [row for client_id in ids if client_id is not None for row in view.bindings_of(client_id)]


def _running(view: NetworkView, rows: list[Binding], now_s: int) -> list[Lease]:
    leases = []
    for row in rows:
        if row.client_id == FREE_ID or row.flags & UNUSABLE or row.lease_s <= now_s:
            continue
        mac, heard_s = view.heard.of(row.client_id)
        if not mac and len(row.client_id) == _MAC_ID_BYTES and row.client_id[0] == ETHERNET:
            mac = row.client_id
        leases.append(Lease(row, heard_s, mac, view.name))
    return leases


def _packet(
    request: Packet, arrival: Arrival, kind: MessageType, leases: list[Lease], macros: MacroTable, now_s: int
) -> Packet:
    options = {o.MESSAGE_TYPE: bytes((kind,)), o.SERVER_ID: arrival.server.to_bytes(4, "big")}
    wanted = request.options.get(o.PARAMETER_LIST)
    if leases:
        options |= {code: value for code, value in _told(leases, now_s).items() if not wanted or code in wanted}
        if wanted and leases[0].heard_s:
            options |= {code: value for code, value in _renewals(leases[0], macros, now_s).items() if code in wanted}
    mac = leases[0].mac if leases else bytes((request.htype,)) + request.chaddr
    return request.altered(
        op=wire.BOOTREPLY,
        htype=mac[0] if mac else 0,
        hlen=max(len(mac) - 1, 0),
        raw_chaddr=mac[1:].ljust(wire.CHADDR_BYTES, b"\0"),
        hops=0,
        secs=0,
        ciaddr=leases[0].row.address if leases else request.ciaddr,
        yiaddr=0,
        siaddr=0,
        sname=b"",
        file=b"",
        options=options,
    )


def _told(leases: list[Lease], now_s: int) -> dict[int, bytes]:
    row, heard_s, _, _ = leases[0]
    left_s = FOREVER_S if row.lease_s == FOREVER_S else row.lease_s - now_s
    told = {o.LEASE_TIME: left_s.to_bytes(4, "big"), o.CLIENT_ID: row.client_id}
    if heard_s:
        told[o.LAST_TRANSACTION] = max(now_s - heard_s, 0).to_bytes(4, "big")
    if len(leases) > 1:
        told[o.ASSOCIATED_ADDRESSES] = b"".join(lease.row.address.to_bytes(4, "big") for lease in leases[1:])
    return told


def _renewals(lease: Lease, macros: MacroTable, now_s: int) -> dict[int, bytes]:
    """Return the time left until the client renews (option 58) and rebinds (59), 0 where that is over."""
    row, told = lease.row, {}
    said = dict(macros.select("", (), lease.network, row.macro, row.client_id).options)
    whole_s = row.lease_s - lease.heard_s
    for code, eighths in ((o.RENEWAL_TIME, 4), (o.REBINDING_TIME, 7)):
        after_s = int.from_bytes(said[code], "big") if code in said else whole_s * eighths // 8
        left_s = max(lease.heard_s + min(after_s, whole_s) - now_s, 0)
        told[code] = (FOREVER_S if row.lease_s == FOREVER_S else left_s).to_bytes(4, "big")
    return told
