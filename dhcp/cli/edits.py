"""Reading and changing rows as a person asks for it, beside daemons that change the same rows.

Every change is a commit that shows the row as read. If somebody else was first, the row is read once more, and the
change is made again to the new row, unless it touches what the other one changed: then it is for the person to look.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from dhcp.cli.common import CommandError, Exit, exit_code
from storage.records import Change, Fault, Key, Outcome, Records, Result, Row

ATTEMPTS = 2
"""The first try, and one more after a collision. A person sees to a row that changes faster than that."""

R = TypeVar("R", bound=Row)


class Table(Generic[R]):
    """The rows of one table by key, kept current by asking for what changed: a batch reads a large table once."""

    def __init__(self, records: Records, name: str, kind: type[R]) -> None:
        self.records = records
        self.name = name
        self.faults: tuple[Fault, ...] = ()
        self._kind = kind
        self._version = 0
        self._rows: dict[Key, R] = {}

    def rows(self) -> Mapping[Key, R]:
        """All rows as they are now. RecordsError."""
        delta = self.records.read(self.name, self._version)
        if delta.whole:
            self._rows.clear()
        for key in delta.gone:
            self._rows.pop(key, None)
        self._rows.update({row.key: row for row in delta.rows if isinstance(row, self._kind)})
        self._version, self.faults = delta.version, delta.faults
        return self._rows

    def add(self, row: R, exists: str) -> None:
        """Store a new row. CommandError; its text is `exists` if the key is taken."""
        taken = row.key in self.rows()
        result = self._commit(None, row)
        if result.outcome is Outcome.EXISTS:
            raise CommandError(exists if taken else result.detail, Exit.EXISTS)
        _require_stored(result)

    def change(self, key: Key, edit: Callable[[R], R | None], touched: Callable[[R], object], absent: str) -> R:
        """Store what `edit` makes of a row (None deletes it), and return the row as it was. CommandError.

        `touched` is the part of a row that the edit replaces; `absent` the message if there is no such row.
        """
        last: R | None = None
        for _ in range(ATTEMPTS):
            old = self.rows().get(key)
            if old is None:
                raise CommandError(absent, Exit.NOT_FOUND)
            if last is not None and touched(old) != touched(last):
                break
            new = edit(old)
            result = Result(Outcome.STORED, old, "") if new == old else self._commit(old, new)
            if result.outcome not in (Outcome.COLLISION, Outcome.NOT_FOUND):
                _require_stored(result)
                return old
            last = old
        raise CommandError(
            f"{self.name}: somebody else changed the same entry just now: look at it and repeat the command",
            Exit.NON_CRITICAL,
        )

    def _commit(self, old: R | None, new: R | None) -> Result:
        return self.records.commit([Change(self.name, old, new)])[0]


def _require_stored(result: Result) -> None:
    if result.outcome is not Outcome.STORED:
        raise CommandError(result.detail or result.outcome.value, exit_code(result.outcome))


def fault_lines(faults: Iterable[Fault]) -> list[str]:
    """One line for each quarantined row of a table."""
    return [f"{fault.table}: line {fault.line} is left out: it {fault.reason}: mend or delete it" for fault in faults]
