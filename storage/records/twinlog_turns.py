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
YIELD_LINKS = 1.5
"""How long to leave the next number alone, in times that getting one usually takes us: the other one has its batch
written, but needs as long as that to read ours and try again."""

WEIGHT = 0.125
"""Of the latest commit in what is held to be usual."""

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
        self._write_s = self._link_s = 0.0
        self._ended_s = float("-inf")
        self._heard_s = float("-inf")

    def heard(self, now_s: float) -> None:
        """A batch of another server was read."""
        self._heard_s = now_s

    def committed(self, now_s: float, write_s: float, link_s: float) -> None:
        """We committed: writing the batch and getting it a number took so long, without what others made us wait.

        Only that counts: if waiting for one another made both wait longer, they would end at the longest wait.
        """
        self._ended_s = now_s
        self._write_s += WEIGHT * (write_s - self._write_s)
        self._link_s += WEIGHT * (link_s - self._link_s)

    def pause_s(self, now_s: float) -> float:
        """How long to wait before the next commit; 0 most of the time. Its writing counts as waiting."""
        if now_s - self._heard_s > PEER_ACTIVE_S:
            return 0.0
        stay_s = min(max(self._link_s * YIELD_LINKS, YIELD_MIN_S), YIELD_MAX_S)
        return max(self._ended_s + stay_s - self._write_s - now_s, 0.0)


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
