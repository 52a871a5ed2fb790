"""What the tests of the whole daemon share: a pool, what is stored of it, and a datastore whose commits fail."""

from collections.abc import Callable, Sequence

from storage.records import Binding, Change, MemoryRecords, Outcome, Result
from tests.dhcp.conftest import NETWORK, make_binding
from tests.rows import rows_of

MAC = "00:14:4f:00:00:01"


def pool(count: int = 200) -> list[Binding]:
    return [make_binding(f"127.0.0.{host}") for host in range(20, 20 + count)]


def rows(records: MemoryRecords) -> dict[int, Binding]:
    return {row.address: row for row in rows_of(records, NETWORK, Binding)}


class Failing:
    """A datastore whose commits fail."""

    def __init__(self, records: MemoryRecords, outcome: Outcome) -> None:
        self._records, self._outcome = records, outcome
        self.location = records.location
        self.read, self.tables = records.read, records.tables
        self.create, self.drop = records.create, records.drop
        self.rescan, self.tend, self.epoch = records.rescan, records.tend, records.epoch
        self.asked = 0

    def commit(self, changes: Sequence[Change], waits: Callable[[], None]) -> list[Result]:
        self.asked += 1
        return [Result(self._outcome, None, "as the test asked") for _ in changes]
