"""What to answer to one packet: RFC 2131 section 4.3 with in.dhcpd's rules. Pure: no clock, no I/O, nothing
remembered.

`decide` looks at a packet, the view of its network and the time, and returns a `Decision`: what must be stored,
what may be sent *after* that is stored, which offer to remember, and the event that tells why, also when the answer
is silence. The daemon does it, in that order. The rules:

* Nothing is written for a DISCOVER. An offer is a promise in memory.
* Every binding whose owner is in our list is ours; all servers of a cluster have the same list, so each can answer
  for all.
* A MANUAL binding is reached by its client id only, and never ends. An UNUSABLE one is given to nobody; MANUAL and
  UNUSABLE blocks its client. PERMANENT means a lease for ever. BOOTP bindings are out of bounds for DHCP.
* One machine is one client where a MANUAL binding bears `01` + its MAC: boot ROM, loader and system get that
  binding, whatever each of them sends as option 61. Two machines that send one option 61 (clones) are told apart by
  their MACs: the second is served under its MAC, and the event says so.
* A request to another server of OWNER_IP is that one's to answer, unless it is repeated: then it is finished here
  (`World.finishing`). It needs no offer of ours; the commit decides, as ever. Neither does one to us while we may have
  forgotten what we offered (`World.forgetful`), for we were started anew.
* Leases count from the later of two clocks, and are over when they are by the earlier (`dhcp.clocks`).
* A collision means that the view was old: the daemon asks once more on a fresh one. What then no longer fits gets
  silence.
* Fixed bindings (MANUAL, PERMANENT) are acknowledged even when the store cannot be written: nobody else can have
  got them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from dhcp import bootp, leasequery, names, parting
from dhcp import options as o
from dhcp.answers import answer, nak, plan_for
from dhcp.asking import ask, is_fixed, runs
from dhcp.decision import CLIENT_ID_MAX_BYTES, PEER_FIRST, Decision, answered, silent, unheard
from dhcp.options import ACK, DISCOVER, LEASEQUERY, OFFER, REQUEST, MessageType
from dhcp.packet import Packet
from dhcp.reply import Plan
from dhcp.verify import probe
from dhcp.view import NetworkView, Offer
from dhcp.wire import WireError
from dhcp.world import Arrival, Asked, World
from storage.records import (
    BOOTP,
    FOREVER_S,
    FREE_ID,
    MANUAL,
    PERMANENT,
    SIGNATURE_MASK,
    UNUSABLE,
    Binding,
    Change,
    ipv4_text,
)

SEVERAL: Final = "it has several reservations in this network; delete all but one"
LEASE_FLOOR_S: Final = 60  # a client that asks for less would renew without end
ANEW: Final = frozenset({"selecting", "finishing"})  # states in which a client has taken an offer


def decide(request: Packet, arrival: Arrival, world: World, view: NetworkView | None, now_s: int) -> Decision:
    """Decide what to do about one packet from the network of `view`. `now_s` is Unix time."""
    kind = request.message_type
    if kind is None and world.conf.bootp_compat is None:
        return unheard(request, "bootp")
    if request.hops > world.conf.relay_hops:
        return unheard(request, "hops")
    if kind is LEASEQUERY:
        return leasequery.decide(request, arrival, world, now_s)
    if kind not in HANDLERS:
        return unheard(request, "not-for-servers")
    if view is None:
        return unheard(request, "no-network", giaddr=ipv4_text(request.giaddr))
    if len(request.client_id) > CLIENT_ID_MAX_BYTES:
        return unheard(request, "client-id-long")
    asked = ask(request, arrival, world, view, now_s)
    try:
        if kind is DISCOVER:
            return _discover(asked)
        if kind is REQUEST:
            return _request(asked)
        return HANDLERS[kind](asked)
    except WireError as error:
        return unheard(request, "no-room", text=str(error))


# -- DISCOVER


def _discover(asked: Asked) -> Decision:
    view, client_id = asked.view, asked.client_id
    reservation = view.reservation_of(client_id)
    if reservation is not None:
        if not view.is_ours(reservation):
            return silent(asked, "reserved-elsewhere")
        if reservation.flags & UNUSABLE:
            return silent(asked, "blocked")
        decision = _offer(asked, reservation)
        if len(view.reservations_of(client_id)) > 1:
            decision.facts = {"detail": SEVERAL}
        return decision
    if view.is_stale:
        return silent(asked, "frozen")  # who takes our offer asks nobody else, and we could not keep it
    row = _offered_already(asked) if client_id in view.offers else None
    if row is None and view.knows(client_id):
        row = _held_already(asked)
    if row is None and asked.wanted is not None:
        row = _wished_for(asked)
    if row is None:
        row = _called(asked)
    if row is None:
        row = view.free_for(client_id)
    if row is None:
        row = view.ended_before(_reclaimable_s(asked))
    return silent(asked, "full") if row is None else _offer(asked, row)


def _offered_already(asked: Asked) -> Binding | None:
    offer = asked.view.offers.get(asked.client_id)
    row = None if offer is None else asked.view.rows.get(offer.address)
    return row if row is not None and _is_available(asked, row) else None


def _held_already(asked: Asked) -> Binding | None:
    """Find the client's own binding, the one it asks for first, then one whose lease runs."""
    usable = [row for row in asked.view.bindings_of(asked.client_id) if _is_available(asked, row)]
    if not usable:
        return None
    return max(usable, key=lambda row: (row.address == asked.wanted, runs(row, asked.now_s)))


