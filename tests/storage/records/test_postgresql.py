"""What only PostgreSQL has: edits in psql, the order of commits, a log that is cut, servers set up wrongly."""

import os
import subprocess
import sys
import threading

import psycopg
import pytest

from storage.records import (
    Change,
    Guest,
    Install,
    Outcome,
    RecordsError,
    TabEntry,
    ipv4_int,
    open_records,
    postgresql,
    postgresql_schema,
)
from storage.records.postgresql import PostgresRecords

NET = "192.168.76.0"
OTHER = "192.168.77.0"
BYTES = "caf\udce9 \\ a|b gr\u00fc\u00dfe"
TEXTS = (BYTES, BYTES, BYTES, BYTES, BYTES)


@pytest.fixture
def records(database):
    made = PostgresRecords(database)
    made.create(NET)
    yield made
    made.close()


@pytest.fixture
def psql(database, records):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection.execute


def add(records, table, *rows):
    results = records.commit([Change(table, None, row) for row in rows])
    assert [result.outcome for result in results] == [Outcome.STORED] * len(rows)
    return [result.row for result in results]


def test_what_is_typed_in_psql_is_told_to_those_who_ask_for_changes(records, psql, binding):
    first, second = add(records, NET, binding(10), binding(11))
    version = records.read(NET).version
    psql("UPDATE twinboot.bindings SET comment = 'by hand' WHERE address = '192.168.76.10'")
    psql("DELETE FROM twinboot.bindings WHERE address = '192.168.76.11'")
    delta = records.read(NET, version)
    assert (delta.rows, delta.gone, delta.whole) == ((first._replace(comment="by hand"),), (second.key,), False)
    psql("UPDATE twinboot.bindings SET address = '192.168.76.12'")
    moved = records.read(NET, delta.version)
    assert ([row.address for row in moved.rows], moved.gone) == ([ipv4_int("192.168.76.12")], (first.key,))
    psql("TRUNCATE twinboot.bindings")
    assert records.read(NET, moved.version)[1:4] == ((), (), True)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO twinboot.bindings VALUES ('10.0.0.0', '10.0.0.1', '', 0, '10.0.0.2', 0, 1, '', '')",
        "UPDATE twinboot.bindings SET signature = -1",
        "UPDATE twinboot.bindings SET owner = '10.0.0.0/8'",
        "UPDATE twinboot.bindings SET address = '::1'",
        "UPDATE twinboot.bindings SET lease_s = 4294967296",
        "UPDATE twinboot.bindings SET network = '10.0.0.0'",
    ],
)
def test_what_could_not_be_read_cannot_be_typed(records, psql, binding, statement):
    add(records, NET, binding(10))
    with pytest.raises(psycopg.errors.IntegrityError):
        psql(statement)


def test_bytes_of_any_encoding_come_back(records, binding):
    for table in ("dhcptab", "installs", "guests"):
        records.create(table)
    wanted = [
        (NET, binding(10, comment=BYTES, macro=BYTES, client_id=bytes(range(64)))),
        ("dhcptab", TabEntry(BYTES, "m", 0, BYTES)),
        ("installs", Install(BYTES, BYTES, BYTES, BYTES, 2**64 - 1, 2**32 - 1, 0, BYTES)),
        ("guests", Guest(*TEXTS, 2**32 - 1, 1, BYTES, BYTES, 2**64 - 1, BYTES, 0, BYTES, BYTES)),
    ]
    results = records.commit([Change(table, None, row) for table, row in wanted])
    assert [result.row._replace(signature=0) for result in results] == [row for _, row in wanted]
    for (table, _), result in zip(wanted, results, strict=True):
        assert records.read(table).rows == (result.row,)
        (altered,) = records.commit([Change(table, result.row, result.row)])
        version = records.read(table).version
        assert records.commit([Change(table, altered.row, None)])[0].outcome is Outcome.STORED
        assert records.read(table, version).gone == (result.row.key,)


