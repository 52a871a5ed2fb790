"""MAC addresses from bindings."""

import pytest

from pxe.neighbours import Neighbours, mac_of
from storage.records import Binding, Change, Delta, MemoryRecords, Outcome, RecordsError, ipv4_int

NET = "10.0.0.0"
ID = bytes.fromhex("0100144f000001")


def binding(address: str, client_id: bytes) -> Binding:
    return Binding(ipv4_int(address), client_id, 0, 1, 0, 0, "m", "")


@pytest.mark.parametrize(
    ("client_id", "mac"),
    [(ID, "00:14:4f:00:00:01"), (b"\0", None), (b"", None), (ID + b"x", None), (b"\xff" + ID[1:], None)],
)
def test_only_hardware_type_1_with_six_bytes_is_a_mac(client_id: bytes, mac: str | None) -> None:
    assert mac_of(client_id) == mac


def test_it_follows_the_bindings() -> None:
    records = MemoryRecords()
    records.create(NET)
    neighbours = Neighbours(records)
    assert neighbours.mac("10.0.0.5") is None
    stored = records.commit([Change(NET, None, binding("10.0.0.5", ID))])[0].row
    assert neighbours.mac("10.0.0.5") == "00:14:4f:00:00:01"
    moved = records.commit([Change(NET, stored, binding("10.0.0.6", ID))])[0].row
    assert neighbours.mac("10.0.0.5") is None
    assert neighbours.mac("10.0.0.6") == "00:14:4f:00:00:01"
    records.commit([Change(NET, moved, None)])
    assert neighbours.mac("10.0.0.6") is None
    records.drop(NET)
    assert neighbours.mac("10.0.0.6") is None


def test_a_network_that_cannot_be_read_hides_no_other() -> None:
    class OneBad(MemoryRecords):
        def read(self, table: str, since: int = 0) -> Delta:
            if table == "10.0.0.0":
                raise RecordsError(Outcome.INVALID, "not a container")
            return super().read(table, since)

    records = OneBad()
    for table in ("10.0.0.0", "10.0.1.0"):
        records.create(table)
    records.commit([Change("10.0.1.0", None, binding("10.0.1.5", ID))])
    assert Neighbours(records).mac("10.0.1.5") == "00:14:4f:00:00:01"
