r"""The files of a twinlog as text: batches and snapshots, both ways. Pure.

A batch, `000000000124.log`; each row line begins with what it does: `+` adds, `-` removes the row as it stood, a
number is the signature of the row that this one replaces. Rows are written as in a container (`codec`):

    twinlog 1 batch odd.5f3a9c2e.17 2026-11-22T20:00:00.123Z
    [192.168.76.0]
    10416825938107957249 192.168.76.10|01...|00|192.168.76.1|1795377600|10416825938107957250|pxe1|
    + 192.168.76.11|00|00|192.168.76.1|0|7223372036854775809|pxe1|
    [10.0.0.0]
    created
    end 7d1e2f00

A snapshot, `000000000124.snap`, is every row of every table as it stands after batch 124:

    twinlog 1 snapshot odd.5f3a9c2e.18 2026-11-22T20:00:01.000Z
    [192.168.76.0]
    192.168.76.10|01...|00|192.168.76.1|1795377600|10416825938107957250|pxe1|
    end 0badcafe

The last line bears the CRC-32 of all bytes before it. A file that does not end so was torn, and is `DamagedError` as a
whole. One that is whole but of another version is `ForeignError`: it must stop the reader, for skipping what a newer
program wrote would lose it.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from storage.records.codec import LineError, codec_for, decode_text
from storage.records.rows import Key, Row

ADDED: Final = b"+"
REMOVED: Final = b"-"
CREATED: Final = b"created"
DROPPED: Final = b"dropped"

PIECE_LINES: Final = 1024

_ID: Final = r"[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}\.[0-9]{1,20}"
_HEAD: Final = re.compile(rf"twinlog 1 (batch|snapshot) ({_ID}) ([0-9TZ:.-]{{1,40}})".encode())
_SECTION: Final = re.compile(rb"^\[([0-9a-z.]{1,64})\]\n", re.MULTILINE)
_END: Final = re.compile(rb"end ([0-9a-f]{8})\n")
_END_BYTES: Final = 13


class DamagedError(ValueError):
    """A file is torn or altered; the text says how."""


class ForeignError(ValueError):
    """A file is whole but not of this version; the text says what to do."""


class Head(NamedTuple):
    """Who wrote a file and when: `writer` is unique, `server.process.count`; the time is that server's own idea."""

    writer: str
    at_s: float

    @property
    def server(self) -> str:
        """Name of the server."""
        return self.writer.partition(".")[0]


class Entry(NamedTuple):
    """One line of a batch. `sign` is ADDED, REMOVED, CREATED, DROPPED or the old signature in digits.

    `row` is None for a whole table, and for a line that is no row (`fault` says why); `line` is the row's text.
    """

    sign: bytes
    row: Row | None
    line: bytes
    fault: str = ""


class Batch(NamedTuple):
    """What one commit did: by table, in order."""

    head: Head
    tables: list[tuple[str, list[Entry]]]
    size: int


class Snapshot(NamedTuple):
    """All rows after some batch; `strays` are lines that are no rows, each with the reason."""

    head: Head
    tables: dict[str, "Section"]
    size: int


class Section(NamedTuple):
    """One table of a snapshot."""

    rows: dict[Key, Row]
    lines: dict[Key, bytes]
    strays: dict[bytes, str]


