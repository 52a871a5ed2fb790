"""Hostile packets are counted and shown; the next one is answered."""

import pytest

from dhcp import engine, wire
from dhcp.options import MessageType
from tests.dhcp.conftest import Start, make_packet, make_store
from tests.dhcp.daemon.conftest import MAC, pool

HOSTILE = {
    "empty": b"",
    "one byte": b"\1",
    "a header without its end": bytes(239),
    "an option past the end": wire.encode(make_packet(MessageType.DISCOVER, MAC))[:243] + b"\x3d\xff\1",
    "an option code as the last byte": wire.encode(make_packet(MessageType.DISCOVER, MAC))[:243] + b"\x3d",
    "a reply": b"\2" + wire.encode(make_packet(MessageType.DISCOVER, MAC))[1:],
    "no hardware address": wire.encode(make_packet(MessageType.DISCOVER, MAC, hlen=0)),
    "a hardware address of 255 bytes": b"\1\1\xff" + wire.encode(make_packet(MessageType.DISCOVER, MAC))[3:],
    "a broadcast hardware address": wire.encode(make_packet(MessageType.DISCOVER, "ff:ff:ff:ff:ff:ff")),
    "a message type of no meaning": wire.encode(make_packet(None, MAC, options={53: b"\x63"})),
    "too long": wire.encode(make_packet(MessageType.DISCOVER, MAC)).ljust(9000, b"\0"),
    "a relay of no network": wire.encode(make_packet(MessageType.DISCOVER, MAC, giaddr="10.9.9.9")),
    "too many hops": wire.encode(make_packet(MessageType.DISCOVER, MAC, giaddr="127.0.0.2", hops=17)),
    "BOOTP": wire.encode(make_packet(None, MAC, giaddr="127.0.0.2")),
    "an overload of garbage": wire.encode(make_packet(MessageType.DISCOVER, MAC, options={52: b"\x07"})),
    "a client id too long to store": wire.encode(
        make_packet(MessageType.DISCOVER, MAC, giaddr="127.0.0.2", options={61: bytes(200)})
    ),
    "relay information cut short": wire.encode(
        make_packet(MessageType.DISCOVER, MAC, giaddr="10.9.9.9", options={82: b"\5\4\1"})
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_packet_is_counted_and_the_next_one_answered(name: str, start: Start) -> None:
    lab = start(make_store(pool()))
    lab.relay.send_bytes(HOSTILE[name])
    assert lab.relay.lease(MAC).message_type is MessageType.ACK
    assert sum(lab.daemon.tally.counts.values()) == 1
    assert lab.events.kinds()[0] in {"dhcp.dropped", "dhcp.silent"}
    assert lab.events.told[0][1]["reason"]


def test_hostile_packets_without_end_do_not_fill_the_journal(start: Start) -> None:
    lab = start(make_store(pool()))
    for _ in range(500):
        lab.relay.send_bytes(b"")
    assert lab.relay.lease(MAC).message_type is MessageType.ACK
    assert lab.daemon.tally.counts["dhcp.dropped", "short"] == 500
    assert len(lab.events.of("dhcp.dropped")) <= 40


def test_a_poison_packet_is_told_with_its_bytes_and_the_loop_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = start(make_store(pool()))

    def stumble(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setitem(engine.HANDLERS, MessageType.INFORM, stumble)
        lab.relay.send(MessageType.INFORM, MAC)
        told = lab.events.first("dhcp.dropped")
        assert lab.relay.is_silent()
    assert lab.relay.lease(MAC).message_type is MessageType.ACK
    assert told["reason"] == "poison"
    assert "ZeroDivisionError: a bug" in str(told["detail"])
    assert "010106" in str(told["detail"])
