"""Two servers whose clocks differ, or the storage's: no lease ends early, and nobody is promised too much."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from dhcp import options as o
from dhcp.options import MessageType
from storage.records import Change, Outcome
from tests.dhcp.conftest import make_packet
from tests.dhcp_pair import FIRST, NOW_S, Clock, Pair, kind, mac, renewal, request


class Wrong:
    """A server's own clock that is off."""

    def __init__(self, clock: Clock, off_s: float) -> None:
        self._clock = clock
        self.off_s = off_s
        self.monotonic = clock.monotonic

    def time(self) -> float:
        return self._clock.time() + self.off_s


@pytest.fixture
def clocks(make_pair: Callable[..., Pair]) -> Callable[..., Pair]:
    """A pair with one address; the share knows the time, even's own clock is off by so much."""

    def make(off_s: float, store_off_s: float = 0.0) -> Pair:
        pair = make_pair([FIRST])
        pair.clock.store_epoch = NOW_S + store_off_s
        pair.even.service._decider.watch._clock = Wrong(pair.clock, off_s)
        return pair

    return make


@pytest.mark.parametrize("off_s", [3600.0, -3600.0, 20.0, 1.0])
def test_a_server_with_a_wrong_clock_gives_away_nothing_that_its_peer_has_leased(
    clocks: Callable[..., Pair], off_s: float
) -> None:
    pair = clocks(off_s)
    ack = pair.lease(mac(1), pair.odd)
    for _ in range(3):
        pair.clock.now_s += 190
        assert pair.even.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))
    (renewed,) = pair.even.hear(renewal(mac(1), ack))  # and refuses it to nobody
    assert kind(renewed) is MessageType.ACK
    assert pair.row(ack.yiaddr).lease_s == NOW_S + 570 + max(off_s, 0.0) + 600


@pytest.mark.parametrize("off_s", [3600.0, -3600.0])
def test_what_a_server_with_a_wrong_clock_grants_holds_at_its_peer(clocks: Callable[..., Pair], off_s: float) -> None:
    pair = clocks(off_s)
    pair.lease(mac(1), pair.even)
    pair.clock.now_s += 599
    assert pair.odd.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))


@pytest.mark.parametrize("store_off_s", [3600.0, -3600.0])
def test_a_storage_head_with_a_wrong_clock_ends_no_lease(clocks: Callable[..., Pair], store_off_s: float) -> None:
    pair = clocks(0.0)
    ack = pair.lease(mac(1), pair.odd)
    pair.clock.store_epoch = NOW_S + store_off_s
    pair.clock.now_s += 599
    for server in (pair.odd, pair.even):
        assert server.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))
    (renewed,) = pair.odd.hear(renewal(mac(1), ack))
    assert kind(renewed) is MessageType.ACK


def test_a_wrong_clock_of_the_storage_that_a_failed_commit_shows_ends_no_lease(clocks: Callable[..., Pair]) -> None:
    """The look at the store after it is taken for an answer without promises, and holds for the rest of the batch."""
    pair = clocks(0.0)
    ack = pair.lease(mac(1), pair.odd)
    pair.clock.now_s += 100
    pair.odd.records.fail(Outcome.FULL)
    pair.odd.records.intrude = lambda: setattr(pair.clock, "store_epoch", NOW_S + 3600.0)
    renewed = renewal(mac(1), ack)
    assert pair.odd.is_silent_about(renewed, renewed, make_packet(MessageType.DISCOVER, mac(2)))


def test_a_difference_of_clocks_is_told_once_and_its_end(clocks: Callable[..., Pair]) -> None:
    pair = clocks(3600.0)
    for _ in range(3):
        pair.clock.now_s += 1.3
        pair.even.discover(mac(1))
    (told,) = pair.even.events.of("clock.skew")
    assert told["reason"] == "this server's clock is 3600 s ahead of the clock of the datastore"
    assert pair.odd.events.of("clock.skew") == []
    pair.even.service._decider.watch._clock = Wrong(pair.clock, 0.5)
    pair.even.discover(mac(1))
    assert [one["state"] for one in pair.even.events.of("clock.skew")] == ["apart", "together"]


@pytest.mark.parametrize(("behind_s", "told_s"), [(0.0, 400), (100.0, 300), (399.5, None), (math.inf, None)])
def test_what_time_it_is_not_known_for_promises_nothing_beyond_it(
    clocks: Callable[..., Pair], behind_s: float, told_s: int | None
) -> None:
    """A server starts on a read-only share, its own clock behind: the newest file tells how late it is at least."""
    pair = clocks(-7200.0)
    ack = pair.lease(mac(1), pair.odd)
    pair.clock.now_s += 200
    pair.clock.store_behind_s = behind_s
    pair.even.records.fail(Outcome.DENIED)
    if told_s is None:
        assert pair.even.is_silent_about(renewal(mac(1), ack))
        assert pair.even.events.of("dhcp.silent")[-1]["reason"] == "store-denied"
    else:
        (renewed,) = pair.even.hear(renewal(mac(1), ack))
        assert int.from_bytes(renewed.options[o.LEASE_TIME], "big") == told_s
    states = [one["state"] for one in pair.even.events.of("clock.skew")]
    assert ("unknown" in states) == (behind_s > 0)


def test_a_commit_that_did_not_tell_the_time_is_not_answered(clocks: Callable[..., Pair]) -> None:
    """It is stored with an end that may be too early: the look at the share's stamp failed."""
    pair = clocks(-7200.0)
    pair.clock.store_behind_s = math.inf
    offer = pair.even.discover(mac(1))
    assert pair.even.is_silent_about(request(mac(1), offer))
    pair.clock.store_behind_s = 0.0
    (ack,) = pair.even.hear(request(mac(1), offer))
    assert kind(ack) is MessageType.ACK


def test_what_is_left_of_a_lease_that_is_not_lengthened_is_told_only_when_it_is_known(
    clocks: Callable[..., Pair],
) -> None:
    pair = clocks(-7200.0)
    ack = pair.lease(mac(1), pair.odd)
    (macro,) = pair.odd.records.read("dhcptab").rows
    fixed = macro._replace(value=":Router=10.0.0.254:LeaseTim=600:")
    assert pair.odd.records.commit([Change("dhcptab", macro, fixed)])[0].row is not None
    pair.clock.now_s += 200
    pair.clock.store_behind_s = math.inf  # and as nothing is to be stored, no commit tells
    assert pair.even.is_silent_about(renewal(mac(1), ack))
    assert pair.even.events.of("dhcp.silent")[-1]["reason"] == "frozen"
    pair.clock.store_behind_s = 0.0
    (renewed,) = pair.even.hear(renewal(mac(1), ack))
    assert int.from_bytes(renewed.options[o.LEASE_TIME], "big") == 400


def test_who_was_stopped_with_its_machine_promises_nothing_by_its_old_clocks(clocks: Callable[..., Pair]) -> None:
    """A virtual machine that was suspended has old clocks, both; its commit shows what time it is."""
    pair = clocks(0.0)
    offer = pair.odd.discover(mac(1))

    def wake() -> None:
        pair.clock.store_epoch = NOW_S + 400

    pair.odd.records.intrude = wake
    assert pair.odd.is_silent_about(request(mac(1), offer))
    assert pair.row(offer.yiaddr).lease_s == NOW_S + 600
    (ack,) = pair.odd.hear(request(mac(1), offer))
    assert ack.options[o.LEASE_TIME] == (600).to_bytes(4, "big")
    assert pair.row(offer.yiaddr).lease_s == NOW_S + 1000
