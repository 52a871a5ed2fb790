"""BOOTP and lease queries through the daemon; the rules themselves are in the scenarios."""

import pytest

from dhcp import options as o
from dhcp import wire
from dhcp.options import MessageType
from dhcp.packet import Packet
from storage.records import BOOTP, FOREVER_S, FREE_ID, UNUSABLE, Binding, Outcome, ipv4_int
from tests.dhcp.conftest import NETWORK, Relay, Start, make_binding, make_packet, make_store
from tests.dhcp.daemon.conftest import Failing
from tests.dhcp.test_verify import Neighbours
from tests.rows import rows_of

MAC = "00:14:4f:00:00:01"
MANY = ":Router=127.0.0.254:DNSserv=127.0.0.2 127.0.0.3 127.0.0.4:NTPservs=127.0.0.5:Rootpath=" + "r" * 40 + ":"


def ask(relay: Relay, *, has_cookie: bool = True) -> bytes:
    packet = make_packet(None, MAC, giaddr=Relay.ADDRESS, hops=1)
    relay.send_bytes(wire.encode(packet.altered(has_cookie=has_cookie)))
    return relay.socket.recv(2048)


def test_a_bootp_client_gets_an_address_for_ever_in_300_bytes(start: Start) -> None:
    records = make_store([make_binding("127.0.0.20", flags=BOOTP)], {NETWORK: MANY})
    lab = start(records, bootp_compat="automatic")
    data = ask(lab.relay)
    reply = wire.decode(data, op=wire.BOOTREPLY)
    assert (len(data), reply.yiaddr) == (300, ipv4_int("127.0.0.20"))
    assert set(reply.options) == {o.SUBNET_MASK, o.ROUTER, 17}
    (row,) = rows_of(records, NETWORK, Binding)
    assert (row.client_id, row.lease_s) == (bytes.fromhex("0100144f000001"), FOREVER_S)
    assert ask(lab.relay) == data
    assert lab.events.kinds() == ["dhcp.bootp", "dhcp.bootp"]


def test_a_client_without_cookie_gets_none(start: Start) -> None:
    lab = start(make_store([make_binding("127.0.0.20", flags=BOOTP)]), bootp_compat="automatic")
    data = ask(lab.relay, has_cookie=False)
    assert data[236:300] == bytes(64)
    assert data[16:20] == bytes((127, 0, 0, 20))


def test_what_cannot_be_stored_is_not_given(start: Start) -> None:
    lab = start(Failing(make_store([make_binding("127.0.0.20", flags=BOOTP)]), Outcome.FULL), bootp_compat="automatic")
    lab.relay.send_bytes(wire.encode(make_packet(None, MAC, giaddr=Relay.ADDRESS)))
    assert lab.relay.is_silent()


def test_a_new_binding_is_asked_for_by_icmp_first(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.probes.WAIT_S", 0.1)
    records = make_store([make_binding(f"127.0.0.{host}", flags=BOOTP) for host in (20, 21)])
    lab = start(records, Neighbours(["127.0.0.20"]), icmp_verify=True, bootp_compat="automatic")
    assert wire.decode(ask(lab.relay), op=wire.BOOTREPLY).yiaddr == ipv4_int("127.0.0.21")
    flags = {row.address & 255: row.flags for row in rows_of(records, NETWORK, Binding)}
    assert flags[20] in (BOOTP, BOOTP | UNUSABLE)
    assert flags[21] == BOOTP


def query(relay: Relay, mac: str = "", **fields: object) -> Packet:
    return relay.ask(MessageType.LEASEQUERY, mac, **fields)


def test_a_relay_asks_about_leases_by_address_hardware_and_client_id(start: Start) -> None:
    records = make_store([make_binding("127.0.0.20")])
    lab = start(records)
    unassigned = query(lab.relay, ciaddr="127.0.0.20")
    assert unassigned.message_type is MessageType.LEASEUNASSIGNED
    assert query(lab.relay, MAC).message_type is MessageType.LEASEUNKNOWN
    lab.relay.lease(MAC)
    client_id = {o.CLIENT_ID: bytes.fromhex("0100144f000001")}
    for found in (
        query(lab.relay, ciaddr="127.0.0.20"),
        query(lab.relay, MAC),
        query(lab.relay, options=client_id),
    ):
        assert found.message_type is MessageType.LEASEACTIVE
        assert (found.ciaddr, found.mac) == (ipv4_int("127.0.0.20"), MAC)
        assert found.options[o.CLIENT_ID] == client_id[o.CLIENT_ID]
        assert int.from_bytes(found.options[o.LAST_TRANSACTION], "big") < 10


def test_a_query_sees_what_was_written_behind_our_back(start: Start) -> None:
    records = make_store([make_binding("127.0.0.20", FREE_ID)])
    lab = start(records)
    records.load(NETWORK, [make_binding("127.0.0.20", b"\1other", lease_s=FOREVER_S, signature=2)])
    assert query(lab.relay, options={o.CLIENT_ID: b"\1other"}).message_type is MessageType.LEASEACTIVE
