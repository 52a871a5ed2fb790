"""What every datastore promises; one suite over all adapters."""

import threading

import pytest

from storage.records import Binding, Change, Outcome, RecordsError, ipv4_int
from tests.contract.conftest import Store
from tests.contract.rows import GUEST, INSTALL, NET, SAMPLES, add, binding, entry, one
from tests.rows import rows_of


def test_tables_are_made_listed_and_dropped(store: Store) -> None:
    assert store.records.tables() == []
    for table in (NET, "installs", "dhcptab", "guests", "10.0.0.0"):
        store.records.create(table)
    assert store.records.tables() == ["10.0.0.0", NET, "dhcptab", "guests", "installs"]
    store.records.drop("10.0.0.0")
    assert store.records.tables() == [NET, "dhcptab", "guests", "installs"]


@pytest.mark.parametrize(
    ("verb", "table", "outcome"),
    [
        ("create", NET, Outcome.EXISTS),
        ("create", "10.0.0", Outcome.INVALID),
        ("create", "../etc", Outcome.INVALID),
        ("drop", "10.0.0.0", Outcome.NOT_FOUND),
        ("read", "10.0.0.0", Outcome.NOT_FOUND),
    ],
)
def test_a_call_on_the_wrong_table_says_so(store: Store, verb, table, outcome) -> None:
    store.records.create(NET)
    with pytest.raises(RecordsError) as caught:
        getattr(store.records, verb)(table)
    assert caught.value.outcome is outcome
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("table", "row"), SAMPLES)
def test_a_row_reads_back_as_stored(store: Store, table, row) -> None:
    store.records.create(table)
    (stored,) = add(store, table, row)
    assert stored._replace(signature=0) == row
    assert store.records.read(table).rows == (stored,)


def test_a_new_signature_has_a_generation_and_counts_from_one(store: Store) -> None:
    store.records.create(NET)
    (stored,) = add(store, NET, binding(10))
    assert stored.signature & (2**48 - 1) == 1
    again = one(store, NET, stored, stored._replace(lease_s=5))
    assert again.row == stored._replace(lease_s=5, signature=stored.signature + 1)


def test_signatures_count_modulo_two_to_the_64(store: Store) -> None:
    last = binding(10, signature=2**64 - 1)
    store.edit(NET, [last])
    result = one(store, NET, last, last._replace(comment="x"))
    assert (result.outcome, result.row.signature) == (Outcome.STORED, 0)


def test_who_saw_an_old_row_collides(store: Store) -> None:
    store.records.create(NET)
    (stored,) = add(store, NET, binding(10))
    assert one(store, NET, stored, stored._replace(lease_s=1)).outcome is Outcome.STORED
    late = one(store, NET, stored, stored._replace(lease_s=2))
    assert (late.outcome, late.row) == (Outcome.COLLISION, None)
    assert "192.168.76.10" in late.detail
    assert one(store, NET, stored, None).outcome is Outcome.COLLISION
    assert [row.lease_s for row in rows_of(store.records, NET, Binding)] == [1]


def test_add_refuses_a_known_key_and_change_an_unknown_one(store: Store) -> None:
    store.records.create("dhcptab")
    (stored,) = add(store, "dhcptab", entry("Locale"))
    assert one(store, "dhcptab", None, entry("Locale")).outcome is Outcome.EXISTS
    assert one(store, "dhcptab", None, entry("Locale", "s", "Site,200,ASCII,1,0")).outcome is Outcome.STORED
    assert one(store, "dhcptab", None, entry("locale")).outcome is Outcome.STORED
    assert one(store, "dhcptab", stored._replace(name="gone"), None).outcome is Outcome.NOT_FOUND


def test_a_key_may_change_unless_taken(store: Store) -> None:
    store.records.create("dhcptab")
    first, second = add(store, "dhcptab", entry("a"), entry("b"))
    assert one(store, "dhcptab", first, first._replace(name="b")).outcome is Outcome.EXISTS
    renamed = one(store, "dhcptab", first, first._replace(name="c"))
    assert renamed.outcome is Outcome.STORED
    assert set(store.records.read("dhcptab").rows) == {second, renamed.row}


