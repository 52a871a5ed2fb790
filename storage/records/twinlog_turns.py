"""Whose turn is it? Decisions of two servers that write one log, taken by each alone. Pure.

The loser of a race for a number has to read the winner's batch before it may try again, so a winner that begins its
next commit at once could win for seconds. But the loser's batch stands in the folder under its temporary name until it
has its number: whoever has just committed and sees it lets it go first, for `GIVE_WAY_MAX_S` at the most. It writes its
own next batch meanwhile, so nobody is slower for it but by the other one's commit.

What is still there after that belongs to a slow process, or to one that is dead or stopped, and nobody can tell which.
So it is let go first again after a pause, which grows with each time that this was in vain: a slow one gets its turn
after all, and a dead one costs less and less.

The log is compacted by whoever commits the batch with a certain number, so that it is one server that does it.
"""

from collections.abc import Iterable
from typing import NamedTuple

GIVE_WAY_MAX_S = 0.1
GIVE_WAY_STEP_S = 0.002
"""How long to let others go first, and how often to look whether they have."""
PAUSE_MAX_S = 5.0
"""The longest time in which a batch that was let go first in vain is not let go first again."""
TIMES_MAX = 16

BATCHES_MIN = 64
BATCHES_MAX = 256
"""A snapshot is due when this many batches stand above the last one: few files make a listing cheap."""

GROWTH = 0.5
"""Or, after the smaller number, when the batches have grown to this part of the snapshot: then it pays."""

QUIET_S = 2.0
"""Without a commit for so long, copies are published."""
PUBLISH_EVERY_S = 10.0
"""But no more often than this: a copy is a whole table."""


class _InVain(NamedTuple):
    """How often a batch was let go first in vain, and when it may be again."""

    times: int = 0
    again_s: float = float("-inf")


class Turns:
    """Who is to go before our next commit."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._until_s = 0.0
        self._in_vain: dict[str, _InVain] = {}  # of the batches seen last

    def committed(self, now_s: float, others: Iterable[str]) -> None:
        """We committed, and saw these batches of others that wait for their numbers."""
        self._in_vain = {name: self._in_vain.get(name, _InVain()) for name in others}
        self._waiting = {name for name, found in self._in_vain.items() if found.again_s <= now_s}
        self._until_s = now_s + GIVE_WAY_MAX_S

    @property
    def gives_way(self) -> bool:
        """Whether somebody else is to go first, as far as we know."""
        return bool(self._waiting)

    def look(self, now_s: float, names: Iterable[str]) -> None:
        """Look who still waits, by the names that are in the folder now."""
        self._waiting.intersection_update(names)
        if now_s >= self._until_s:
            for name in self._waiting:
                times = self._in_vain[name].times
                pause_s = min(GIVE_WAY_MAX_S * (2**times - 1), PAUSE_MAX_S)
                self._in_vain[name] = _InVain(min(times + 1, TIMES_MAX), now_s + pause_s)
            self._waiting.clear()


class Growth(NamedTuple):
    """What stands above the last snapshot, and how large that is."""

    batches: int
    batches_bytes: int
    snapshot_bytes: int


def snapshot_due(growth: Growth, latest_bytes: int) -> bool:
    """Whether who has just committed a batch of that size is the one to write a snapshot.

    Asked after each commit of one's own. Every number has one writer, so at every multiple it is one server's turn;
    should that one fail, the next multiple comes.
    """
    if growth.batches and growth.batches % BATCHES_MAX == 0:
        return True
    if growth.batches < BATCHES_MIN:
        return False
    threshold = growth.snapshot_bytes * GROWTH
    return (growth.batches == BATCHES_MIN and growth.batches_bytes >= threshold) or (
        growth.batches_bytes - latest_bytes < threshold <= growth.batches_bytes
    )
