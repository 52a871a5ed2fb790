"""A share that hangs costs one deadline; what was asked meanwhile is known by its number."""

import os
import time
from pathlib import Path

import pytest

from storage.records import Change, Outcome
from storage.records import worker as module
from storage.records.worker import WorkerRecords
from storage.records.worker_health import State
from tests.processes import wait_for
from tests.storage.records.conftest import Bind
from tests.storage.records.worker.conftest import (
    DEADLINE_S,
    NET,
    Gate,
    Make,
    Slow,
    Told,
    recovered,
    stopped,
    took_s,
    unavailable,
)


def test_a_hung_share_costs_one_deadline_and_is_told_once(records: WorkerRecords, told: Told) -> None:
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


def test_a_late_answer_is_not_taken_for_that_of_the_next_call(records: WorkerRecords, binding: Bind) -> None:
    with stopped(records):
        unavailable(records.tables)
    recovered(records)
    assert records.read(NET).rows == ()
    (result,) = records.commit([Change(NET, None, binding(10))])
    assert records.read(NET).rows == (result.row,)


def test_a_commit_that_was_not_begun_in_time_is_not_done_later(records: WorkerRecords, binding: Bind) -> None:
    with stopped(records):
        results = records.commit([Change(NET, None, binding(10)), Change(NET, None, binding(11))])
        assert [result.outcome for result in results] == [Outcome.UNAVAILABLE] * 2
        time.sleep(DEADLINE_S)
    recovered(records)
    assert records.read(NET).rows == ()


def answered(records: WorkerRecords) -> bool:
    """Whether the worker's answer has come and nobody has read it yet."""
    assert records._link is not None
    return bool(records._link._poll.poll(0))


@pytest.mark.parametrize("after", [False, True])
def test_what_a_late_commit_did_is_seen_by_the_next_read(
    after: bool, make: Make, gate: Gate, tmp_path: Path, told: Told, binding: Bind
) -> None:
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


def test_a_share_that_is_slow_each_time_costs_a_short_wait_each_time(
    make: Make, gate: Gate, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROBE_S", 0.01)
    records = make(lambda: Slow(tmp_path, gate, {"read"}))
    records.create(NET)
    records.hurry()
    assert records._patience_s() == DEADLINE_S
    unavailable(lambda: records.read(NET))
    for _ in range(3):
        assert records._patience_s() == 0.01
        gate.open()
        wait_for(lambda: answered(records))
        unavailable(lambda: records.read(NET))
    assert told.kinds() == ["records.hung"]


def test_a_worker_that_hangs_for_too_long_is_replaced(
    make: Make, gate: Gate, tmp_path: Path, told: Told, binding: Bind
) -> None:
    records = make(kill_s=2 * DEADLINE_S)
    records.create(NET)
    old = records.pid
    with stopped(records):
        unavailable(records.tables)
        wait_for(lambda: took_s(records.tables) and records.pid not in (old, 0))
    recovered(records)
    assert records.tables() == [NET]
    assert told.kinds() == ["records.hung", "records.back"]


def test_before_it_is_told_to_hurry_it_has_patience(tmp_path: Path, told: Told, gate: Gate) -> None:
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
