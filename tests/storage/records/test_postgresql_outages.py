"""Servers that stop, freeze and come back, writers that are paused or killed, and processes that race."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import psycopg
import pytest

from storage.records import Binding, Change, Outcome, RecordsError, postgresql_connection
from storage.records.postgresql import PostgresRecords
from storage.records.postgresql_errors import LostError
from tests.postgresql_server import Server, programs
from tests.processes import in_child
from tests.storage.records.conftest import Bind

NET = "192.168.76.0"
WRITERS = 4
ROUNDS = 12


@pytest.fixture(scope="module")
def mortal():
    """Return a server that a test may stop, freeze and start."""
    bin_dir = programs()
    if bin_dir is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = Server(bin_dir)
    yield server
    server.remove()


@pytest.fixture
def records(mortal):
    with psycopg.connect(mortal.conninfo, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("DROP SCHEMA IF EXISTS twinboot CASCADE")
    made = PostgresRecords(mortal.conninfo, call_max_s=3.0, retry_after_s=0.0)
    made.create(NET)
    yield made
    made.close()


def backend(conninfo):
    """Return the process number of the server's side of the only connection of ours."""
    with psycopg.connect(conninfo) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'twinboot'"
        ((pid,),) = connection.execute(query).fetchall()
    return pid


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_restart_is_survived(mortal, records, binding: Bind, how) -> None:
    (stored,) = records.commit([Change(NET, None, binding(10))])
    version = records.read(NET).version
    mortal.stop(how)
    with pytest.raises(RecordsError, match="start PostgreSQL there") as caught:
        records.read(NET, version)
    (down,) = records.commit([Change(NET, stored.row, stored.row._replace(lease_s=5))])
    assert (caught.value.outcome, down.outcome) == (Outcome.UNAVAILABLE, Outcome.UNAVAILABLE)
    assert "\n" not in down.detail
    mortal.start()
    assert records.read(NET, version).rows == (stored.row,)
    (again,) = records.commit([Change(NET, stored.row, stored.row._replace(lease_s=6))])
    assert again.outcome is Outcome.STORED


def test_a_connection_lost_while_idle_costs_nobody_anything(mortal, records, binding: Bind) -> None:
    (stored,) = records.commit([Change(NET, None, binding(10))])
    with psycopg.connect(mortal.conninfo, autocommit=True) as psql:
        psql.execute("SELECT pg_terminate_backend(%s)", [backend(mortal.conninfo)])
    (result,) = records.commit([Change(NET, stored.row, stored.row._replace(lease_s=5))])
    assert result.outcome is Outcome.STORED


def test_failures_to_connect_are_not_repeated_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = PostgresRecords(f"host={tmp_path} dbname=x", retry_after_s=60)
    with pytest.raises(RecordsError) as first:
        records.tables()
    monkeypatch.setattr(postgresql_connection.Connection, "connect", None)
    with pytest.raises(RecordsError) as second:
        records.read(NET)
    assert str(first.value) == str(second.value)


def test_a_frozen_server_holds_nobody(mortal, records, binding: Bind) -> None:
    (stored,) = records.commit([Change(NET, None, binding(10))])
    pid = backend(mortal.conninfo)
    os.kill(pid, signal.SIGSTOP)
    try:
        begun_s = time.monotonic()
        (result,) = records.commit([Change(NET, stored.row, stored.row._replace(lease_s=5))])
        assert time.monotonic() - begun_s < 30
        assert (result.outcome, result.row) == (Outcome.UNAVAILABLE, None)
        assert "no answer in time" in result.detail
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("heard", [False, True])
def test_an_answer_lost_after_the_commit_was_sent_is_not_taken_for_failure_or_success(
    mortal, records, binding: Bind, heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stored, other) = records.commit([Change(NET, None, binding(10)), Change(NET, None, binding(11))])
    run = records._link.run

    def cut(*statements):
        if statements[-1][0] != "COMMIT":
            return run(*statements)
        if heard:
            run(*statements)
        records.close()
        raise LostError(Outcome.UNAVAILABLE, "cut")

    monkeypatch.setattr(records._link, "run", cut)
    late = other.row._replace(signature=5)
    lost, judged = records.commit(
        [Change(NET, stored.row, stored.row._replace(lease_s=5)), Change(NET, late, late._replace(lease_s=6))]
    )
    monkeypatch.undo()
    assert (lost.outcome, lost.row, judged.outcome) == (Outcome.UNAVAILABLE, None, Outcome.COLLISION)
    assert "read it again" in lost.detail
    assert sorted(row.lease_s for row in records.read(NET).rows) == [0, 5 if heard else 0]


