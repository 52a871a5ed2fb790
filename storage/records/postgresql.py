"""The datastore in a PostgreSQL database (`RESOURCE=postgresql`), for sites that outgrow files.

*A commit* is one transaction and two round trips for a whole batch, of any number of containers. The first one locks
the counters of the containers (in the order of their names, so that daemons never wait in a circle) and fetches the
rows concerned. The batch is judged, in its order, by the same pure rules as in every other datastore. The second one
writes the outcome, a statement for all inserts, one for all updates, one for all deletes, and commits. Each
UPDATE and DELETE states the signature that was judged, and the transaction fails unless every one of them meets its
row, so that not even an edit by hand that ignores the locks is overwritten.

*Reading* asks for the container's version; only if that has moved are rows fetched (see `postgresql_schema` for how
versions are made). A version handed out here bears the number of the connection it came over: after a reconnect every
table is read whole once, because the server reached then may be a restored backup, or a standby that took over
without the last commits, where the same version means something else.

*When the connection is lost* before the second round trip was sent, nothing has happened and the batch is tried again.
Afterwards nobody knows whether the COMMIT was heard: the outcome is UNAVAILABLE, and the row must be read again.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from storage.records.judge import judge, random_generation
from storage.records.port import Change, Delta, Epoch, Outcome, RecordsError, Result, WithoutCopies, nothing
from storage.records.postgresql_batch import TableRows, keys_of, kind_of, writes
from storage.records.postgresql_connection import CALL_MAX_S
from storage.records.postgresql_errors import AgainError, LostError, retried
from storage.records.postgresql_link import RETRY_AFTER_S, Link
from storage.records.postgresql_rows import KINDS, SCHEMA, STATEMENTS, Kind, Statement, as_parameter
from storage.records.postgresql_schema import ADVISORY_KEY, FORMAT, ddl
from storage.records.rows import Key, Row

ATTEMPTS = 3
"""For a commit or a read: the first try, one on a new connection, and one more for a deadlock with an edit by hand."""

BATCH_MAX = 512
"""Changes in one transaction; daemons commit 128 at most. So many fit the buffers of a socket, as a rule: a writer that
is stopped while it sends has then sent all or nothing that takes a lock."""

CLOCK_MAX_S = 1.0
"""A read that took longer tells too little of the database server's clock."""

_VERSION_BITS = 48

_LOCK = f"SELECT name FROM {SCHEMA}.containers WHERE name = ANY($1) AND present ORDER BY name FOR NO KEY UPDATE"
_STATE = (
    f"SELECT version, floor, extract(epoch FROM clock_timestamp())::float8 FROM {SCHEMA}.containers"
    " WHERE name = $1 AND present"
)
# asked of the catalogue as rows: look-ups by name may be answered from a cache older than the lock just taken
_HAS_FORMAT = (
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1 AND c.relname = 'format')"
)
_BEGIN: Statement = ("BEGIN", ())
_SNAPSHOT: Statement = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
_COMMIT: Statement = ("COMMIT", ())


