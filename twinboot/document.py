"""A TOML file read by a table of keys: every fault is noted, and none stops the reading.

The table is the whole language: what is not in it is a fault, with the nearest word that is.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from twinboot import values
from twinboot.faults import ConfigError, Fault
from twinboot.keys import ABSENT, REQUIRED, Key

__all__ = ["Reader", "read"]

CONFIG_BYTES_MAX = 1 << 20


def read(path: Path) -> Mapping[str, Any]:
    """The file as TOML has it. ConfigError if it cannot be read, is too large or is no TOML."""
    try:
        with path.open("rb") as file:
            raw = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        hint = (
            "; write one with `twinboot init` or name it with --config" if isinstance(error, FileNotFoundError) else ""
        )
        raise ConfigError((Fault(str(path), "", f"{error.strerror}{hint}"),)) from error
    if len(raw) > CONFIG_BYTES_MAX:
        raise ConfigError((Fault(str(path), "", "larger than 1 MiB: this is not a twinboot.toml"),))
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(
            (Fault(str(path), "", f"byte {error.start} is not UTF-8: save the file as UTF-8"),)
        ) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError((Fault(str(path), "", f"not TOML: {error}"),)) from error


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f": did you mean {near[0]}?" if near else f": known are {', '.join(known)}"


class Reader:
    """Walks the document by the table and collects faults; a faulty or missing key reads as None."""

    def __init__(self, keys: Sequence[Key], file: str, faults: list[Fault]) -> None:
        self._keys = keys
        self._file = file
        self._faults = faults

    def fault(self, key: str, reason: str) -> None:
        """Note one."""
        self._faults.append(Fault(self._file, key, reason))

    def unknown_sections(self, document: Mapping[str, Any]) -> None:
        """Note sections that no key is in."""
        known = list(dict.fromkeys(key.section.partition(".")[0] for key in self._keys))
        for name in document:
            if name not in known:
                self.fault(name, "unknown section" + _nearest(name, known))

    def section(self, document: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The values of one section, by key."""
        room, _, inner = name.partition(".")
        table = document.get(room, {})
        if inner:
            table = table.get(inner, {}) if isinstance(table, dict) else {}
        return self._table(table, name, [key for key in self._keys if key.section == name])

    def sections(self, document: Mapping[str, Any], room: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each section [room.NAME] by its name, without those that have a fault."""
        table = document.get(room, {})
        if not isinstance(table, dict):
            self.fault(room, f"must be a section: write [{room}.public]")
            return
        keys = [key for key in self._keys if key.section == f"{room}.*"]
        for name, body in table.items():
            before = len(self._faults)
            try:
                values.label(name)
            except ValueError as error:
                self.fault(f"{room}.{name}", str(error))
            row = self._table(body, f"{room}.{name}", keys)
            if len(self._faults) == before:
                yield name, row

    def _table(self, table: object, section: str, keys: list[Key]) -> dict[str, Any]:
        if not isinstance(table, dict):
            self.fault(section, f"must be a section: write [{section}]")
            table = {}
        names = [key.name for key in keys]
        inner = {key.section.partition(".")[2] for key in self._keys if key.section.startswith(f"{section}.")}
        for name in table:
            if name not in names and name not in inner:
                self.fault(f"{section}.{name}", "unknown key" + _nearest(name, names))
        return {key.name: self._value(key, section, table.get(key.name, ABSENT)) for key in keys}

    def _value(self, key: Key, section: str, value: object) -> object:
        where = f"{section}.{key.name}"
        if value is ABSENT:
            if key.default is REQUIRED:
                self.fault(where, f"missing: {key.meaning}")
                return None
            return key.default() if callable(key.default) else key.default
        try:
            return key.read(value)
        except ValueError as error:
            self.fault(where, str(error))
            return None
