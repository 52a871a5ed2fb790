"""Records in memory: the port's fake, for tests everywhere. Same verdicts as the real ones, and faults on demand."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from storage.records.changelog import ChangeLog
from storage.records.codec import codec_for
from storage.records.judge import judge, random_generation
from storage.records.port import Change, Delta, Outcome, RecordsError, Result, WithoutCopies, nothing
from storage.records.rows import Key, Row


class _Table:
    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.log = ChangeLog()


class MemoryRecords(WithoutCopies):
    """A datastore that lives as long as the object does."""

    def __init__(self, *, generation: Callable[[], int] = random_generation) -> None:
        self.location = f"memory:{id(self)}"
        self._generation = generation
        self._tables: dict[str, _Table] = {}
        self._dropped: dict[str, _Table] = {}
        self._failures: deque[Outcome] = deque()
        self._lock = threading.RLock()

    def fail_next(self, outcome: Outcome, count: int = 1) -> None:
        """Let the next `count` calls fail: `commit` by that outcome for every change, others by RecordsError."""
        with self._lock:
            self._failures.extend([outcome] * count)

    def load(self, table: str, rows: Iterable[Row]) -> None:
        """Replace a table's rows, signatures as given, as a hand edit would; makes the table if need be."""
        with self._lock:
            if table not in self._tables:
                self._tables[table] = self._dropped.pop(table, _Table())
            kept = self._tables[table]
            after = {row.key: row for row in rows}
            both = kept.rows.keys() | after.keys()
            kept.log.note({key for key in both if kept.rows.get(key) != after.get(key)})
            kept.rows = after

    def tables(self) -> list[str]:
        """Names of the tables, sorted."""
        with self._lock:
            self._fail()
            return sorted(self._tables)

    def create(self, table: str) -> None:
        """Make an empty table; RecordsError EXISTS, INVALID."""
        with self._lock:
            self._fail()
            try:
                codec_for(table)
            except ValueError as error:
                raise RecordsError(Outcome.INVALID, str(error)) from error
            if table in self._tables:
                raise RecordsError(Outcome.EXISTS, f"{table}: it is there already")
            self.load(table, ())

    def drop(self, table: str) -> None:
        """Remove a table; RecordsError NOT_FOUND."""
        with self._lock:
            self._fail()
            self._dropped[table] = self._table(table)
            del self._tables[table]

    def read(self, table: str, since: int = 0) -> Delta:
        """The whole table, or what changed after version `since`."""
        with self._lock:
            self._fail()
            kept = self._table(table)
            changed = kept.log.since(since, kept.rows)
            if changed is None:
                return Delta(kept.log.version, tuple(kept.rows.values()), (), whole=True, faults=())
            return Delta(kept.log.version, *changed, whole=False, faults=())

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """Try all changes, in order."""
        with self._lock:
            try:
                self._fail()
            except RecordsError as error:
                return [Result(error.outcome, None, str(error)) for _ in changes]
            results = [self._try(change) for change in changes]
        waits()
        return results

    def _try(self, change: Change) -> Result:
        try:
            codec_for(change.table)
            kept = self._table(change.table)
        except ValueError as error:
            return Result(Outcome.INVALID, None, str(error))
        except RecordsError as error:
            return Result(error.outcome, None, str(error))
        verdict = judge(change, kept.rows, (), self._generation)
        if verdict.outcome is Outcome.STORED:
            touched = set()
            if change.old is not None:
                touched.add(change.old.key)
                del kept.rows[change.old.key]
            if verdict.row is not None:
                touched.add(verdict.row.key)
                kept.rows[verdict.row.key] = verdict.row
            kept.log.note(touched)
        return Result(verdict.outcome, verdict.row, verdict.detail)

    def _table(self, table: str) -> _Table:
        kept = self._tables.get(table)
        if kept is None:
            raise RecordsError(Outcome.NOT_FOUND, f"{table}: no such table: create it first")
        return kept

    def _fail(self) -> None:
        if self._failures:
            outcome = self._failures.popleft()
            raise RecordsError(outcome, f"{self.location}: {outcome.value}, as the test asked")