class PostgresRecords(WithoutCopies):
    """Records in the schema `twinboot` of a PostgreSQL database."""

    def __init__(
        self,
        path: str | Path,
        *,
        generation: Callable[[], int] = random_generation,
        call_max_s: float = CALL_MAX_S,
        retry_after_s: float = RETRY_AFTER_S,
    ) -> None:
        """Use the database of this connection string, which is connected to by the first call.

        `generation` gives 16 random bits. RecordsError INVALID if it is no connection string.
        """
        self._link = Link(str(path), call_max_s=call_max_s, retry_after_s=retry_after_s)
        self.location = self._link.location
        self._generation = generation
        self._epoch: Epoch | None = None
        self._checked = 0  # the connection whose schema is known to be one of ours

    def close(self) -> None:
        """End the connection; the next call makes another one."""
        self._link.close()

    def tables(self) -> list[str]:
        """Names of the tables, sorted; RecordsError."""
        with self._link.call():
            return retried(self._tables, ATTEMPTS)

    def create(self, table: str) -> None:
        """Make an empty table, and the schema if this is the first one; RecordsError EXISTS, INVALID, DENIED."""
        kind_of(table)
        with self._link.call():
            made = retried(lambda: self._create(table), ATTEMPTS)
        if not made:
            raise RecordsError(Outcome.EXISTS, f"{self.location}: {table}: it is there already")

    def drop(self, table: str) -> None:
        """Remove a table with its rows; RecordsError NOT_FOUND."""
        kind = kind_of(table)
        gone = f"UPDATE {SCHEMA}.containers SET present = false, version = version + 1 WHERE name = $1 AND present"
        with self._link.call():
            self._check_schema(table)
            _, locked, _, _, _ = retried(
                lambda: self._link.run(
                    _BEGIN,
                    (_LOCK, (_array([table]),)),
                    (STATEMENTS[kind.row_type].empty, (table,)),
                    (gone, (table,)),
                    _COMMIT,
                ),
                ATTEMPTS,
            )
        if not locked:
            raise self._absent(table)

    def read(self, table: str, since: int = 0) -> Delta:
        """The whole table, or what changed after version `since`."""
        kind = kind_of(table)
        with self._link.call():
            return retried(lambda: self._read(kind, table, since), ATTEMPTS)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """Try all changes, in one transaction for each `BATCH_MAX` of them."""
        results: list[Result] = []
        for start in range(0, len(changes), BATCH_MAX):
            batch = changes[start : start + BATCH_MAX]
            with self._link.call():
                waits()
                results += self._commit(batch)
        return results

    def epoch(self) -> Epoch | None:
        """The database server's clock when our monotonic clock was zero, as the last read told."""
        return self._epoch

    def _tables(self) -> list[str]:
        if not self._has_schema():
            return []
        (rows,) = self._link.run((f"SELECT name FROM {SCHEMA}.containers WHERE present", ()))
        return sorted(name for (name,) in rows)

    def _create(self, table: str) -> bool:
        if not self._has_schema():
            self._make_schema()
        made = (
            f"INSERT INTO {SCHEMA}.containers AS c (name) VALUES ($1) ON CONFLICT (name) DO UPDATE"
            " SET present = true, version = c.version + 1 WHERE NOT c.present RETURNING name"
        )
        (rows,) = self._link.run((made, (table,)))
        return bool(rows)

    def _make_schema(self) -> None:
        self._link.run(_BEGIN, ("SELECT pg_advisory_xact_lock($1)", (ADVISORY_KEY,)))
        if not self._has_schema():
            self._link.run((ddl(), ()))
        self._link.run(_COMMIT)

    def _has_schema(self) -> bool:
        """Tell whether the schema is there; RecordsError INVALID if it is not of the format known here."""
        if self._checked and self._checked == self._link.made:
            return True
        ((found,),) = self._link.run((_HAS_FORMAT, (SCHEMA,)))
        if not found[0]:
            return False
        ((version,),) = self._link.run((f"SELECT version FROM {SCHEMA}.format", ()))
        if version[0] != FORMAT:
            raise RecordsError(
                Outcome.INVALID,
                f"{self.location}: the schema has format {version[0]}, this program knows {FORMAT}: "
                "use the same release of twinboot on all servers",
            )
        self._checked = self._link.made
        return True

    def _check_schema(self, table: str) -> None:
        if not self._has_schema():
            raise self._absent(table)

    def _absent(self, table: str) -> RecordsError:
        return RecordsError(Outcome.NOT_FOUND, f"{self.location}: no such table: create {table} first")

    def _read(self, kind: Kind, table: str, since: int) -> Delta:
        self._check_schema(table)
        asked_s = time.monotonic()
        (state,) = self._link.run((_STATE, (table,)))
        if state and time.monotonic() - asked_s < CLOCK_MAX_S:
            self._epoch = Epoch(state[0][2] - asked_s)
        statements = STATEMENTS[kind.row_type]
        for _ in range(ATTEMPTS):
            if not state:
                raise self._absent(table)
            ((version, floor, _),) = state
            known = since - (self._link.made << _VERSION_BITS)
            if known == version:
                return Delta(since, (), (), whole=False, faults=())
            whole = not floor <= known <= version
            query: Statement = (statements.whole, (table,)) if whole else (statements.changed, (table, known))
            _, state, found, _ = self._link.run(_SNAPSHOT, (_STATE, (table,)), query, _COMMIT)
            if not state:
                raise self._absent(table)
            ((version, floor, _),) = state  # those of the snapshot: the log may have been cut since we asked
            if whole:
                rows = tuple(kind.load(values) for values in found)
                return Delta(self._stamped(version), rows, (), whole=True, faults=())
            if floor <= known <= version:
                rows = tuple(kind.load(values) for _, there, *values in found if there)
                gone = tuple(kind.load_key(key) for key, there, *_ in found if not there)
                return Delta(self._stamped(version), rows, gone, whole=False, faults=())
        raise RecordsError(Outcome.BUSY, f"{self.location}: {table} changes faster than it can be read: repeat this")

    def _stamped(self, version: int) -> int:
        return (self._link.made << _VERSION_BITS) + version

    def _commit(self, changes: Sequence[Change]) -> list[Result]:
        try:
            return retried(lambda: self._try(changes), ATTEMPTS)
        except RecordsError as error:
            # of deadlocks and serialization failures nothing was written, nor of what the server has refused
            failure = Result(error.outcome, None, str(error))
            return [failure] * len(changes)

    def _try(self, changes: Sequence[Change]) -> list[Result]:
        keys = keys_of(changes)
        stored = self._fetched(keys)
        rows: TableRows = {table: found.copy() for table, found in stored.items()}
        results = [self._judged(change, rows) for change in changes]
        statements = list(writes(keys, stored, rows))
        if not statements:
            self._link.run(_COMMIT)
            return results
        try:
            self._link.run(*statements, _COMMIT)
        except LostError as error:
            failure = Result(Outcome.UNAVAILABLE, None, f"{error}; whether this was stored is not known: read it again")
            return [failure if result.outcome is Outcome.STORED else result for result in results]
        except AgainError:
            raise
        except RecordsError as error:
            failure = Result(error.outcome, None, str(error))
            return [failure if result.outcome is Outcome.STORED else result for result in results]
        return results

    def _fetched(self, keys: dict[str, set[Key]]) -> TableRows:
        """Lock the containers that are there, and give the stored rows of these keys by container."""
        if not keys or not self._has_schema():
            return {}
        wishes: dict[type[Row], list[dict[str, Any]]] = {}
        for table, wanted in keys.items():
            kind = kind_of(table)
            wishes.setdefault(kind.row_type, []).extend(kind.wish(table, key, None, None) for key in wanted)
        looks = [(STATEMENTS[row_type].look, (as_parameter(asked),)) for row_type, asked in wishes.items()]
        _, locked, *found = self._link.run(_BEGIN, (_LOCK, (_array(sorted(keys)),)), *looks)
        stored: TableRows = {table: {} for (table,) in locked}
        for row_type, lines in zip(wishes, found, strict=True):
            for table, *values in lines:
                row = KINDS[row_type].load(values)
                if table in stored:
                    stored[table][row.key] = row
        return stored

    def _judged(self, change: Change, rows: TableRows) -> Result:
        found = rows.get(change.table)
        if found is None:
            try:
                kind_of(change.table)
                raise self._absent(change.table)
            except RecordsError as error:
                return Result(error.outcome, None, str(error))
        verdict = judge(change, found, (), self._generation)
        if verdict.outcome is Outcome.STORED:
            if change.old is not None:
                del found[change.old.key]
            if verdict.row is not None:
                found[verdict.row.key] = verdict.row
        return Result(verdict.outcome, verdict.row, verdict.detail)


def _array(names: Sequence[str]) -> str:
    """Names of tables, none of which needs quoting, as PostgreSQL writes an array."""
    return "{" + ",".join(names) + "}"
