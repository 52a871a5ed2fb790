"""What is known of a share's condition: told once when it goes bad, and once when it is well again."""

import time
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

Emit = Callable[..., None]


class State(Enum):
    """What can be said of a share."""

    OK = "ok"
    HUNG = "hung"
    RESTARTING = "restarting"


class Health(NamedTuple):
    """The state, for how many seconds it has not been "ok", and why, in one line."""

    state: State
    since_s: float
    reason: str


class _Trouble(NamedTuple):
    began: float
    reason: str


class Condition:
    """Keeps it, and tells `emit` of `records.hung` and `records.back`."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._trouble: _Trouble | None = None

    @property
    def is_well(self) -> bool:
        """Whether the last call was answered in time."""
        return self._trouble is None

    @property
    def reason(self) -> str:
        """What is wrong, in one line that stays the same while that lasts; empty when nothing is."""
        return "" if self._trouble is None else self._trouble.reason

    def health(self, state: State) -> Health:
        """The condition; `state` is what it is while something is wrong."""
        if self._trouble is None:
            return Health(State.OK, 0.0, "")
        return Health(state, time.monotonic() - self._trouble.began, self._trouble.reason)

    def fail(self, place: str, reason: str, began: float) -> None:
        """Something is wrong since `began` (monotonic)."""
        if self._trouble is None:
            self._trouble = _Trouble(began, reason)
            self._emit("records.hung", file=place, reason=reason)
        else:
            self._trouble = self._trouble._replace(reason=reason)

    def recover(self, place: str) -> None:
        """A call was answered in time."""
        if self._trouble is not None:
            away_s = time.monotonic() - self._trouble.began
            self._trouble = None
            self._emit("records.back", file=place, elapsed_s=round(away_s, 3))