def test_a_commit_that_ends_late_is_not_overlooked(database, records, binding):
    """Two daemons: the first one has written and not yet committed when the second one begins."""
    add(records, NET, binding(10), binding(11))
    slow = psycopg.connect(database)
    slow.execute("UPDATE twinboot.bindings SET comment = 'slow' WHERE address = '192.168.76.10'")
    before = records.read(NET)
    row = next(row for row in before.rows if row.address == binding(11).address)
    done = []
    other = PostgresRecords(database)
    thread = threading.Thread(target=lambda: done.extend(other.commit([Change(NET, row, row._replace(lease_s=5))])))
    thread.start()
    thread.join(0.2)
    assert (done, records.read(NET, before.version).rows) == ([], ())  # it waits for its turn: no number is skipped
    slow.commit()
    slow.close()
    thread.join()
    other.close()
    assert done[0].outcome is Outcome.STORED
    assert {row.comment or row.lease_s for row in records.read(NET, before.version).rows} == {"slow", 5}


def test_of_two_changes_to_one_row_in_a_batch_both_are_made_in_order(records, binding):
    (stored,) = add(records, NET, binding(10))
    moved = stored._replace(address=binding(12).address, signature=stored.signature + 1)
    batch = [
        Change(NET, stored, moved),
        Change(NET, None, binding(10, comment="new")),
        Change(NET, moved, moved._replace(comment="again")),
        Change(NET, moved, None),
        Change(NET, None, binding(20)),
        Change(NET, binding(20, signature=0), None),
    ]
    outcomes = [result.outcome for result in records.commit(batch)]
    assert outcomes == [Outcome.STORED] * 3 + [Outcome.COLLISION] + [Outcome.STORED] * 2
    rows = {row.address & 0xFF: (row.comment, row.signature) for row in records.read(NET).rows}
    assert rows[12] == ("again", stored.signature + 2)
    assert (rows[10][0], set(rows)) == ("new", {10, 12})


def test_a_batch_over_several_tables_and_more_than_one_transaction(records, binding, monkeypatch):
    records.create(OTHER)
    monkeypatch.setattr(postgresql, "BATCH_MAX", 7)
    rows = [(OTHER if last % 2 else NET, last) for last in range(1, 21)]
    changes = [
        Change(net, None, binding(last, address=ipv4_int(net) + last, comment=f"number {last}")) for net, last in rows
    ]
    assert {result.outcome for result in records.commit(changes)} == {Outcome.STORED}
    assert [len(records.read(net).rows) for net in (NET, OTHER)] == [10, 10]


def test_who_asks_for_more_than_the_log_holds_gets_the_whole(database, records, binding, monkeypatch):
    (row,) = add(records, NET, binding(10))
    old = records.read(NET).version
    with psycopg.connect(database) as psql:
        for _ in range(postgresql_schema.PRUNE_EVERY):
            psql.execute("UPDATE twinboot.bindings SET comment = ''")
        psql.execute(f"UPDATE twinboot.containers SET version = version + {postgresql_schema.CHANGES_KEPT}")
        for _ in range(postgresql_schema.PRUNE_EVERY):
            psql.execute("UPDATE twinboot.bindings SET comment = ''")
    assert records.read(NET, old) == (records.read(NET).version, (row,), (), True, ())
    with psycopg.connect(database) as psql:
        ((left,),) = psql.execute("SELECT count(*) FROM twinboot.changes").fetchall()
    assert left < 2 * postgresql_schema.PRUNE_EVERY


def test_a_statement_over_very_many_rows_is_no_entry_of_the_log(records, psql, binding):
    add(records, NET, binding(10))
    old = records.read(NET).version
    psql(
        "INSERT INTO twinboot.bindings SELECT %s, '192.168.80.0'::inet + n, '\\x00', 0, '10.0.0.1', 0, 1, '', ''"
        " FROM generate_series(1, %s) n",
        (NET, postgresql_schema.KEYS_MAX + 1),
    )
    delta = records.read(NET, old)
    assert (len(delta.rows), delta.whole) == (postgresql_schema.KEYS_MAX + 2, True)


def test_a_new_connection_believes_no_version_of_an_old_one(records, binding):
    (row,) = add(records, NET, binding(10))
    version = records.read(NET).version
    assert records.read(NET, version).whole is False
    records.close()
    again = records.read(NET, version)
    assert (again.rows, again.whole) == ((row,), True)
    assert records.read(NET, again.version) == (again.version, (), (), False, ())


