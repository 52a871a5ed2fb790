"""Which host a new guest goes to. Pure.

The rule, for the hosts of the segment that have the links and the memory:

1. Hosts with fewer than `few` guests (4) first, and of those the one with the most memory left: guests are spread.
2. When all have `few`, the others up to `most` (6), again by memory left. That is what is kept back for the day when
   a host fails and its guests have to go somewhere.
3. A host with `most` gets none, unless it is named.

A guest counts where its row puts it, running or not; the memory of one that is off counts as taken, since it is to be
started. Every host that is passed over says why.
"""

from collections.abc import Sequence
from typing import NamedTuple

from guests.domain import HostInfo
from guests.faults import Refused
from guests.guest import Wish
from guests.site import Host


class Candidate(NamedTuple):
    """A host, what it says of itself (None: it could not be asked, and `trouble` says why), and what is promised on it.

    `guests`: how many it has; `promised_mib`: memory of those that do not run now.
    """

    host: Host
    facts: HostInfo | None
    trouble: str
    guests: int
    promised_mib: int

    @property
    def room_mib(self) -> int:
        """Memory for more guests."""
        return self.facts.free_mib - self.promised_mib if self.facts else 0


def place(candidates: Sequence[Candidate], wish: Wish, few: int, most: int, *, named: bool = False) -> Host:
    """The host for a guest; Refused with a line for each candidate. `named`: a person chose, so `most` is no matter."""
    reasons = {one.host.name: why_not(one, wish, 2**31 if named else most) for one in candidates}
    fit = [one for one in candidates if not reasons[one.host.name]]
    if not fit:
        lines = [f"{name}: {reason}" for name, reason in sorted(reasons.items())]
        raise Refused(f"no host of segment {wish.segment} can take the guest:", *lines)
    return min(fit, key=lambda one: (one.guests >= few, -one.room_mib, one.guests, one.host.name)).host


def why_not(one: Candidate, wish: Wish, most: int) -> str:
    """Why a host cannot take a guest, and what would help; empty if it can."""
    if one.facts is None:
        return one.trouble or "it could not be asked"
    if one.host.segment != wish.segment:
        return f"it is on segment {one.host.segment}: choose a host of segment {wish.segment}"
    if missing := [link for link in wish.links if link not in one.facts.links]:
        return f"it has no link {', '.join(missing)}: its links are {', '.join(one.facts.links) or 'none'}"
    if one.guests >= most:
        return (
            f"it has {one.guests} guests, and {most} are the most: name it to put one more there, or raise guests.most"
        )
    if one.room_mib < wish.memory_mib:
        return f"{one.room_mib} MiB are left of {one.facts.memory_mib}, {wish.memory_mib} are wanted"
    return ""
