"""Which keys changed since a version: a bounded memory, so that a reader pays for the changes, not the table."""

from collections import deque
from collections.abc import Collection

from storage.records.rows import Key

KEYS_MAX = 65_536
"""Changed keys remembered. A reader that fell further behind than this rereads the whole table."""

ENTRIES_MAX = 16_384
"""Versions remembered: hours of single commits, or minutes of full load."""


class ChangeLog:
    """Versions 1, 2, ... of one table, and the keys that each changed. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self.version = 1
        self._entries: deque[tuple[int, Collection[Key]]] = deque()
        self._keys = 0
        self._floor = 1

    def note(self, keys: Collection[Key]) -> None:
        """These keys changed (added, altered or removed): a new version, unless there are none."""
        if not keys:
            return
        self.version += 1
        self._entries.append((self.version, keys))
        self._keys += len(keys)
        while self._keys > KEYS_MAX or len(self._entries) > ENTRIES_MAX:
            self._floor, dropped = self._entries.popleft()
            self._keys -= len(dropped)

    def since(self, version: int) -> set[Key] | None:
        """Keys changed after that version; None if that can no longer be told (or never could)."""
        if not self._floor <= version <= self.version:
            return None
        changed: set[Key] = set()
        for entry_version, keys in reversed(self._entries):
            if entry_version <= version:
                break
            changed.update(keys)
        return changed
