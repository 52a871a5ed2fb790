"""Counting what is not answered, and telling of it without letting a stranger fill the journal.

Every packet counts; of each reason at most `EVENTS_PER_S` events a second are told one by one, the rest as a sum.
"""

from collections import Counter
from collections.abc import Callable

EVENTS_PER_S = 10  # for each reason; reasons are a small fixed set

Emit = Callable[..., None]


class Tally:
    """Counts by (kind, reason), and the events of the current second."""

    def __init__(self, emit: Emit) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._emit = emit
        self._second = 0
        self._told: Counter[tuple[str, str]] = Counter()

    def note(self, kind: str, reason: str, **fields: object) -> None:
        """Count one packet and tell of it, unless this second has heard enough of that reason."""
        key = (kind, reason)
        self.counts[key] += 1
        self._told[key] += 1
        if self._told[key] <= EVENTS_PER_S:
            self._emit(kind, reason=reason, **fields)

    def turn(self, now_s: int) -> None:
        """Begin a new second: tell the sums of what was held back in the last one."""
        if now_s == self._second:
            return
        self._second = now_s
        for (kind, reason), told in self._told.items():
            if told > EVENTS_PER_S:
                self._emit(kind, reason=reason, count=told - EVENTS_PER_S, detail="more of the same in one second")
        self._told.clear()
