"""What the TFTP server allows itself: transfers, descriptors, reports."""

from __future__ import annotations

import resource
import time
from typing import NamedTuple

MAX_TRANSFERS = 4096  # at most 64 KiB of packets each: 256 MiB, far above any rack
MAX_PER_CLIENT = 512  # a machine needs one or two; a whole rack may come through one NAT or relay
MAX_REFUSALS_PER_S = 20  # reports, not answers: a scan must not fill the journal
DESCRIPTORS_EACH = 3  # a file and two sockets
SPARE_DESCRIPTORS = 64  # for the resolver, the journal and what the process holds besides


class Limits(NamedTuple):
    """How many transfers run at a time, in all and for one client address."""

    transfers: int = MAX_TRANSFERS
    per_client: int = MAX_PER_CLIENT


def within_descriptors(limits: Limits) -> Limits:
    """Take as many descriptors as the system lets us, and no more transfers than they carry."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return limits
    return limits._replace(transfers=max(1, min(limits.transfers, (hard - SPARE_DESCRIPTORS) // DESCRIPTORS_EACH)))


class Budget:
    """So many reports a second; the rest is counted and told with the next report."""

    def __init__(self, per_s: int = MAX_REFUSALS_PER_S) -> None:
        self._per_s = per_s
        self._second = 0
        self._taken = 0
        self._skipped = 0

    def take(self) -> int | None:
        """None: stay silent. Else: report, and say how many were skipped before."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        if self._taken == self._per_s:
            self._skipped += 1
            return None
        self._taken += 1
        skipped, self._skipped = self._skipped, 0
        return skipped