def test_a_writer_paused_in_the_middle_lets_go_of_the_lock(
    mortal, records, binding: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a daemon that is stopped between its look and its write: the server ends its session."""
    monkeypatch.setattr(postgresql_connection, "_SETTINGS", postgresql_connection._SETTINGS.replace("'2s'", "'100ms'"))
    paused = PostgresRecords(mortal.conninfo)
    (result,) = paused.commit([Change(NET, None, binding(10))])
    stored = result.row
    assert isinstance(stored, Binding)
    fetched = paused._fetched

    def slowly(keys):
        rows = fetched(keys)
        monkeypatch.setattr(paused, "_fetched", fetched)
        healthy = PostgresRecords(mortal.conninfo)
        results = healthy.commit([Change(NET, stored, stored._replace(lease_s=7))])
        healthy.close()
        assert results[0].outcome is Outcome.STORED
        return rows

    monkeypatch.setattr(paused, "_fetched", slowly)
    (result,) = paused.commit([Change(NET, stored, stored._replace(lease_s=8))])
    assert result.outcome is not Outcome.STORED
    assert [row.lease_s for row in records.read(NET).rows] == [7]
    paused.close()


def test_a_lock_held_elsewhere_is_busy_for_a_while(
    mortal, records, binding: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stored,) = records.commit([Change(NET, None, binding(10))])
    monkeypatch.setattr(postgresql_connection, "_SETTINGS", postgresql_connection._SETTINGS.replace("'4s'", "'50ms'"))
    records.close()
    with psycopg.connect(mortal.conninfo) as psql:
        psql.execute("UPDATE twinboot.bindings SET comment = 'mine'")
        (result,) = records.commit([Change(NET, stored.row, stored.row._replace(lease_s=5))])
        assert result.outcome is Outcome.BUSY
        assert "pg_stat_activity" in result.detail
        assert len(records.read(NET).rows) == 1  # reading waits for nobody


def test_a_server_that_does_not_sync_is_refused(mortal, records, binding: Bind) -> None:
    mortal.stop()
    mortal.start(fsync="off")
    try:
        with pytest.raises(RecordsError, match="set fsync = on"):
            records.read(NET)
        (result,) = records.commit([Change(NET, None, binding(10))])
        assert result.outcome is Outcome.INVALID
    finally:
        mortal.stop()
        mortal.start()


def test_commits_are_synchronous_whatever_the_server_would_rather_do(mortal, records):
    mortal.stop()
    mortal.start(synchronous_commit="off")
    records.read(NET)
    ((setting,),) = records._link.run(("SHOW synchronous_commit", ()))[0:1]
    mortal.stop()
    mortal.start()
    assert setting == ("on",)


def test_all_that_was_reported_stored_is_there_and_one_of_the_racers_wins(
    mortal, records, binding: Bind, tmp_path: Path
) -> None:
    (seed,) = records.commit([Change(NET, None, binding(250))])
    records.create("192.168.77.0")
    start, go = os.pipe()

    def writer(number):
        own = PostgresRecords(mortal.conninfo)
        os.close(go)
        os.read(start, 1)  # returns when the parent closes its end: all begin at once
        lines = []
        race, version = seed.row, own.read(NET).version
        for turn in range(ROUNDS):
            mine = Change(NET, None, binding(1 + number * ROUNDS + turn))
            raced = Change(NET, race, race._replace(lease_s=number))
            # the containers in another order each time: who waits for whom must not become a circle
            batch = [mine, raced] if turn % 2 else [raced, mine]
            results = dict(zip(batch, own.commit(batch), strict=True))
            assert results[mine].outcome is Outcome.STORED
            assert results[raced].outcome in (Outcome.STORED, Outcome.COLLISION)
            if results[raced].outcome is Outcome.STORED:
                lines.append(f"{race.signature}\n")
            delta = own.read(NET, version)
            version = delta.version
            (race,) = [row for row in delta.rows if row.key == race.key] or [race]
        (tmp_path / f"won.{number}").write_text("".join(lines))

    pids = [in_child(partial(writer, number)) for number in range(WRITERS)]
    os.close(start)
    os.close(go)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * WRITERS
    rows = {row.address & 0xFF: row for row in records.read(NET).rows}  # over the connection of before the forks
    assert set(rows) == {*range(1, 1 + WRITERS * ROUNDS), 250}
    won = [int(line) for number in range(WRITERS) for line in (tmp_path / f"won.{number}").read_text().split()]
    assert sorted(won) == list(range(seed.row.signature, rows[250].signature))


def test_a_forked_process_uses_a_connection_of_its_own(mortal, records, binding: Bind) -> None:
    (stored,) = records.commit([Change(NET, None, binding(10))])
    before = backend(mortal.conninfo)

    def child():
        (result,) = records.commit([Change(NET, stored.row, stored.row._replace(lease_s=5))])
        assert result.outcome is Outcome.STORED

    pid = in_child(child)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [row.lease_s for row in records.read(NET).rows] == [5]
    assert backend(mortal.conninfo) == before
