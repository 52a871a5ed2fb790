"""ICMP_VERIFY, the pure part: which addresses to ask before they are given, and what an answer means.

How long an offer waits is the business of `dhcp.probes`, how to ask that of `dhcp.echo`.
"""

from typing import Final

from dhcp.asking import runs
from dhcp.decision import Decision
from dhcp.world import Asked
from storage.records import UNUSABLE, Binding, Change

SET_ASIDE_MAX = 32
PERIOD_S: Final = 60.0
MANY_IN_USE: Final = (
    "so many addresses answer an echo that none is set aside for now: find the machine that answers for others"
)


class Allowance:
    """How many addresses may be set aside: `SET_ASIDE_MAX` in `PERIOD_S`, so that no machine that answers for
    everybody (a misconfigured proxy ARP, a hostile host) can empty a pool. Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._began = -PERIOD_S
        self._used = 0

    def take(self, now: float) -> bool:
        """Use one; False when this period's are used up."""
        if now - self._began >= PERIOD_S:
            self._began, self._used = now, 0
        self._used += 1
        return self._used <= SET_ASIDE_MAX


def probe(asked: Asked, row: Binding) -> int:
    """Return the address to ask by ICMP before the binding is given, 0 for none.

    What the client holds already is not asked: it may answer itself, and would be barred from its own address.
    """
    holds = row.client_id == asked.client_id and runs(row, asked.over_s)
    return row.address if asked.world.conf.icmp_verify and not holds else 0


def conflict(held: Decision, over_s: int) -> Decision | None:
    """Return the decision to set aside the address that `held` was about to give: something answered an echo there.

    None where that is no conflict: the binding is gone, set aside already, or leased since (its lease had not ended by
    `over_s`), so its client answers.
    """
    row = None if held.view is None else held.view.rows.get(held.probe)
    if held.view is None or row is None or row.flags & UNUSABLE or runs(row, over_s):
        return None
    fields = {name: held.fields[name] for name in ("mac", "address", "client_id", "xid", "server")}
    change = Change(held.view.name, row, row._replace(flags=row.flags | UNUSABLE))
    forget = None if held.remember is None else held.remember.client_id
    return Decision("dhcp.conflict", fields, held.view, change, forget=forget)
