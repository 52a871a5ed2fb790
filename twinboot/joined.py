"""One face for the two places where the records of a site lie: our own tables in one, macros and bindings in the other.

A port that forwards each table to its store, so that who reads both (the boot catalog) need not know where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from storage.records import OWN_TABLES, Change, Delta, Epoch, Records, Rescan, Result
from storage.records.port import nothing

__all__ = ["JoinedRecords"]


class JoinedRecords:
    """`installs` and `guests` of one store, all other tables of another, as one `Records`."""

    def __init__(self, own: Records, others: Records) -> None:
        self.location = f"{others.location}+{own.location}"
        self._own = own
        self._others = others

    def _of(self, table: str) -> Records:
        return self._own if table in OWN_TABLES else self._others

    def tables(self) -> list[str]:
        """Names of the tables of both, sorted."""
        own = [name for name in self._own.tables() if name in OWN_TABLES]
        return sorted({*own, *(name for name in self._others.tables() if name not in OWN_TABLES)})

    def create(self, table: str) -> None:
        """Make a table where it belongs."""
        self._of(table).create(table)

    def drop(self, table: str) -> None:
        """Remove a table from where it belongs."""
        self._of(table).drop(table)

    def read(self, table: str, since: int = 0) -> Delta:
        """Read from where the table lies; versions are that store's own."""
        return self._of(table).read(table, since)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """One commit for each store, results in the order of the changes."""
        results: dict[int, Result] = {}
        for store in (self._own, self._others):
            chosen = [number for number, change in enumerate(changes) if self._of(change.table) is store]
            if chosen:
                results.update(zip(chosen, store.commit([changes[number] for number in chosen], waits), strict=True))
        return [results[number] for number in range(len(changes))]

    def rescan(self) -> Rescan:
        """Both stores' edits taken over."""
        found = [store.rescan() for store in (self._own, self._others)]
        return Rescan(sum(one.taken for one in found), tuple(line for one in found for line in one.refused))

    def tend(self) -> None:
        """Both stores."""
        self._own.tend()
        self._others.tend()

    def epoch(self) -> Epoch | None:
        """The clock of the store whose rows end at a time."""
        return self._others.epoch()
