"""Whose turn it is, with numbers."""

import pytest

from storage.records.twinlog_turns import (
    BATCHES_MAX,
    BATCHES_MIN,
    PEER_ACTIVE_S,
    YIELD_MAX_S,
    YIELD_MIN_S,
    Growth,
    Turns,
    snapshot_due,
)


def test_who_is_alone_never_waits():
    turns = Turns()
    turns.committed(10.0, 0.001, 0.003)
    assert turns.pause_s(10.0) == 0.0


def test_who_has_just_committed_lets_an_active_peer_go_first():
    turns = Turns()
    turns.heard(9.9)
    turns.committed(10.0, 0.0, 0.003)
    assert turns.pause_s(10.0) == pytest.approx(YIELD_MIN_S)
    assert turns.pause_s(10.0 + YIELD_MAX_S) == 0.0
    assert turns.pause_s(9.9 + PEER_ACTIVE_S + 0.01) == 0.0


@pytest.mark.parametrize(
    ("write_s", "link_s", "pause_s"),
    [(0.0, 0.0001, YIELD_MIN_S), (0.0, 0.004, 0.006), (0.002, 0.004, 0.004), (0.01, 0.004, 0.0), (0.0, 3, YIELD_MAX_S)],
)
def test_the_pause_follows_what_a_number_costs_here(write_s, link_s, pause_s):
    turns = Turns()
    for count in range(60):
        turns.committed(count, write_s, link_s)
    turns.heard(60.0)
    turns.committed(60.0, write_s, link_s)
    assert turns.pause_s(60.0) == pytest.approx(pause_s, rel=0.01, abs=1e-9)


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
