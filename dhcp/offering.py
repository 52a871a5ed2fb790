"""DISCOVER: the search for a binding to offer. Nothing is written; the rules are those of `dhcp.engine`."""

from typing import Final

from dhcp import names
from dhcp import options as o
from dhcp.answers import answer, lease_for, plan_for
from dhcp.asking import runs
from dhcp.available import is_available, reclaimable_s
from dhcp.decision import Decision, answered, silent
from dhcp.options import OFFER
from dhcp.verify import probe
from dhcp.view import Offer
from dhcp.world import Asked
from storage.records import UNUSABLE, Binding

SEVERAL: Final = "it has several reservations in this network; delete all but one"


def discover(asked: Asked) -> Decision:
    """Offer a client its reservation, else the binding that it has or wishes for, else a free one."""
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
        row = view.ended_before(reclaimable_s(asked))
    return silent(asked, "full") if row is None else _offer(asked, row)


def _offered_already(asked: Asked) -> Binding | None:
    offer = asked.view.offers.get(asked.client_id)
    row = None if offer is None else asked.view.rows.get(offer.address)
    return row if row is not None and is_available(asked, row) else None


def _held_already(asked: Asked) -> Binding | None:
    """Find the client's own binding, the one it asks for first, then one whose lease runs."""
    usable = [row for row in asked.view.bindings_of(asked.client_id) if is_available(asked, row)]
    if not usable:
        return None
    return max(usable, key=lambda row: (row.address == asked.wanted, runs(row, asked.now_s)))


def _wished_for(asked: Asked) -> Binding | None:
    row = None if asked.wanted is None else asked.view.rows.get(asked.wanted)
    return row if row is not None and is_available(asked, row) else None


def _called(asked: Asked) -> Binding | None:
    """Find the binding that bears the name the client calls itself; our DNS has its names from there, too."""
    options = asked.request.options
    if o.HOST_NAME not in options and o.CLIENT_FQDN not in options:
        return None
    label = names.sent_by(asked.request).partition(".")[0]
    rows = asked.view.bindings_named(label) if label else []
    return next((row for row in rows if is_available(asked, row)), None)


def _offer(asked: Asked, row: Binding) -> Decision:
    plan = plan_for(asked, row.macro)
    lease_s = lease_for(asked, row, plan, negotiable=True)
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
