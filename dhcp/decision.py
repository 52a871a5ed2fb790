"""What the engine answers.

Every result is built here, so that each carries its event: which client, which address, and why, also for silence.
`SILENCE` is the table of all reasons for not answering, with the sentence that people read.
"""

from collections.abc import Mapping
from typing import Final

from dhcp import names
from dhcp import options as o
from dhcp.heard import Hearing
from dhcp.packet import Packet
from dhcp.route import Destination, destination, to_relay
from dhcp.view import NetworkView, Offer
from dhcp.world import Asked
from storage.records import Binding, Change, ipv4_text

CLIENT_ID_MAX_BYTES: Final = 64  # what a container's field holds

SILENCE: Final[Mapping[str, str]] = {
    "bootp": "a BOOTP client; BOOTP_COMPAT in dhcpsvc.conf would let it be answered",
    "bootp-unbound": "a BOOTP client without a binding of its own; BOOTP_COMPAT=automatic would give it one",
    "hops": "it crossed more relays than RELAY_HOPS allows",
    "no-network": "it comes from a network that is not in the list of networks here",
    "client-id-long": f"its client id is longer than {CLIENT_ID_MAX_BYTES} bytes, which no binding can hold",
    "not-for-servers": "a message that clients do not send to servers",
    "blocked": "its reservation is marked UNUSABLE, which bars the client",
    "reserved-elsewhere": "its reservation belongs to a server that is not in OWNER_IP",
    "full": "no free address is left, and no lease ended long enough ago",
    "other-server": "it names another server",
    "peer-first": "it names another server of OWNER_IP, which has the first try; a repeat is answered here",
    "no-requested-address": "it names no address, neither in ciaddr nor in option 50",
    "no-offer": "no offer to it is out, or it asks for another address than it was offered",
    "taken": "the address was given to another client in the meantime",
    "unknown-client": "nothing is known of its address, another server may know",
    "unknown-binding": "it holds no binding of the address that it names",
    "owned-elsewhere": "the binding belongs to another server, which still has time to answer",
    "frozen": "nothing can be stored now, and what is stored gives it no lease that runs for certain",
    "unusable": "the binding is marked UNUSABLE",
    "reserved": "a reservation is kept when its client releases it",
    "no-address": "it does not say which address it means",
    "query-unrelayed": "a lease query that no relay asked, so there is nobody to answer",
    "query-empty": "a lease query that names neither address nor client",
    "no-room": "the options do not fit a packet that it takes",
}


PEER_FIRST: Final = "peer-first"
BINDS: Final = frozenset({"dhcp.ack", "dhcp.bootp"})  # kinds of event after which an address is the client's
GIVES: Final = BINDS | {"dhcp.offer"}  # kinds of answer that give an address
CLASS_SHOWN_MAX: Final = 64  # characters of option 60 in an event
NO_MORE: Final[Mapping[str, object]] = {}
CLONE: Final = "another machine sends the same client id: served under its hardware address"


class Reply:
    """Bytes to send and where they go."""

    __slots__ = ("data", "to")

    def __init__(self, data: bytes, to: Destination) -> None:
        self.data = data
        self.to = to


class Decision:
    """What to do about one packet; see `dhcp.service` for the order.

    Of a flood most answers are only counted, so their events are worded when `fields` is looked at: `facts` are all
    fields of the event, or with `asked`, those besides who asked, the address, and the lease and state given here.

    `needs_store` False: the reply may leave though the change cannot be stored (but not on a collision). `remember` is
    an offer that is out from now on; `forget` the client id whose offer ends, `heard` when and from which hardware it
    was acknowledged, both once the change is stored. `probe` is the address that must not answer an ICMP echo before
    this is done.
    """

    __slots__ = (
        *("kind", "facts", "view", "change", "reply", "needs_store", "remember", "forget", "heard", "probe"),
        *("asked", "address", "lease_s", "state"),
    )

    def __init__(  # noqa: PLR0913, PLR0917 - a value: one for each field
        self,
        kind: str,
        facts: Mapping[str, object],
        view: NetworkView | None = None,
        change: Change | None = None,
        reply: Reply | None = None,
        needs_store: bool = True,
        remember: Offer | None = None,
        forget: bytes | None = None,
        heard: Hearing | None = None,
        probe: int = 0,
        asked: Asked | None = None,
        address: int = 0,
        lease_s: int | None = None,
        state: str = "",
    ) -> None:
        self.kind = kind
        self.facts = facts
        self.view = view
        self.change = change
        self.reply = reply
        self.needs_store = needs_store
        self.remember = remember
        self.forget = forget
        self.heard = heard
        self.probe = probe
        self.asked = asked
        self.address = address
        self.lease_s = lease_s
        self.state = state

    @property
    def fields(self) -> Mapping[str, object]:
        """The event's fields."""
        if self.asked is None:
            return self.facts
        fields = _fields(self.asked, self.address)
        if self.lease_s is not None:
            fields["lease_s"] = self.lease_s
        if self.state:
            fields["state"] = self.state
        fields.update(self.facts)
        if self.kind in BINDS and (name := names.sent_by(self.asked.request)):
            fields["client_name"] = name
        return fields


