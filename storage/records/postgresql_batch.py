"""A batch of changes for PostgreSQL: which rows to look at before it is judged, and how its outcome is stored. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from storage.records.codec import codec_for
from storage.records.port import Change, Outcome, RecordsError
from storage.records.postgresql_rows import KINDS, STATEMENTS, Kind, Statement, as_parameter
from storage.records.rows import Key, Row

TableRows = dict[str, dict[Key, Row]]
"""By container and key."""


def kind_of(table: str) -> Kind:
    """How the rows of a container are kept; RecordsError INVALID for a name of no container."""
    try:
        return KINDS[codec_for(table).row_type]
    except ValueError as error:
        raise RecordsError(Outcome.INVALID, str(error)) from error


def keys_of(changes: Sequence[Change]) -> dict[str, set[Key]]:
    """The keys that well-formed changes touch, by container; the others will be judged INVALID without a look."""
    keys: dict[str, set[Key]] = {}
    for change in changes:
        try:
            kind = kind_of(change.table)
        except RecordsError:
            continue
        found = keys.setdefault(change.table, set())
        for row in (change.old, change.new):
            if isinstance(row, kind.row_type) and kind.can_hold(row.key):
                found.add(row.key)
    return keys


def writes(keys: dict[str, set[Key]], stored: TableRows, rows: TableRows) -> Iterator[Statement]:
    """The statements that make of `stored` what `rows` holds."""
    for row_type, kind in KINDS.items():
        inserts: list[dict[str, Any]] = []
        updates: list[dict[str, Any]] = []
        deletes: list[dict[str, Any]] = []
        for table, after in rows.items():
            if codec_for(table).row_type is not row_type:
                continue
            before = stored[table]
            for key in keys[table]:
                old, new = before.get(key), after.get(key)
                if old is new:
                    continue
                wish = kind.wish(table, key, None if old is None else old.signature, new)
                (inserts if old is None else updates if new is not None else deletes).append(wish)
        statements = STATEMENTS[row_type]
        if deletes:
            yield statements.delete, (as_parameter(deletes), len(deletes))
        if updates:
            yield statements.update, (as_parameter(updates), len(updates))
        if inserts:
            yield statements.insert, (as_parameter(inserts),)