def test_a_row_altered_under_our_eyes_without_the_lock_is_not_overwritten(database, records, psql, binding):
    (row,) = add(records, NET, binding(10))
    psql("ALTER TABLE twinboot.bindings DISABLE TRIGGER USER")
    fetched = records._fetched

    def slowly(keys):
        stored = fetched(keys)
        psql("UPDATE twinboot.bindings SET signature = 99, comment = 'mine'")
        return stored

    records._fetched = slowly
    (result,) = records.commit([Change(NET, row, row._replace(lease_s=5))])
    assert (result.outcome, result.row) == (Outcome.COLLISION, None)  # seen at the second try
    assert [row.comment for row in records.read(NET).rows] == ["mine"]


@pytest.mark.parametrize("place", ["/net/dhcpstore", "host", "", "postgres//u:geheim@h/db", "password=geheim nonsense"])
def test_what_is_no_connection_string_is_not_quoted(place):
    with pytest.raises(RecordsError, match='write "host=') as caught:
        open_records("postgresql", place)
    assert caught.value.outcome is Outcome.INVALID
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "form", ["host={root}/none dbname=x password=geheim", "postgresql://u:geheim@/x?host={root}/none"]
)
def test_no_password_is_told(tmp_path, form):
    records = open_records("postgresql", form.format(root=tmp_path))
    with pytest.raises(RecordsError) as caught:
        records.tables()
    assert caught.value.outcome is Outcome.UNAVAILABLE
    assert "start PostgreSQL there, or correct PATH" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "geheim" not in str(caught.value) + records.location


def test_one_database_has_one_location_however_it_is_spelt(postgresql):
    root = postgresql.root
    forms = [
        f"host={root} dbname=postgres user=a",
        f"dbname=postgres host={root}/../{root.name} port=5432",
        f"postgresql://somebody@/postgres?host={root}",
    ]
    assert {open_records("postgresql", form).location for form in forms} == {f"postgresql://{root}:5432/postgres"}
    assert open_records("postgresql", "service=dhcp user=x").location == "postgresql:service=dhcp"


def test_a_service_of_a_service_file_will_do(postgresql, records, tmp_path, monkeypatch):
    file = tmp_path / "services"
    file.write_text(f"[dhcp]\nhost={postgresql.root}\ndbname=postgres\nuser=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert open_records("postgresql", "service=dhcp").tables() == [NET]


def test_a_schema_of_another_release_is_left_alone(records, psql, database):
    psql("UPDATE twinboot.format SET version = 99")
    with pytest.raises(RecordsError, match="format 99, this program knows 2: use the same release") as caught:
        PostgresRecords(database).read(NET)
    assert caught.value.outcome is Outcome.INVALID


def test_a_role_without_rights_is_denied_in_one_line(records, psql, database, binding):
    psql("DROP ROLE IF EXISTS stranger")
    psql("CREATE ROLE stranger LOGIN")
    stranger = PostgresRecords(database.replace("user=postgres", "user=stranger"))
    with pytest.raises(RecordsError, match="grant the role its rights") as caught:
        stranger.read(NET)
    (result,) = stranger.commit([Change(NET, None, binding(10))])
    stranger.close()
    assert (caught.value.outcome, result.outcome) == (Outcome.DENIED, Outcome.DENIED)
    assert "\n" not in result.detail


@pytest.mark.parametrize(("old", "new"), [("dbname=postgres", "dbname=none"), ("user=postgres", "user=nobody")])
def test_a_server_that_refuses_is_told_from_one_that_is_silent(database, old, new):
    with pytest.raises(RecordsError, match="does not exist: correct PATH, the role or its password") as caught:
        PostgresRecords(database.replace(old, new)).tables()
    assert caught.value.outcome is Outcome.UNAVAILABLE


def test_two_servers_may_make_the_schema_at_once(database):
    stores = [PostgresRecords(database) for _ in range(4)]
    faults = []

    def make(number):
        try:
            stores[number].create(f"10.0.{number}.0")
        except RecordsError as error:
            faults.append(str(error))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert stores[0].tables() == [f"10.0.{number}.0" for number in range(4)]
    for store in stores:
        store.close()


def test_without_the_driver_all_else_works_and_one_line_says_how_to_get_it():
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from storage.records import RecordsError, open_records\n"
        "try: open_records('postgresql', 'dbname=x')\n"
        "except RecordsError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert "pip install 'twinboot[postgresql]'" in done.stdout
    assert done.stdout.count("\n") == 1
