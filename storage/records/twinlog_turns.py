"""Whose turn is it? Decisions of two servers that write one log, taken by each alone. Pure.

The loser of a race for a number has to read the winner's batch before it may try again, so a winner that begins its
next commit at once could win for seconds. Therefore a server that has just committed while another one was active lets
some milliseconds pass first. No row is slower for it: the batch grows meanwhile.

The log is compacted by whoever commits the batch with a certain number, so that it is one server that does it.
"""

from typing import NamedTuple

PEER_ACTIVE_S = 0.25
"""A server whose batch was read within this time is taken to want the next number as well."""

YIELD_MIN_S = 0.001
YIELD_MAX_S = 0.02
YIELD_COMMITS = 1.5
"""How long to stay back, in commits of the usual length: the other one needs one, and a look at ours."""

WEIGHT = 0.125
"""Of the latest commit in what is held to be the usual length."""

BATCHES_MIN = 64
BATCHES_MAX = 256
"""A snapshot is due when this many batches stand above the last one: few files make a listing cheap."""

GROWTH = 0.5
"""Or, after the smaller number, when the batches have grown to this part of the snapshot: then it pays."""

QUIET_S = 2.0
"""Without a commit for so long, copies are published."""
PUBLISH_EVERY_S = 10.0
"""But no more often than this: a copy is a whole table."""


class Turns:
    """When to begin the next commit."""

    def __init__(self) -> None:
        self._usual_s = YIELD_MIN_S
        self._ended_s = float("-inf")
        self._heard_s = float("-inf")

    def heard(self, now_s: float) -> None:
        """A batch of another server was read."""
        self._heard_s = now_s

    def committed(self, now_s: float, took_s: float) -> None:
        """We committed, which took so long (without waiting for a turn)."""
        self._ended_s = now_s
        self._usual_s += WEIGHT * (took_s - self._usual_s)

    def pause_s(self, now_s: float) -> float:
        """How long to wait before the next commit; 0 most of the time."""
        if now_s - self._heard_s > PEER_ACTIVE_S:
            return 0.0
        stay_s = min(max(self._usual_s * YIELD_COMMITS, YIELD_MIN_S), YIELD_MAX_S)
        return max(self._ended_s + stay_s - now_s, 0.0)


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