def silent(
    asked: Asked, reason: str, *, forget: bytes | None = None, remember: Offer | None = None, **fields: object
) -> Decision:
    """Return the decision not to answer a client, with one of the reasons of `SILENCE`."""
    decision = unheard(asked.request, reason, **fields)
    decision.view = asked.view
    decision.forget = forget
    decision.remember = remember
    return decision


def unheard(request: Packet, reason: str, **fields: object) -> Decision:
    """Return the decision not to answer a packet that was not looked into far enough to know the client."""
    return Decision(
        "dhcp.silent",
        {
            "mac": request.mac,
            "xid": f"{request.xid:08x}",
            "state": request.kind,
            "reason": reason,
            "detail": SILENCE[reason],
            **fields,
        },
    )


def _fields(asked: Asked, address: int) -> dict[str, object]:
    request = asked.request
    fields: dict[str, object] = {
        "mac": request.mac,
        "address": ipv4_text(address),
        "client_id": asked.client_id.hex(),
        "xid": f"{request.xid:08x}",
        "server": ipv4_text(asked.arrival.server),
    }
    class_id = request.options.get(o.CLASS_ID)
    if class_id:
        fields["class_id"] = class_id[:CLASS_SHOWN_MAX].decode("latin-1")
    if asked.is_clone:
        fields["detail"] = CLONE
    return fields


def answered(  # noqa: PLR0913, PLR0917 - objects to hold them would cost more than the rest
    asked: Asked,
    kind: str,
    data: bytes,
    address: int,
    lease_s: int | None = None,
    state: str = "",
    change: Change | None = None,
    needs_store: bool = True,
    remember: Offer | None = None,
    probe: int = 0,
    facts: Mapping[str, object] = NO_MORE,
) -> Decision:
    """Return the decision to send `data`, once `change` is stored where there is one.

    `address` is the one that it is about; the packet gives it to the client if its kind is in `GIVES`. Lease, the
    client's state and `facts` are told in the event.
    """
    request, offset = asked.request, asked.world.conf.debug_port_offset
    if request.giaddr:
        to = to_relay(request.giaddr, offset)
    elif kind == "dhcp.nak":
        is_local = asked.arrival.server in asked.view.network
        to = destination(request, 0, offset, refused=True, ciaddr_is_local=is_local)
    else:
        to = destination(request, address if kind in GIVES else 0, offset)
    forget = None
    heard = None
    if kind in BINDS:
        forget = asked.client_id
        # mostly the client is named by its hardware: one object then serves as both for as long as it is remembered
        heard = (forget if asked.mac == forget else asked.mac, asked.now_s)
    reply = Reply(data, to)
    return Decision(
        kind,
        facts,
        asked.view,
        change,
        reply,
        needs_store,
        remember,
        forget,
        heard,
        probe,
        asked,
        address,
        lease_s,
        state,
    )


def noted(asked: Asked, kind: str, old: Binding, new: Binding) -> Decision:
    """Return the decision to store a change that is not answered (RELEASE, DECLINE)."""
    fields = _fields(asked, old.address)
    return Decision(kind, fields, asked.view, Change(asked.view.name, old, new), forget=asked.client_id)
