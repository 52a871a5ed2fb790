"""Work that may wait on the share, done beside an asyncio loop: few threads, a deadline, a bounded queue.

A share that hangs takes its threads with it until it comes back; nobody can call them off. So the caller stops
waiting at the deadline, work that is still queued then is skipped when its turn comes, and what late work
yields is handed to `discard` (an open file must be closed by somebody).
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from pxe.content import Refused, Why

T = TypeVar("T")


class OffLoop:
    """At most `threads` pieces of work at once and `waiting_max` in all, each given `deadline_s`."""

    def __init__(self, threads: int, waiting_max: int, deadline_s: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="offloop")
        self._waiting_max = waiting_max
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._waiting = 0

    async def run(self, work: Callable[[], T], discard: Callable[[T], None]) -> T:
        """What `work` returns or raises; Refused (UNAVAILABLE) when the share takes too long or too much is waiting."""
        with self._lock:
            if self._waiting >= self._waiting_max:
                raise Refused(Why.UNAVAILABLE, "the share does not answer and many requests wait for it; try again")
            self._waiting += 1
        abandoned = threading.Event()
        job = self._pool.submit(self._job, work, abandoned)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(job)), self._deadline_s)
        except (TimeoutError, asyncio.CancelledError) as error:
            abandoned.set()
            job.add_done_callback(partial(_discard, discard))
            if isinstance(error, asyncio.CancelledError):
                raise
            text = f"the share did not answer within {self._deadline_s:g} s; try again"
            raise Refused(Why.UNAVAILABLE, text) from None

    def close(self) -> None:
        """Take no more work; what runs is left to end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _job(self, work: Callable[[], T], abandoned: threading.Event) -> T:
        try:
            if abandoned.is_set():
                raise Refused(Why.UNAVAILABLE, "nobody waits for this any more")
            return work()
        finally:
            with self._lock:
                self._waiting -= 1


def _discard(discard: Callable[[T], None], job: "Future[T]") -> None:
    if not job.cancelled() and job.exception() is None:
        discard(job.result())
