"""The way to the server: one connection, made when needed, made anew when lost, and never waited for without end.

Rules of the room:

1. Nobody waits longer than `CALL_MAX_S` for a call (and `CONNECT_MAX_S` for each host, where a connection must be
   made), whatever has become of the server or the network between: a deadline of our own ends each wait, beside the
   server's time limits, which a frozen server would not keep.
2. A session that stands still in the middle of a transaction (a paused daemon holds the lock of a container) is ended
   by the *server* after `IDLE_MAX_S`. Its transaction is undone, the other daemons go on; whoever wakes up again finds
   the connection gone.
3. After a failure to connect, calls fail at once with the same words for `RETRY_AFTER_S`: a daemon goes on serving
   from memory instead of spending its time on attempts.
4. What a commit promises, the server must keep: `fsync = off` is refused, `synchronous_commit = off` is overruled.
5. No password leaves this module, neither in a message nor in `location`.
"""

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os.path import realpath
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.conninfo import conninfo_to_dict
from psycopg.generators import fetch_many, pipeline_communicate

from storage.records.port import Outcome, RecordsError

CONNECT_MAX_S = 3
"""For each host of the connection string that does not say otherwise."""
CALL_MAX_S = 8.0
STATEMENT_MAX_S = 5
LOCK_MAX_S = 4
IDLE_MAX_S = 2
RETRY_AFTER_S = 1.0

SERVER_MIN = 120000
TRANSACTION_TIMEOUT_SINCE = 170000
"""Older servers have no clock for a client that is stopped while it sends; see `BATCH_MAX` of the adapter."""

_SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")

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

_MALFORMED = (
    'PATH is no connection string: write "host=/run/postgresql dbname=twinboot", "postgresql://host/twinboot" '
    'or "service=NAME"'
)

Statement = tuple[str, Sequence[Any]]
Rows = list[tuple[Any, ...]]
R = TypeVar("R")


class LostError(RecordsError):
    """The connection ended; whatever was not committed before is undone, a COMMIT on its way may have been heard."""


class AgainError(RecordsError):
    """The server undid the transaction because of another one: it is worth trying again."""


class _Advice(NamedTuple):
    outcome: Outcome
    text: str


_GIVE_RIGHTS = _Advice(Outcome.DENIED, "grant the role its rights on the schema twinboot (docs/postgresql.md)")
_SPACE = _Advice(Outcome.FULL, "free some space on the server")
_LOCKED = _Advice(Outcome.BUSY, "another session holds the lock: see pg_stat_activity, and repeat this")
_STORED_NOT = _Advice(Outcome.INVALID, "nothing was written")
_SILENT = _Advice(Outcome.UNAVAILABLE, "start PostgreSQL there, or correct PATH")
_REFUSED = _Advice(Outcome.UNAVAILABLE, "correct PATH, the role or its password (passfile), or pg_hba.conf there")
_SEE_SERVER = _Advice(Outcome.UNAVAILABLE, "see to the server")

_ADVICE: dict[str, _Advice] = {
    "42501": _GIVE_RIGHTS,
    "25006": _Advice(Outcome.DENIED, "this is a standby: name the primary in PATH"),
    "42P01": _Advice(Outcome.NOT_FOUND, "create a table first"),
    "3F000": _Advice(Outcome.NOT_FOUND, "create a table first"),
    "53100": _SPACE,
    "53200": _SPACE,
    "55P03": _LOCKED,
    "57014": _Advice(Outcome.BUSY, "the server took too long over it: see pg_stat_activity, and repeat this"),
    "40": _LOCKED,
    "22": _STORED_NOT,
    "23": _STORED_NOT,
}
"""By SQLSTATE, or by its class (the first two characters)."""

_WORTH_ANOTHER_TRY = frozenset({"40001", "40P01", "23505"})
"""Serialization failure, deadlock, and a row that somebody inserted by hand between our look and our write."""


class _Connection(psycopg.Connection[tuple[Any, ...]]):
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


