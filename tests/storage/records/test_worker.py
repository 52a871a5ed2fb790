"""A datastore in a process of its own: hangs, late answers, deaths, and what it keeps of its parent's."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from storage.records import Change, Outcome, RecordsError, Result, SunwFiles
from storage.records import worker as module
from storage.records import worker_link as link
from storage.records import worker_wire as wire
from storage.records.worker import State, WorkerRecords

NET = "192.168.76.0"
DEADLINE_S = 0.05
GIVE_UP_S = 10.0  # of what should happen; never waited for in a test that passes


class Told(list):
    def __call__(self, kind, **fields):
        self.append((kind, fields))

    def kinds(self):
        return [kind for kind, _ in self]


def wait_for(condition):
    give_up_at = time.monotonic() + GIVE_UP_S
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(0.002)
    assert condition()


def cpu_state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def has_ended(pid):
    """It is gone, or dead and not buried: on a busy machine it dies after who closed it has stopped waiting."""
    try:
        return cpu_state(pid) == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextlib.contextmanager
def stopped(records):
    """The worker hangs as perfectly as in a share."""
    pid = records.pid
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: cpu_state(pid) == "T")
    records.hurry()
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def recovered(records):
    """Ask until the share is back, as a daemon does with each batch."""

    def is_back():
        records.tend()
        return records.health.state is State.OK

    wait_for(is_back)
    records._hurries = False  # so that a busy machine cannot make it hang again


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def make(tmp_path, told, monkeypatch):
    """Starts workers over an adapter of the test's (SUNWfiles by default), and ends them."""
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    made = []

    def start(opener=lambda: SunwFiles(tmp_path), **options):
        options.setdefault("deadline_s", DEADLINE_S)
        made.append(WorkerRecords(opener, str(tmp_path), told, **options))
        return made[-1]

    yield start
    for records in made:
        records.close()


@pytest.fixture
def records(make):
    records = make()
    records.create(NET)
    return records


def unavailable(call):
    with pytest.raises(RecordsError) as caught:
        call()
    assert caught.value.outcome is Outcome.UNAVAILABLE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def took_s(call):
    began = time.monotonic()
    with contextlib.suppress(RecordsError):
        call()
    return time.monotonic() - began


# -- hangs


def test_a_hung_share_costs_one_deadline_and_is_told_once(records, told):
    with stopped(records):
        assert took_s(records.tables) >= DEADLINE_S
        began = time.monotonic()
        texts = {unavailable(records.tables) for _ in range(50)} | {unavailable(lambda: records.read(NET))}
        assert time.monotonic() - began < 50 * DEADLINE_S
        assert len(texts) == 1
        assert "has not answered since" in texts.pop()
        assert records.health.state is State.HUNG
        assert records.health.since_s >= DEADLINE_S
        assert told.kinds() == ["records.hung"]
    recovered(records)
    assert told.kinds() == ["records.hung", "records.back"]
    assert told[1][1]["elapsed_s"] >= DEADLINE_S
    assert records.tables() == [NET]


def test_a_late_answer_is_not_taken_for_that_of_the_next_call(records, binding):
    with stopped(records):
        unavailable(records.tables)
    recovered(records)
    assert records.read(NET).rows == ()
    (result,) = records.commit([Change(NET, None, binding(10))])
    assert records.read(NET).rows == (result.row,)


def test_a_commit_that_was_not_begun_in_time_is_not_done_later(records, binding):
    with stopped(records):
        results = records.commit([Change(NET, None, binding(10)), Change(NET, None, binding(11))])
        assert [result.outcome for result in results] == [Outcome.UNAVAILABLE] * 2
        time.sleep(DEADLINE_S)
    recovered(records)
    assert records.read(NET).rows == ()


class Slow(SunwFiles):
    """Hangs where it is told to, until a pipe is written to."""

    def __init__(self, path, gate, verbs, *, after=False):
        self._gate, self._verbs, self._after = gate, verbs, after
        super().__init__(path)

    def commit(self, changes):
        return self._through("commit", lambda: super(Slow, self).commit(changes))

    def read(self, table, since=0):
        return self._through("read", lambda: super(Slow, self).read(table, since))

    def _through(self, verb, call):
        hangs = verb in self._verbs
        if hangs and not self._after:
            self._gate.wait()
        done = call()
        if hangs and self._after:
            self._gate.wait()
        return done


class Gate:
    """Made before the fork; a name in the file system, since a worker keeps no descriptor of its parent's."""

    def __init__(self, path):
        self._path = path / ".gate"
        os.mkfifo(self._path)

    def wait(self):
        with open(self._path, "rb") as gate:
            gate.read()  # to the end, lest the next one finds the same writer

    def open(self):
        with open(self._path, "wb") as gate:
            gate.write(b"!")


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


