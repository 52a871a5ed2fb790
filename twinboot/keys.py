"""What a key of twinboot.toml is: one row of the tables that make the file's whole language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["ABSENT", "REQUIRED", "Key"]

REQUIRED = object()
ABSENT = object()


class Key(NamedTuple):
    """One key: `section` as written (`networks.*` stands for each network), `read` checks a value given."""

    section: str
    name: str
    read: Callable[[object], Any]
    default: object
    meaning: str

    @property
    def default_text(self) -> str:
        """The default as the reference prints it."""
        if self.default is REQUIRED:
            return "required"
        if self.default in (None, (), ABSENT):
            return "none"
        return "twinboot, else nobody" if callable(self.default) else str(self.default)
