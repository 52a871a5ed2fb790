"""Telling what happens without letting a stranger fill the journal, or a flood of clients fill our time.

Every packet counts. What is not answered is told by reason: of each at most `EVENTS_PER_S` a second one by one, the
rest as a sum. Of each kind of answer `BURST_MAX` are told at once, more than a hall of machines switched on together
has, and `ROUTINE_PER_S` for as long as one likes, as many as 90,000 clients with a lease of
an hour have. Once in `TOTALS_EVERY_S` one event says how many of each kind there were since the start, if there were
any new ones.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from dhcp.decision import Decision

EVENTS_PER_S: Final = 10  # for each reason; reasons are a small fixed set
BURST_MAX: Final = 250  # for each kind; an event costs more than the answer it tells of
ROUTINE_PER_S: Final = 50
TOTALS_EVERY_S: Final = 60
COUNTED: Final = frozenset({"dhcp.silent", "dhcp.dropped"})  # kinds that strangers can cause at any rate
REASONS_SHOWN: Final = 8  # the most frequent ones, in the event of the totals

MORE: Final = "more of the same in one second"

Emit = Callable[..., None]


class Tally:
    """Counts by (kind, reason), and the events of the current second."""

    def __init__(self, emit: Emit) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._emit = emit
        self._second = 0
        self._told: Counter[tuple[str, str]] = Counter()
        self._answered: dict[str, int] = {}
        self._room: dict[str, int] = {}  # of kinds of which less than a burst may be told just now
        self._totals: Counter[str] = Counter()
        self._totals_s = 0
        self._totals_changed = False

    def tell(self, decision: Decision, unstored: str = "") -> None:
        """Count a decision that was carried out, though for the reason `unstored` without its change where that is
        given, and tell of it as its kind may be told of.
        """
        kind = decision.kind
        if kind in COUNTED:
            fields = dict(decision.fields)
            self.note(kind, str(fields.pop("reason")), **fields)
        elif unstored:
            self._emit(kind, **{**decision.fields, "detail": f"not stored: {unstored}"})
        elif self.tells(kind):
            self._emit(kind, **decision.fields)

    def refuse(self, decision: Decision, reason: str, detail: str) -> None:
        """Count a decision that came to nothing in the end: its packet gets silence, for a reason found since."""
        fields = {**decision.fields, "state": decision.kind, "detail": detail}
        fields.pop("reason", None)
        self.note("dhcp.silent", reason, **fields)

    def note(self, kind: str, reason: str, **fields: object) -> None:
        """Count one packet and tell of it, unless this second has heard enough of that reason."""
        key = (kind, reason)
        self.counts[key] += 1
        self._told[key] += 1
        if self._told[key] <= EVENTS_PER_S:
            self._emit(kind, reason=reason, **fields)

    def tells(self, kind: str) -> bool:
        """Count an answer; say whether to tell of it, or this second has heard enough of its kind."""
        told = self._answered.get(kind, 0) + 1
        self._answered[kind] = told
        return told <= self._room.get(kind, BURST_MAX)

    def turn(self, now_s: int) -> bool:
        """At the beginning of a new second tell the sums of what was held back in the last one; say if it is one."""
        if now_s == self._second:
            return False
        for (kind, reason), told in self._told.items():
            if told > EVENTS_PER_S:
                self._emit(kind, reason=reason, count=told - EVENTS_PER_S, detail=MORE)
        for kind, told in self._answered.items():
            room = self._room.get(kind, BURST_MAX)
            if told > room:
                self._emit(kind, count=told - room, detail=MORE)
        self._make_room(now_s - self._second)
        self._second = now_s
        self._add_up(now_s)
        self._told.clear()
        self._answered.clear()
        return True

    def _make_room(self, passed_s: int) -> None:
        """Take what was told off the room of its kind, and give each what time brings."""
        for kind in self._answered.keys() | self._room.keys():
            room = self._room.get(kind, BURST_MAX)
            room = max(room - self._answered.get(kind, 0), 0) + ROUTINE_PER_S * passed_s
            if room < BURST_MAX:
                self._room[kind] = room
            else:
                self._room.pop(kind, None)

    def _add_up(self, now_s: int) -> None:
        """Add the last second to the totals, and tell them when it is time and something is new."""
        for (kind, _), told in self._told.items():
            self._totals[kind] += told
        for kind, told in self._answered.items():
            self._totals[kind] += told
        self._totals_changed |= bool(self._told or self._answered)
        if now_s - self._totals_s < TOTALS_EVERY_S:
            return
        self._totals_s = now_s
        if self._totals_changed:
            self._totals_changed = False
            sums = {kind.rpartition(".")[2]: told for kind, told in self._totals.items()}
            words = [f"{kind} {told}" for kind, told in sums.items()]
            reasons = [f"{reason} {told}" for (_, reason), told in self.counts.most_common(REASONS_SHOWN)]
            detail = ", ".join(words) + (f" ({', '.join(reasons)})" if reasons else "")
            self._emit("dhcp.totals", **sums, detail=detail)
