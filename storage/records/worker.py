"""A datastore at arm's length: a forked process does the work on the share, and a call has a deadline.

A share on the network may hang for seconds (its server restarts) or for hours (a cable), and who touches it then hangs
as well, whatever mount options say. So a daemon that has to answer packets gives the share to a worker
(`worker_process`) and waits for it no longer than `DEADLINE_S`. Rules:

1. A call that is not answered in time is UNAVAILABLE, and from then on every call is, *at once*, until the late answer
   has come. So a share that hangs costs the daemon one deadline, not one for each batch of packets.
2. The first call after that has to be answered quickly (`PROBE_S`); only then the share counts as back. So a share
   that is slow rather than gone does not take the daemon a deadline each time.
3. A commit that was not answered in time is UNAVAILABLE for each row: it may or may not have been done, and may be yet.
   The next `read` tells, since its deltas come from the one who did it. A call that the worker comes to when its
   deadline is over is not begun.
4. A late answer is known by its number and thrown away.
5. A worker that died is buried and replaced at the next call, after a pause that doubles while that keeps happening.
   The versions that the old one gave out mean nothing to the new one: it tells tables as a whole.
6. One that has hung for `KILL_S` is killed and replaced: it may wait for a mount that is long gone.
"""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from storage.records import worker_wire as wire
from storage.records.port import Change, Delta, Epoch, Outcome, RecordsError, Rescan, Result, nothing
from storage.records.twinlog_log import Peer
from storage.records.worker_health import Condition, Emit, Health, State
from storage.records.worker_link import Answer, GoneError, Link, exit_code
from storage.records.worker_process import OPENING, Opener

DEADLINE_S = 1.5
"""A client asks again after four seconds, so that one deadline does not cost anybody a second try."""

PROBE_S = 0.25
START_S = 30.0
"""The deadline before `hurry`: reading all tables takes its time, and nobody waits for an answer yet."""

KILL_S = 60.0
RESTART_S = 0.1
RESTART_MAX_S = 10.0
STEADY_S = 10.0
"""Pause before a dead worker is replaced, and its limit; there is none for one that lived longer than this."""

BURIAL_S = 0.05
CLOSE_S = 1.0
_EPOCH_BITS: Final = 64
_ADVICE: Final = "see to the file server and the network to it; when it answers, work goes on by itself"


