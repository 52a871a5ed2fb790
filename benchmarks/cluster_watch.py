"""How long commits to a twinlog take, and what of that is because of the other server.

Two things happen only because of it: a number that it got first (the link says "exists already"), and a wait to let it
go first. *Peer* is the time from the first of these to the end of the commit; *lost* is how many numbers one commit
lost at the most, which no busy machine alters.

Run as a program it is `python -m twinboot WORDS`, with a line of JSON in OUT for each commit: `cluster_watch.py OUT
WORDS`.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from storage.records import Change, Result, twinlog
from storage.records.files import Files, LocalFiles
from storage.records.port import nothing
from storage.records.twinlog_clock import SystemClock

STEPS = ("write", "link", "names", "read", "remove", "sync")


class Took(NamedTuple):
    """One commit: how long it took, what of that began with the other server, numbers lost to it, and the steps."""

    whole_s: float
    peer_s: float
    lost: int
    steps: dict[str, float]


class Watched(LocalFiles, SystemClock):
    """Files and clock that tell what a commit did with them."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        for step in STEPS:
            setattr(self, step, self._timed(step, getattr(self, step)))
        self.begin()

    def begin(self) -> None:
        """A commit begins."""
        self._began, self._peer_at, self._lost = time.monotonic(), 0.0, 0
        self._steps: dict[str, float] = {}

    def end(self) -> Took:
        """It has ended."""
        now = time.monotonic()
        return Took(now - self._began, now - self._peer_at if self._peer_at else 0.0, self._lost, self._steps)

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        """The other one goes first."""
        began = time.monotonic()
        self._peer_at = self._peer_at or began
        time.sleep(seconds)
        self._add("give way", began)

    def _timed(self, step: str, call: Callable[..., object]) -> Callable[..., object]:
        def timed(*arguments: object) -> object:
            began = time.monotonic()
            try:
                return call(*arguments)
            except FileExistsError:
                if str(arguments[-1]).endswith(".log"):  # not a snapshot
                    self._lost += 1
                    self._peer_at = self._peer_at or time.monotonic()
                raise
            finally:
                self._add(step, began)

        return timed

    def _add(self, step: str, began: float) -> None:
        self._steps[step] = self._steps.get(step, 0.0) + time.monotonic() - began


class WatchedLog(twinlog.TwinLog):
    """A twinlog that writes down its commits."""

    out = Path()

    def __init__(self, files: Files) -> None:
        self._watched = Watched(files.location)
        super().__init__(self._watched, clock=self._watched)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """As ever."""
        self._watched.begin()
        try:
            return super().commit(changes, waits)
        finally:
            took = self._watched.end()
            with self.out.open("a", encoding="ascii") as out:
                out.write(json.dumps({**took._asdict(), "rows": len(changes)}) + "\n")


def summary(took: Sequence[Took]) -> dict[str, object]:
    """Milliseconds of all of these commits."""
    whole_s = sorted(one.whole_s for one in took)
    peer_s = sorted(one.peer_s for one in took)
    worst = max(took, key=lambda one: one.peer_s)
    return {
        "p50 ms": whole_s[len(took) // 2] * 1e3,
        "p99 ms": whole_s[len(took) * 99 // 100] * 1e3,
        "max ms": whole_s[-1] * 1e3,
        "peer p99 ms": peer_s[len(took) * 99 // 100] * 1e3,
        "peer max ms": peer_s[-1] * 1e3,
        "lost": max(one.lost for one in took),
        "worst": {step: round(spent_s * 1e3) for step, spent_s in worst.steps.items()},
    }


if __name__ == "__main__":
    WatchedLog.out = Path(sys.argv[1])
    twinlog.TwinLog = WatchedLog  # type: ignore[assignment, misc]
    sys.path.pop(0)  # beside this file stands dhcp.py, which is not the package
    sys.argv[:2] = ["twinboot"]
    from twinboot.cli import main

    main()
