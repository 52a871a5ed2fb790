"""Rows of a table as what they are: the port of the datastore only says that they are rows."""

from typing import TypeVar

from storage.records import Records, Row

R = TypeVar("R", bound=Row)


def rows_of(records: Records, table: str, kind: type[R]) -> list[R]:
    """All rows of a table; a test fails here if there is one of another kind."""
    rows: list[R] = []
    for row in records.read(table).rows:
        assert isinstance(row, kind), row
        rows.append(row)
    return rows
