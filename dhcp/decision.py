"""The values that decisions are made of: what the engine sees, and what it answers.

Every result is built here, so that each carries its event: which client, which address, and why, also for silence.
`SILENCE` is the table of all reasons for not answering, with the sentence that people read.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from dhcp import names, reply
from dhcp import options as o
from dhcp.heard import Hearing
from dhcp.macros import MacroTable
from dhcp.packet import Packet
from dhcp.route import Destination, destination, to_relay
from dhcp.svcconf import ServiceConf
from dhcp.view import NetworkView, Offer
from storage.records import BOOTP, Binding, Change, ipv4_text

ADDRESS_BYTES: Final = 4
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


class Arrival:
    """Where a packet came in: the interface, and the server's own address there."""

    __slots__ = ("interface", "server")

    def __init__(self, interface: str, server: int) -> None:
        self.interface = interface
        self.server = server


class Networks:
    """The views of all networks, found by any address inside one."""

    def __init__(self, views: Iterable[NetworkView]) -> None:
        self.views = tuple(views)
        masks = sorted({view.network.mask for view in self.views}, reverse=True)
        self._by_mask = tuple(
            (mask, {view.network.number: view for view in self.views if view.network.mask == mask}) for mask in masks
        )

    def find(self, address: int) -> NetworkView | None:
        """Return the view of the network that an address is in."""
        for mask, views in self._by_mask:
            view = views.get(address & mask)
            if view is not None:
                return view
        return None


class World:
    """What decisions are made from, besides the packet. `own` are this server's addresses on all its interfaces.

    `frozen`: nothing can be stored now, so nothing may be promised beyond what is stored. `skew_s`: how far back from
    now a lease must have ended to be over by the store's clock, too; `unsure_s`: by how much it may be later than we
    know; see `dhcp.clocks` for both. `finishing`: a request to another server of ours is decided as if it were to us,
    see `dhcp.repeats`. `forgetful`: offers were forgotten so lately that clients may still ask for what they were
    offered.
    """

    __slots__ = ("conf", "finishing", "forgetful", "frozen", "macros", "networks", "own", "plans", "skew_s", "unsure_s")

    def __init__(  # noqa: PLR0913, PLR0917 - a value: one for each field
        self,
        conf: ServiceConf,
        own: frozenset[int],
        macros: MacroTable,
        plans: reply.Plans,
        networks: Networks,
        frozen: bool = False,
        skew_s: int = 0,
        finishing: bool = False,
        unsure_s: float = 0.0,
        forgetful: bool = False,
    ) -> None:
        self.conf = conf
        self.own = own
        self.macros = macros
        self.plans = plans
        self.networks = networks
        self.frozen = frozen
        self.skew_s = skew_s
        self.finishing = finishing
        self.unsure_s = unsure_s
        self.forgetful = forgetful

    def but(self, *, frozen: bool = False, finishing: bool = False) -> "World":
        """The same world, seen in one of these ways for once."""
        frozen, finishing = frozen or self.frozen, finishing or self.finishing
        known = self.conf, self.own, self.macros, self.plans, self.networks
        return World(*known, frozen, self.skew_s, finishing, self.unsure_s, self.forgetful)


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
        asked: "Asked | None" = None,
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


class Asked:
    """One request with all that was found out about it before its message type is looked at.

    `client_id` is the one under which the client is served, `mac` htype + chaddr, `wanted` option 50, `server_id` the
    address that the client is to know the server by: its relay's, where the relay asks for that. `over_s` is the time
    by which a lease must have ended to be over by all clocks.
    """

    __slots__ = (
        *("request", "arrival", "world", "view", "now_s", "client_id", "mac", "is_clone", "wanted", "server_id"),
        *("server", "over_s"),
    )

    def __init__(  # noqa: PLR0913, PLR0917 - a value: one for each field
        self,
        request: Packet,
        arrival: Arrival,
        world: World,
        view: NetworkView,
        now_s: int,
        client_id: bytes,
        is_clone: bool,
        wanted: int | None,
        server_id: int,
    ) -> None:
        self.request = request
        self.arrival = arrival
        self.world = world
        self.view = view
        self.now_s = now_s
        self.client_id = client_id
        self.mac = request.mac_id
        self.is_clone = is_clone
        self.wanted = wanted
        self.server_id = server_id
        self.over_s = now_s - world.skew_s

    def owns(self, row: Binding) -> bool:
        """Tell whether a binding is this client's and of use to a DHCP client."""
        return row.client_id == self.client_id and not row.flags & BOOTP

    def is_to_us(self, server_id: bytes) -> bool:
        """Tell whether option 54 names this server, by its own address or by the relay's in its place."""
        address = int.from_bytes(server_id, "big")
        return address == self.server_id or address in self.world.own


class Said(NamedTuple):
    """What a relay wrote into option 82 for us, as addresses; 0: nothing."""

    link: int  # RFC 3527
    server_id: int  # RFC 5107


NOTHING_SAID: Final = Said(0, 0)


def relay_says(request: Packet) -> Said:
    """Return what option 82 of a relay says."""
    data = request.options.get(o.RELAY_INFO)
    if not data or not request.giaddr or not (o.RELAY_LINK_SELECTION in data or o.RELAY_SERVER_ID in data):
        return NOTHING_SAID  # as mostly: the bytes are not there that would announce it
    return _said(data)


@lru_cache(maxsize=4096)  # a relay writes one value for each of its ports
def _said(data: bytes) -> Said:
    try:
        found = o.suboptions(data)
    except ValueError:
        return NOTHING_SAID  # a relay's slip in another sub-option is echoed, not punished
    values = (found.get(code, b"") for code in (o.RELAY_LINK_SELECTION, o.RELAY_SERVER_ID))
    return Said._make(int.from_bytes(value, "big") if len(value) == ADDRESS_BYTES else 0 for value in values)


# -- results


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
    kind = request.message_type
    return Decision(
        "dhcp.silent",
        {
            "mac": request.mac,
            "xid": f"{request.xid:08x}",
            "state": "BOOTP" if kind is None else kind.name,
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
