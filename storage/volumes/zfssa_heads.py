"""The heads of an appliance: which of them has the pool, and going on with the other when that changes.

Operations on shares go to the head that owns the pool: the one that lists it under its own serial number (`asn`).
It is looked up at the first request, and again when a head falls silent, no longer has the pool, or says that it is
busy giving it away. A takeover is a matter of some ten seconds, so a request waits for it, with a bound. Nothing is
ever taken over or given back by us: that is people's.
"""

import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from storage.volumes.port import Outcome, VolumesError

T = TypeVar("T")

PATIENCE_S = 60.0
"""For a takeover: pools are imported within 30 to 60 s."""

PAUSE_S = (0.2, 0.5, 1.0, 2.0, 3.0)


class GoneError(Exception):
    """The head did not answer, does not have the pool, or is busy; the text says which. Whether the request was
    carried out is not known.
    """


class Head(Protocol):
    """One machine of an appliance."""

    name: str

    def owns(self, pool: str) -> bool:
        """Whether it has the pool now. GoneError."""

    def forget(self) -> None:
        """Drop the session: it is not worth anything after a takeover."""


class Clock(Protocol):
    """Time, as tests give it."""

    def now(self) -> float:
        """Seconds, only going forward."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's."""

    def now(self) -> float:
        """Monotonic."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


HeadT = TypeVar("HeadT", bound=Head)


class Heads(Generic[HeadT]):
    """All heads of one appliance; `owner` is the one with the pool, as far as is known."""

    def __init__(self, heads: Sequence[HeadT], pool: str, clock: Clock | None = None) -> None:
        self._heads = list(heads)
        self._pool = pool
        self._clock = clock or SystemClock()
        self._owner: HeadT | None = None

    def ask(self, work: Callable[[HeadT, bool], T]) -> T:
        """Let the owner do the work, wherever the pool goes; UNAVAILABLE after a minute without it.

        `work` is told whether it is a repetition: then what it is to do may have been done by the attempt before.
        """
        deadline = self._clock.now() + PATIENCE_S
        tries = 0
        while True:
            head = self._owner or self._find()
            try:
                if isinstance(head, str):
                    raise GoneError(head)
                self._owner = head
                return work(head, tries > 0)
            except GoneError as error:
                if not isinstance(head, str):
                    head.forget()
                self._owner = None
                if self._clock.now() > deadline:
                    raise VolumesError(
                        Outcome.UNAVAILABLE,
                        f"pool {self._pool}: {error}: see to the appliance (configuration cluster show)",
                    ) from error
                self._clock.sleep(PAUSE_S[min(tries, len(PAUSE_S) - 1)])
                tries += 1

    def _find(self) -> HeadT | str:
        """The head that has the pool, or why there is none."""
        reasons = []
        for head in self._heads:
            try:
                if head.owns(self._pool):
                    return head
                reasons.append(f"{head.name} does not have it")
            except GoneError as error:
                reasons.append(str(error))
        return "; ".join(reasons)
