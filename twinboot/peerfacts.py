"""What a server says of itself on the share, `<share>/state/servers/NAME.json`: values, written and read back.

Rules of this room:

- One file for each server, written by that server only. Another one reads it with the share's own time stamp beside it
  (`Sighting`): the stamp tells when it was written and, against `at_s`, how wrong the writer's clock is.
- Nothing here decides who may do what. A server that says nothing, or lies, costs a warning and no lease.
- Times are Unix seconds by the writer's clock. Unknown fields are left out of account: a newer version may have more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from twinboot.leases import STATES

__all__ = ["DESCRIPTION_BYTES_MAX", "FORMAT", "Description", "Mount", "Sighting", "decode", "encode"]

FORMAT = 1
DESCRIPTION_BYTES_MAX = 1 << 20
TEXT_CHARS_MAX = 512
ITEMS_MAX = 4096


class Mount(NamedTuple):
    """How a directory is mounted: type of the file system, and all its options."""

    kind: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """One server as it describes itself. Addresses are dotted text."""

    name: str
    address: str
    addresses: tuple[str, ...]
    """Those that it serves DHCP at."""
    version: str
    boot: str
    """Id of the machine's boot."""
    life: str
    """Id of the process that wrote this."""
    started_s: float
    looked_s: float
    """When it began to look at what it tells here."""
    at_s: float
    """When it wrote this."""
    stopped: bool
    """Whether these are its last words before an orderly end."""
    resource: str
    path: str
    inode: int
    """Of the directory of the records, 0 for a database: the same on every host that mounts it."""
    owner_ip: tuple[str, ...]
    keys: Mapping[str, str]
    """Settings that must be the same on all servers, as text."""
    dhcptab: str
    """Digest of macros and symbols."""
    dhcptab_since_s: float
    """Since when it has seen these."""
    batch: int
    """Number of the last commit that it sees in the records, 0 where commits have no number."""
    commit: str
    """The last commit in words."""
    networks: Mapping[str, Mapping[str, int]]
    """Addresses of each network by their state."""
    share: Mount
    records: Mount
    free_bytes: int
    free_files: int
    """Of the share; -1 where the file system does not count them."""
    writable: bool
    """Whether the share may be written to."""
    trouble: str
    """What keeps it from reading its records, one line; empty if nothing does."""


class Sighting(NamedTuple):
    """A description and when it was written by the share's clock, Unix seconds."""

    said: Description
    stamp_s: float

    @property
    def offset_s(self) -> float:
        """By how much the writer's clock is ahead of the share's."""
        return self.said.at_s - self.stamp_s


def encode(said: Description) -> bytes:
    """The description as a file."""
    return json.dumps({"format": FORMAT, **asdict(said)}, indent=1).encode() + b"\n"


def decode(data: bytes) -> Description:
    """The description in a file. ValueError says in one line why it is none."""
    if len(data) > DESCRIPTION_BYTES_MAX:
        raise ValueError(f"is longer than {DESCRIPTION_BYTES_MAX} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError("is of another format: run the same version of twinboot on all servers")
    try:
        return Description(**{name: read(document[name]) for name, read in _READERS.items()})
    except KeyError as error:
        raise ValueError(f"lacks {error.args[0]}") from None
    except TypeError as error:
        raise ValueError(f"holds {error}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        raise TypeError("something else where a short text belongs")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("something else where a number belongs")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < 1 << 64:
        raise TypeError("something else where a count belongs")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("something else where true or false belongs")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > ITEMS_MAX:
        raise TypeError("something else where a list belongs")
    return tuple(map(_text, value))


def _mapping(read: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    def reader(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > ITEMS_MAX:
            raise TypeError("something else where a table belongs")
        return {_text(name): read(one) for name, one in value.items()}

    return reader


def _counts(value: Any) -> dict[str, int]:
    found: dict[str, int] = _mapping(_count)(value)
    return {state: found.get(state, 0) for state in STATES}


def _mount(value: Any) -> Mount:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError("something else where a mount belongs")
    return Mount(_text(value[0]), _texts(value[1]))


_READERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("name", "address", "version", "boot", "life", "resource", "path"), _text),
    **dict.fromkeys(("dhcptab", "commit", "trouble"), _text),
    **dict.fromkeys(("started_s", "looked_s", "at_s", "dhcptab_since_s"), _number),
    **dict.fromkeys(("inode", "batch", "free_bytes", "free_files"), _count),
    **dict.fromkeys(("stopped", "writable"), _flag),
    **dict.fromkeys(("addresses", "owner_ip"), _texts),
    **dict.fromkeys(("share", "records"), _mount),
    "keys": _mapping(_text),
    "networks": _mapping(_counts),
}
