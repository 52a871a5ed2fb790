"""Offers that wait while their address is asked by ICMP whether somebody has it (ICMP_VERIFY). Pure: times are given.

Rules of the room:

* Nothing waits but the one client's offer: it lies here until its address answers (then it is in use) or `WAIT_S` is
  over (then it is free), and the loop goes on meanwhile.
* An address that kept silent is not asked again for `QUIET_S`, so a client's second DISCOVER is answered at once.
* Both tables are bounded. When `HELD_MAX` offers wait, further ones leave unasked, as without ICMP_VERIFY: in a flood
  it is better to serve, and each question costs the kernel an entry in its neighbour table (1024 by default).
"""

from collections import OrderedDict
from enum import Enum
from typing import Final, Generic, TypeVar

WAIT_S: Final = 1.0  # in.dhcpd's; boot ROMs ask again after 1, 2 and 4 s
QUIET_S: Final = 60.0
HELD_MAX: Final = 512
QUIET_MAX: Final = 16384

Held = TypeVar("Held")


class Answer(Enum):
    """What `Probes.hold` did."""

    LET_GO = "let go"  # it need not wait, or cannot
    WAITS = "waits"  # with a question that is out already
    ASK = "ask"  # it waits, and its address is to be asked


class Probes(Generic[Held]):
    """What waits, by address, and the addresses that kept silent. Times are monotonic seconds."""

    def __init__(self) -> None:
        # In order of time, for everything waits equally long. A plain dict that loses its first entries gets slow.
        self._held: OrderedDict[int, tuple[float, Held]] = OrderedDict()
        self._quiet: OrderedDict[int, float] = OrderedDict()  # address -> until when

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, address: int, held: Held, now: float) -> Answer:
        """Keep `held` until its address is known to be free; what waited for that address before is dropped."""
        if self._quiet.get(address, 0.0) > now:
            return Answer.LET_GO
        waiting = self._held.get(address)
        if waiting is not None:
            self._held[address] = (waiting[0], held)
            return Answer.WAITS
        if len(self._held) >= HELD_MAX:
            return Answer.LET_GO
        self._held[address] = (now + WAIT_S, held)
        return Answer.ASK

    def answered(self, address: int) -> Held | None:
        """Return what waited for an address that is in use, None if nothing did."""
        waiting = self._held.pop(address, None)
        return None if waiting is None else waiting[1]

    def let_go(self, address: int) -> None:
        """Stop waiting: the address could not be asked."""
        self._held.pop(address, None)

    def due(self, now: float) -> list[Held]:
        """Return what has waited long enough: its addresses count as free for a while."""
        done: list[Held] = []
        while self._held:
            address, (until, held) = next(iter(self._held.items()))
            if until > now:
                break
            del self._held[address]
            done.append(held)
            self._note_quiet(address, now)
        return done

    def _note_quiet(self, address: int, now: float) -> None:
        self._quiet.pop(address, None)
        if len(self._quiet) >= QUIET_MAX:
            self._quiet.popitem(last=False)
        self._quiet[address] = now + QUIET_S

    def wait_s(self, now: float, longest_s: float) -> float:
        """Return how long the loop may sleep: until the first that waits is due, at most `longest_s`."""
        first = next(iter(self._held.values()), None)
        return longest_s if first is None else min(longest_s, max(first[0] - now, 0.0))