def _wished_for(asked: Asked) -> Binding | None:
    row = None if asked.wanted is None else asked.view.rows.get(asked.wanted)
    return row if row is not None and _is_available(asked, row) else None


def _called(asked: Asked) -> Binding | None:
    """Find the binding that bears the name the client calls itself; our DNS has its names from there, too."""
    options = asked.request.options
    if o.HOST_NAME not in options and o.CLIENT_FQDN not in options:
        return None
    label = names.sent_by(asked.request).partition(".")[0]
    rows = asked.view.bindings_named(label) if label else []
    return next((row for row in rows if _is_available(asked, row)), None)


def _is_available(asked: Asked, row: Binding) -> bool:
    """Tell whether the client may have this binding: its own, or one that is free, or whose lease is over."""
    if not asked.view.is_ours(row) or row.flags & (UNUSABLE | BOOTP):
        return False
    if asked.view.offered_to(row.address) not in (None, asked.client_id):
        return False
    if row.client_id == asked.client_id:
        return True
    if row.flags & MANUAL:
        return False
    # an ended lease waits for LEASE_MIN_LRU, whoever asks: clocks differ, and a client counts from its own request
    return row.client_id == FREE_ID or not (row.flags & PERMANENT or runs(row, _reclaimable_s(asked)))


def _reclaimable_s(asked: Asked) -> int:
    """Return the time by which a lease must have ended to be given to another client: by all clocks, and rested."""
    return asked.over_s - asked.world.conf.lease_min_lru_s


def _offer(asked: Asked, row: Binding) -> Decision:
    plan = plan_for(asked, row.macro)
    lease_s = _lease(asked, row, plan, negotiable=True)
    address = row.address
    return answered(
        asked,
        "dhcp.offer",
        answer(asked, OFFER, plan, row, lease_s),
        address,
        lease_s,
        remember=Offer(asked.client_id, asked.mac, address, lease_s),
        probe=probe(asked, row) if asked.world.conf.icmp_verify else 0,
    )


# -- REQUEST


def _request(asked: Asked) -> Decision:
    """Tell the client's state by RFC 2131 table 4: who names a server is selecting, who has an address is renewing."""
    if asked.request.ciaddr:
        return _renewing(asked)
    server_id = asked.request.options.get(o.SERVER_ID)
    if server_id is not None:
        return _selecting(asked, server_id)
    if asked.wanted is not None:
        return _rebooting(asked, asked.wanted)
    return silent(asked, "no-requested-address")