class Link:
    """One connection, shared by the threads of a process one call at a time; a forked process makes its own."""

    _connection: _Connection | None = None
    _made_by = 0

    def __init__(self, conninfo: str, *, call_max_s: float = CALL_MAX_S, retry_after_s: float = RETRY_AFTER_S) -> None:
        """Connect nowhere yet. RecordsError INVALID if `conninfo` is no connection string."""
        try:
            if "=" not in conninfo and "://" not in conninfo:
                raise ValueError
            self._given = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value is not None}
        except (psycopg.Error, ValueError):
            # not a word of what libpq says: it quotes the string, and with it the password
            raise RecordsError(Outcome.INVALID, _MALFORMED) from None
        self.location = _location(self._given)
        self.made = 0
        """How many connections there have been: what was learned over an earlier one may be outdated."""
        self._call_max_s = call_max_s
        self._retry_after_s = retry_after_s
        self._mutex = threading.RLock()
        self._failed: RecordsError | None = None
        self._failed_s = 0.0
        self._deadline_s = 0.0

    def __del__(self) -> None:
        if self._connection is not None and self._made_by == os.getpid():
            self._connection.close()

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """One call of the port: nobody else's meanwhile, and a deadline for all of it."""
        with self._mutex:
            self._deadline_s = time.monotonic() + self._call_max_s
            try:
                yield
            finally:
                self._leave_no_transaction()

    def run(self, *statements: Statement) -> list[Rows]:
        """Send all statements at once, and give the rows of each. RecordsError, and then all is undone."""
        connection = self._open()
        connection.deadline_s = self._deadline_s
        try:
            return connection.talk(statements)
        except psycopg.Error as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """End the connection; the next call makes another one."""
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> _Connection:
        if self._made_by != os.getpid():
            self._connection = None  # our parent's, who goes on using it; the driver leaves it alone in a child
        if self._connection is not None and not self._connection.closed:
            return self._connection
        if self._failed is not None and time.monotonic() < self._failed_s + self._retry_after_s:
            raise RecordsError(self._failed.outcome, str(self._failed))
        self._connection = None
        if time.monotonic() >= self._deadline_s:
            raise RecordsError(Outcome.UNAVAILABLE, f"{self.location}: no answer in time: {_SEE_SERVER.text}")
        try:
            self._connection = self._connected()
        except psycopg.Error as error:
            self._failed_s = time.monotonic()
            # the driver keeps no SQLSTATE of a failed connection: the word tells a server's refusal from silence
            self._failed = self._named(error, _REFUSED if "FATAL:" in str(error) else _SILENT)
            raise self._failed from None
        self._failed = None
        self._made_by = os.getpid()
        self.made += 1
        return self._connection

    def _connected(self) -> _Connection:
        defaults = {
            "connect_timeout": str(CONNECT_MAX_S),
            "target_session_attrs": "read-write",
            "fallback_application_name": "twinboot",
        }
        params: dict[str, Any] = {**defaults, **self._given, "client_encoding": "UTF8"}
        connection = _Connection.connect(autocommit=True, **params)
        try:
            connection.deadline_s = self._deadline_s
            connection.execute(_SETTINGS.encode())
            ((fsync, encoding),) = connection.execute(_FACTS).fetchall()
            self._require(fsync == "on", "fsync is off, so a power cut loses what was acknowledged: set fsync = on")
            self._require(encoding == "UTF8", f"its encoding is {encoding}: make a database with ENCODING 'UTF8'")
            self._require(connection.info.server_version >= SERVER_MIN, "PostgreSQL 12 or newer is needed")
            if connection.info.server_version >= TRANSACTION_TIMEOUT_SINCE:
                connection.execute(f"SET transaction_timeout = '{STATEMENT_MAX_S}s'".encode())
            connection.start_pipeline()
        except BaseException:
            connection.close()
            raise
        return connection

    def _require(self, condition: bool, text: str) -> None:
        if not condition:
            raise RecordsError(Outcome.INVALID, f"{self.location}: {text}")

    def _leave_no_transaction(self) -> None:
        connection = self._connection
        if connection is None or connection.closed or self._made_by != os.getpid():
            return
        if connection.info.transaction_status is not pq.TransactionStatus.IDLE:
            self.close()

    def _explained(self, error: psycopg.Error) -> RecordsError:
        connection = self._connection
        assert connection is not None
        if not connection.closed:
            try:
                if connection.info.transaction_status is not pq.TransactionStatus.IDLE:
                    connection.talk([("ROLLBACK", ())])
            except psycopg.Error:
                connection.close()
        if connection.closed:
            self._connection = None
            lost = self._named(error, _SEE_SERVER)
            return LostError(Outcome.UNAVAILABLE, str(lost))
        explained = self._named(error, _SEE_SERVER)
        return AgainError(explained.outcome, str(explained)) if error.sqlstate in _WORTH_ANOTHER_TRY else explained

    def _named(self, error: psycopg.Error, otherwise: _Advice) -> RecordsError:
        state = error.sqlstate or ""
        advice = _ADVICE.get(state) or _ADVICE.get(state[:2]) or otherwise
        said = error.diag.message_primary or str(error)
        text = " ".join(said.split())
        for name in _SECRETS:
            if secret := self._given.get(name):
                text = text.replace(secret, "***")
        return RecordsError(advice.outcome, f"{self.location}: {text}: {advice.text}")


def retried(work: Callable[[], R], attempts: int) -> R:
    """Do `work` again when the connection is lost or another transaction was in the way; RecordsError at last."""
    for attempt in range(1, attempts + 1):
        try:
            return work()
        except (LostError, AgainError):
            if attempt == attempts:
                raise
    raise AssertionError


def _location(given: dict[str, str]) -> str:
    """A name for the database that everybody who means it arrives at, and that holds no secret."""
    if "service" in given:
        shown = {name: value for name, value in given.items() if name in ("service", "host", "port", "dbname")}
        return "postgresql:" + " ".join(f"{name}={value}" for name, value in sorted(shown.items()))
    known = {option.keyword.decode(): option.val.decode() for option in pq.Conninfo.get_defaults() if option.val}
    known |= given
    hosts = known.get("host") or known.get("hostaddr") or "/run/postgresql"
    places = ",".join(realpath(host) if host.startswith("/") else host.lower() for host in hosts.split(","))
    return f"postgresql://{places}:{known.get('port', '5432')}/{known.get('dbname') or known.get('user', '')}"
