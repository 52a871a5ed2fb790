"""Commits in a thread beside the loop: while the disk works, the loop decides what the next commit will hold.

A commit first takes processor time (to judge, render and write) and then mostly waits (for the disk, the share, a
database). `begin` returns at that point, which the datastore tells: before it, two threads would only be in each
other's way, for Python runs one of them at a time.

The datastore's reads wait for its commit, so whoever does not want to wait reads nothing while one is under way.
"""

import queue
import threading
from collections.abc import Callable, Sequence

from storage.records import Change, Records, Result


class Beside:
    """The thread, from its making until `close`. All methods are for the loop's thread alone."""

    def __init__(self, records: Records, wake: Callable[[], None]) -> None:
        """`wake` is called in the thread when a commit has ended."""
        self._records = records
        self._wake = wake
        self._jobs: queue.SimpleQueue[Sequence[Change] | None] = queue.SimpleQueue()
        self._waits = threading.Event()  # nothing but waiting is left of the commit, or it has ended
        self._has_ended = threading.Event()
        self._results: list[Result] | None = None
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)
        self._thread.start()

    def begin(self, changes: Sequence[Change]) -> None:
        """Begin a commit and return when all that is left of it is waiting."""
        self._waits.clear()
        self._has_ended.clear()
        self._jobs.put(changes)
        self._waits.wait()

    def ended(self) -> list[Result] | None:
        """Return the results when the commit has ended, once. What the datastore raised is raised here."""
        if not self._has_ended.is_set():
            return None
        if self._bug is not None:
            raise self._bug
        results, self._results = self._results, None
        return results

    def wait(self) -> None:
        """Return when the commit has ended."""
        self._has_ended.wait()

    def close(self) -> None:
        """End the thread, after the commit that it is at."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (changes := self._jobs.get()) is not None:
            try:
                self._results = self._records.commit(changes, self._waits.set)
            except BaseException as bug:  # noqa: BLE001 - it is the loop that ends by it
                self._bug = bug
            self._has_ended.set()
            self._waits.set()
            self._wake()
