"""All tables as they stand after some batch, and what a new batch would make of them. Pure; nothing is locked here.

A `Draft` changes the tables in place, because a copy of a large one costs more than a batch of changes, and remembers
how they were: `keep` it once its batch has its number, `undo` it if somebody else was first. Lines are kept beside
the rows, so that a snapshot joins what is there instead of rendering every row anew.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from storage.records.changelog import ChangeLog
from storage.records.codec import codec_for, decode_text
from storage.records.judge import judge, renewed
from storage.records.port import Change, Delta, Fault, Outcome, RecordsError, Result, stored
from storage.records.rows import Key, Row
from storage.records.twinlog_text import (
    ADDED,
    CREATED,
    DROPPED,
    REMOVED,
    Batch,
    Entry,
    Section,
    Snapshot,
    section_line,
)


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


class Generations:
    """Generations for the changes of one commit: judged again after a lost race, a change gets the same one again.

    So a batch that lost its number to strangers need not be written again.
    """

    def __init__(self, source: Callable[[], int]) -> None:
        self.index = 0
        self._source = source
        self._drawn: dict[int, int] = {}

    def __call__(self) -> int:
        """The generation of change `index`."""
        value = self._drawn.get(self.index)
        if value is None:
            value = self._drawn[self.index] = self._source()
        return value


class _Part:
    """What a draft does to one table: its lines in the batch, and the rows by key, None for one that is removed."""

    __slots__ = ("lines", "made")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.made: dict[Key, Row | None] = {}


class Draft:
    """A batch in the making: judged, made in the tables, and reversible until it is kept."""

    def __init__(self, state: State) -> None:
        self.results: list[Result] = []
        self.refused = False
        self.tables: set[str] = set()
        self._state = state
        self._parts: dict[str, _Part] = {}
        self._before: list[tuple[Table, Key, Row | None, bytes]] = []
        self._opened = self._closed = ""
        self._was: Table | None = None

    def change(self, changes: Sequence[Change], generations: Generations) -> "Draft":
        """Judge changes in order and make those that succeed; returns itself."""
        shadowed: dict[str, frozenset[Key]] = {}
        for index, change in enumerate(changes):
            name = change.table
            table = self._state.tables.get(name)
            if table is None:
                self._refuse(name)
                continue
            if name not in shadowed:
                shadowed[name] = table.shadowed(name)
            usual = renewed(change, table.rows)
            if usual is not None:
                self.results.append(stored(usual[0]))
                fields: Any = usual[0]
                self._renew(name, table, fields[0], usual[0], usual[1])
                continue
            generations.index = index
            verdict = judge(change, table.rows, shadowed[name], generations)
            self.results.append(Result(verdict.outcome, verdict.row, verdict.detail))
            if verdict.outcome is Outcome.STORED:
                self._make(name, table, change.old, verdict.row, verdict.line)
            else:
                self.refused = True
        return self

    def create(self, name: str) -> "Draft":
        """Make an empty table; RecordsError EXISTS, INVALID. Returns itself."""
        try:
            self._state.table(name)
        except RecordsError as error:
            if error.outcome is not Outcome.NOT_FOUND:
                raise
            self._state.open(name)
            self._opened = name
            self.tables.add(name)
            self._part(name).lines.append(CREATED)
            return self
        raise RecordsError(Outcome.EXISTS, f"{name}: it is there already")

    def drop(self, name: str) -> "Draft":
        """Remove a table; RecordsError NOT_FOUND, INVALID. Returns itself."""
        self._was = self._state.table(name)
        self._state.close(name)
        self._closed = name
        self.tables.add(name)
        self._part(name).lines.append(DROPPED)
        return self

    def body(self) -> bytes:
        """The lines of the batch; empty if it would do nothing."""
        sections = [section_line(name) + b"\n".join([*part.lines, b""]) for name, part in self._parts.items()]
        return b"".join(sections)

    def undo(self) -> None:
        """Put everything back as it was."""
        for table, key, row, line in reversed(self._before):
            if row is None:
                table.remove(key)
            else:
                table.rows[key], table.lines[key] = row, line
        if self._opened:
            self._state.dropped[self._opened] = self._state.tables.pop(self._opened).log
        if self._was is not None:
            self._state.dropped.pop(self._closed)
            self._state.tables[self._closed] = self._was

    def keep(self) -> None:
        """The batch is committed: tell readers."""
        for name, part in self._parts.items():
            rows = [row for row in part.made.values() if row is not None]
            if part.made:
                self._state.tables[name].log.note(tuple(part.made), rows if len(rows) == len(part.made) else None)

    def meets(self, batch: Batch) -> bool:
        """Whether that batch touches anything that this one does."""
        for name, entries in batch.tables:
            if name in self.tables:
                return True
            part = self._parts.get(name)
            if part is not None and any(entry.row is None or entry.row.key in part.made for entry in entries):
                return True
        return False

    def is_untouched(self, change: Change) -> bool:
        """Whether the tables, as loaded since, bear the very version of a row that this change was made from."""
        table = self._state.tables.get(change.table)
        return table is not None and change.old is not None and table.rows.get(change.old.key) == change.old

    def is_held(self, change: Change, result: Result) -> bool:
        """Whether the tables, as loaded since, bear the row that this change was to store.

        Of a row that is gone nobody can tell who removed it.
        """
        table = self._state.tables.get(change.table)
        return table is not None and result.row is not None and table.rows.get(result.row.key) == result.row

    def _part(self, name: str) -> _Part:
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = _Part()
        return part

    def _refuse(self, name: str) -> None:
        self.refused = True
        try:
            self._state.table(name)
        except RecordsError as error:
            self.results.append(Result(error.outcome, None, str(error)))

    def _make(self, name: str, table: Table, old: Row | None, row: Row | None, line: bytes) -> None:
        lines = self._part(name).lines
        if old is None:
            assert row is not None
            lines.append(b"%s %s" % (ADDED, line))
            self._set(name, table, row.key, row, line)
            return
        key = old.key
        if row is not None and row.key == key:
            self._renew(name, table, key, row, line)
            return
        lines.append(b"%s %s" % (REMOVED, table.lines[key]))
        self._set(name, table, key, None, b"")
        if row is not None:
            lines.append(b"%s %s" % (ADDED, line))
            self._set(name, table, row.key, row, line)

    def _renew(self, name: str, table: Table, key: Key, row: Row, line: bytes) -> None:
        part = self._part(name)
        before = table.rows[key]
        part.lines.append(b"%d %s" % (before.signature, line))
        self._before.append((table, key, before, table.lines.get(key, b"")))
        part.made[key] = table.rows[key] = row
        table.lines[key] = line

    def _set(self, name: str, table: Table, key: Key, row: Row | None, line: bytes) -> None:
        self._part(name).made[key] = row
        self._before.append((table, key, table.rows.get(key), table.lines.get(key, b"")))
        if row is None:
            table.remove(key)
        else:
            table.rows[key] = row
            table.lines[key] = line
