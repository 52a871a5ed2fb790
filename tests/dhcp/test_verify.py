"""ICMP_VERIFY in the loop: who waits, who does not, and what becomes of an address that answers."""

import os
import time
from collections.abc import Iterable

import pytest

from dhcp import options as o
from dhcp.echo import Echo
from dhcp.options import MessageType
from storage.records import FOREVER_S, FREE_ID, UNUSABLE, Binding, Change, MemoryRecords, Outcome, ipv4_int
from tests.dhcp.conftest import NETWORK, Start, chosen, make_binding, make_store
from tests.dhcp.daemon.conftest import Failing
from tests.rows import rows_of

ONE, TWO = "00:14:4f:00:00:01", "00:14:4f:00:00:02"


class Neighbours(Echo):
    """Machines that answer an echo: those of `taken`, and all when `everybody` is set."""

    def __init__(self, taken: Iterable[str] = (), *, everybody: bool = False) -> None:
        self.asked: list[int] = []
        self._taken = set(map(ipv4_int, taken))
        self._everybody = everybody
        self._answers: list[int] = []
        self._event = os.eventfd(0, os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._event

    def close(self) -> None:
        os.close(self._event)

    def ask(self, address: int) -> None:
        self.asked.append(address)
        if self._everybody or address in self._taken:
            self._answers.append(address)
            os.eventfd_write(self._event, 1)

    def heard(self) -> list[int]:
        os.eventfd_read(self._event)
        answers, self._answers = self._answers, []
        return answers


class Late(Neighbours):
    """Machines that answer when the test says so."""

    def ask(self, address: int) -> None:
        self.asked.append(address)

    def answer(self, address: int) -> None:
        self._answers.append(address)
        os.eventfd_write(self._event, 1)


class NoRoute(Neighbours):
    def ask(self, address: int) -> None:
        raise OSError(113, "No route to host")


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.probes.WAIT_S", 0.15)


def rows(records: MemoryRecords) -> list[Binding]:
    return rows_of(records, NETWORK, Binding)


def test_an_offer_waits_for_silence_and_the_address_is_not_asked_again(start: Start) -> None:
    echo = Neighbours()
    lab = start(make_store([make_binding("127.0.0.20")]), echo, icmp_verify=True)
    begun = time.monotonic()
    offer = lab.relay.ask(MessageType.DISCOVER, ONE)
    assert time.monotonic() - begun >= 0.15
    lab.relay.ask(MessageType.DISCOVER, ONE)
    assert lab.relay.ask(MessageType.REQUEST, ONE, options=chosen(offer)).message_type is MessageType.ACK
    assert echo.asked == [ipv4_int("127.0.0.20")]


def test_nobody_else_waits(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.probes.WAIT_S", 60.0)
    now_s = int(time.time())
    mine = make_binding("127.0.0.30", bytes.fromhex("0100144f000002"), lease_s=now_s + 600)
    echo = Neighbours(["127.0.0.30"])
    lab = start(make_store([make_binding("127.0.0.20"), mine]), echo, icmp_verify=True)
    lab.relay.send(MessageType.DISCOVER, ONE)
    want = {o.REQUESTED_ADDRESS: mine.address.to_bytes(4, "big")}
    assert lab.relay.ask(MessageType.REQUEST, TWO, options=want).message_type is MessageType.ACK
    assert lab.relay.ask(MessageType.REQUEST, TWO, ciaddr="127.0.0.30").message_type is MessageType.ACK
    assert lab.relay.ask(MessageType.DISCOVER, TWO).yiaddr == mine.address
    assert echo.asked == [ipv4_int("127.0.0.20")]


def test_an_address_that_answers_is_set_aside_durably_and_the_next_one_offered(start: Start) -> None:
    records = make_store([make_binding(f"127.0.0.{host}") for host in (20, 21, 22)])
    echo = Neighbours(["127.0.0.20", "127.0.0.21"])
    lab = start(records, echo, icmp_verify=True)
    offer = lab.relay.ask(MessageType.DISCOVER, ONE)
    assert offer.yiaddr == ipv4_int("127.0.0.22")
    aside = {event["address"] for event in lab.events.of("dhcp.conflict")}
    assert {row.address for row in rows(records) if row.flags == UNUSABLE} == set(map(ipv4_int, map(str, aside)))
    assert aside <= {"127.0.0.20", "127.0.0.21"}
    assert lab.relay.ask(MessageType.REQUEST, ONE, options=chosen(offer)).yiaddr == offer.yiaddr


def test_the_clients_own_old_address_is_asked_too(start: Start) -> None:
    old = make_binding("127.0.0.20", bytes.fromhex("0100144f000001"), lease_s=5)
    echo = Neighbours(["127.0.0.20"])
    lab = start(make_store([old, make_binding("127.0.0.21")]), echo, icmp_verify=True)
    assert lab.relay.ask(MessageType.DISCOVER, ONE).yiaddr == ipv4_int("127.0.0.21")
    assert lab.events.kinds() == ["dhcp.conflict", "dhcp.offer"]


def test_where_every_address_answers_the_client_hears_nothing(start: Start) -> None:
    records = make_store([make_binding(f"127.0.0.{host}") for host in (20, 21)])
    lab = start(records, Neighbours(everybody=True), icmp_verify=True)
    lab.relay.send(MessageType.DISCOVER, ONE)
    assert lab.relay.is_silent()
    assert [row.flags for row in rows(records)] == [UNUSABLE] * 2
    assert lab.events.kinds() == ["dhcp.conflict", "dhcp.conflict", "dhcp.silent"]


def test_what_cannot_be_marked_is_not_offered_and_not_asked_without_end(start: Start) -> None:
    records = Failing(make_store([make_binding("127.0.0.20")]), Outcome.UNAVAILABLE)
    echo = Neighbours(everybody=True)
    lab = start(records, echo, icmp_verify=True)
    lab.relay.send(MessageType.DISCOVER, ONE)
    assert lab.relay.is_silent()
    assert (len(echo.asked), records.asked) == (1, 1)
    assert lab.events.first("dhcp.silent")["reason"] == "store-unavailable"


@pytest.mark.parametrize("echo", [None, NoRoute()], ids=["no socket", "no route"])
def test_where_nobody_can_be_asked_offers_leave_at_once(start: Start, echo: Echo | None) -> None:
    lab = start(make_store([make_binding("127.0.0.20", FREE_ID)]), echo, icmp_verify=True)
    assert lab.relay.lease(ONE).message_type is MessageType.ACK
    assert len(lab.events.of("config.fault")) == (echo is None)


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "not seen"])
def test_an_address_leased_by_the_other_server_meanwhile_is_no_conflict(
    start: Start, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    monkeypatch.setattr("dhcp.probes.WAIT_S", 60.0)
    rows_before = [make_binding(f"127.0.0.{host}") for host in (20, 21)]
    known = make_binding("127.0.0.30", bytes.fromhex("0100144f000002"), lease_s=FOREVER_S)
    records, echo = make_store([*rows_before, known]), Late()
    lab = start(records, echo, icmp_verify=True)
    lab.relay.send(MessageType.DISCOVER, ONE)
    while not echo.asked:
        time.sleep(0.01)
    row = next(row for row in rows(records) if row.address == echo.asked[0])
    leased = row._replace(client_id=b"\1other", lease_s=FOREVER_S)
    assert records.commit([Change(NETWORK, row, leased)])[0].outcome is Outcome.STORED
    if seen:
        assert lab.relay.ask(MessageType.REQUEST, TWO, ciaddr="127.0.0.30").message_type is MessageType.ACK
    echo.answer(row.address)
    while len(echo.asked) < 2:
        time.sleep(0.01)
    assert echo.asked[1] != row.address
    assert not any(row.flags for row in rows(records))
    assert lab.events.of("dhcp.conflict") == []


def test_one_machine_that_answers_for_all_cannot_empty_the_pool(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.verify.SET_ASIDE_MAX", 3)
    records = make_store([make_binding(f"127.0.0.{host}") for host in range(20, 40)])
    lab = start(records, Neighbours(everybody=True), icmp_verify=True)
    lab.relay.send(MessageType.DISCOVER, ONE)
    assert lab.events.first("dhcp.silent")["reason"] == "answers-for-all"
    assert sum(row.flags == UNUSABLE for row in rows(records)) == 3
