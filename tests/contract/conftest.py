"""Makers of every adapter, so that one suite states what all of them do."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from storage.records import MemoryRecords, Records, Row, SunwFiles
from storage.records.codec import codec_for
from storage.records.container import container_name, empty_container


class Store(NamedTuple):
    """A datastore and a way to change it behind its back: `edit(table, rows)` leaves exactly those rows."""

    records: Records
    edit: Callable[[str, Iterable[Row]], None]


def _memory(_: Path) -> Store:
    records = MemoryRecords()
    return Store(records, records.load)


def _sunwfiles(path: Path) -> Store:
    def edit(table: str, rows: Iterable[Row]) -> None:
        lines = b"".join(codec_for(table).render(row) + b"\n" for row in rows)
        (path / container_name(table)).write_bytes(empty_container(table) + lines)

    return Store(SunwFiles(path, lock_timeout_s=1.0), edit)


@pytest.fixture(params=[_memory, _sunwfiles], ids=["memory", "SUNWfiles"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return request.param(tmp_path)
