"""A datastore that fails, loses races or is slow: what is not stored is not acknowledged, nor promised for longer."""

import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

from dhcp import options as o
from dhcp.options import MessageType
from storage.records import FOREVER_S, MANUAL, PERMANENT, Change, MemoryRecords, Outcome, Result, TabEntry
from storage.records.port import nothing
from tests.dhcp.conftest import NETWORK, Start, chosen, make_binding, make_store
from tests.dhcp.daemon.conftest import MAC, Failing, pool, rows


@pytest.mark.parametrize("outcome", [Outcome.FULL, Outcome.UNAVAILABLE, Outcome.BUSY, Outcome.DENIED])
def test_what_cannot_be_stored_is_not_acknowledged(start: Start, outcome: Outcome) -> None:
    lab = start(Failing(make_store(pool()), outcome))
    offer = lab.relay.ask(MessageType.DISCOVER, MAC)
    lab.relay.send(MessageType.REQUEST, MAC, options=chosen(offer))
    assert lab.relay.is_silent()
    told = lab.events.first("dhcp.silent")
    assert (told["reason"], told["detail"]) == (f"store-{outcome.name.lower()}", "as the test asked")


def test_fixed_bindings_go_on_while_nothing_can_be_stored(start: Start) -> None:
    client_id = bytes.fromhex("0100144f000001")
    fixed = make_binding("127.0.0.9", client_id, MANUAL)
    for_ever = make_binding("127.0.0.8", b"\1" + bytes.fromhex("00144f000002"), PERMANENT, lease_s=FOREVER_S)
    records = Failing(make_store([fixed, for_ever]), Outcome.UNAVAILABLE)
    lab = start(records)
    assert lab.relay.lease(MAC).yiaddr == fixed.address
    assert "not stored" in str(lab.events.first("dhcp.ack")["detail"])
    assert lab.relay.ask(MessageType.REQUEST, "00:14:4f:00:00:02", ciaddr="127.0.0.8").yiaddr == for_ever.address
    assert records.asked == 1


def test_a_running_lease_is_renewed_for_what_is_left_while_nothing_can_be_stored(start: Start) -> None:
    end_s = int(time.time()) + 500
    mine = make_binding("127.0.0.9", bytes.fromhex("0100144f000001"), lease_s=end_s)
    macros = {NETWORK: ":LeaseTim=3600:LeaseNeg:"}
    lab = start(Failing(make_store([mine, make_binding("127.0.0.10")], macros), Outcome.UNAVAILABLE))
    ack = lab.relay.ask(MessageType.REQUEST, MAC, ciaddr="127.0.0.9")
    assert ack.message_type is MessageType.ACK
    assert 490 <= int.from_bytes(ack.options[o.LEASE_TIME], "big") <= 500
    assert "not stored" in str(lab.events.first("dhcp.ack")["detail"])
    offer = lab.relay.ask(MessageType.DISCOVER, "00:14:4f:00:00:02")
    lab.relay.send(MessageType.REQUEST, "00:14:4f:00:00:02", options=chosen(offer))
    assert lab.relay.is_silent()


def test_a_lost_race_is_decided_once_more_then_silence(start: Start) -> None:
    records = Failing(make_store(pool()), Outcome.COLLISION)
    lab = start(records)
    offer = lab.relay.ask(MessageType.DISCOVER, MAC)
    lab.relay.send(MessageType.REQUEST, MAC, options=chosen(offer))
    assert lab.relay.is_silent()
    assert lab.events.first("dhcp.silent")["reason"] == "collision"
    assert records.asked == 2


def test_an_address_taken_behind_our_back_is_not_acknowledged(start: Start) -> None:
    records = make_store(pool())
    lab = start(records)
    offer = lab.relay.ask(MessageType.DISCOVER, MAC)
    free = rows(records)[offer.yiaddr]
    other = free._replace(client_id=b"\1other", lease_s=FOREVER_S)
    assert records.commit([Change(NETWORK, free, other)])[0].outcome is Outcome.STORED
    lab.relay.send(MessageType.REQUEST, MAC, options=chosen(offer))
    assert lab.relay.is_silent()
    assert rows(records)[offer.yiaddr].client_id == b"\1other"
    assert lab.relay.lease(MAC).yiaddr != offer.yiaddr


class Slow(MemoryRecords):
    """A datastore whose commits take long, by the clock that the service looks at."""

    took_s = 0.0

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        self.took_s += 7
        return super().commit(changes, waits)


def test_what_took_long_to_store_is_promised_from_now_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Slow()
    records.load(NETWORK, [make_binding("127.0.0.9", bytes.fromhex("0100144f000001"), lease_s=int(time.time()) + 500)])
    records.load("dhcptab", [TabEntry(NETWORK, "m", 1, ":LeaseTim=3600:LeaseNeg:")])
    real = time.time, time.monotonic
    clock = SimpleNamespace(time=lambda: real[0]() + records.took_s, monotonic=lambda: real[1]() + records.took_s)
    monkeypatch.setattr("dhcp.daemon.time", clock)
    ack = start(records).relay.ask(MessageType.REQUEST, MAC, ciaddr="127.0.0.9")
    told_s = int.from_bytes(ack.options[o.LEASE_TIME], "big")
    assert told_s <= rows(records)[ack.yiaddr].lease_s - real[0]() - 6
    assert told_s > 3500
