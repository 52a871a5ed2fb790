"""From a binding to the packet that offers, gives or refuses it: macros looked up, lease measured, reply filled in.

What a reply holds besides the plan of its macros (see `dhcp.reply`) is added here, because it depends on the client or
its binding: option 12 by the macro flag Hostname, option 81 for clients that send one (RFC 4702), option 118 given
back (RFC 3011), and the relay's address as server id where the relay asks for that (RFC 5107).
"""

from typing import Final

from dhcp import names, reply, wire
from dhcp import options as o
from dhcp.decision import Decision, answered
from dhcp.macros import Selected
from dhcp.options import MessageType
from dhcp.reply import Plan
from dhcp.world import Asked
from storage.records import FOREVER_S, MANUAL, PERMANENT, Binding

PXE_CLASSES: Final = (b"PXEClient", b"HTTPClient")  # firmware compares the answer with the bare word
LEASE_FLOOR_S: Final = 60  # a client that asks for less would renew without end


def plan_for(asked: Asked, macro: str) -> Plan:
    """Return what is the same in all answers to clients like this one; `macro` is the address's, "" for none."""
    found, world = asked.request.options, asked.world
    key = (
        found.get(o.CLASS_ID, b""),
        found.get(o.USER_CLASS, b""),
        found.get(o.PARAMETER_LIST, b""),
        macro,
        asked.client_id if asked.client_id in world.macros.clients else b"",
        asked.arrival.server,
        asked.view.name,
    )
    plan = world.plans.made.get(key)
    return plan if plan is not None else world.plans.keep(key, _plan(asked, macro))


def _plan(asked: Asked, macro: str) -> Plan:
    found = asked.request.options
    class_id, user_class = found.get(o.CLASS_ID), found.get(o.USER_CLASS)
    selected = asked.world.macros.select(
        class_id.decode("latin-1") if class_id else "",
        o.user_classes(user_class) if user_class else (),
        asked.view.name,
        macro,
        asked.client_id,
    )
    return reply.make_plan(selected, asked.view.network, asked.arrival.server, found.get(o.PARAMETER_LIST, b""))


def lease_for(asked: Asked, row: Binding, plan: Plan, *, negotiable: bool) -> int:
    """Return the lease to grant, seconds: the macro's, what is left of the old one, the client's wish (option 51)."""
    if row.flags & PERMANENT:
        return FOREVER_S
    left_s = 0
    if row.lease_s > asked.now_s and row.client_id == asked.client_id:
        left_s = FOREVER_S if row.lease_s == FOREVER_S else row.lease_s - asked.now_s
    macro_s = plan.lease_s
    if not negotiable:
        return left_s or macro_s
    return _wished(asked, max(macro_s, left_s))


def anew_s(asked: Asked, plan: Plan) -> int:
    """Return the lease that the client would get who begins anew, seconds, as far as this request tells its wish."""
    return _wished(asked, plan.lease_s)


def _wished(asked: Asked, longest_s: int) -> int:
    wish = asked.request.options.get(o.LEASE_TIME)
    return longest_s if wish is None else min(longest_s, max(int.from_bytes(wish, "big"), LEASE_FLOOR_S))


def answer(asked: Asked, kind: MessageType, plan: Plan, row: Binding | None, lease_s: int | None) -> bytes:
    """Return an OFFER or ACK of a binding; without one and without lease, the ACK of an INFORM. WireError: no room."""
    request = asked.request
    extra = _extra(asked, plan, row)
    address = 0 if row is None else row.address
    data = None if lease_s is None or extra else reply.quick(request, kind, plan, address, lease_s)
    if data is not None:
        return data
    packet = reply.answer(request, kind, asked.arrival.server, plan, address, lease_s, extra)
    return wire.encode(packet, reply.limit_bytes(request))


def _extra(asked: Asked, plan: Plan, row: Binding | None) -> dict[int, bytes]:
    """Return the options that depend on the client or its binding, besides 61 and 82."""
    found, selected = asked.request.options, plan.selected
    extra: dict[int, bytes] = {}
    if plan.echo_class and o.CLASS_ID in found:
        word = found[o.CLASS_ID].partition(b":")[0]
        extra[o.CLASS_ID] = word if word in PXE_CLASSES else found[o.CLASS_ID]
    if plan.hostname and (name := host_name(selected, row)):
        extra[o.HOST_NAME] = name
    if o.CLIENT_FQDN in found:
        name = extra.get(o.HOST_NAME, b"")
        fqdn = names.fqdn_reply(found[o.CLIENT_FQDN], name, plan.informed.get(o.DOMAIN_NAME, b""))
        if fqdn is not None:
            extra[o.CLIENT_FQDN] = fqdn
    return given_back(asked, extra)


def host_name(selected: Selected, row: Binding | None) -> bytes:
    """Return the host name to send: a reservation's comment, where that is a label and the macro flag Hostname is set.

    The same names are in the DNS; a comment such as "spare, 3rd floor" is no name.
    """
    if row is None or not selected.hostname or not row.flags & MANUAL:
        return b""
    return row.comment.encode() if names.is_label(row.comment) else b""


def nak(asked: Asked, text: str, state: str) -> Decision:
    """Return the decision to refuse an address."""
    packet = reply.refusal(asked.request, asked.arrival.server, text)
    given_back(asked, packet.options)
    data = wire.encode(packet, reply.limit_bytes(asked.request))
    address = asked.request.ciaddr or asked.wanted or 0
    return answered(asked, "dhcp.nak", data, address, state=state, facts={"reason": text})


def given_back(asked: Asked, extra: dict[int, bytes]) -> dict[int, bytes]:
    """Add what a relay or a client wants to see again besides options 60, 61 and 82; return `extra`."""
    found = asked.request.options
    if o.SUBNET_SELECTION in found:
        extra[o.SUBNET_SELECTION] = found[o.SUBNET_SELECTION]
    if asked.server_id != asked.arrival.server:
        extra[o.SERVER_ID] = asked.server_id.to_bytes(4, "big")
    return extra
