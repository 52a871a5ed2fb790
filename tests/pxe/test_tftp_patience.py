import time

import pytest

from pxe import tftp_patience
from pxe.tftp_patience import MAX_SKIPPED, SKIP_GROWTH, Patience


class Scripted:
    """An epoll whose answers are written down; records the waits it was asked for."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.waits_s = []

    def poll(self, wait_s):
        self.waits_s.append(wait_s)
        return self.answers.pop(0) if self.answers else []


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch):
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks) * tftp_patience.LOOK_S / 2)


def test_what_comes_soon_is_seen_without_sleeping():
    epoll = Scripted([], [(5, 1)])
    assert Patience(epoll, cores=2).look() == [(5, 1)]
    assert epoll.waits_s == [0, 0]


def skipped(patience, epoll):
    """How many waits go without a look."""
    looks, count = len(epoll.waits_s), 0
    while patience.look() == [] and len(epoll.waits_s) == looks:
        count += 1
    return count


def test_a_look_in_vain_ends_soon_and_never_sleeps():
    epoll = Scripted()
    assert Patience(epoll, cores=2).look() == []
    assert 1 <= len(epoll.waits_s) <= 4
    assert set(epoll.waits_s) == {0}


def test_looks_in_vain_become_rare():
    epoll = Scripted()
    patience = Patience(epoll, cores=2)
    patience.look()
    assert [skipped(patience, epoll) for _ in range(4)] == [1, SKIP_GROWTH, MAX_SKIPPED, MAX_SKIPPED]


def test_looks_that_succeed_bring_them_back():
    epoll = Scripted()
    patience = Patience(epoll, cores=2)
    patience.look()
    for _ in range(3):
        skipped(patience, epoll)
    assert skipped(patience, epoll) == MAX_SKIPPED
    for _ in range(MAX_SKIPPED):  # it waits out what it owes, then sees each ACK at once
        patience.look()
    epoll.answers = [[(5, 1)]] * MAX_SKIPPED
    assert all(patience.look() for _ in range(MAX_SKIPPED))
    patience.look()
    assert skipped(patience, epoll) == 1


def test_a_lone_core_never_looks():
    epoll = Scripted([(5, 1)])
    assert Patience(epoll, cores=1).look() == []
    assert epoll.waits_s == []
