"""Time as a twinlog needs it. Nothing is decided by it but when to look, to wait, and what people are shown."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks and a wait; a simulator brings its own."""

    def now(self) -> float:
        """Monotonic seconds."""

    def today(self) -> float:
        """Seconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(time.monotonic)
    today = staticmethod(time.time)
    sleep = staticmethod(time.sleep)
