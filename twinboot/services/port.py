"""What a service looks like to whoever runs it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Bound", "Ready", "on_stop"]

Ready = Callable[[], None]


class Bound(NamedTuple):
    """A service with its sockets: `what` for the readiness line, `serve` to run when root is gone."""

    what: str
    serve: Callable[[Ready], None]


def on_stop(stop: Callable[[], object]) -> None:
    """Call `stop` at SIGTERM and SIGINT; SIGHUP has nothing to re-read where everything is read when asked for."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    signal.signal(signal.SIGHUP, lambda *_: None)
