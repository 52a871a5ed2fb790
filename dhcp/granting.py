"""REQUEST: in each of a client's states, what it is acknowledged, refused or not told. The rules are those of
`dhcp.engine`.
"""

from typing import Any, Final

from dhcp import options as o
from dhcp.answers import anew_s, answer, lease_for, nak, plan_for
from dhcp.asking import is_fixed, runs
from dhcp.available import is_available
from dhcp.decision import PEER_FIRST, Decision, answered, silent
from dhcp.options import ACK
from dhcp.reply import Plan
from dhcp.view import Offer
from dhcp.world import Asked
from storage.records import BOOTP, FOREVER_S, MANUAL, PERMANENT, SIGNATURE_MASK, UNUSABLE, Binding, Change, ipv4_text

ANEW: Final = frozenset({"selecting", "finishing"})  # states in which a client has taken an offer


def request(asked: Asked) -> Decision:
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
        if row is None or row.client_id == asked.client_id or not is_available(asked, row):
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
    if row is None or not is_available(asked, row):
        return silent(asked, "taken", forget=asked.client_id)
    if (asked.world.frozen or asked.view.is_stale) and not is_fixed(row):
        return silent(asked, "frozen")  # who asks anew may have released the lease at the other server
    plan = plan_for(asked, row.macro)
    negotiable = plan.lease_negotiable or state == "finishing"  # as in the offer
    return _ack(asked, row, plan, lease_s or lease_for(asked, row, plan, negotiable=negotiable), state)


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
    lease_s = lease_for(asked, row, plan, negotiable=plan.lease_negotiable)
    return _ack(asked, row, plan, lease_s, state)


def _ack(asked: Asked, row: Binding, plan: Plan, lease_s: int, state: str) -> Decision:
    """Acknowledge, storing client id and end of the lease first; what is stored already is not stored again.

    What is stored never ends before what the client was told earlier: this answer may get lost. In a frozen world
    the lease is what is surely left of the one that is stored. That may end earlier than when we saw it last, for the
    client can have released it and begun anew at another server since then; but not before a whole lease from then on.

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
        surely_s = min(left_s - asked.world.unsure_s, anew_s(asked, plan) - asked.view.unseen_s)
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
    elif (asked.world.unsure_s or asked.view.is_stale) and not asked.world.frozen:  # no commit will tell better
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
