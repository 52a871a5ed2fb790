"""What changed since a version: a bounded memory, so that a reader pays for the changes, not the table."""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final

from storage.records.rows import Key, Row

KEYS_MAX = 65_536
"""Changed keys remembered. A reader that fell further behind than this rereads the whole table."""

ENTRIES_MAX = 16_384
"""Versions remembered: hours of single commits, or minutes of full load."""

Changed = tuple[tuple[Row, ...], tuple[Key, ...]]
"""Rows added or altered, and the keys of those that are gone."""

_NOTHING: Final[Changed] = ((), ())


class ChangeLog:
    """Versions 1, 2, ... of one table, and the keys that each changed. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self.version = 1
        self._entries: deque[tuple[int, Collection[Key]]] = deque()
        self._keys = 0
        self._floor = 1
        self._latest: tuple[Row, ...] | None = None

    def note(self, keys: Collection[Key], latest: Collection[Row] | None = None) -> None:
        """These keys changed (added, altered or removed): a new version, unless there are none.

        `latest` are the rows that they have now, where each has one and they are at hand: a reader that follows every
        commit, as the one who makes them does, then has them without a look at the table for each.
        """
        if not keys:
            return
        self.version += 1
        self._latest = None if latest is None else tuple(latest)
        self._entries.append((self.version, keys))
        self._keys += len(keys)
        while self._keys > KEYS_MAX or len(self._entries) > ENTRIES_MAX:
            self._floor, dropped = self._entries.popleft()
            self._keys -= len(dropped)

    def since(self, version: int, rows: Mapping[Key, Row]) -> Changed | None:
        """What changed after that version, each key once; None if that can no longer be told (or never could).

        `rows` are the table's, as they are now.
        """
        if not self._floor <= version <= self.version:
            return None
        if version == self.version:
            return _NOTHING
        if version == self.version - 1:
            return _parted(self._entries[-1][1], rows) if self._latest is None else (self._latest, ())
        changed: set[Key] = set()
        for entry_version, keys in reversed(self._entries):
            if entry_version <= version:
                break
            changed.update(keys)
        return _parted(changed, rows)


def _parted(changed: Collection[Key], rows: Mapping[Key, Row]) -> Changed:
    found = [rows[key] for key in changed if key in rows]
    gone = [key for key in changed if key not in rows] if len(found) < len(changed) else []
    return tuple(found), tuple(gone)
