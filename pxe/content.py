"""What a resolver hands to the doors (TFTP and HTTP): a file, a text, or a refusal.

One tree has two doors. Whichever door a machine knocks at, the same resolver turns the requested
name into one of the values below, so that both doors serve the same bytes and refuse the same names.
These are values: nothing here opens, reads or closes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple


class FileContent(NamedTuple):
    """An open regular file. Whoever receives it owns `fd` and closes it."""

    fd: int
    size: int  # bytes, when opened
    name: str  # as looked up: relative, '/' between the parts
    mtime_ns: int


class TextContent(NamedTuple):
    """Rendered bytes that stand in the place of a file."""

    data: bytes
    name: str


class Why(Enum):
    """Why a name is refused; each door maps it to its own code (HTTP status, TFTP error)."""

    NOT_FOUND = "not-found"
    ACCESS = "access"
    UNAVAILABLE = "unavailable"


class Refused(Exception):  # noqa: N818 - an answer like the other two, not a fault of the program
    """A name that will not be served. `str()` is one line for people; `why` is for the door's table."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why = why


Content = FileContent | TextContent
Resolver = Callable[[str, str], Content]
"""(requested name, client address as text) -> content; raises Refused and nothing else."""
