"""From a binding to the packet that offers, gives or refuses it: macros looked up, reply filled in.

What a reply holds besides the plan of its macros (see `dhcp.reply`) is added here, because it depends on the client or
its binding: option 12 by the macro flag Hostname, option 81 for clients that send one (RFC 4702), option 118 given
back (RFC 3011), and the relay's address as server id where the relay asks for that (RFC 5107).
"""

from dhcp import names, reply
from dhcp import options as o
from dhcp.decision import Asked, Decision, answered
from dhcp.macros import Selected
from dhcp.options import MessageType
from dhcp.wire import Packet
from storage.records import MANUAL, Binding


def select(asked: Asked, macro: str) -> Selected:
    """Return what the macros say for this client and an address's macro ("" for none)."""
    found = asked.request.options
    class_id, user_class = found.get(o.CLASS_ID), found.get(o.USER_CLASS)
    return asked.world.macros.select(
        class_id.decode("latin-1") if class_id else "",
        o.user_classes(user_class) if user_class else (),
        asked.view.name,
        macro,
        asked.client_id.hex().upper(),
    )


def answer(asked: Asked, kind: MessageType, selected: Selected, row: Binding | None, lease_s: int | None) -> Packet:
    """Return an OFFER or ACK of a binding; without one and without lease, the ACK of an INFORM."""
    found = asked.request.options
    wanted = found.get(o.PARAMETER_LIST, b"")
    plan = asked.world.plans.get(selected, asked.view.network, asked.arrival.server, wanted)
    address = 0 if row is None else row.address
    packet = reply.answer(asked.request, kind, asked.arrival.server, plan, address, lease_s)
    name = host_name(selected, row)
    if name:
        packet.options[o.HOST_NAME] = name
    if o.CLIENT_FQDN in found:
        domain = packet.options.get(o.DOMAIN_NAME, b"")
        fqdn = names.fqdn_reply(found[o.CLIENT_FQDN], name, domain)
        if fqdn is not None:
            packet.options[o.CLIENT_FQDN] = fqdn
    return _echo(asked, packet)


def host_name(selected: Selected, row: Binding | None) -> bytes:
    """Return the host name to send: a reservation's comment, where that is a label and the macro flag Hostname is set.

    The same names are in the DNS; a comment such as "spare, 3rd floor" is no name.
    """
    if row is None or not selected.hostname or not row.flags & MANUAL:
        return b""
    return row.comment.encode() if names.is_label(row.comment) else b""


def nak(asked: Asked, text: str, state: str) -> Decision:
    """Return the decision to refuse an address."""
    packet = _echo(asked, reply.refusal(asked.request, asked.arrival.server, text))
    return answered(asked, "dhcp.nak", packet, asked.request.ciaddr or asked.wanted or 0, state=state, reason=text)


def _echo(asked: Asked, packet: Packet) -> Packet:
    """Give back what a relay or a client wants to see again besides options 61 and 82."""
    request = asked.request
    if o.SUBNET_SELECTION in request.options:
        packet.options[o.SUBNET_SELECTION] = request.options[o.SUBNET_SELECTION]
    if asked.server_id != asked.arrival.server:
        packet.options[o.SERVER_ID] = asked.server_id.to_bytes(4, "big")
    return packet
