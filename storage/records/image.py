"""A container as held in memory: every line in file order, the rows among them, and what is wrong with the rest.

Pure: bytes in, values out; `apply` alters an `Image` in place, because a copy of a large one costs more than a batch
of changes. Lines that are not rows
(comments, blanks, quarantined rows) stay where they are, byte for byte, for ever; a modified row moves to the end
of the file, as Sun's module has it. The only byte ever added on its own is the line feed of an unfinished last
line, which Sun's reader would cost the last character.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from storage.records.codec import LineError, codec_for, decode_text
from storage.records.judge import judge, renewed
from storage.records.lines import Lines
from storage.records.port import Change, Fault, Outcome, RecordsError, Result, stored
from storage.records.rows import Key, Row

_EXCERPT_MAX_CHARS: Final = 60
_DUPLICATE: Final = "is a second row for a key that an earlier line has"
_SWALLOWS: Final = "is a comment ending in a backslash: the next line belongs to it"


@dataclass(frozen=True, slots=True)
class Image:
    """One container. Of its lines, those that are not rows have keys below 0."""

    table: str
    lines: Lines
    rows: dict[Key, Row]
    reasons: dict[Key, str]
    """Why a quarantined line (by its key below 0) is not a row."""
    shadowed: frozenset[Key]
    """Keys that quarantined lines claim."""

    def data(self) -> bytes:
        """The container's bytes."""
        return self.lines.data()

    def faults(self) -> tuple[Fault, ...]:
        """The quarantined lines with their present line numbers."""
        if not self.reasons:
            return ()
        faults = []
        number = 1
        for key, line in self.lines.items():
            if key in self.reasons:
                faults.append(Fault(self.table, number, decode_text(line), self.reasons[key]))
            number += 1 + line.count(b"\n")
        return tuple(faults)


def read_image(
    table: str, where: str, first_line: bytes, data: bytes, previous: Image | None
) -> tuple[Image, set[Key]]:
    """Read a container; the image, and the keys of the rows that are not as in `previous`.

    Rows that `previous` already has, byte for byte, are not parsed again.

    RecordsError INVALID, naming the file `where`, unless the data begin with exactly `first_line`.
    """
    if data[: len(first_line) + 1] != first_line + b"\n":
        found = decode_text(data[: _EXCERPT_MAX_CHARS + 1].split(b"\n", 1)[0])
        raise RecordsError(
            Outcome.INVALID,
            f"{where}: the first line is {found!r}, not {decode_text(first_line)!r}: "
            "restore the file, or put that line first",
        )
    if previous is None or previous.reasons or table == "dhcptab":
        # a quarantined line may depend on a line elsewhere, and a continued one spans several: look at each
        known = {} if previous is None else {line: previous.rows.get(key) for key, line in previous.lines.items()}
        image, put = _collect(table, Lines(), {}, _logical_lines(table, data), known)
        put |= previous.rows.keys() if previous is not None else set()
    else:
        lines, matched, dropped = previous.lines.matched(data)
        rows = previous.rows.copy()
        known = {line: rows.pop(key, None) for key, line in dropped.items()}
        image, put = _collect(table, lines, rows, _logical_lines(table, data[matched:]), known)
        put |= dropped.keys() & previous.rows.keys()
    before = {} if previous is None else previous.rows
    return image, {key for key in put if before.get(key) != image.rows.get(key)}


def _logical_lines(table: str, data: bytes) -> Iterable[bytes]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    continues = table == "dhcptab" and (b"\\\n" in data or data.endswith(b"\\"))
    return _continued(lines) if continues else lines


def _continued(lines: list[bytes]) -> Iterable[bytes]:
    """Lines of a dhcptab, each with those that continue it; an unfinished last one gets an empty continuation.

    Without that, the next row appended to the file would become part of it.
    """
    parts: list[bytes] = []
    for line in lines:
        parts.append(line)
        if not line.endswith(b"\\"):
            yield b"\n".join(parts)
            parts = []
    if parts:
        yield b"\n".join([*parts, b""])


def _collect(
    table: str, lines: Lines, rows: dict[Key, Row], source: Iterable[bytes], known: dict[bytes, Row | None]
) -> tuple[Image, set[Key]]:
    """Append the lines of `source` to those there are; the image, and the keys of the rows among them."""
    codec = codec_for(table)
    key_of = codec.key
    reasons: dict[Key, str] = {}
    claimed: set[Key | None] = set()
    put: set[Key] = set()
    for line in source:
        row = known.get(line)
        reason = ""
        if row is None and line and line[:1] != b"#" and not line.isspace():
            try:
                row = codec.parse(line)
            except LineError as error:
                reason = str(error)
                claimed.add(codec.claimed_key(line))
        elif row is None and b"\n" in line:
            reason = _SWALLOWS
        if row is not None:
            own = key_of(row)  # one object for both maps
            if own not in rows:
                rows[own] = row
                lines.put(own, line)
                put.add(own)
                continue
            reason = _DUPLICATE
            claimed.add(own)
        key = lines.put_stray(line)
        if reason:
            reasons[key] = reason
    return Image(table, lines, rows, reasons, frozenset(key for key in claimed if key is not None)), put


def apply(
    image: Image, changes: Sequence[Change], generation: Callable[[], int]
) -> tuple[list[Result], dict[Key, Row], set[Key]]:
    """Judge changes in order and make those that succeed; a result each, the rows put by key, and the keys removed."""
    lines, rows = image.lines, image.rows
    put: dict[Key, Row] = {}
    removed: set[Key] = set()
    results: list[Result] = []
    for change in changes:
        usual = renewed(change, rows)
        if usual is not None:
            row, line = usual
            fields: Any = row
            key: Key = fields[0]  # the very object, for all maps
            results.append(stored(row))
            put[key] = rows[key] = row
            if key in image.shadowed:
                lines.put(key, line)
            else:
                lines.put_last(key, line)
            continue
        verdict = judge(change, rows, image.shadowed, generation)
        results.append(Result(verdict.outcome, verdict.row, verdict.detail))
        if verdict.outcome is not Outcome.STORED:
            continue
        old = None if change.old is None else change.old.key
        new = None if verdict.row is None else verdict.row.key
        if old is not None and old != new:
            removed.add(old)
            put.pop(old, None)
            del rows[old]
            lines.remove(old)
        if new is not None and verdict.row is not None:
            put[new] = rows[new] = verdict.row
            removed.discard(new)
            if new in image.shadowed:
                lines.put(new, verdict.line)  # in its place: the first line of a key must stay first
            else:
                lines.put_last(new, verdict.line)
    return results, put, removed