@pytest.mark.parametrize("after", [False, True])
def test_what_a_late_commit_did_is_seen_by_the_next_read(after, make, gate, tmp_path, told, binding):
    records = make(lambda: Slow(tmp_path, gate, {"commit"}, after=after))
    records.create(NET)
    before = records.read(NET)
    records.hurry()
    (result,) = records.commit([Change(NET, None, binding(10))])
    assert (result.outcome, result.row) == (Outcome.UNAVAILABLE, None)
    unavailable(lambda: records.read(NET, before.version))
    gate.open()
    recovered(records)
    delta = records.read(NET, before.version)
    assert [row._replace(signature=0) for row in delta.rows] == [binding(10)]
    assert not delta.whole
    assert told.kinds() == ["records.hung", "records.back"]


def test_a_share_that_is_slow_each_time_costs_a_short_wait_each_time(make, gate, tmp_path, told, monkeypatch):
    monkeypatch.setattr(module, "PROBE_S", 0.01)
    records = make(lambda: Slow(tmp_path, gate, {"read"}))
    records.create(NET)
    records.hurry()
    assert records._patience_s() == DEADLINE_S
    unavailable(lambda: records.read(NET))
    for _ in range(3):
        assert records._patience_s() == 0.01
        gate.open()
        wait_for(lambda: records._link._poll.poll(0))
        unavailable(lambda: records.read(NET))
    assert told.kinds() == ["records.hung"]


def test_a_worker_that_hangs_for_too_long_is_replaced(make, gate, tmp_path, told, binding):
    records = make(kill_s=2 * DEADLINE_S)
    records.create(NET)
    old = records.pid
    with stopped(records):
        unavailable(records.tables)
        wait_for(lambda: took_s(records.tables) and records.pid not in (old, 0))
    recovered(records)
    assert records.tables() == [NET]
    assert told.kinds() == ["records.hung", "records.back"]


def test_before_it_is_told_to_hurry_it_has_patience(tmp_path, told, gate):
    records = WorkerRecords(lambda: Slow(tmp_path, gate, {"read"}), str(tmp_path), told, deadline_s=DEADLINE_S)
    try:
        records.create(NET)
        opener = os.fork()
        if opener == 0:
            time.sleep(2 * DEADLINE_S)
            gate.open()
            os._exit(0)
        assert records.read(NET).rows == ()
        os.waitpid(opener, 0)
        assert told == []
    finally:
        records.close()


# -- deaths


def test_a_killed_worker_is_replaced_and_tells_tables_as_a_whole(records, told, binding):
    (result,) = records.commit([Change(NET, None, binding(10))])
    version = records.read(NET).version
    assert not records.read(NET, version).whole
    old = records.pid
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: cpu_state(old) == "Z")
    assert "was killed by SIGKILL" in unavailable(records.tables)
    assert records.health.state is State.RESTARTING
    recovered(records)
    assert records.pid != old
    delta = records.read(NET, version)
    assert (delta.whole, delta.rows) == (True, (result.row,))
    assert told.kinds() == ["records.hung", "records.back"]
    with pytest.raises(ChildProcessError):
        os.waitpid(old, os.WNOHANG)  # it has been buried


def test_one_that_lived_long_is_replaced_without_a_pause(records, monkeypatch, told):
    monkeypatch.setattr(module, "STEADY_S", 0.0)
    os.kill(records.pid, signal.SIGKILL)
    wait_for(lambda: cpu_state(records.pid) == "Z")
    assert records.tables() == [NET]
    assert told.kinds() == ["records.hung", "records.back"]


def test_a_commit_during_which_it_dies_is_unavailable_row_by_row(make, gate, tmp_path, binding):
    class Dies(SunwFiles):
        def commit(self, changes):
            super().commit(changes)
            os.kill(os.getpid(), signal.SIGKILL)

    records = make(lambda: Dies(tmp_path))
    records.create(NET)
    before = records.read(NET)
    results = records.commit([Change(NET, None, binding(10)), Change(NET, None, binding(11))])
    assert [result.outcome for result in results] == [Outcome.UNAVAILABLE] * 2
    recovered(records)
    assert {row.address for row in records.read(NET, before.version).rows} == {binding(10).key, binding(11).key}