def _selecting(asked: Asked, server_id: bytes) -> Decision:
    if not asked.is_to_us(server_id):
        return _to_another(asked, int.from_bytes(server_id, "big"))
    if asked.wanted is None:
        return silent(asked, "no-requested-address")
    row = asked.view.rows.get(asked.wanted)
    offer = asked.view.offers.get(asked.client_id)
    if offer is None and row is not None and asked.owns(row) and runs(row, asked.over_s):
        offer = Offer(asked.client_id, asked.mac, row.address, 0)  # our ACK was lost, the client asks again
    if offer is None and asked.world.forgetful:
        return _finished(asked, row)
    if offer is None or offer.address != asked.wanted:
        return silent(asked, "no-offer")
    return _accepted(asked, row, offer.lease_s, "selecting")


def _to_another(asked: Asked, server: int) -> Decision:
    """The client took another server's offer: ours ends. If that is one of ours and dead, finish what it began.

    Until it is known whether that is alive, the address is kept from others as if we had offered it.
    """
    row = None if asked.wanted is None else asked.view.rows.get(asked.wanted)
    if server not in asked.world.conf.owner_ip:
        return silent(asked, "other-server", forget=asked.client_id, server=ipv4_text(server))
    if not asked.world.finishing:
        name = ipv4_text(server)
        if row is None or row.client_id == asked.client_id or not _is_available(asked, row):
            return silent(asked, PEER_FIRST, forget=asked.client_id, server=name)
        return silent(asked, PEER_FIRST, remember=Offer(asked.client_id, asked.mac, row.address, 0), server=name)
    # it knows the server by the address that the offer bore, and takes no answer without
    asked.server_id = server
    return _finished(asked, row)


def _finished(asked: Asked, row: Binding | None) -> Decision:
    """Take the client's word for an offer that nobody here remembers, if it can have got that."""
    reservation = asked.view.reservation_of(asked.client_id)
    if row is None or (reservation is not None and reservation.address != row.address):
        return silent(asked, "no-offer")
    return _accepted(asked, row, 0, "finishing")


def _accepted(asked: Asked, row: Binding | None, lease_s: int, state: str) -> Decision:
    """Give what was offered, for the lease that was offered (0: not known), if it is still to be had."""
    if row is None or not _is_available(asked, row):
        return silent(asked, "taken", forget=asked.client_id)
    if (asked.world.frozen or asked.view.is_stale) and not is_fixed(row):
        return silent(asked, "frozen")  # who asks anew may have released the lease at the other server
    plan = plan_for(asked, row.macro)
    negotiable = plan.lease_negotiable or state == "finishing"  # as in the offer
    return _ack(asked, row, plan, lease_s or _lease(asked, row, plan, negotiable=negotiable), state)


def _rebooting(asked: Asked, wanted: int) -> Decision:
    """INIT-REBOOT: the client remembers an address. Wrong ones are refused only where we know better."""
    view = asked.view
    row = view.rows.get(wanted)
    if row is None or not asked.owns(row):
        if any(view.is_ours(other) and asked.owns(other) for other in view.bindings_of(asked.client_id)):
            if view.is_stale:
                return silent(asked, "frozen")
            return nak(asked, "Incorrect IP address.", "init-reboot")
        if wanted in view.network:
            return silent(asked, "unknown-client")
        return nak(asked, f"No valid configuration exists on network: {view.name}", "init-reboot")
    if not view.is_ours(row):
        return silent(asked, "owned-elsewhere")
    return _extend(asked, row, "init-reboot")


def _renewing(asked: Asked) -> Decision:
    """RENEWING or REBINDING: the client uses the address in ciaddr."""
    row = asked.view.rows.get(asked.request.ciaddr)
    if row is None or not asked.owns(row):
        return silent(asked, "unknown-binding")
    if not asked.view.is_ours(row) and asked.request.waiting_s < asked.world.conf.secondary_server_timeout_s:
        return silent(asked, "owned-elsewhere")
    return _extend(asked, row, "renewing")


