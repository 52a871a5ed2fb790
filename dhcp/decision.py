"""The values that decisions are made of: what the engine sees, and what it answers.

Every result is built here, so that each carries its event: which client, which address, and why, also for silence.
`SILENCE` is the table of all reasons for not answering, with the sentence that people read.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from dhcp import names, reply
from dhcp import options as o
from dhcp.macros import MacroTable
from dhcp.route import Destination, destination
from dhcp.svcconf import ServiceConf
from dhcp.view import NetworkView, Offer
from dhcp.wire import Packet
from storage.records import BOOTP, Binding, Change, ipv4_text

ADDRESS_BYTES = 4
CLIENT_ID_MAX_BYTES = 64  # what a container's field holds

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


PEER_FIRST = "peer-first"
BINDS = frozenset({"dhcp.ack", "dhcp.bootp"})  # kinds of event after which an address is the client's
FOUND_MAX = 16384  # addresses whose network is remembered; forgotten all together when there are more
GIVES = BINDS | {"dhcp.offer"}  # kinds of answer that give an address
CLASS_SHOWN_MAX = 64  # characters of option 60 in an event
CLONE = "another machine sends the same client id: served under its hardware address"


class Arrival(NamedTuple):
    """Where a packet came in: the interface, and the server's own address there."""

    interface: str
    server: int


class Networks:
    """The views of all networks, found by any address inside one."""

    def __init__(self, views: Iterable[NetworkView]) -> None:
        self.views = tuple(views)
        self._by_number = {(view.network.mask, view.network.number): view for view in self.views}
        self._found: dict[int, NetworkView | None] = {}  # what was looked for: mostly the same few relays
        self._masks = tuple(sorted({view.network.mask for view in self.views}, reverse=True))

    def find(self, address: int) -> NetworkView | None:
        """Return the view of the network that an address is in."""
        if address in self._found:
            return self._found[address]
        tried = (self._by_number.get((mask, address & mask)) for mask in self._masks)
        view = next((one for one in tried if one is not None), None)
        if len(self._found) >= FOUND_MAX:
            self._found.clear()
        self._found[address] = view
        return view


class World(NamedTuple):
    """What decisions are made from, besides the packet. `own` are this server's addresses on all its interfaces.

    `frozen`: nothing can be stored now, so nothing may be promised beyond what is stored. `skew_s`: how far back from
    now a lease must have ended to be over by the store's clock, too; `unsure_s`: by how much it may be later than we
    know; see `dhcp.clocks` for both. `finishing`: a request to another server of ours is decided as if it were to us,
    see `dhcp.repeats`.
    """

    conf: ServiceConf
    own: frozenset[int]
    macros: MacroTable
    plans: reply.Plans
    networks: Networks = Networks(())
    frozen: bool = False
    skew_s: int = 0
    finishing: bool = False
    unsure_s: float = 0.0


class Reply(NamedTuple):
    """Bytes to send and where they go."""

    data: bytes
    to: Destination


class Decision(NamedTuple):
    """What to do about one packet; see `dhcp.service` for the order.

    Of a flood most answers are only counted, so their events are worded when `fields` is looked at: `facts` is either
    the fields or what they are made from.
    """

    kind: str  # of the event
    facts: "Mapping[str, object] | Facts"
    view: NetworkView | None = None
    change: Change | None = None
    reply: Reply | None = None
    needs_store: bool = True  # False: the reply may leave though the change cannot be stored (but not on a collision)
    remember: Offer | None = None
    forget: bytes | None = None  # the offer to this client id ends, once the change is stored
    heard: tuple[bytes, bytes, int] | None = None  # (client id, mac, time) to remember, once the change is stored
    probe: int = 0  # the address that must not answer an ICMP echo before this is done

    @property
    def fields(self) -> Mapping[str, object]:
        """The event's fields."""
        return _worded(self.kind, self.facts) if isinstance(self.facts, Facts) else self.facts


class Asked(NamedTuple):
    """One request with all that was found out about it before its message type is looked at."""

    request: Packet
    arrival: Arrival
    world: World
    view: NetworkView
    now_s: int
    client_id: bytes  # under which the client is served
    mac: bytes  # htype + chaddr
    is_clone: bool
    wanted: int | None  # option 50
    server_id: int  # the address that the client is to know the server by: its relay's, where the relay asks for that

    def owns(self, row: Binding) -> bool:
        """Tell whether a binding is this client's and of use to a DHCP client."""
        return row.client_id == self.client_id and not row.flags & BOOTP

    def is_to_us(self, server_id: bytes) -> bool:
        """Tell whether option 54 names this server, by its own address or by the relay's in its place."""
        address = int.from_bytes(server_id, "big")
        return address in self.world.own or address == self.server_id

    @property
    def over_s(self) -> int:
        """The time by which a lease must have ended to be over by all clocks."""
        return self.now_s - self.world.skew_s


def relay_says(request: Packet, code: int) -> int:
    """Return the address in a sub-option of option 82, 0 if a relay wrote none."""
    data = request.options.get(o.RELAY_INFO)
    return _sub_address(data, code) if data and request.giaddr else 0


@lru_cache(maxsize=4096)  # a relay writes one value for each of its ports
def _sub_address(data: bytes, code: int) -> int:
    try:
        value = o.suboptions(data).get(code, b"")
    except ValueError:
        return 0  # a relay's slip in another sub-option is echoed, not punished
    return int.from_bytes(value, "big") if len(value) == ADDRESS_BYTES else 0


# -- results


def silent(asked: Asked, reason: str, *, forget: bytes | None = None, **fields: object) -> Decision:
    """Return the decision not to answer a client, with one of the reasons of `SILENCE`."""
    decision = unheard(asked.request, reason, **fields)
    return decision._replace(view=asked.view, forget=forget)


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


class Facts(NamedTuple):
    """What the event of an answer tells of: who asked, the address, and more fields."""

    asked: Asked
    address: int
    more: Mapping[str, object]


def _worded(kind: str, facts: Facts) -> dict[str, object]:
    fields = {**_fields(facts.asked, facts.address), **facts.more}
    if kind in BINDS and (name := names.sent_by(facts.asked.request)):
        fields["client_name"] = name
    return fields


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


def answered(
    asked: Asked,
    kind: str,
    data: bytes,
    address: int,
    *,
    change: tuple[Binding, Binding] | None = None,
    needs_store: bool = True,
    remember: Offer | None = None,
    probe: int = 0,
    **fields: object,
) -> Decision:
    """Return the decision to send `data`, once `change` (old, new) is stored where there is one.

    `address` is the one that it is about; the packet gives it to the client if its kind is in `GIVES`.
    """
    request, arrival, world, view, now_s, client_id, mac, *_ = asked
    if kind == "dhcp.nak":
        is_local = arrival.server in view.network
        to = destination(request, 0, world.conf.debug_port_offset, refused=True, ciaddr_is_local=is_local)
    else:
        to = destination(request, address if kind in GIVES else 0, world.conf.debug_port_offset)
    done = kind in BINDS
    return Decision(
        kind,
        Facts(asked, address, fields),
        view,
        None if change is None else Change(view.name, *change),
        Reply(data, to),
        needs_store,
        remember,
        client_id if done else None,
        (client_id, mac, now_s) if done else None,
        probe,
    )


def noted(asked: Asked, kind: str, old: Binding, new: Binding) -> Decision:
    """Return the decision to store a change that is not answered (RELEASE, DECLINE)."""
    fields = _fields(asked, old.address)
    return Decision(kind, fields, asked.view, Change(asked.view.name, old, new), forget=asked.client_id)