def test_the_pause_grows_while_workers_keep_dying(make, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RESTART_MAX_S", 0.4)
    records = make()
    pauses = []
    for _ in range(3):
        os.kill(records.pid, signal.SIGKILL)
        wait_for(lambda: cpu_state(records.pid) == "Z")
        unavailable(records.tables)
        pauses.append(records._restart_at - time.monotonic())
        records._restart_at = 0.0
        records.tables()
    assert pauses == sorted(pauses)
    assert pauses[2] > 3 * pauses[0]


def test_a_bug_in_the_datastore_costs_the_worker_and_not_the_daemon(make, tmp_path, capfd):
    class Buggy(SunwFiles):
        def read(self, table, since=0):
            raise KeyError(table)

    records = make(lambda: Buggy(tmp_path))
    assert "failed with code 70" in unavailable(lambda: records.read(NET))
    assert "KeyError" in capfd.readouterr().err


def test_a_place_that_is_not_there_is_said_at_the_start_and_waited_for_later(make, tmp_path, told):
    place = tmp_path / "share"
    with pytest.raises(RecordsError, match="share"):
        make(lambda: SunwFiles(place))
    place.mkdir()
    records = make(lambda: SunwFiles(place))
    os.kill(records.pid, signal.SIGKILL)
    wait_for(lambda: cpu_state(records.pid) == "Z")
    place.rmdir()
    unavailable(records.tables)
    records._restart_at = 0.0
    with pytest.raises(RecordsError, match="mount the share"):
        records.tables()
    assert "mount the share" in records.health.reason
    place.mkdir()
    recovered(records)
    assert records.tables() == []


def test_a_closed_one_stays_closed(records):
    pid = records.pid
    records.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert "closed" in unavailable(records.tables)
    assert records.commit([Change(NET, None, None)])[0].outcome is Outcome.UNAVAILABLE
    records.close()


def test_closing_does_not_wait_for_a_hung_share(make):
    records = make()
    pid = records.pid
    os.kill(pid, signal.SIGSTOP)
    records.close()
    wait_for(lambda: has_ended(pid))


def test_a_daemon_without_processes_to_spare_says_so(records, monkeypatch, told):
    def refuse(opener):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    os.kill(records.pid, signal.SIGKILL)
    wait_for(lambda: cpu_state(records.pid) == "Z")
    unavailable(records.tables)
    records._restart_at = 0.0
    monkeypatch.setattr(link, "start", refuse)
    assert "no process can be started" in unavailable(records.tables)
    monkeypatch.undo()
    recovered(records)


# -- the process


def test_it_keeps_nothing_of_its_parents(make, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service, open(tmp_path / "journal", "w") as journal:
        service.bind(("127.0.0.1", 0))
        records = make()
        found = {os.readlink(f"/proc/{records.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{records.pid}/fd")}
        mine = os.readlink(f"/proc/self/fd/{service.fileno()}")
        assert journal.name not in found
        assert mine not in found
        assert len([name for name in found if name.startswith("socket:")]) == 1


def test_signals_to_the_group_do_not_end_it(records):
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(records.pid, number)
    assert records.tables() == [NET]


def test_it_dies_with_its_parent_even_while_it_hangs(tmp_path):
    here, there = socket.socketpair()
    parent = os.fork()
    if parent == 0:
        gate = Gate(tmp_path)
        records = WorkerRecords(lambda: Slow(tmp_path, gate, {"read"}), "", Told(), deadline_s=DEADLINE_S)
        records.hurry()
        with contextlib.suppress(RecordsError):
            records.read(NET)
        there.send(str(records.pid).encode())
        time.sleep(GIVE_UP_S)
        os._exit(0)
    worker = int(here.recv(20))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_for(lambda: has_ended(worker))
    here.close()
    there.close()


def test_a_table_of_many_thousand_rows_goes_through(make, tmp_path, binding):
    class Large(SunwFiles):
        def read(self, table, since=0):
            row = binding(1)
            delta = super().read(table, since)
            return delta._replace(rows=tuple(row._replace(address=number) for number in range(10_000)))

        def commit(self, changes):
            return [Result(Outcome.STORED, change.new, "") for change in changes]

    records = make(lambda: Large(tmp_path), deadline_s=2.0)
    records.create(NET)
    rows = records.read(NET).rows
    assert [row.address for row in rows] == list(range(10_000))
    results = records.commit([Change(NET, None, row) for row in rows])
    assert [result.row for result in results] == list(rows)


def test_an_answer_that_is_too_long_is_refused(make, tmp_path, monkeypatch, binding):
    monkeypatch.setattr(wire, "MESSAGE_MAX_BYTES", 2000)
    records = make()
    records.create(NET)
    for first in range(1, 41, 10):
        records.commit([Change(NET, None, binding(last)) for last in range(first, first + 10)])
    assert "too large" in unavailable(lambda: records.read(NET))
    with pytest.raises(RecordsError, match="more than 2000"):
        records._call("commit", wire.plain_changes([Change(NET, None, binding(1))] * 100))
    assert records.tables() == [NET]


# -- housekeeping and extras


def test_housekeeping_is_done_between_calls(make, tmp_path, monkeypatch):
    class Tidy(SunwFiles):
        def tend(self):
            (tmp_path / "tended").touch()
            raise RecordsError(Outcome.UNAVAILABLE, "not now")

    monkeypatch.setattr("storage.records.worker_process.TEND_S", 0.02)
    records = make(lambda: Tidy(tmp_path))
    wait_for((tmp_path / "tended").exists)
    assert records.tables() == []


def test_extras_that_a_datastore_lacks_are_empty(records):
    assert records.rescan() == (0, ())
    assert records.peers() == {}
