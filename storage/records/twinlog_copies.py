"""Writing the published copies of a twinlog, and finding out which ones somebody edited. Decisions: `twinlog_publish`.

A copy is replaced only while it is as somebody published it, or as its edits were taken over from it. An edit saved
between that look and the replacement, a millisecond or so, is lost, as with any two editors of one file. Nobody
depends on the copies: they can be removed and come back.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from storage.records.container import container_name
from storage.records.files import Files, fetch
from storage.records.image import Image
from storage.records.port import Change
from storage.records.rows import Key, Row
from storage.records.twinlog_names import FOLDER, NUMBER_DIGITS, TMP_PREFIX, numbered
from storage.records.twinlog_publish import copy_text, edits, read_container, read_copy, rows_crc, table_of
from storage.records.twinlog_replay import state_at
from storage.records.twinlog_state import Frozen

EDITED_PREFIX = "edited."


class Edited(NamedTuple):
    """A container that is not as published: its file name, table and bytes, and the batch that its note names."""

    name: str
    table: str
    data: bytes
    number: int


class Copies:
    """The containers beside a log's folder."""

    def __init__(self, files: Files, next_writer: Callable[[], str]) -> None:
        """`next_writer` gives unique ids."""
        self._files = files
        self._next_writer = next_writer

    def publish(self, frozen: Frozen, kept: str) -> None:
        """Write the copies that are not up to date, and remove those of dropped tables; OSError.

        `kept` is the oldest snapshot left: a copy made before it is written anew even if its rows are the same, for
        what it was made from can no longer be told.
        """
        oldest = found[0] if (found := numbered(kept)) is not None else 0
        files = self._files
        there = {table: name for name in files.names() if (table := table_of(name))}
        tables = frozen.tables
        for table, lines in tables:
            crc = rows_crc(lines)
            data = self._read(there.get(table, ""))
            if data is not None:
                copy = read_copy(table, data)
                if copy.is_edited or copy.number > frozen.number or (copy.crc == crc and copy.number >= oldest):
                    continue
            self._write(table, frozen.number, lines, crc, there.get(table, ""))
        for table in there.keys() - dict(tables).keys():
            data = self._read(there[table])
            copy = read_copy(table, data or b"")
            if data is not None and not copy.is_edited and copy.number < frozen.number:
                with contextlib.suppress(FileNotFoundError):
                    files.remove(there[table])
        files.sync()

    def edited(self) -> list[Edited]:
        """The containers that were edited since they were published, or put there by others; OSError."""
        found = []
        for name in sorted(self._files.names()):
            table = table_of(name)
            data = self._read(name) if table else None
            if data is not None and (copy := read_copy(table, data)).is_edited:
                found.append(Edited(name, table, data, copy.number))
        return found

    def changes(self, found: Edited, ours: Mapping[Key, Row]) -> tuple[list[Change], list[str]]:
        """What an edited container asks for, and what of it cannot be had, a line each.

        RecordsError if it is no container, OSError.
        """
        image = read_container(found.table, f"{self._files.location}/{found.name}", found.data)
        problems = [f"{found.name} line {fault.line}: {fault.reason}" for fault in image.faults()]
        base, told = self._base(found, image)
        asked = edits(found.table, base, image, ours)
        return asked.changes, problems + told + asked.conflicts

    def replace(self, found: Edited, frozen: Frozen, *, keep: bool) -> None:
        """Put the table as it now is in the place of a container whose edits were taken over; OSError.

        With `keep`, the edited file is kept beside the log first. Left alone if it was edited again meanwhile.
        """
        if keep:
            with contextlib.suppress(FileExistsError):
                self._files.write(
                    f"{FOLDER}/{EDITED_PREFIX}{frozen.number:0{NUMBER_DIGITS}d}.{found.name}", [found.data]
                )
        if self._read(found.name) != found.data:
            return
        lines = dict(frozen.tables)[found.table]
        self._write(found.table, frozen.number, lines, rows_crc(lines), found.name)
        self._files.sync()

    def _base(self, found: Edited, image: Image) -> tuple[Mapping[Key, Row], list[str]]:
        """The rows that were published; if that can no longer be told, only new rows count as edits."""
        if not found.number:
            return {}, []
        state = state_at(self._files, found.number)
        if state is None:
            reason = f"{found.name}: was published too long ago to tell its edits from later changes: new rows only"
            return {}, [reason] if image.rows else []
        table = state.tables.get(found.table)
        return (table.rows, []) if table is not None else ({}, [])

    def _read(self, name: str) -> bytes | None:
        if not name:
            return None
        try:
            return fetch(self._files, name)
        except FileNotFoundError:
            return None

    def _write(self, table: str, number: int, lines: list[bytes], crc: int, like: str) -> None:
        tmp = f"{FOLDER}/{TMP_PREFIX}{self._next_writer()}"
        self._files.write(tmp, copy_text(table, number, lines, crc), like)
        try:
            self._files.rename(tmp, container_name(table))
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.remove(tmp)
            raise
