"""The loop over real sockets on loopback: leases, batches, hostile packets, a store that fails."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from dhcp import engine, wire
from dhcp import options as o
from dhcp.daemon import Daemon, serve
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.sockets import open_sockets
from dhcp.svcconf import ServiceConf
from dhcp.tally import BURST_MAX, ROUTINE_PER_S
from storage.records import (
    FOREVER_S,
    FREE_ID,
    MANUAL,
    PERMANENT,
    Binding,
    Change,
    MemoryRecords,
    Outcome,
    Result,
    SunwFiles,
    TabEntry,
)
from storage.records.port import nothing
from tests.dhcp.conftest import NETWORK, Events, Lab, Relay, chosen, free_port, make_binding, make_packet, make_store

Start = Callable[..., Lab]
MAC = "00:14:4f:00:00:01"


def pool(count: int = 200) -> list[Binding]:
    return [make_binding(f"127.0.0.{host}") for host in range(20, 20 + count)]


def rows(records: MemoryRecords) -> dict[int, Binding]:
    return {row.address: row for row in records.read(NETWORK).rows if isinstance(row, Binding)}


def test_a_client_leases_renews_and_releases_through_a_relay(start: Start) -> None:
    records = make_store(pool(), {NETWORK: ":Router=127.0.0.254:LeaseTim=600:LeaseNeg:"})
    lab = start(records)
    offer = lab.relay.ask(MessageType.DISCOVER, MAC)
    assert offer.message_type is MessageType.OFFER
    assert all(row.client_id == FREE_ID for row in rows(records).values())
    ack = lab.relay.ask(MessageType.REQUEST, MAC, options=chosen(offer))
    assert (ack.message_type, ack.yiaddr) == (MessageType.ACK, offer.yiaddr)
    assert ack.options[o.LEASE_TIME] == (600).to_bytes(4, "big")
    stored = rows(records)[ack.yiaddr]
    assert stored.client_id == bytes.fromhex("0100144f000001")
    address = f"127.0.0.{ack.yiaddr & 255}"
    renewed = lab.relay.ask(MessageType.REQUEST, MAC, ciaddr=address)
    assert renewed.yiaddr == ack.yiaddr
    lab.relay.send(MessageType.RELEASE, MAC, ciaddr=address)
    assert lab.relay.ask(MessageType.DISCOVER, MAC).yiaddr == ack.yiaddr
    assert rows(records)[ack.yiaddr].client_id == FREE_ID
    assert lab.events.kinds() == ["dhcp.offer", "dhcp.ack", "dhcp.ack", "dhcp.release", "dhcp.offer"]


def test_a_verbose_daemon_shows_what_came_and_what_went(start: Start) -> None:
    lab = start(make_store(pool()), verbose=True)
    lab.relay.ask(MessageType.DISCOVER, MAC, options={o.HOST_NAME: b"h\n1"})
    assert lab.events.kinds() == ["dhcp.packet", "dhcp.offer", "dhcp.reply"]
    came, went = lab.events.of("dhcp.packet")[0], lab.events.of("dhcp.reply")[0]
    assert (came["mac"], came["state"], went["state"]) == (MAC, "DISCOVER", "OFFER")
    assert 'host-name "h\\x0a1"' in str(came["detail"])
    assert "giaddr 127.0.0." in str(came["detail"])
    assert "yiaddr 127.0.0." in str(went["detail"])
    assert "lease-time" in str(went["detail"])


def test_a_flood_is_shown_in_part(start: Start) -> None:
    lab = start(make_store(pool()), verbose=True)
    for number in range(BURST_MAX + 50):
        lab.relay.send_bytes(bytes([number % 256]) * 20)
    lab.relay.ask(MessageType.DISCOVER, MAC)
    assert lab.events.kinds().count("dhcp.packet") <= BURST_MAX + ROUTINE_PER_S


def test_a_whole_batch_gets_an_address_each(start: Start) -> None:
    records = make_store(pool())
    lab = start(records)
    macs = [f"00:14:4f:00:01:{number:02x}" for number in range(128)]
    for mac in macs:
        lab.relay.send(MessageType.DISCOVER, mac)
    offers = {packet.mac: packet for packet in (lab.relay.receive() for _ in macs)}
    assert len({offer.yiaddr for offer in offers.values()}) == 128
    for mac in macs:
        lab.relay.send(MessageType.REQUEST, mac, options=chosen(offers[mac]))
    acks = {packet.mac: packet.yiaddr for packet in (lab.relay.receive() for _ in macs)}
    assert acks == {mac: offer.yiaddr for mac, offer in offers.items()}
    held = [row for row in rows(records).values() if row.client_id != FREE_ID]
    assert len(held) == 128


def test_a_repeated_request_is_answered_twice_and_stored_once(start: Start) -> None:
    records = make_store(pool())
    lab = start(records)
    offer = lab.relay.ask(MessageType.DISCOVER, MAC)
    for _ in range(2):
        lab.relay.send(MessageType.REQUEST, MAC, options=chosen(offer))
    assert [lab.relay.receive().message_type for _ in range(2)] == [MessageType.ACK] * 2
    assert len([row for row in rows(records).values() if row.client_id != FREE_ID]) == 1


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


class Failing:
    """A datastore whose commits fail."""

    def __init__(self, records: MemoryRecords, outcome: Outcome) -> None:
        self._records, self._outcome = records, outcome
        self.location = records.location
        self.read, self.tables = records.read, records.tables
        self.create, self.drop = records.create, records.drop
        self.rescan, self.tend, self.epoch = records.rescan, records.tend, records.epoch
        self.asked = 0

    def commit(self, changes: Sequence[Change], waits: Callable[[], None]) -> list[Result]:
        self.asked += 1
        return [Result(self._outcome, None, "as the test asked") for _ in changes]


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


def test_an_edit_counts_for_the_next_packet_and_a_bad_macro_is_told_once(start: Start) -> None:
    records = make_store(pool())
    lab = start(records)
    assert o.ROUTER not in lab.relay.ask(MessageType.DISCOVER, MAC).options
    macros = [TabEntry(NETWORK, "m", 2, ":Router=127.0.0.254:"), TabEntry("bad", "m", 1, ":Include=nowhere:")]
    records.load("dhcptab", macros)
    for _ in range(2):
        assert o.ROUTER in lab.relay.ask(MessageType.DISCOVER, MAC).options
    assert ["bad" in str(fault["reason"]) for fault in lab.events.of("records.fault")] == [True]


def test_a_server_that_forgot_its_offers_takes_the_word_of_clients_for_them(start: Start) -> None:
    lab = start(make_store(pool()))
    offer = lab.relay.ask(MessageType.DISCOVER, MAC)
    lab.daemon.rescan()
    lab.relay.ask(MessageType.DISCOVER, "00:14:4f:00:00:02")
    ack = lab.relay.ask(MessageType.REQUEST, MAC, options=chosen(offer))
    assert (ack.message_type, ack.yiaddr) == (MessageType.ACK, offer.yiaddr)
    assert lab.events.first("dhcp.ack")["state"] == "finishing"
    elsewhere = {**chosen(offer), 50: b"\x0a\x00\x00\x01"}  # an address that is none of ours
    lab.relay.send(MessageType.REQUEST, "00:14:4f:00:00:03", options=elsewhere)
    assert lab.relay.is_silent()


def test_a_rescan_forgets_offers(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.decider.MEMORY_S", 0.0)
    lab = start(make_store(pool()))
    offer = lab.relay.ask(MessageType.DISCOVER, MAC)
    lab.daemon.rescan()
    lab.relay.ask(MessageType.DISCOVER, "00:14:4f:00:00:02")
    lab.relay.send(MessageType.REQUEST, MAC, options=chosen(offer))
    assert lab.relay.is_silent()
    assert lab.events.first("dhcp.silent")["reason"] == "no-offer"


def test_a_network_without_container_is_told_and_answered_by_silence(start: Start) -> None:
    records = make_store([])
    records.drop(NETWORK)
    lab = start(records)
    lab.relay.send(MessageType.DISCOVER, MAC)
    assert lab.relay.is_silent()
    assert [fault["file"] for fault in lab.events.of("records.fault")] == [NETWORK]
    records.load(NETWORK, pool())
    assert lab.relay.lease(MAC).message_type is MessageType.ACK


def test_leases_in_suns_files(start: Start, tmp_path: Path) -> None:
    records = SunwFiles(tmp_path)
    for table in (NETWORK, "dhcptab"):
        records.create(table)
    records.commit([Change(NETWORK, None, row) for row in pool(8)])
    records.commit([Change("dhcptab", None, TabEntry(NETWORK, "m", 0, ":LeaseTim=600:"))])
    lab = start(records)
    acks = {mac: lab.relay.lease(mac).yiaddr for mac in (f"00:14:4f:00:00:{host:02x}" for host in range(8))}
    assert len(set(acks.values())) == 8
    text = (tmp_path / "SUNWfiles1_127_0_0_0").read_text()
    assert all(f"|0100144F0000{host:02X}|00|127.0.0.1|" in text for host in range(8))
    lab.relay.send(MessageType.DISCOVER, "00:14:4f:00:00:99")
    assert lab.relay.is_silent()
    assert lab.events.first("dhcp.silent")["reason"] == "full"


def test_two_servers_on_one_store_give_an_address_once(start: Start, tmp_path: Path) -> None:
    SunwFiles(tmp_path).create(NETWORK)
    SunwFiles(tmp_path).create("dhcptab")
    SunwFiles(tmp_path).commit([Change(NETWORK, None, row) for row in pool(1)])
    one, other = (start(SunwFiles(tmp_path), debug_port_offset=free_port() - 67) for _ in range(2))
    first, second = MAC, "00:14:4f:00:00:02"
    offers = [one.relay.ask(MessageType.DISCOVER, first), other.relay.ask(MessageType.DISCOVER, second)]
    assert offers[0].yiaddr == offers[1].yiaddr
    assert one.relay.ask(MessageType.REQUEST, first, options=chosen(offers[0])).message_type is MessageType.ACK
    other.relay.send(MessageType.REQUEST, second, options=chosen(offers[1]))
    assert other.relay.is_silent()
    assert other.events.first("dhcp.silent")["reason"] == "taken"
    assert other.relay.ask(MessageType.REQUEST, first, ciaddr="127.0.0.20").message_type is MessageType.ACK


def test_old_work_is_shed_only_from_a_whole_batch(
    lab_conf: ServiceConf, port_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = open_sockets(lab_conf, ["lo"])
    relay = Relay(port_number)
    daemon = Daemon(lab_conf, [port], make_store(pool()), [network("127.0.0.0/24")], Events())
    late = time.time() + 0.4
    monkeypatch.setattr("dhcp.daemon.time", SimpleNamespace(time=lambda: late, monotonic=time.monotonic))
    for batch_max, kept in ((3, [b"\1", b"\3"]), (2, [b"\3"])):
        monkeypatch.setattr("dhcp.daemon.BATCH_MAX", batch_max)
        relay.send(MessageType.DISCOVER, MAC)
        relay.send(MessageType.REQUEST, MAC)
        assert [data[242:243] for data in daemon._drain(port)[0]] == kept
    assert daemon.tally.counts["dhcp.dropped", "shed"] == 1
    daemon.close()
    port.close()
    relay.socket.close()


def test_serve_stops_on_sigterm_and_puts_signal_handlers_back(lab_conf: ServiceConf) -> None:
    ports = open_sockets(lab_conf, ["lo"])
    before = signal.getsignal(signal.SIGTERM)

    def when_ready() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    serve(lab_conf, ports, make_store(pool()), [network("127.0.0.0/24")], Events(), when_ready)
    assert signal.getsignal(signal.SIGTERM) is before
    for port in ports:
        port.close()


def test_a_release_that_waited_too_long_is_not_carried_out(start: Start) -> None:
    mine = make_binding("127.0.0.9", bytes.fromhex("0100144f000001"), lease_s=int(time.time()) + 500)
    records = make_store([mine])
    lab = start(records)
    release = wire.encode(make_packet(MessageType.RELEASE, MAC, ciaddr="127.0.0.9"))
    lab.daemon.service.handle(lab.ports[0], [release], 1.5)
    assert lab.events.first("dhcp.dropped")["reason"] == "stale"
    assert rows(records)[mine.address].client_id == mine.client_id
    lab.daemon.service.handle(lab.ports[0], [release], 0.5)
    assert rows(records)[mine.address].client_id == FREE_ID


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
