"""Whose turn it is, with numbers."""

import pytest

from storage.records.twinlog_turns import (
    BATCHES_MAX,
    BATCHES_MIN,
    GIVE_WAY_MAX_S,
    PAUSE_MAX_S,
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


def let_go(turns, now_s, *names):
    """Commit, and wait in vain for as long as that lasts; how long."""
    turns.committed(now_s, names)
    if not turns.gives_way:
        return 0.0
    turns.look(now_s + 0.99 * GIVE_WAY_MAX_S, names)
    assert turns.gives_way
    turns.look(now_s + GIVE_WAY_MAX_S, names)
    assert not turns.gives_way
    return GIVE_WAY_MAX_S


def test_nobody_waits_for_long_and_for_what_is_dead_less_and_less():
    turns = Turns()
    now_s, waited_s = 0.0, []
    while now_s < 60.0:
        waited_s.append(let_go(turns, now_s, "tmp.even.1"))
        now_s += 0.01 + waited_s[-1]
    assert 0 < sum(waited_s) < 2.0
    assert sum(waited_s[len(waited_s) // 2 :]) / 30.0 < 0.05


def test_who_is_slow_gets_another_turn():
    turns = Turns()
    now_s = 0.0
    for _ in range(8):
        now_s += let_go(turns, now_s, "tmp.even.1") + 0.01
    assert let_go(turns, now_s + PAUSE_MAX_S, "tmp.even.1")


def test_another_batch_does_not_pay_for_the_one_before():
    turns = Turns()
    now_s = 0.0
    for _ in range(8):
        now_s += let_go(turns, now_s, "tmp.even.1") + 0.01
    assert not let_go(turns, now_s, "tmp.even.1")
    assert let_go(turns, now_s, "tmp.even.1", "tmp.even.2")


def test_a_batch_that_waits_for_ever_breaks_nothing():
    turns = Turns()
    for number in range(200):
        assert let_go(turns, number * 2 * PAUSE_MAX_S, "tmp.even.1")


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
