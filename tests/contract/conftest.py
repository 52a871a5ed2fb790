"""Makers of every adapter, so that one suite states what all of them do."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from storage.records import MemoryRecords, Records, Row, SunwFiles, ipv4_text, open_records
from storage.records.codec import codec_for
from storage.records.container import container_name, empty_container
from storage.records.files import LocalFiles
from storage.records.port import nothing
from storage.records.postgresql import PostgresRecords
from storage.records.postgresql_rows import KINDS, escape
from storage.records.twinlog import TwinLog
from storage.records.twinlog_clock import SystemClock
from storage.records.twinlog_folder import LogFolder
from storage.records.twinlog_log import Log
from storage.records.twinlog_names import FOLDER, log_name
from storage.records.twinlog_text import section_line
from storage.records.worker import WorkerRecords


class Store(NamedTuple):
    """A datastore and a way to change it behind its back: `edit(table, rows)` leaves exactly those rows."""

    records: Records
    edit: Callable[[str, Iterable[Row]], None]
    close: Callable[[], None] = nothing


def _memory(_: Path) -> Store:
    records = MemoryRecords()
    return Store(records, records.load)


def _sunwfiles(path: Path) -> Store:
    def edit(table: str, rows: Iterable[Row]) -> None:
        lines = b"".join(codec_for(table).render(row) + b"\n" for row in rows)
        (path / container_name(table)).write_bytes(empty_container(table) + lines)

    return Store(SunwFiles(path, lock_timeout_s=1.0), edit)


def _twinlog(path: Path) -> Store:
    def edit(table: str, rows: Iterable[Row]) -> None:
        """Commit a batch as another server would that chose these very signatures."""
        log = Log(LogFolder(files, SystemClock(), "other.0"))
        with suppress(FileExistsError):
            files.make(FOLDER)
        log.follow()
        known = log.state.tables.get(table)
        body = [section_line(table)]
        body += [b"- " + line + b"\n" for line in known.lines.values()] if known else [b"created\n"]
        body += [b"+ " + codec_for(table).render(row) + b"\n" for row in rows]
        tmp, _ = log.folder.write(b"".join(body))
        files.rename(f"{FOLDER}/{tmp}", f"{FOLDER}/{log_name(log.state.number + 1)}")

    files = LocalFiles(path)
    return Store(TwinLog(files, look_s=0.0), edit)


def _postgresql(database: str) -> Store:
    import psycopg  # noqa: PLC0415 - the driver is optional

    records = open_records("postgresql", database)
    assert isinstance(records, PostgresRecords)

    def literal(value: object) -> object:
        return escape(value) if isinstance(value, str) else value

    def edit(table: str, rows: Iterable[Row]) -> None:
        """Type it, as a person would in psql."""
        if table not in records.tables():
            records.create(table)
        with psycopg.connect(database) as connection:
            for row in rows:
                kind = KINDS[type(row)]
                place = [table] if "network" in kind.keys else []
                values = [ipv4_text(value) if name in ADDRESSES else value for name, value in row._asdict().items()]
                marks = ", ".join(["%s"] * len(place + values))
                if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                    connection.execute(f"DELETE FROM {kind.table} r WHERE {kind.container} = %s", [table])
                connection.execute(f"INSERT INTO {kind.table} VALUES ({marks})", [*place, *map(literal, values)])

    return Store(records, edit, records.close)


ADDRESSES = {"address", "owner", "server"}

FILES = {"memory": _memory, "SUNWfiles": _sunwfiles, "twinlog": _twinlog}


def _by_worker(name: str, path: Path) -> Store:
    """The same, with the datastore in a process of its own."""
    inside = FILES[name](path)
    records = WorkerRecords(lambda: inside.records, str(path), lambda kind, **fields: None)
    return Store(records, inside.edit, records.close)


@pytest.fixture(params=[*FILES, "postgresql", "SUNWfiles by worker", "twinlog by worker"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    name, _, how = request.param.partition(" ")
    if name == "postgresql":
        made = _postgresql(request.getfixturevalue("database"))
    elif how:
        made = _by_worker(name, tmp_path)
    else:
        made = FILES[name](tmp_path)
    yield made
    made.close()
