"""What a daemon and its share worker say to one another: numbered messages over a stream. Pure.

A message is a header (length of the body, number of the call) and a body in Python's `marshal` form of plain tuples,
which costs half a microsecond for a row and cannot carry anything but values. Both ends are one program, forked from
one process, so the form needs neither to last nor to be safe from strangers.

A row travels as a plain tuple beside a letter for its kind; a `Delta`, whose rows are all of one kind, says it once.
"""

import marshal
import struct
from collections.abc import Sequence
from typing import Any, Final

from storage.records.port import Change, Delta, Fault, Outcome, Result
from storage.records.rows import Binding, Guest, Install, Row, TabEntry

MESSAGE_MAX_BYTES = 256 * 2**20
"""Two million rows. A longer answer is refused where it is made; a longer one announced means that the end is mad."""

HEADER: Final = struct.Struct("=II")
_FORM: Final = 2
"""The version of marshal that does not look for values it has met before: twice as fast, a tenth longer."""

_KINDS: Final[dict[str, type[Row]]] = {"b": Binding, "t": TabEntry, "i": Install, "g": Guest}
_LETTERS: Final[dict[type, str]] = {kind: letter for letter, kind in _KINDS.items()}
_NOTHING: Final = ("", ())
_Plain = tuple[Any, ...]


class TooLongError(Exception):
    """A message beyond `MESSAGE_MAX_BYTES`."""


def pack(number: int, body: Any) -> bytes:
    """A message; TooLongError. `number` says which call it is, or answers."""
    data = marshal.dumps(body, _FORM)
    if len(data) > MESSAGE_MAX_BYTES:
        raise TooLongError(f"a message of {len(data)} bytes, more than {MESSAGE_MAX_BYTES}")
    return HEADER.pack(len(data), number) + data


class Inbox:
    """Puts a stream's pieces together again."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take what came in."""
        self._pieces += piece

    def take(self) -> tuple[int, Any] | None:
        """The next whole message, as number and body, if there is one; TooLongError."""
        if len(self._pieces) < HEADER.size:
            return None
        length, number = HEADER.unpack_from(self._pieces)
        if length > MESSAGE_MAX_BYTES:
            raise TooLongError(f"a message of {length} bytes, more than {MESSAGE_MAX_BYTES}")
        end = HEADER.size + length
        if len(self._pieces) < end:
            return None
        with memoryview(self._pieces) as view:
            body = marshal.loads(view[HEADER.size : end])  # noqa: S302 - from our own child, by a private socket
        del self._pieces[:end]
        return number, body


def plain_changes(changes: Sequence[Change]) -> list[_Plain]:
    """Changes as they travel."""
    return [(table, *_plain_row(old), *_plain_row(new)) for table, old, new in changes]


def changes_of(plain: Sequence[_Plain]) -> list[Change]:
    """Changes as they came."""
    return [Change(table, _row(old_kind, old), _row(new_kind, new)) for table, old_kind, old, new_kind, new in plain]


def plain_results(results: Sequence[Result]) -> list[_Plain]:
    """Results as they travel."""
    return [(outcome.value, *_plain_row(row), detail) for outcome, row, detail in results]


def results_of(plain: Sequence[_Plain]) -> list[Result]:
    """Results as they came."""
    return [Result(_OUTCOMES[outcome], _row(kind, row), detail) for outcome, kind, row, detail in plain]


def plain_delta(delta: Delta) -> _Plain:
    """A delta as it travels."""
    kind = _LETTERS[type(delta.rows[0])] if delta.rows else ""
    return (delta.version, kind, list(map(tuple, delta.rows)), delta.gone, delta.whole, list(map(tuple, delta.faults)))


def delta_of(plain: _Plain) -> Delta:
    """A delta as it came."""
    version, kind, rows, gone, whole, faults = plain
    made = tuple([_KINDS[kind]._make(row) for row in rows]) if rows else ()  # a list first: a third faster
    return Delta(version, made, gone, whole, tuple(Fault._make(fault) for fault in faults))


_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}


def _plain_row(row: Row | None) -> tuple[str, _Plain]:
    return _NOTHING if row is None else (_LETTERS[type(row)], tuple(row))


def _row(kind: str, row: _Plain) -> Row | None:
    return _KINDS[kind]._make(row) if kind else None