def _extend(asked: Asked, row: Binding, state: str) -> Decision:
    if row.flags & UNUSABLE:
        return silent(asked, "unusable")
    if not is_fixed(row) and not runs(row, asked.over_s):
        if asked.view.is_stale:  # another server may have renewed it
            return silent(asked, "frozen")
        return nak(asked, "Lease has expired.", state)
    plan = plan_for(asked, row.macro)
    lease_s = _lease(asked, row, plan, negotiable=plan.lease_negotiable)
    return _ack(asked, row, plan, lease_s, state)


def _ack(asked: Asked, row: Binding, plan: Plan, lease_s: int, state: str) -> Decision:
    """Acknowledge, storing client id and end of the lease first; what is stored already is not stored again.

    What is stored never ends before what the client was told earlier: this answer may get lost. In a frozen world
    the lease is what is surely left of the one that is stored.

    Who begins anew may have released the binding before, and a server that was stopped over that RELEASE may go on
    with it. So its row is written though it stays the same: then the RELEASE finds another version than it was about.
    """
    address: Any  # these two stay the objects that they are: many rows have them in common, or maps as keys
    owner: Any
    address, holder, flags, owner, was_s, signature, macro, comment = row
    now_s, client_id = asked.now_s, asked.client_id
    is_holder = holder == client_id
    fixed = flags & (MANUAL | PERMANENT) != 0
    left_s = was_s - now_s if is_holder and not flags & BOOTP else 0
    if asked.world.frozen and not fixed and was_s != FOREVER_S:
        surely_s = left_s - asked.world.unsure_s
        if surely_s < 1:
            return silent(asked, "frozen")
        lease_s = min(lease_s, int(surely_s))
    end_s = FOREVER_S if lease_s == FOREVER_S else min(now_s + max(lease_s, left_s), FOREVER_S - 1)
    change: Change | None = None
    if not is_holder or end_s != was_s or (state in ANEW and not flags & MANUAL):
        # the signature is the store's to choose; with the one that it is going to choose, the row can stay as it is
        due = (signature + 1) & SIGNATURE_MASK
        # one for each packet: by `tuple`'s own function, for those that named tuples have take four times as long
        new = tuple.__new__(Binding, (address, client_id, flags, owner, end_s, due, macro, comment))
        change = tuple.__new__(Change, (asked.view.name, row, new))
    elif asked.world.unsure_s and not asked.world.frozen:  # no commit will tell how late it is
        asked.world = asked.world.but(frozen=True)
        return _ack(asked, row, plan, lease_s, state)
    return answered(
        asked,
        "dhcp.ack",
        answer(asked, ACK, plan, row, lease_s),
        address,
        lease_s,
        state,
        change=change,
        needs_store=not (fixed and is_holder),
    )


def _lease(asked: Asked, row: Binding, plan: Plan, *, negotiable: bool) -> int:
    """Return the lease to grant, seconds: the macro's, what is left of the old one, the client's wish (option 51)."""
    if row.flags & PERMANENT:
        return FOREVER_S
    left_s = 0
    if row.lease_s > asked.now_s and row.client_id == asked.client_id:
        left_s = FOREVER_S if row.lease_s == FOREVER_S else row.lease_s - asked.now_s
    macro_s = plan.lease_s
    if not negotiable:
        return left_s or macro_s
    longest_s = max(macro_s, left_s)
    wish = asked.request.options.get(o.LEASE_TIME)
    if wish is None:
        return longest_s
    return min(longest_s, max(int.from_bytes(wish, "big"), LEASE_FLOOR_S))


# -- INFORM


def _inform(asked: Asked) -> Decision:
    """INFORM: options only, for a client that has an address by other means; no binding is needed."""
    if not asked.request.ciaddr:
        return silent(asked, "no-address")
    data = answer(asked, ACK, plan_for(asked, ""), None, None)
    return answered(asked, "dhcp.inform", data, asked.request.ciaddr)


HANDLERS: Final[Mapping[MessageType | None, Callable[[Asked], Decision]]] = {
    None: bootp.decide,
    DISCOVER: _discover,
    REQUEST: _request,
    MessageType.RELEASE: parting.release,
    MessageType.DECLINE: parting.decline,
    MessageType.INFORM: _inform,
}
