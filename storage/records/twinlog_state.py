"""All tables as they stand after some batch. Pure; nothing is locked here.

Lines are kept beside the rows, so that a snapshot joins what is there instead of rendering every row anew.
"""

from collections.abc import Iterable
from typing import NamedTuple

from storage.records.changelog import ChangeLog
from storage.records.codec import codec_for, decode_text
from storage.records.port import Delta, Fault, Outcome, RecordsError
from storage.records.rows import Key, Row
from storage.records.twinlog_text import CREATED, DROPPED, REMOVED, Batch, Entry, Section, Snapshot


class Table:
    """One table: rows and their lines by key, and lines that are no rows (each with the reason)."""

    def __init__(self, log: ChangeLog | None = None) -> None:
        self.rows: dict[Key, Row] = {}
        self.lines: dict[Key, bytes] = {}
        self.strays: dict[bytes, str] = {}
        self.log = log or ChangeLog()

    def shadowed(self, table: str) -> frozenset[Key]:
        """Keys that strays claim: nobody may add them, for another reader may know what the stray says."""
        if not self.strays:
            return frozenset()
        claimed = map(codec_for(table).claimed_key, self.strays)
        return frozenset(key for key in claimed if key is not None)

    def put(self, row: Row, line: bytes) -> None:
        """Set a row."""
        self.rows[row.key] = row
        self.lines[row.key] = line

    def remove(self, key: Key) -> None:
        """Take a row out, if it is there."""
        self.rows.pop(key, None)
        self.lines.pop(key, None)

    def delta(self, table: str, since: int, faults: Iterable[Fault]) -> Delta:
        """What changed after a version."""
        told = (*(Fault(table, 0, decode_text(line), reason) for line, reason in self.strays.items()), *faults)
        changed = self.log.since(since, self.rows)
        if changed is None:
            return Delta(self.log.version, tuple(self.rows.values()), (), whole=True, faults=told)
        return Delta(self.log.version, *changed, whole=False, faults=told)


class Frozen(NamedTuple):
    """All lines after batch `number`, safe from later changes: by table, those of rows by key, and strays."""

    number: int
    kept: tuple[tuple[str, dict[Key, bytes], list[bytes]], ...]

    @property
    def tables(self) -> list[tuple[str, list[bytes]]]:
        """The lines of each table in the order of their keys, so that equal tables are equal texts.

        Put in order only here: whoever freezes a large table holds others up, whoever writes it does not.
        """
        return [(name, [*map(lines.__getitem__, sorted(lines)), *strays]) for name, lines, strays in self.kept]


class State:
    """All tables after batch `number`."""

    def __init__(self) -> None:
        self.number = 0
        self.tables: dict[str, Table] = {}
        self.dropped: dict[str, ChangeLog] = {}

    def table(self, name: str) -> Table:
        """A table; RecordsError NOT_FOUND, INVALID."""
        found = self.tables.get(name)
        if found is not None:
            return found
        try:
            codec_for(name)
        except ValueError as error:
            raise RecordsError(Outcome.INVALID, str(error)) from error
        raise RecordsError(Outcome.NOT_FOUND, f"{name}: no such table: create it first")

    def open(self, name: str) -> Table:
        """An empty table that goes on with the versions of a dropped one, so that its readers hear what is gone."""
        table = self.tables[name] = Table(self.dropped.pop(name, None))
        return table

    def close(self, name: str) -> None:
        """Drop a table."""
        table = self.tables.pop(name)
        table.log.note(table.rows.keys())
        self.dropped[name] = table.log

    def apply(self, number: int, batch: Batch | None) -> None:
        """Make the changes of the next batch; None for one that cannot be read.

        Rows are taken as they are: whoever wrote them had checked them against every batch before this one.
        """
        self.number = number
        for name, entries in batch.tables if batch is not None else ():
            table = self.tables.get(name)
            touched: set[Key] = set()
            for entry in entries:
                if entry.sign is CREATED or entry.sign == CREATED:
                    table = self.tables.get(name) or self.open(name)
                elif entry.sign == DROPPED:
                    if name in self.tables:
                        self.close(name)
                    table, touched = None, set()
                else:
                    table = table or self.open(name)
                    touched.update(_apply_entry(name, table, entry))
            if table is not None:
                table.log.note(touched)

    def load(self, number: int, sections: dict[str, Section]) -> None:
        """Forget everything for what a snapshot says; readers hear the difference."""
        self.number = number
        for name in self.tables.keys() - sections.keys():
            self.close(name)
        for name, section in sections.items():
            before = self.tables.get(name)
            if before is None:
                log, changed = self.dropped.pop(name, None), set(section.rows)
            else:
                both = before.rows.keys() | section.rows.keys()
                log, changed = before.log, {key for key in both if before.rows.get(key) != section.rows.get(key)}
            table = self.tables[name] = Table(log)
            table.rows, table.lines, table.strays = section.rows, section.lines, section.strays
            for key in table.shadowed(name):
                table.remove(key)
            if log is not None:
                table.log.note(changed)

    def frozen(self) -> Frozen:
        """The lines of all tables as they are now."""
        tables = sorted(self.tables.items())
        return Frozen(self.number, tuple((name, one.lines.copy(), sorted(one.strays)) for name, one in tables))


def sections_of(snapshot: Snapshot | None) -> dict[str, Section]:
    """The tables of a snapshot, none if there is none."""
    return {} if snapshot is None else snapshot.tables


def _apply_entry(name: str, table: Table, entry: Entry) -> set[Key]:
    """Make one change; the keys that it touched."""
    if table.strays:
        claimed = codec_for(name).claimed_key
        key = claimed(entry.line)
        for line in [line for line in table.strays if line == entry.line or (key is not None and claimed(line) == key)]:
            del table.strays[line]
    if entry.row is None:
        if entry.sign != REMOVED:
            table.strays[entry.line] = entry.fault
        key = codec_for(name).claimed_key(entry.line)
        if key is None:
            return set()
        table.remove(key)  # what it was is not what it is
        return {key}
    if entry.sign == REMOVED:
        table.remove(entry.row.key)
    else:
        table.put(entry.row, entry.line)
    return {entry.row.key}