def head_line(kind: str, head: Head) -> bytes:
    """The first line."""
    at = datetime.fromtimestamp(head.at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"twinlog 1 {kind} {head.writer} {at}\n".encode()


def section_line(table: str) -> bytes:
    """The line above a table's rows."""
    return b"[%s]\n" % table.encode()


def encode_batch(head: Head, body: bytes) -> bytes:
    """A batch file; `body` is section lines and row lines, each ending in a line feed."""
    text = head_line("batch", head) + body
    return b"%send %08x\n" % (text, zlib.crc32(text))


def encode_snapshot(head: Head, tables: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """A snapshot file in pieces, so that a large one needs neither its size in memory nor a long stop."""
    piece = head_line("snapshot", head)
    crc = zlib.crc32(piece)
    yield piece
    for table, lines in tables:
        piece = section_line(table)
        crc = zlib.crc32(piece, crc)
        yield piece
        for piece in in_pieces(lines):
            crc = zlib.crc32(piece, crc)
            yield piece
    yield b"end %08x\n" % crc


def in_pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines joined, a thousand at a time, each with its line feed."""
    waiting: list[bytes] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) == PIECE_LINES:
            yield b"\n".join([*waiting, b""])
            waiting.clear()
    if waiting:
        yield b"\n".join([*waiting, b""])


def decode_batch(data: bytes) -> Batch:
    """Read a batch file; DamagedError, ForeignError."""
    head, sections = _open(data, b"batch")
    return Batch(head, [(table, _entries(table, lines)) for table, lines in sections], len(data))


def decode_snapshot(data: bytes) -> Snapshot:
    """Read a snapshot file; DamagedError, ForeignError."""
    head, sections = _open(data, b"snapshot")
    return Snapshot(head, {table: _section(table, lines) for table, lines in sections}, len(data))


def check_end(data: bytes) -> None:
    """DamagedError unless the file is whole."""
    match = _END.fullmatch(data, max(len(data) - _END_BYTES, 0))
    if match is None:
        raise DamagedError("is torn: it does not end in its check sum")
    if zlib.crc32(memoryview(data)[:-_END_BYTES]) != int(match[1], 16):
        raise DamagedError("is altered: its check sum is another")


def _open(data: bytes, kind: bytes) -> tuple[Head, Iterator[tuple[str, list[bytes]]]]:
    check_end(data)
    first, _, _ = data.partition(b"\n")
    match = _HEAD.fullmatch(first)
    if match is None or match[1] != kind:
        raise ForeignError(f"begins with {decode_text(first[:60])!r}: a newer twinboot wrote it, update this server")
    try:
        at_s = datetime.fromisoformat(match[3].decode()).timestamp()
    except ValueError:
        at_s = 0.0  # for people only
    return Head(match[2].decode(), at_s), _sections(data, len(first) + 1, len(data) - _END_BYTES)


def _sections(data: bytes, start: int, end: int) -> Iterator[tuple[str, list[bytes]]]:
    found = [(match.start(), match.end(), match[1].decode()) for match in _SECTION.finditer(data, start, end)]
    if found[0][0] != start if found else start != end:
        raise ForeignError("holds rows of no table: a newer twinboot wrote it, update this server")
    for index, (_, begin, table) in enumerate(found):
        stop = found[index + 1][0] if index + 1 < len(found) else end
        try:
            codec_for(table)
        except ValueError as error:
            raise ForeignError(f"names an unknown table: {error}; update this server") from error
        lines = data[begin:stop].split(b"\n")
        lines.pop()  # what stands after the last line feed
        yield table, lines


def _entries(table: str, lines: list[bytes]) -> list[Entry]:
    parse = codec_for(table).parse
    entries = []
    for text in lines:
        sign, _, line = text.partition(b" ")
        if text in (CREATED, DROPPED):
            entries.append(Entry(text, None, b""))
        elif not line or not (sign in (ADDED, REMOVED) or sign.isdigit()):
            raise ForeignError(f"has a line {decode_text(text[:60])!r}: a newer twinboot wrote it, update this server")
        else:
            try:
                entries.append(Entry(sign, parse(line), line))
            except LineError as error:
                entries.append(Entry(sign, None, line, str(error)))
    return entries


def _section(table: str, lines: list[bytes]) -> Section:
    parse, key_of = codec_for(table).parse, codec_for(table).key
    try:
        parsed = [parse(line) for line in lines]
    except LineError:
        return _doubtful(table, lines)
    rows = {key_of(row): row for row in parsed}  # the very object that the row has, in both maps
    if len(rows) != len(lines):
        return _doubtful(table, lines)
    return Section(rows, dict(zip(rows, lines, strict=True)), {})


def _doubtful(table: str, lines: list[bytes]) -> Section:
    """Line by line, for the case that something is wrong with one: it is kept and named, the others serve."""
    section = Section({}, {}, {})
    for line in lines:
        try:
            row = codec_for(table).parse(line)
        except LineError as error:
            section.strays[line] = str(error)
            continue
        if row.key in section.rows:
            section.strays[line] = "is a second row for a key that an earlier line has"
            continue
        section.rows[row.key] = row
        section.lines[row.key] = line
    return section
