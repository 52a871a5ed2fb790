"""Whose turn it is, with numbers."""

import pytest

from storage.records.twinlog_turns import (
    BATCHES_MAX,
    BATCHES_MIN,
    GIVE_WAY_MAX_S,
    GIVE_WAY_TIMES,
    Growth,
    Turns,
    snapshot_due,
)


def test_who_is_alone_never_waits():
    turns = Turns()
    assert not turns.gives_way
    turns.committed(10.0, [])
    assert not turns.gives_way


def test_who_has_just_committed_lets_those_who_wait_go_first():
    turns = Turns()
    turns.committed(10.0, ["tmp.even.1", "tmp.third.7"])
    turns.look(10.001, ["tmp.even.1", "tmp.third.7", "tmp.odd.3"])
    assert turns.gives_way
    turns.look(10.002, ["tmp.even.2", "tmp.third.7"])  # the next one of even has its turn later
    assert turns.gives_way
    turns.look(10.003, ["tmp.even.2"])
    assert not turns.gives_way


def test_nobody_waits_for_long_and_for_what_is_dead_not_again():
    turns = Turns()
    for time_s in range(GIVE_WAY_TIMES):
        turns.committed(time_s, ["tmp.even.1"])
        turns.look(time_s + 0.99 * GIVE_WAY_MAX_S, ["tmp.even.1"])
        assert turns.gives_way
        turns.look(time_s + GIVE_WAY_MAX_S, ["tmp.even.1"])
        assert not turns.gives_way
    turns.committed(9.0, ["tmp.even.1"])
    assert not turns.gives_way
    turns.committed(10.0, ["tmp.even.1", "tmp.even.2"])
    assert turns.gives_way


@pytest.mark.parametrize(
    ("growth", "latest", "due"),
    [
        (Growth(1, 100, 1000), 100, False),
        (Growth(BATCHES_MIN - 1, 9000, 1000), 9000, False),
        (Growth(BATCHES_MIN, 9000, 1000), 100, True),
        (Growth(BATCHES_MIN, 400, 1000), 100, False),
        (Growth(BATCHES_MIN + 1, 9000, 1000), 100, False),  # its writer was another
        (Growth(BATCHES_MIN + 9, 550, 1000), 100, True),
        (Growth(BATCHES_MAX, 400, 1000), 1, True),
        (Growth(BATCHES_MAX + 1, 400, 1000), 1, False),
        (Growth(2 * BATCHES_MAX, 400, 1000), 1, True),
        (Growth(0, 0, 1000), 0, False),
    ],
)
def test_a_snapshot_is_due_for_one_writer(growth, latest, due):
    assert snapshot_due(growth, latest) is due