def test_delete_needs_the_signature_or_zero(store: Store) -> None:
    store.records.create(NET)
    first, second = add(store, NET, binding(10), binding(11))
    assert one(store, NET, first, None) == (Outcome.STORED, None, "")
    assert one(store, NET, second._replace(signature=0), None).outcome is Outcome.STORED
    assert store.records.read(NET).rows == ()


def test_a_batch_is_judged_in_order_each_on_its_own(store: Store) -> None:
    store.records.create(NET)
    store.records.create("dhcptab")
    (stored,) = add(store, NET, binding(10))
    nearer = stored._replace(lease_s=1, signature=stored.signature + 1)
    results = store.records.commit(
        [
            Change(NET, stored, stored._replace(lease_s=1)),
            Change("dhcptab", None, entry("m")),
            Change(NET, None, binding(10)),
            Change("10.0.0.0", None, binding(10)),
            Change(NET, nearer, nearer._replace(lease_s=2)),
            Change(NET, stored, None),
            Change(NET, None, binding(11)),
        ]
    )
    assert [result.outcome for result in results] == [
        Outcome.STORED,
        Outcome.STORED,
        Outcome.EXISTS,
        Outcome.NOT_FOUND,
        Outcome.STORED,
        Outcome.COLLISION,
        Outcome.STORED,
    ]
    assert {row.key: row.lease_s for row in rows_of(store.records, NET, Binding)} == {
        binding(10).key: 2,
        binding(11).key: 0,
    }


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (NET, binding(10, client_id=b"")),
        (NET, binding(10, client_id=b"x" * 65)),
        (NET, binding(10, flags=16)),
        (NET, binding(10, lease_s=2**32)),
        (NET, binding(10, lease_s=-1)),
        (NET, binding(10, macro="ends in\\")),
        (NET, binding(10, macro="m" * 129)),
        (NET, binding(10, comment="c" * 49)),
        (NET, binding(10, comment="two\nlines")),
        (NET, binding(10, comment="two\rlines")),
        (NET, binding(10, comment="nul\0")),
        (NET, binding(10, comment="\ud800")),
        (NET, binding(10, owner=2**32)),
        (NET, binding(10, address=ipv4_int("10.0.0.1"))),
        (NET, binding(10, address=-5)),
        (NET, entry("m")),
        (NET, None),
        ("dhcptab", entry("")),
        ("dhcptab", entry("#x")),
        ("dhcptab", entry("ends in\\")),
        ("dhcptab", entry("m", "x")),
        ("dhcptab", entry("m", value="continued\\")),
        ("dhcptab", entry("m", value=":a:\n:b:")),
        ("dhcptab", entry("m" * 129)),
        ("installs", INSTALL._replace(host="")),
        ("installs", INSTALL._replace(changed_s=-1)),
        ("installs", INSTALL._replace(detail="x\ny")),
        ("guests", GUEST._replace(guest="")),
        ("guests", GUEST._replace(memory_mib=-1)),
        ("guests", GUEST._replace(vcpus=2**32)),
        ("guests", GUEST._replace(work="x\ny")),
        ("guests", INSTALL),
        ("nonsense", INSTALL),
    ],
)
def test_what_the_format_cannot_carry_is_refused_with_a_reason(store: Store, table, row) -> None:
    for known in (NET, "dhcptab", "installs", "guests"):
        store.records.create(known)
    result = one(store, table, None, row)
    assert (result.outcome, result.row) == (Outcome.INVALID, None)
    assert result.detail
    assert "\n" not in result.detail


def test_a_row_beyond_our_limits_can_still_be_renewed(store: Store) -> None:
    old = binding(10, comment="long " * 20, signature=7)
    store.edit(NET, [old])
    assert one(store, NET, old, old._replace(lease_s=9)).row == old._replace(lease_s=9, signature=8)


def test_of_racing_threads_exactly_one_wins(store: Store) -> None:
    store.records.create(NET)
    (row,) = add(store, NET, binding(10))
    outcomes = []

    def race(number):
        outcomes.append(one(store, NET, row, row._replace(lease_s=number)).outcome)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.name for outcome in outcomes) == ["COLLISION"] * 7 + ["STORED"]


def test_no_changes_are_no_work(store: Store) -> None:
    assert store.records.commit([]) == []
