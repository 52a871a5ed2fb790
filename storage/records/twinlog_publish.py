"""Published copies: the tables of a twinlog as Sun's containers, for people and Sun's tools; and their edits.

A copy is a container as `SUNWfiles` has it with one more comment line, which names the batch it was made after and the
CRC-32 of the rows below:

    # twinlog 000000000124 crc32 7d1e2f00: a copy; edits are taken over at the next rescan

A copy whose rows fit that sum is as published. Otherwise somebody edited it, and batch 124 tells what was there
before: so each row is compared three ways. What only the editor changed becomes an ordinary change, with all its
checks; what both changed stays as ours and is named. A container without that line was put there by other means: its
rows are added as far as they are new.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from storage.records.codec import codec_for
from storage.records.container import container_name, empty_container
from storage.records.image import Image, read_image
from storage.records.judge import key_text
from storage.records.port import Change
from storage.records.rows import OWN_TABLES, Key, Row
from storage.records.twinlog_names import NUMBER_DIGITS
from storage.records.twinlog_text import in_pieces

_NOTE = re.compile(rb"^# twinlog ([0-9]{%d}) crc32 ([0-9a-f]{8}).*\n" % NUMBER_DIGITS, re.MULTILINE)
_NOTE_WITHIN_BYTES = 4096

_NAMED = {container_name(table): table for table in ("dhcptab", *OWN_TABLES)}
_NETWORK_PREFIX = "SUNWfiles1_"


class Copy(NamedTuple):
    """A container as found: the batch that its note names (0: none), the sum that it names and that of its rows."""

    number: int
    noted_crc: int
    crc: int

    @property
    def is_edited(self) -> bool:
        """Whether the rows are others than were published."""
        return not self.number or self.noted_crc != self.crc


class Edits(NamedTuple):
    """What an edited copy asks for, and what of it cannot be taken over, in words."""

    changes: list[Change]
    conflicts: list[str]


def table_of(name: str) -> str:
    """The table of which a file of this name is the container; empty if of none."""
    table = _NAMED.get(name) or name.removeprefix(_NETWORK_PREFIX).replace("_", ".")
    try:
        codec_for(table)
    except ValueError:
        return ""
    return table if container_name(table) == name else ""


def rows_crc(lines: Iterable[bytes]) -> int:
    """The sum of these rows."""
    crc = 0
    for piece in in_pieces(lines):
        crc = zlib.crc32(piece, crc)
    return crc


def copy_text(table: str, number: int, lines: Sequence[bytes], crc: int) -> Iterable[bytes]:
    """The published copy of a table after batch `number`, in pieces."""
    yield empty_container(table)
    yield b"# twinlog %0*d crc32 %08x: a copy; edits are taken over at the next rescan\n" % (NUMBER_DIGITS, number, crc)
    yield from in_pieces(lines)


def read_copy(table: str, data: bytes) -> Copy:
    """What a container tells of itself."""
    match = _NOTE.search(data, 0, _NOTE_WITHIN_BYTES)
    if match is None:
        return Copy(0, 0, 0)
    head, rows = data[: match.start()], data[match.end() :]
    crc = zlib.crc32(rows, 0 if head == empty_container(table) else 1)  # lines put above the note count as edits
    return Copy(int(match[1]), int(match[2], 16), crc)


def read_container(table: str, where: str, data: bytes) -> Image:
    """The rows of a container; RecordsError INVALID if it is none."""
    image, _ = read_image(table, where, b"# " + container_name(table).encode(), data, None)
    return image


def edits(table: str, base: Mapping[Key, Row], theirs: Image, ours: Mapping[Key, Row]) -> Edits:
    """Compare a copy row by row: as it was published, as it is now, and the table as it is now."""
    found = Edits([], [])
    for key in [*theirs.rows, *(key for key in base if key not in theirs.rows)]:
        was, now, own = base.get(key), theirs.rows.get(key), ours.get(key)
        if now in (was, own) or (now is None and (own is None or key in theirs.shadowed)):
            continue
        if own == was:
            found.changes.append(Change(table, own, now))
        elif now is None or own is None or now._replace(signature=0) != own._replace(signature=0):
            found.conflicts.append(f"{table} {key_text(key)}: edited by hand, but changed meanwhile: not taken over")
    return found
