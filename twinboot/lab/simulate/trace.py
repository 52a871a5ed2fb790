"""What happened, for people: the last events, and of those the ones that concern an address or a client."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

KEPT_MAX = 200_000
SHOWN_MAX = 60


class Event(NamedTuple):
    """One thing that happened: when (seconds since the beginning), to or by whom, what, and what it is about."""

    at_s: float
    who: str
    what: str
    keys: tuple[object, ...]  # addresses and hardware addresses; none: it concerns everybody

    def __str__(self) -> str:
        return f"{self.at_s:12.4f}  {self.who:<10} {self.what}"


class Trace:
    """The last KEPT_MAX events of a run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=KEPT_MAX)

    def note(self, who: str, what: str, *keys: object) -> None:
        """Keep an event."""
        self._events.append(Event(self._clock(), who, what, keys))

    def about(self, keys: Iterable[object], until_s: float) -> list[str]:
        """Return the last SHOWN_MAX events up to a time that concern one of `keys`, or everybody."""
        wanted = set(keys)
        found = [event for event in self._events if event.at_s <= until_s and self._concerns(event, wanted)]
        return [str(event) for event in found[-SHOWN_MAX:]]

    @staticmethod
    def _concerns(event: Event, wanted: set[object]) -> bool:
        return not event.keys or not wanted.isdisjoint(event.keys)

    def __iter__(self) -> Iterable[Event]:
        return iter(self._events)