class WorkerRecords:
    """The datastore that `opener` opens, in a process of its own."""

    def __init__(
        self, opener: Opener, place: str, emit: Emit, *, deadline_s: float = DEADLINE_S, kill_s: float = KILL_S
    ) -> None:
        """Fork the worker and wait until it has opened the datastore; RecordsError if it cannot.

        `place` names the share in messages. `emit` is told `records.hung` and `records.back`, once each time. Fork
        early, from the thread that will live as long as the process: the worker dies with it.
        """
        self.location = place
        self._opener = opener
        self._deadline_s = deadline_s
        self._kill_s = kill_s
        self._hurries = False
        self._guard = threading.Lock()
        self._link: Link | None = None
        self._epoch = 0  # number of workers so far
        self._last_epoch: Epoch | None = None  # of the datastore's clock
        self._leaving: list[int] = []  # processes that are about to end
        self._condition = Condition(emit)
        self._pause_s = RESTART_S
        self._restart_at = -math.inf
        try:
            with self._guard:
                self._start()
        except RecordsError:
            self.close()
            raise

    # -- the port

    def tables(self) -> list[str]:
        """Names of the tables that exist, sorted."""
        return list(self._call("tables"))

    def create(self, table: str) -> None:
        """Make an empty table."""
        self._call("create", table)

    def drop(self, table: str) -> None:
        """Remove a table with all its rows."""
        self._call("drop", table)

    def read(self, table: str, since: int = 0) -> Delta:
        """The whole table, or what changed after version `since`, if it is this worker's."""
        with self._guard:
            link = self._ready()
            epoch = self._epoch
            theirs = since & ((1 << _EPOCH_BITS) - 1) if since >> _EPOCH_BITS == epoch else 0
            delta = wire.delta_of(self._ask(link, "read", table, theirs))
        return delta._replace(version=delta.version | epoch << _EPOCH_BITS)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """Try all changes; UNAVAILABLE for each if the worker does not answer in time.

        It may be called in a thread beside the one that serves, which is no place to fork a worker: the next read does.
        """
        if not changes:
            return []
        try:
            with self._guard:
                link = self._ready(starts=False)
                return wire.results_of(self._ask(link, "commit", wire.plain_changes(changes), waits=waits))
        except RecordsError as error:
            return [Result(error.outcome, None, str(error))] * len(changes)

    def rescan(self) -> Rescan:
        """Take over hand edits, where the datastore keeps copies for them."""
        taken, refused = self._call("rescan")
        return Rescan(taken, refused)

    def tend(self) -> None:
        """Notice that the share is back although nobody asks for anything. The worker tends the datastore itself."""
        if not self._condition.is_well:
            with contextlib.suppress(RecordsError):
                self._call("tables")

    def peers(self) -> dict[str, Peer]:
        """What is known of other servers, by name; nothing for a datastore that does not tell."""
        return {name: Peer(*peer) for name, peer in self._call("peers").items()}

    def epoch(self) -> Epoch | None:
        """The datastore's, as it came with its last answer: a machine's processes have one monotonic clock.

        What one worker measured goes on to count while the next one knows a bound only.
        """
        link, last = self._link, self._last_epoch
        if link is not None and link.epoch is not None and (last is None or link.epoch.behind_s <= last.behind_s):
            self._last_epoch = link.epoch
        return self._last_epoch

    # -- the worker

    @property
    def pid(self) -> int:
        """Process id of the worker, 0 while there is none."""
        return self._link.pid if self._link is not None else 0

    @property
    def health(self) -> Health:
        """How things stand. Waits for nothing."""
        return self._condition.health(State.RESTARTING if self._link is None else State.HUNG)

    def hurry(self) -> None:
        """From now on somebody waits: the deadline holds."""
        self._hurries = True

    def close(self) -> None:
        """End the worker: when it is done with what it is at, or by force after `CLOSE_S`."""
        with self._guard:
            link, self._link = self._link, None
            self._restart_at = math.inf
            if link is not None and link.close(CLOSE_S) is None:
                link.kill()
                exit_code(link.pid, BURIAL_S)

    # -- one call

    def _call(self, method: str, *arguments: object) -> Any:
        with self._guard:
            return self._ask(self._ready(), method, *arguments)

    def _ready(self, *, starts: bool = True) -> Link:
        """A worker that can be asked; RecordsError at once if there is none, and none `starts`."""
        link = self._link
        if link is not None and not link.is_quiet():
            link = self._receive_late(link)
        if link is None and not starts:
            raise self._unavailable()
        return link or self._start()

    def _receive_late(self, link: Link) -> Link | None:
        """Take what came in since the last call; RecordsError if what is waited for did not. None: the worker died."""
        was_opening = link.pending == OPENING
        try:
            answer = link.answer(0.0)
        except GoneError:
            self._bury(link)
            return None
        if answer is None:
            if time.monotonic() - link.asked > self._kill_s:
                link.kill()
            raise self._unavailable()
        if was_opening:
            self._opened(link, answer)
        return link

    def _ask(self, link: Link, method: str, *arguments: object, waits: Callable[[], None] = nothing) -> Any:
        patience_s = self._patience_s()
        try:
            link.ask(method, arguments, patience_s)
        except wire.TooLongError as error:
            raise RecordsError(Outcome.INVALID, f"{method}: {error}") from error
        except GoneError:
            self._bury(link)
            raise self._unavailable() from None
        waits()
        outcome, value = self._wait(link, patience_s)
        self._condition.recover(self.location)
        if outcome:
            raise RecordsError(Outcome(outcome), value)
        return value

    def _patience_s(self) -> float:
        if not self._hurries:
            return START_S
        return self._deadline_s if self._condition.is_well else min(PROBE_S, self._deadline_s)

    def _wait(self, link: Link, patience_s: float) -> Answer:
        """The answer to the pending call; RecordsError if the worker does not answer in time, or died."""
        try:
            answer = link.answer(patience_s)
        except GoneError:
            self._bury(link)
            raise self._unavailable() from None
        if answer is None:
            at = time.strftime("%H:%M:%S", time.localtime(time.time() - patience_s))
            self._condition.fail(self.location, f"has not answered since {at}: {_ADVICE}", link.asked)
            raise self._unavailable()
        return answer

    # -- the worker's life

    def _start(self) -> Link:
        """Fork a worker and wait until it has opened the datastore; RecordsError, also if it is not time yet."""
        now = time.monotonic()
        if now < self._restart_at:
            raise self._unavailable()
        self._leaving = [pid for pid in self._leaving if exit_code(pid, 0.0) is None]
        try:
            link = self._link = Link(self._opener)
        except OSError as error:
            self._plan_restart(now)
            self._condition.fail(self.location, f"no process can be started to work on it: {error.strerror}", now)
            raise self._unavailable() from error
        self._epoch += 1
        self._opened(link, self._wait(link, self._patience_s()))
        return link

    def _opened(self, link: Link, answer: Answer) -> None:
        """Take note of how opening went; RecordsError if it failed."""
        outcome, value = answer
        if outcome:
            self._bury(link, value)
            raise RecordsError(Outcome(outcome), value)
        self.location = value

    def _bury(self, link: Link, last_words: str = "") -> None:
        """The worker is dead, or about to end: plan the next one."""
        code = link.close(BURIAL_S)
        if code is None:
            self._leaving.append(link.pid)
        self._link = None
        self._plan_restart(link.born)
        self._condition.fail(
            self.location, last_words or f"the process that works on it {_ending(code)}; another takes over", link.asked
        )

    def _plan_restart(self, born: float) -> None:
        now = time.monotonic()
        if now - born >= STEADY_S:
            self._restart_at, self._pause_s = now, RESTART_S
        else:
            self._restart_at = now + self._pause_s
            self._pause_s = min(self._pause_s * 2, RESTART_MAX_S)

    def _unavailable(self) -> RecordsError:
        return RecordsError(Outcome.UNAVAILABLE, f"{self.location}: {self._condition.reason or 'closed'}")


def _ending(code: int | None) -> str:
    if not code:
        return "ended"
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with code {code}"
