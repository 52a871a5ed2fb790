"""One connection to the server, as we want it: with time limits on both sides, and a server that keeps its word.

Rules of the room:

1. Nobody waits longer than `CALL_MAX_S` for a call (and `CONNECT_MAX_S` for each host, where a connection must be
   made), whatever has become of the server or the network between: a deadline of our own ends each wait, beside the
   server's time limits, which a frozen server would not keep.
2. A session that stands still in the middle of a transaction (a paused daemon holds the lock of a container) is ended
   by the *server* after `IDLE_MAX_S`. Its transaction is undone, the other daemons go on; whoever wakes up again finds
   the connection gone.
3. What a commit promises, the server must keep: `fsync = off` is refused, `synchronous_commit = off` is overruled.
"""

import contextlib
import select
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.generators import fetch_many, pipeline_communicate

from storage.records.port import Outcome, RecordsError
from storage.records.postgresql_rows import Statement

CONNECT_MAX_S = 3
"""For each host of the connection string that does not say otherwise."""
CALL_MAX_S = 8.0
STATEMENT_MAX_S = 5
LOCK_MAX_S = 4
IDLE_MAX_S = 2

SERVER_MIN = 120000
TRANSACTION_TIMEOUT_SINCE = 170000
"""Older servers have no clock for a client that is stopped while it sends; see `BATCH_MAX` of the adapter."""

# every statement is a look-up by key; a planner without statistics would rather read a small table to its end
_SETTINGS = f"""
SET statement_timeout = '{STATEMENT_MAX_S}s';
SET lock_timeout = '{LOCK_MAX_S}s';
SET idle_in_transaction_session_timeout = '{IDLE_MAX_S}s';
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET plan_cache_mode = force_generic_plan;
SET jit = off;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""

_FACTS = "SELECT current_setting('fsync'), current_setting('server_encoding')"

Rows = list[tuple[Any, ...]]


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose every wait ends at `deadline_s` of the monotonic clock.

    Statements go out in libpq's pipeline mode, by our own hand: psycopg's `pipeline()` may send a Flush after the
    Sync that ends a round trip, and PostgreSQL takes any message for the end of idleness: it would stop the clock by
    which it ends the session of a paused daemon (rule 2).
    """

    deadline_s = float("inf")

    def start_pipeline(self) -> None:
        """From now on only `talk` may be used."""
        self._names: dict[str, bytes] = {}
        self.pgconn.enter_pipeline_mode()

    def talk(self, statements: Sequence[Statement]) -> list[Rows]:
        """Send statements, each prepared when it is first met; the rows of each. psycopg.Error."""
        commands: list[Callable[[], None]] = []
        unnamed: dict[int, tuple[str, bytes]] = {}
        for text, params in statements:
            name = self._names.get(text)
            if name is None:
                name = b"twinboot%d" % (len(self._names) + len(unnamed))
                unnamed[len(commands)] = (text, name)
                commands.append(partial(self.pgconn.send_prepare, name, text.encode()))
            given = [str(param).encode() for param in params]
            commands.append(partial(self.pgconn.send_query_prepared, name, given, result_format=pq.Format.BINARY))
        commands.append(self.pgconn.pipeline_sync)
        results = self.wait(_exchange(self.pgconn, commands))
        for index, (text, name) in unnamed.items():
            if results[index].status == pq.ExecStatus.COMMAND_OK:
                self._names[text] = name
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
        return [self._rows(result) for index, result in enumerate(results[:-1]) if index not in unnamed]

    def _rows(self, result: Any) -> Rows:
        if not result.ntuples:
            return []
        loader = Transformer(self)
        loader.set_pgresult(result)
        return loader.load_rows(0, result.ntuples, tuple)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ARG002
        """Drive one of psycopg's generators; OperationalError, and no connection any more, at the deadline."""
        fd = self.pgconn.socket
        poll = select.poll()
        try:
            wanted = next(gen)
            while True:
                poll.register(fd, (select.POLLIN if wanted & 1 else 0) | (select.POLLOUT if wanted & 2 else 0))
                happened = self._polled(poll)
                ready = wanted if happened & ~(select.POLLIN | select.POLLOUT) else 0
                wanted = gen.send(ready | (happened & select.POLLIN and 1) | (happened & select.POLLOUT and 2))
        except StopIteration as end:
            return end.value
        finally:
            with contextlib.suppress(psycopg.Error):  # left in the middle, it tries to tidy up a dead connection
                gen.close()

    def _polled(self, poll: select.poll) -> int:
        left_s = min(max(0.0, self.deadline_s - time.monotonic()), CALL_MAX_S)
        events = poll.poll(left_s * 1000)
        if not events:
            self.pgconn.finish()
            raise psycopg.OperationalError("no answer in time")
        return events[0][1]


def _exchange(pgconn: Any, commands: Sequence[Callable[[], None]]) -> PQGen[list[Any]]:
    """Send all, and give the one result of each command; the last one is a Sync."""
    found = yield from pipeline_communicate(pgconn, deque(commands))
    while len(found) < len(commands):
        found.append((yield from fetch_many(pgconn)))
    return [results[0] for results in found]


def connect(given: Mapping[str, str], location: str, deadline_s: float) -> Connection:
    """Connect by these words of a connection string; psycopg.Error, RecordsError INVALID for an unfit server."""
    defaults = {
        "connect_timeout": str(CONNECT_MAX_S),
        "target_session_attrs": "read-write",
        "fallback_application_name": "twinboot",
    }
    params: dict[str, Any] = {**defaults, **given, "client_encoding": "UTF8"}
    connection = Connection.connect(autocommit=True, **params)
    try:
        connection.deadline_s = deadline_s
        connection.execute(_SETTINGS.encode())
        _check(connection, location)
        if connection.info.server_version >= TRANSACTION_TIMEOUT_SINCE:
            connection.execute(f"SET transaction_timeout = '{STATEMENT_MAX_S}s'".encode())
        connection.start_pipeline()
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: Connection, location: str) -> None:
    ((fsync, encoding),) = connection.execute(_FACTS).fetchall()
    facts = (
        (fsync == "on", "fsync is off, so a power cut loses what was acknowledged: set fsync = on"),
        (encoding == "UTF8", f"its encoding is {encoding}: make a database with ENCODING 'UTF8'"),
        (connection.info.server_version >= SERVER_MIN, "PostgreSQL 12 or newer is needed"),
    )
    for is_met, text in facts:
        if not is_met:
            raise RecordsError(Outcome.INVALID, f"{location}: {text}")
