"""The journal: one node-local SQLite file (sqlite-utils) that one process writes and every command reads.

Rules of this room:

- One writer. It gathers datagrams for at most BATCH_S or BATCH_ROWS and stores them in one BEGIN IMMEDIATE
  transaction; readers use WAL and never wait for it.
- Bounded: at most `rows_max` rows (ids are consecutive, so the count is a subtraction); the oldest are pruned in
  batches, so that no single delete stalls the writer.
- A file that SQLite cannot read is moved aside, named, and a new one is begun: yesterday's journal never keeps today's
  machines from booting.
- Never on NFS: SQLite's locks and shared memory do not work there. `on_network_file_system` lets the caller warn.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from sqlite_utils import Database

from twinboot.events import EVENT_BYTES_MAX, Event, decode
from twinboot.faults import JournalError

__all__ = [
    "Journal",
    "JournalError",
    "Query",
    "follow",
    "on_network_file_system",
    "open_reader",
    "read",
    "write_forever",
]

ROWS_MAX = 1_000_000
PRUNE_ROWS = 10_000
BATCH_ROWS = 2_000
BATCH_S = 0.1
BUSY_S = 5
FOLLOW_S = 0.25
INDEXED = ("host", "mac", "address", "kind")
COLUMNS: dict[str, Any] = {"id": int, "at": float, **dict.fromkeys(INDEXED, str), "fields": str}
INSERT = "INSERT INTO events (at, host, mac, address, kind, fields) VALUES (:at, :host, :mac, :address, :kind, :fields)"
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.glusterfs", "9p"})


class Query(NamedTuple):
    """Which events: each field given must match. `kind` matches whole kinds or a prefix before a dot (`dhcp`).

    `anyone` widens host, mac and address to "one of these" (host, all its MACs, all its addresses).
    """

    host: str = ""
    mac: str = ""
    address: str = ""
    kind: str = ""
    since: float = 0.0
    after_id: int = 0
    anyone: tuple[tuple[str, str], ...] = ()


def on_network_file_system(path: Path, mounts: str | None = None) -> str:
    """The type of the network file system that holds `path`, or "" for a local one."""
    text = Path("/proc/self/mounts").read_text() if mounts is None else mounts
    best, kind = "", ""
    for line in text.splitlines():
        _, where, name, *_ = line.split(" ")
        where = where.replace("\\040", " ").rstrip("/") + "/"
        if f"{path}/".startswith(where) and len(where) >= len(best):
            best, kind = where, name
    return kind if kind in NETWORK_FILE_SYSTEMS else ""


class Journal:
    """The writer's end. Opening repairs or replaces the file; `moved_aside` names a corrupt one."""

    def __init__(self, path: Path, rows_max: int = ROWS_MAX) -> None:
        self._path = path
        self._rows_max = rows_max
        self.moved_aside: Path | None = None
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise JournalError(f"{path}: {error}; check the directory and its free space") from error
            self.moved_aside = self._move_aside()
            self._db = self._open()

    def _open(self) -> Database:
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost the last seconds, never the file
        db = Database(connection)
        if "events" not in db.table_names():
            table = db.table("events")
            table.create(COLUMNS, pk="id")
            for column in INDEXED:
                table.create_index([column, "id"])
            table.create_index(["at"])
        connection.execute("SELECT id, at, host, mac, address, kind, fields FROM events ORDER BY id DESC LIMIT 1")
        return db

    def _move_aside(self) -> Path:
        aside = self._path.with_name(f"{self._path.name}.corrupt-{int(time.time())}")
        os.replace(self._path, aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        return aside

    def store(self, events: list[Event]) -> None:
        """Keep `events` in one transaction, then prune at most one batch. JournalError if the disk refuses."""
        try:
            rows = [_row(event) for event in events]
            self._in_transaction(lambda: self._db.conn.executemany(INSERT, rows))
            self._prune()
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}; check the free space of its file system") from error

    def _prune(self) -> None:
        first, last = self._db.execute("SELECT min(id), max(id) FROM events").fetchone()
        surplus = (last or 0) - (first or 0) + 1 - self._rows_max
        if first is not None and surplus >= min(PRUNE_ROWS, max(1, self._rows_max // 10)):
            end = first + min(surplus, PRUNE_ROWS)
            self._in_transaction(lambda: self._db.execute("DELETE FROM events WHERE id < ?", [end]))

    def _in_transaction(self, work: Callable[[], object]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            work()
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.conn.close()


def _row(event: Event) -> dict[str, object]:
    rest = {name: value for name, value in event.items() if name not in INDEXED and name != "at"}
    columns = {name: None if event.get(name) is None else str(event[name]) for name in INDEXED}
    return {"at": event["at"], **columns, "fields": json.dumps(rest, separators=(",", ":"))}


def open_reader(path: Path) -> Database:
    """The journal for reading. JournalError when there is none or it cannot be read."""
    if not path.exists():
        raise JournalError(f"{path}: no journal yet; start `twinboot serve` on this server")
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None)
        connection.execute("SELECT 1 FROM events LIMIT 1")
    except sqlite3.Error as error:
        if "no such table" in str(error):
            raise JournalError(f"{path}: still empty; start `twinboot serve` on this server") from error
        raise JournalError(f"{path}: {error}; run this as root or as the account of twinboot serve") from error
    return Database(connection)


def read(db: Database, query: Query, limit: int = 0) -> list[Event]:
    """Events that match, oldest first, each with its `id`. With `limit`, the newest so many."""
    clauses, values = _where(query)
    sql = f"SELECT * FROM events WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT ?"  # noqa: S608 - no text of others
    rows = list(db.query(sql, [*values, limit or -1]))
    return [_event(row) for row in reversed(rows)]


def _where(query: Query) -> tuple[list[str], list[object]]:
    clauses: list[str] = ["id > ?", "at >= ?"]
    values: list[object] = [query.after_id, query.since]
    for column in ("host", "mac", "address"):
        if given := getattr(query, column):
            clauses.append(f"{column} = ?")
            values.append(given)
    if query.kind:
        clauses.append("(kind = ? OR substr(kind, 1, length(?)) = ?)")
        values += [query.kind, query.kind + ".", query.kind + "."]
    if query.anyone:
        clauses.append("(" + " OR ".join(f"{column} = ?" for column, _ in query.anyone) + ")")
        values += [value for _, value in query.anyone]
    return clauses, values


def _event(row: dict[str, Any]) -> Event:
    columns = ("id", "at", *INDEXED)
    event: Event = {name: row[name] for name in columns if row[name] is not None}
    event.update(json.loads(row["fields"]))
    return event


def newest_id(db: Database) -> int:
    """Id of the newest event, 0 if there is none: where to begin to follow."""
    return int(db.execute("SELECT max(id) FROM events").fetchone()[0] or 0)


def follow(path: Path, query: Query, sleep: Callable[[float], None] = time.sleep) -> Iterator[Event]:
    """Events that match after `query.after_id`, for ever; the generator waits while there are none."""
    db = open_reader(path)
    while True:
        for event in read(db, query):
            query = query._replace(after_id=event["id"])
            yield event
        sleep(FOLLOW_S)


def write_forever(receiver: socket.socket, journal: Journal, stop: Callable[[], bool]) -> None:
    """Move datagrams from `receiver` into `journal` until `stop()`; the last batch is stored before it returns."""
    receiver.setblocking(False)
    while True:
        stopping = stop()
        events, strange = _gather(receiver, 0.0 if stopping else BATCH_S)
        if strange:
            events.append({"at": time.time(), "kind": "journal.dropped", "service": "journal", "count": strange})
        if events:
            journal.store(events)
        elif stopping:
            return


def _gather(receiver: socket.socket, wait_s: float) -> tuple[list[Event], int]:
    """Up to BATCH_ROWS events, waiting `wait_s` for the first; and how many datagrams were not events."""
    events: list[Event] = []
    strange = 0
    deadline = time.monotonic() + wait_s
    while len(events) + strange < BATCH_ROWS:
        try:
            data = receiver.recv(EVENT_BYTES_MAX + 1)
        except BlockingIOError:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([receiver], [], [], left)[0]:
                return events, strange
            continue
        event = decode(data)
        if event is None:
            strange += 1
        else:
            events.append(event)
    return events, strange
