"""What a command leaves in the journal: what became of the guest, and each address that it got or gave back. Pure.

`host` is the guest, as the journal's readers ask for it (`twinboot events --host appl-1:vm-1`); the machine that it is
on is its `hypervisor`. A plan that had nothing to do is no news.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from guests import actions
from guests.guest import Nic, nics
from guests.plan import Plan
from storage.records import Guest

KINDS: Mapping[str, str] = {
    "domu-clone": "guests.cloned",
    "domu-init": "guests.defined",
    "domu-up": "guests.made",
    "domu-start": "guests.started",
    "domu-stop": "guests.stopped",
    "domu-migrate": "guests.moved",
    "domu-destroy": "guests.destroyed",
}
"""Command -> what became of the guest. What is not here only binds addresses."""


BOUND, FREED = "guests.bound", "guests.freed"
"""What became of an address."""


class News(NamedTuple):
    """One event: its kind and its fields."""

    kind: str
    fields: Mapping[str, object]


def done(plan: Plan, row: Guest | None, by: str) -> Iterator[News]:
    """The news of a plan that was carried out; `row` is the guest's as it is now, None once it is gone."""
    common: dict[str, object] = {"host": plan.guest, "by": by}
    if plan.command in KINDS:
        yield News(KINDS[plan.command], common | _facts(plan, row))
    had = {nic.link: nic for nic in nics(plan.old)} if plan.old else {}
    macs = {nic.link: nic.mac for one in (plan.old, row) if one for nic in nics(one)}
    for kind, nic in _changed(plan, had):
        told = {"link": nic.link, "mac": macs.get(nic.link), "address": nic.address, "name": nic.host}
        yield News(kind, common | told)


def failed(plan: Plan, lines: Sequence[str], by: str) -> News:
    """The news of a plan that broke off: why, and what of it could not be taken back."""
    return News("guests.failed", {"host": plan.guest, "by": by, "command": plan.command, "reason": "; ".join(lines)})


def _changed(plan: Plan, had: Mapping[str, Nic]) -> Iterator[tuple[str, Nic]]:
    """Links whose address was given back or bound; a link that gets another address gives back the one it had."""
    for step in plan.todo:
        if isinstance(step.action, actions.Unbind):
            yield FREED, step.action.nic
        elif isinstance(step.action, actions.Bind):
            nic = step.action.nic
            if nic.link in had and had[nic.link].address not in ("", nic.address):
                yield FREED, had[nic.link]
            yield BOUND, nic


def _facts(plan: Plan, row: Guest | None) -> dict[str, object]:
    was = plan.old.hypervisor if plan.old else ""
    if row is None:
        return {"hypervisor": was or None}
    moved = was if was != row.hypervisor else ""
    return {"hypervisor": row.hypervisor or None, "origin": row.origin or None, "was_on": moved or None}
