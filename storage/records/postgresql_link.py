"""The way to the server: one connection, made when needed, and made anew when lost.

Rules of the room:

1. A call has one deadline for all that it does (`postgresql_connection` keeps it).
2. After a failure to connect, calls fail at once with the same words for `RETRY_AFTER_S`: a daemon goes on serving
   from memory instead of spending its time on attempts.
3. No password leaves the link, neither in a message nor in `location`.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from os.path import realpath

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from storage.records.port import Outcome, RecordsError
from storage.records.postgresql_connection import CALL_MAX_S, Connection, Rows, connect
from storage.records.postgresql_errors import (
    REFUSED,
    SEE_SERVER,
    SILENT,
    Advice,
    AgainError,
    LostError,
    is_worth_another_try,
    named,
)
from storage.records.postgresql_rows import Statement

RETRY_AFTER_S = 1.0

_MALFORMED = (
    'PATH is no connection string: write "host=/run/postgresql dbname=twinboot", "postgresql://host/twinboot" '
    'or "service=NAME"'
)


class Link:
    """One connection, shared by the threads of a process one call at a time; a forked process makes its own."""

    _connection: Connection | None = None
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

    def _open(self) -> Connection:
        if self._made_by != os.getpid():
            self._connection = None  # our parent's, who goes on using it; the driver leaves it alone in a child
        if self._connection is not None and not self._connection.closed:
            return self._connection
        if self._failed is not None and time.monotonic() < self._failed_s + self._retry_after_s:
            raise RecordsError(self._failed.outcome, str(self._failed))
        self._connection = None
        if time.monotonic() >= self._deadline_s:
            raise RecordsError(Outcome.UNAVAILABLE, f"{self.location}: no answer in time: {SEE_SERVER.text}")
        try:
            self._connection = connect(self._given, self.location, self._deadline_s)
        except psycopg.Error as error:
            self._failed_s = time.monotonic()
            # the driver keeps no SQLSTATE of a failed connection: the word tells a server's refusal from silence
            self._failed = self._named(error, REFUSED if "FATAL:" in str(error) else SILENT)
            raise self._failed from None
        self._failed = None
        self._made_by = os.getpid()
        self.made += 1
        return self._connection

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
            lost = self._named(error, SEE_SERVER)
            return LostError(Outcome.UNAVAILABLE, str(lost))
        explained = self._named(error, SEE_SERVER)
        return AgainError(explained.outcome, str(explained)) if is_worth_another_try(error) else explained

    def _named(self, error: psycopg.Error, otherwise: Advice) -> RecordsError:
        return named(error, self.location, self._given, otherwise)


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
