"""What is wrong in a JumpStart file, and where: one line for each fault, with the way out.

Severities are the two of Sun's `check`: an error keeps `rules.ok` from being written, a warning does not. Nothing
here raises for what a file says: parsers and judges put faults into a `Faults` and go on, so that one run names all.
"""

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

FAULTS_MAX = 500
"""Faults kept for one file: enough for the worst honest file, and a megabyte of noise stays readable."""

LINE_MAX_CHARS = 400
"""Length of either half of a message."""

SHOWN_MAX_CHARS = 60
"""How much of a word is repeated in a message."""


class Severity(StrEnum):
    """How bad a fault is."""

    ERROR = "error"
    WARNING = "warning"


class At(NamedTuple):
    """A place in a file, counted from 1. Line 0 means the whole file, column 0 the whole line."""

    line: int = 0
    column: int = 0


NOWHERE = At()


class Fault(NamedTuple):
    """One thing to put right: `what` is wrong, and what to write `instead`."""

    file: str
    at: At
    severity: Severity
    what: str
    instead: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, *self.at) if part)
        return f"{place}: {self.severity}: {self.what}; {self.instead}"


class Faults:
    """The faults of one file, gathered on the way, at most `FAULTS_MAX`."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Fault] = []
        self._left_out = 0

    def add(self, severity: Severity, at: At, what: str, instead: str) -> None:
        """Note one fault."""
        if len(self._found) < FAULTS_MAX:
            self._found.append(Fault(self.file, at, severity, _one_line(what), _one_line(instead)))
        else:
            self._left_out += 1

    def error(self, at: At, what: str, instead: str) -> None:
        """Note what makes the file unusable."""
        self.add(Severity.ERROR, at, what, instead)

    def warning(self, at: At, what: str, instead: str) -> None:
        """Note what is legal and surely not meant, or old."""
        self.add(Severity.WARNING, at, what, instead)

    def all(self) -> tuple[Fault, ...]:
        """Everything found, in the order of the file."""
        found = sorted(self._found, key=lambda fault: fault.at)
        if self._left_out:
            what = f"{self._left_out} more faults are not shown"
            found.append(Fault(self.file, NOWHERE, Severity.ERROR, what, "put those above right first"))
        return tuple(found)


def _one_line(text: str) -> str:
    cut = text[:LINE_MAX_CHARS]
    return (
        cut
        if cut.isprintable()
        else "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut)
    )


def has_errors(faults: Iterable[Fault]) -> bool:
    """Whether any of them is more than a warning."""
    return any(fault.severity is Severity.ERROR for fault in faults)


def shown(text: str) -> str:
    """`text` between quotes for a message, not long."""
    cut = text if len(text) <= SHOWN_MAX_CHARS else text[:SHOWN_MAX_CHARS] + "..."
    return f"'{cut}'"


def suggestion(word: str, valid: Iterable[str]) -> str:
    """What to write instead of an unknown word: the nearest valid one, else all of them."""
    names = list(valid)
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=1)
    if not close:  # the same parts in another order: ipv6_protocol for protocol_ipv6
        parts = sorted(word.lower().split("_"))
        close = [name.lower() for name in names if sorted(name.lower().split("_")) == parts]
    if close:
        return f"did you mean {next(name for name in names if name.lower() == close[0])}?"
    return f"write one of {', '.join(names)}" if len(names) > 1 else f"write {names[0]}"
