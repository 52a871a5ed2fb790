"""What a service looks like to whoever runs it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Bound", "Ready", "give_way", "on_stop"]

Ready = Callable[[], None]


class Bound(NamedTuple):
    """A service with its sockets: `what` for the readiness line, `serve` to run when root is gone.

    `as_started`: it needs to stay the account it was started as, and to start what changes its account (fusermount3).
    """

    what: str
    serve: Callable[[Ready], None]
    as_started: bool = False


NICE = 10


def give_way() -> None:
    """Let the services that clients wait for go first, from now on."""
    os.nice(NICE)


def on_stop(stop: Callable[[], object]) -> None:
    """Call `stop` at SIGTERM and SIGINT; SIGHUP has nothing to re-read where everything is read when asked for."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    signal.signal(signal.SIGHUP, lambda *_: None)
