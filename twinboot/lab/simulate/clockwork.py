"""Simulated time: a queue of events, and tasks whose straight code sleeps in it.

A task is a greenlet. Code in it calls `sleep` or `wait`, however deep in the call stack, and goes on when simulated
time has come that far; between two such calls nothing else happens. A task can be paused (SIGSTOP, a starved virtual
machine) and killed, as a process can, between any two of its steps.
"""

import heapq
from collections.abc import Callable
from typing import Any

from greenlet import greenlet

EPOCH_S = 1_700_000_000  # Unix time at the beginning of every run


class Killed(BaseException):
    """The process is gone. No handler of `Exception` sees it, and nothing the dying code still does has an effect."""


class Clockwork:
    """Events in order of time; of one moment, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.hub: Any = greenlet.getcurrent()  # where `run` is called, and where tasks go to sleep
        self._queue: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._asked = 0
        self._until_s = 0.0
        self.running: Task | None = None  # whose code runs at the moment

    def at(self, when_s: float, action: Callable[..., object], *arguments: Any) -> None:
        """Call `action` at a time; at once, but after what is due already, if that time is over."""
        self._asked += 1
        heapq.heappush(self._queue, (max(when_s, self.now_s), self._asked, action, arguments))

    def after(self, delay_s: float, action: Callable[..., object], *arguments: Any) -> None:
        """Call `action` when `delay_s` seconds have passed."""
        self._asked += 1
        heapq.heappush(self._queue, (self.now_s + delay_s, self._asked, action, arguments))

    def current(self) -> "Task":
        """Return the task that is running."""
        assert self.running is not None, "only code in a task can let time pass"
        return self.running

    def run(self, until_s: float) -> None:
        """Let everything happen that is due by `until_s`."""
        queue = self._queue
        self._until_s = until_s
        while queue and queue[0][0] <= until_s:
            self.now_s, _, action, arguments = heapq.heappop(queue)
            action(*arguments)
        self.now_s = until_s

    def pass_over(self, delay_s: float) -> bool:
        """Let so much time pass at once, if nothing is due in it. False: something is, so nothing was done."""
        until_s = self.now_s + delay_s
        queue = self._queue
        if until_s > self._until_s or (queue and queue[0][0] <= until_s):
            return False
        self.now_s = until_s
        return True


class Task:
    """One thread of a process: `body` runs from the moment of its making; `ended` is told how it came to an end."""

    def __init__(
        self, clockwork: Clockwork, body: Callable[[], None], ended: Callable[[BaseException | None], None]
    ) -> None:
        self.alive = True
        self.paused_until_s = 0.0
        self.flying: Callable[[], object] | None = None  # what it has asked the share for and has not heard of
        self._clockwork = clockwork
        self._body = body
        self._ended = ended
        self._light = greenlet(self._live, clockwork.hub)
        self._turn = 0  # which sleep it is at: a wake-up for an earlier one is void
        self._waiting = False
        clockwork.after(0, self._resume, 0)

    def _live(self) -> None:
        end: BaseException | None = None
        try:
            self._body()
        except Killed:
            return
        except Exception as error:  # noqa: BLE001 - a process may end in any way; the run reports it
            end = error
        self.alive = False
        self._ended(end)

    def _resume(self, turn: int) -> None:
        if turn != self._turn or not self.alive:
            return
        if self.paused_until_s > self._clockwork.now_s:
            self._clockwork.at(self.paused_until_s, self._resume, turn)
            return
        self._turn += 1
        self._waiting = False
        self._clockwork.running = self
        self._light.switch()
        self._clockwork.running = None

    # -- called from inside

    def sleep(self, delay_s: float) -> None:
        """Let simulated time pass."""
        if not self.alive:
            raise Killed
        clockwork = self._clockwork
        if self.paused_until_s <= clockwork.now_s and clockwork.pass_over(delay_s):
            self._waiting = False  # as if it had slept: most of the time nobody else has anything to do meanwhile
            return
        clockwork.after(delay_s, self._resume, self._turn)
        clockwork.hub.switch()

    def wait(self, longest_s: float) -> None:
        """Sleep until `wake` is called, or at the longest so long."""
        self._waiting = True
        self.sleep(longest_s)

    # -- called from outside

    def wake(self) -> None:
        """End its `wait`, if it is in one."""
        if self._waiting:
            self._waiting = False
            self._clockwork.after(0, self._resume, self._turn)

    def pause(self, for_s: float) -> None:
        """Keep it from running for so long (SIGSTOP, SIGCONT)."""
        self.paused_until_s = max(self.paused_until_s, self._clockwork.now_s + for_s)

    def kill(self) -> None:
        """End it where it is (SIGKILL); its clean-up code finds nothing to act upon. Not from inside a task."""
        self.alive = False
        if self._light:
            before, self._clockwork.running = self._clockwork.running, self
            self._light.throw(Killed)
            self._clockwork.running = before
