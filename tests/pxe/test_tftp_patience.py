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
    assert Patience(epoll, cores=2).look() == [(5, 1)]
    assert epoll.waits_s == [0, 0]


def test_looks_in_vain_end_soon_and_are_paid_back():
    epoll = Scripted()
    patience = Patience(epoll, cores=2)
    assert patience.look() == []
    looks = len(epoll.waits_s)
    assert 1 <= looks <= 4
    for _ in range(LOOKS_SKIPPED):
        assert patience.look() == []
    assert len(epoll.waits_s) == looks
    patience.look()
    assert len(epoll.waits_s) > looks
    assert set(epoll.waits_s) == {0}, "a look never sleeps"


def test_a_lone_core_never_looks():
    epoll = Scripted([(5, 1)])
    assert Patience(epoll, cores=1).look() == []
    assert epoll.waits_s == []
