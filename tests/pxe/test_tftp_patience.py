import pytest

from pxe import tftp_patience
from pxe.tftp_patience import LOOKS_SKIPPED, Patience


class Scripted:
    """An epoll whose answers are written down; records the waits it was asked for."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.waits_s = []

    def poll(self, wait_s):
        self.waits_s.append(wait_s)
        return self.answers.pop(0) if self.answers else []


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(tftp_patience.time, "monotonic", lambda: next(ticks) * tftp_patience.LOOK_S / 2)


def test_what_comes_soon_is_seen_without_sleeping():
    epoll = Scripted([], [(5, 1)])
    assert Patience(epoll, cores=2).poll(9) == [(5, 1)]
    assert epoll.waits_s == [0, 0]


def test_looks_in_vain_end_in_sleep_and_are_paid_back():
    epoll = Scripted()
    patience = Patience(epoll, cores=2)
    patience.poll(9)
    looks = epoll.waits_s.count(0)
    assert 1 <= looks <= 4
    assert epoll.waits_s[-1] == 9
    for _ in range(LOOKS_SKIPPED):
        patience.poll(9)
    assert epoll.waits_s.count(0) == looks
    patience.poll(9)
    assert epoll.waits_s.count(0) > looks


def test_a_lone_core_sleeps_at_once():
    epoll = Scripted()
    for _ in range(50):
        Patience(epoll, cores=1).poll(-1)
    assert set(epoll.waits_s) == {-1}
