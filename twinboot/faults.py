"""A fault in something a person wrote: which file, which key, why, and the way out.

Every check of the appliance answers with a list of these, so that one run names all that is wrong. `Stop` is the
one exception that the command turns into lines on stderr and exit code 1.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ConfigError", "Fault", "JournalError", "Stop"]


class Fault(NamedTuple):
    """One thing to put right. `key` is empty when the whole file is meant."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in self if part)


class Stop(Exception):  # noqa: N818 - not always an error: the command ends here, with these lines
    """The command cannot go on. Each of `lines` says what is wrong and how to put it right."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class ConfigError(Stop):
    """The configuration cannot be used. `faults` holds everything that was found, in file order."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(*(str(fault) for fault in faults))
        self.faults = faults


class JournalError(Exception):
    """The journal cannot be used; the text says why and what to do."""
