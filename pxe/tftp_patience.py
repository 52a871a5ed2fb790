"""How the TFTP loop waits: it looks a little while before it sleeps, as long as that pays.

Without windows each block waits for one ACK. On a fast link, and between virtual machines, the ACK comes
sooner than a sleeping core wakes up, and a core that has slept finds its caches cold. Looking again for some
microseconds then gives more blocks a second for the same CPU time a block. Where the ACKs take longer, as they
do from most ROMs, the looks fail. After one in vain a wait goes without a look; after the next one eight do,
then MAX_SKIPPED; each look that succeeds takes one off. So a single late ACK costs one look and one sleep, but
where more than one ACK in eight is late, there is hardly a look any more: at most 4 us a wait.
"""

from __future__ import annotations

import os
import time
from typing import Protocol

LOOK_S = 120e-6  # a little above what it takes to wake a sleeping virtual core on both sides
MAX_SKIPPED = 32  # waits in a row without a look
SKIP_GROWTH = 8


class Epoll(Protocol):
    """The part of `select.epoll` that is needed to look."""

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """What is ready within `timeout` seconds, as pairs of a descriptor and its events."""


class Patience:
    """The look before a sleep. A machine with one core never looks: the client might need that core."""

    def __init__(self, epoll: Epoll, cores: int | None = None) -> None:
        self._poll = epoll.poll
        self._alone = (cores or os.cpu_count() or 1) == 1
        self._skip = 0
        self._next_skip = 1

    def look(self) -> list[tuple[int, int]]:
        """What is ready now or within LOOK_S, as epoll.poll gives it; nothing if it is time to sleep."""
        if self._alone:
            return []
        if self._skip:
            self._skip -= 1
            return []
        poll = self._poll
        ready = poll(0)
        if not ready:
            ends_s = time.monotonic() + LOOK_S
            while not ready and time.monotonic() < ends_s:
                ready = poll(0)
        if not ready:
            self._skip = self._next_skip
            self._next_skip = min(SKIP_GROWTH * self._next_skip, MAX_SKIPPED)
        elif self._next_skip > 1:
            self._next_skip -= 1
        return ready
