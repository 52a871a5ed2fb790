"""What a new batch would make of the tables. Pure; nothing is locked here.

A `Draft` changes the tables in place, because a copy of a large one costs more than a batch of changes, and remembers
how they were: `keep` it once its batch has its number, `undo` it if somebody else was first.
"""

from collections.abc import Callable, Sequence
from typing import Any

from storage.records.judge import judge, renewed
from storage.records.port import Change, Outcome, RecordsError, Result, stored
from storage.records.rows import Key, Row
from storage.records.twinlog_state import State, Table
from storage.records.twinlog_text import ADDED, CREATED, DROPPED, REMOVED, Batch, section_line


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


def settle(draft: Draft, changes: Sequence[Change]) -> list[Result] | None:
    """Our number may have been a reused one: what a snapshot at or above it holds is stored.

    A row that is there as it was before shows that the batch did not count: signatures never come back. Of a row that
    is neither as before nor as wished nobody can tell.
    """
    wishes = [
        (index, change)
        for index, (change, result) in enumerate(zip(changes, draft.results, strict=True))
        if result.outcome is Outcome.STORED
    ]
    if all(draft.is_untouched(change) for _, change in wishes):
        return None
    results = draft.results.copy()
    for index, change in wishes:
        if not draft.is_held(change, results[index]):
            results[index] = Result(Outcome.UNAVAILABLE, None, slept(change.table))
    return results


def slept(what: str) -> str:
    """Say of a change, or of a table, that nobody can tell what became of it."""
    return f"{what}: the log was compacted while this server slept, so what became of the change is unknown: look again"
