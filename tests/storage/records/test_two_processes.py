"""Several processes on one directory, and writers killed between any two system calls."""

import fcntl
import os
import time
from functools import partial
from pathlib import Path

import pytest

from storage.records import Binding, Change, Outcome, SunwFiles
from storage.records.container import Container
from tests.processes import in_child
from tests.rows import rows_of
from tests.storage.records.conftest import Bind

NET = "192.168.76.0"
WRITERS = 4
ROUNDS = 20

CRASHED = 86


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_all_that_was_reported_stored_is_there_and_one_of_the_racers_wins(tmp_path: Path, binding: Bind) -> None:
    SunwFiles(tmp_path).create(NET)
    (seed,) = SunwFiles(tmp_path).commit([Change(NET, None, binding(250))])
    assert isinstance(seed.row, Binding)
    first = seed.row
    start, go = os.pipe()

    def writer(number):
        records = SunwFiles(tmp_path)
        os.close(go)
        os.read(start, 1)  # returns when the parent closes its end: all begin at once
        lines = []
        race = first
        for turn in range(ROUNDS):
            mine = Change(NET, None, binding(1 + number * ROUNDS + turn))
            stored, raced = records.commit([mine, Change(NET, race, race._replace(lease_s=number))])
            assert stored.outcome is Outcome.STORED
            if raced.outcome is Outcome.STORED:
                lines.append(f"{race.signature}\n")
            (race,) = (row for row in rows_of(records, NET, Binding) if row.key == race.key)
        (tmp_path / f"won.{number}").write_text("".join(lines))

    pids = [in_child(partial(writer, number)) for number in range(WRITERS)]
    os.close(start)
    os.close(go)
    assert [exit_code(pid) for pid in pids] == [0] * WRITERS
    rows = {row.address & 0xFF: row for row in rows_of(SunwFiles(tmp_path), NET, Binding)}
    assert set(rows) == {*range(1, 1 + WRITERS * ROUNDS), 250}
    won = [int(line) for number in range(WRITERS) for line in (tmp_path / f"won.{number}").read_text().split()]
    assert sorted(won) == list(range(seed.row.signature, rows[250].signature))


def test_a_lock_held_elsewhere_is_busy_for_a_while(network_file: Path, binding: Bind) -> None:
    records = SunwFiles(network_file.parent, lock_timeout_s=0.05)
    ready, tell = os.pipe()
    wait, release = os.pipe()

    def holder():
        os.close(release)
        fd = os.open(network_file.parent / ".SUNWfiles1_192.168.76.0.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        os.write(tell, b"x")
        os.read(wait, 1)

    pid = in_child(holder)
    os.read(ready, 1)
    (result,) = records.commit([Change(NET, None, binding(20))])
    assert result.outcome is Outcome.BUSY
    assert ".SUNWfiles1_192.168.76.0.lock" in result.detail
    assert len(records.read(NET).rows) == 4  # reading takes no lock
    os.close(release)
    assert exit_code(pid) == 0
    (result,) = records.commit([Change(NET, None, binding(20))])
    assert result.outcome is Outcome.STORED
    for fd in (ready, tell, wait):
        os.close(fd)


def commit_and_die(directory, change, step, torn):
    """Commit, but die before system call number `step`; a torn write does half its work first."""
    records = SunwFiles(directory)
    records.read(NET)
    done = 0

    def counted(real, name):
        def call(*args, **kwargs):
            nonlocal done
            done += 1
            if done == step:
                if name == "write" and torn:
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                os._exit(CRASHED)
            return real(*args, **kwargs)

        return call

    for name in ("open", "fstat", "fchmod", "write", "fsync", "close", "rename", "stat", "unlink"):
        setattr(os, name, counted(getattr(os, name), name))
    (result,) = records.commit([change])
    assert result.outcome is Outcome.STORED


@pytest.mark.parametrize("torn", [False, True])
def test_a_writer_killed_at_any_step_leaves_the_old_file_or_the_new_one(
    network_file: Path, binding: Bind, torn
) -> None:
    old = network_file.read_bytes()
    change = Change(NET, None, binding(20))
    code, step, seen = CRASHED, 0, []
    while code == CRASHED:
        step += 1
        network_file.write_bytes(old)
        pid = in_child(partial(commit_and_die, network_file.parent, change, step, torn))
        code = exit_code(pid)
        after = network_file.read_bytes()
        seen.append(after != old)
        assert after == old or (after.startswith(old + b"192.168.76.20|00|") and after.endswith(b"|pxe1|\n"))
        survivor = SunwFiles(network_file.parent, lock_timeout_s=0.5)
        (result,) = survivor.commit([Change(NET, None, binding(21))])
        assert result.outcome is Outcome.STORED
        assert survivor.tables() == [NET, "dhcptab"]
    assert code == 0
    assert seen == sorted(seen)
    assert 8 < step < 60


def test_another_process_sees_a_commit_at_once(records: SunwFiles, network_file: Path, binding: Bind) -> None:
    version = records.read(NET).version
    time.sleep(0.1)
    assert records.read(NET, version).rows == ()
    pid = in_child(lambda: SunwFiles(network_file.parent).commit([Change(NET, None, binding(20))]))
    assert exit_code(pid) == 0
    assert [row.key for row in records.read(NET, version).rows] == [binding(20).key]


def test_nothing_is_read_when_nothing_changed(records: SunwFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    version = records.read(NET).version
    time.sleep(0.1)
    records.read(NET)
    monkeypatch.setattr(Container, "_contents", None)
    assert records.read(NET, version) == (version, (), (), False, ())
