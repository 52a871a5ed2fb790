"""Several processes on one real directory: racing for one row, killed in the middle, compacting all the time."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from storage.records import Change, Outcome, open_records
from storage.records.files import LocalFiles
from storage.records.twinlog import TwinLog
from storage.records.twinlog_survey import survey
from tests.processes import in_child
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import compact_after

NET = "10.0.0.0"
WRITERS = 3
ROUNDS = 25


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch):
    compact_after(monkeypatch, 8, 16)


def commit_on(path, number, rounds, tell, binding):
    """Add rows of one's own and change a row that all want; tell the parent of each that was stored."""
    records = TwinLog(LocalFiles(path), server=f"server{number}", look_s=0.0, background=lambda job: job())
    for turn in range(rounds):
        wanted = next(row for row in records.read(NET).rows if row.key == 0x0A000001)
        mine = binding(1)._replace(address=0x0A010000 + (number << 12) + turn)
        added, raced = records.commit([Change(NET, None, mine), Change(NET, wanted, wanted._replace(lease_s=turn))])
        assert added.outcome is Outcome.STORED
        os.write(tell, b"added %d\n" % mine.address)
        if raced.outcome is Outcome.STORED:
            os.write(tell, b"raced %d\n" % wanted.signature)


@pytest.fixture
def told(tmp_path: Path, binding: Bind):
    """A log with one row that all want; runs writers, and gives what they told, the first ones killed half-way."""

    def run(kill):
        store = open_records("twinlog", tmp_path)
        store.create(NET)
        store.commit([Change(NET, None, binding(1)._replace(address=0x0A000001))])
        heard, tell = os.pipe()
        pids = [in_child(partial(commit_on, tmp_path, number, ROUNDS, tell, binding)) for number in range(WRITERS)]
        os.close(tell)
        if kill:
            while os.read(heard, 200).count(b"\n") < 1:
                pass
            time.sleep(0.02)
            os.kill(pids[0], signal.SIGKILL)
        with os.fdopen(heard) as lines:
            words = [line.split() for line in lines if line.endswith("\n")]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        assert codes[1:] == [0] * (WRITERS - 1)
        assert codes[0] == 0 or (kill and codes[0] == -signal.SIGKILL)
        return [(word, int(number)) for word, number in (each for each in words if len(each) == 2)]

    return run


@pytest.mark.parametrize("kill", [False, True], ids=["all live", "one is killed"])
def test_what_was_reported_stored_is_there_and_one_of_the_racers_wins(tmp_path: Path, told, kill) -> None:
    words = told(kill)
    rows = {row.key: row for row in open_records("twinlog", tmp_path).read(NET).rows}
    added = [number for word, number in words if word == "added"]
    assert set(added) <= rows.keys()
    assert len(added) >= (WRITERS - 1) * ROUNDS - kill * 20
    raced = [number for word, number in words if word == "raced"]
    assert len(set(raced)) == len(raced)
    assert all(number < rows[0x0A000001].signature for number in raced)
    found = survey(LocalFiles(tmp_path))
    assert found.is_sound, found.findings
    assert len(os.listdir(tmp_path / ".twinlog")) < 60
