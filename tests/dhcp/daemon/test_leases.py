"""The loop over real sockets on loopback: leases, batches, edits, and what the packets show."""

from pathlib import Path

import pytest

from dhcp import options as o
from dhcp.options import MessageType
from dhcp.tally import BURST_MAX, ROUTINE_PER_S
from storage.records import FREE_ID, Change, SunwFiles, TabEntry
from tests.dhcp.conftest import NETWORK, Start, chosen, free_port, make_store
from tests.dhcp.daemon.conftest import MAC, pool, rows


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
