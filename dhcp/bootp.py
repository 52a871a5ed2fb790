"""BOOTP clients (RFC 951, 1533, 1542), where BOOTP_COMPAT allows them.

Rules of the room, as in.dhcpd has them:

* Bindings with the flag BOOTP are theirs, and theirs alone. `manual` answers those that have one; `automatic` gives
  a free one to any that asks, for ever, durably before the reply leaves.
* A client is known by its hardware address only, and no class macro is used.
* The reply has 300 bytes, for that is all a BOOTP client must take: after netmask and routers, options that do not
  fit are left out. None of 51, 53, 54 is sent, nor any option to a client that sends no magic cookie.
"""

from typing import Final

from dhcp import answers, reply, wire
from dhcp import options as o
from dhcp.decision import Decision, answered, silent
from dhcp.macros import Selected
from dhcp.options import MessageType
from dhcp.verify import probe
from dhcp.view import Offer
from dhcp.world import Asked
from storage.records import BOOTP, FOREVER_S, FREE_ID, MANUAL, UNUSABLE, Binding, Change

AUTOMATIC: Final = "automatic"
ROOM_BYTES: Final = wire.MIN_PACKET_BYTES - wire.HEADER_BYTES - 1  # one for the end mark

FIRST: Final = (o.RELAY_INFO, o.SUBNET_MASK, o.ROUTER)  # a relay may not deliver a reply without the first


def decide(asked: Asked) -> Decision:
    """Decide about one BOOTP request."""
    mine = [row for row in asked.view.bindings_of(asked.client_id) if row.flags & BOOTP]
    if any(row.flags & UNUSABLE and row.flags & MANUAL for row in mine):
        return silent(asked, "blocked")
    usable = [row for row in mine if not row.flags & UNUSABLE]
    if usable:
        return _give(asked, max(usable, key=lambda row: row.address == asked.request.ciaddr))
    if asked.world.conf.bootp_compat != AUTOMATIC:
        return silent(asked, "bootp-unbound")
    offer = asked.view.offers.get(asked.client_id)
    held = None if offer is None else asked.view.rows.get(offer.address)
    row = held if held is not None and _is_free(held) else asked.view.free_bootp_for(asked.client_id)
    return silent(asked, "full") if row is None else _give(asked, row)


def _is_free(row: Binding) -> bool:
    return row.flags & (BOOTP | MANUAL | UNUSABLE) == BOOTP and row.client_id == FREE_ID


def _give(asked: Asked, row: Binding) -> Decision:
    selected = asked.world.macros.select("", (), asked.view.name, row.macro, asked.client_id)
    new = row._replace(client_id=asked.client_id, lease_s=FOREVER_S)
    is_new = row.client_id != asked.client_id
    return answered(
        asked,
        "dhcp.bootp",
        _encoded(asked, selected, row),
        row.address,
        change=None if new == row else Change(asked.view.name, row, new),
        needs_store=is_new,
        remember=Offer(asked.client_id, asked.mac, row.address, FOREVER_S) if is_new else None,
        probe=probe(asked, row) if is_new else 0,
    )


def _encoded(asked: Asked, selected: Selected, row: Binding) -> bytes:
    request = asked.request
    plan = reply.make_plan(selected, asked.view.network, asked.arrival.server, b"")
    packet = reply.answer(request, MessageType.ACK, asked.arrival.server, plan, row.address, None, {})
    options = {code: packet.options[code] for code in packet.options if code not in (o.MESSAGE_TYPE, o.SERVER_ID)}
    name = answers.host_name(selected, row)
    if name:
        options[o.HOST_NAME] = name
    packet.options, packet.has_cookie = _fitting(options), request.has_cookie
    return wire.encode(packet)


def _fitting(options: dict[int, bytes]) -> dict[int, bytes]:
    """Return the options that find room, those of `FIRST` first."""
    room = ROOM_BYTES
    kept: dict[int, bytes] = {}
    for code in dict.fromkeys((*FIRST, *options)):
        value = options.get(code)
        if value is not None and 2 + len(value) <= room:
            kept[code] = value
            room -= 2 + len(value)
    return kept
