"""Two clocks, our own and the store's: what to count leases from, and when one is surely over. Pure.

Leases end at a Unix time that all servers read in the store, so a server whose clock is wrong could take for ended
what another has just given. The store has one clock for all (`Records.epoch`). Hence the rule:

    granted and counted from the later of the two clocks; over when it is over by the earlier one

What a client is promised thus never ends later than what is stored, and what is stored has ended *by the store's
clock*, too, before anybody else gets it. Between grant and reuse the store's clock alone has then advanced by the
whole lease, whatever the servers' own clocks show. The cases, for a server that reads O on its own clock and S on the
store's:

* O is ahead (nobody set it, a battery died): leases are stored with an end that is too late by O - S, so their
  addresses rest that much longer. Nothing is reused before S says so. Other servers' clients are not refused: a lease
  counts as expired for its own client only when both clocks say so.
* O is behind: grants count from S. Reuse waits for O, so this server gives away ended leases late or, with a clock that
  stands still, never; it has free addresses, and the other server.
* S is ahead, since the storage failed over to a head with a wrong clock: grants count from S, and rest too long. What
  was stored by the old S is not over before O says so, too.
* S is behind after a failover: grants count from O, as before it; reuse waits for S.

Only both wrong in one direction, at once and after the grant, would make a lease seem over that is not. Below
`APART_MIN_S` the difference is the noise of healthy clocks and of stamps in whole seconds, for which LEASE_MIN_LRU
is there: reuse does not wait for it.

Of S there may be known no more than a lower bound: a server that starts while nothing can be written to the share
has the newest file there to tell by, which may be hours old. If its own clock is behind, too, it is later than both
say, and what is left of a lease is less than it seems. `Times.unsure_s` tells by how much: what is promised without a
commit, which would tell the time, is promised for so much less, or not at all.

Our monotonic clock carries S from one look at the store to the next. It stands still while a virtual machine does; then
S and perhaps O are old until the next commit shows the store's time. That is why a commit which finds that time
has run on (`LAG_MAX_S`) is answered as one that took that long: with what is left of the lease by then.
"""

import math
from typing import Final, NamedTuple

from dhcp.tally import Emit

APART_MIN_S: Final = 2.0
LAG_MAX_S: Final = 3.0
TELL_S: Final = 5.0
"""Difference of the clocks that people hear of; it is over when it is below `APART_MIN_S`."""


class Times(NamedTuple):
    """What the clocks say: Unix time to grant and count from, and how far before it a lease must end to be over."""

    now_s: int
    skew_s: int
    unsure_s: float = 0.0
    """By how much it may be later than `now_s`; infinite where nobody knows."""


def judge(own_s: float, store_s: float | None, behind_s: float = 0.0) -> Times:
    """Make one of both clocks; `store_s` is None where the store has none, and may be `behind_s` too early."""
    if store_s is None:
        return Times(int(own_s), 0)
    now_s = int(max(own_s, store_s))
    apart_s = abs(own_s - store_s)
    unsure_s = max(store_s + behind_s - now_s, 0.0) if behind_s else 0.0
    return Times(now_s, math.ceil(apart_s) if apart_s >= APART_MIN_S else 0, unsure_s)


class Herald:
    """Tells when the clocks are apart, once, and when that is over."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._told = False
        self._told_unsure = False

    def tell_unsure(self, unsure_s: float) -> None:
        """Tell when it begins or ends that nobody knows what time it is."""
        if bool(unsure_s) == self._told_unsure:
            return
        self._told_unsure = bool(unsure_s)
        if not unsure_s:
            self._emit("clock.skew", state="known", reason="the datastore's clock was seen")
            return
        reason = "the datastore's clock cannot be seen, for nothing can be written there"
        detail = "only fixed bindings are renewed until then: this server's own clock may be wrong"
        self._emit("clock.skew", state="unknown", reason=reason, detail=detail)

    def tell(self, own_s: float, store_s: float, skew_s: int) -> None:
        """Tell of a difference that has changed."""
        if skew_s > TELL_S and not self._told:
            self._told = True
            side = "ahead of" if own_s > store_s else "behind"
            reason = f"this server's clock is {skew_s} s {side} the clock of the datastore"
            detail = "no lease is given away before both say that it is over: set both clocks by NTP"
            self._emit("clock.skew", state="apart", reason=reason, detail=detail)
        elif not skew_s and self._told:
            self._told = False
            self._emit("clock.skew", state="together", reason="this server's clock agrees with the datastore's again")
