"""The relay agent on real sockets: loopback, a server and a client that the test plays."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dhcp import relay, relayd, wire
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.relay import Plan
from dhcp.relayd import RelayAgent, open_relay, resolve, way_to
from dhcp.sockets import Port, SocketError, open_sockets
from dhcp.svcconf import ServiceConf
from storage.records import ipv4_int
from tests.dhcp.conftest import ANSWER_TIMEOUT_S, Events, make_packet

MAC = "00:14:4f:00:00:01"
RELAY, SERVER, FIRST_RELAY = "127.0.0.1", "127.0.0.3", "127.0.0.4"


@dataclass
class RelayLab:
    """A relay at 127.0.0.1, its server at 127.0.0.3, and another relay at 127.0.0.4 that speaks for clients."""

    agent: RelayAgent
    events: Events
    server: socket.socket
    client: socket.socket
    to_relay: tuple[str, int]

    def request(self, data: bytes) -> None:
        self.client.sendto(data, self.to_relay)

    def heard(self) -> Packet:
        return wire.decode(self.server.recv(2048))


def bound(address: str, number: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, number))
    made.settimeout(ANSWER_TIMEOUT_S)
    return made


@pytest.fixture
def lab(lab_conf: ServiceConf) -> Iterator[RelayLab]:
    number = 67 + lab_conf.debug_port_offset
    (port,) = open_sockets(lab_conf, ["lo"])
    ports = [port._replace(interface=port.interface._replace(mask=0xFFFFFFFF))]  # nobody is a neighbour on loopback
    plan = relayd.plan_for(lab_conf, (ipv4_int(SERVER),), ports, ["lo"])
    events = Events()
    agent = RelayAgent(plan, ports, events)
    server, client = bound(SERVER, number), bound(FIRST_RELAY, number)
    ready = threading.Event()
    thread = threading.Thread(target=agent.serve_forever, args=(ready.set,), daemon=True)
    thread.start()
    assert ready.wait(ANSWER_TIMEOUT_S)
    yield RelayLab(agent, events, server, client, (RELAY, number))
    agent.stop()
    thread.join(ANSWER_TIMEOUT_S)
    assert not thread.is_alive()
    agent.close()
    server.close()
    client.close()
    for one in ports:
        one.close()


def discover(**fields: Any) -> bytes:
    return wire.encode(make_packet(MessageType.DISCOVER, MAC, giaddr=FIRST_RELAY, **fields))


def test_a_request_arrives_at_the_server_from_the_server_port(lab: RelayLab) -> None:
    lab.request(discover(hops=1))
    data, sender = lab.server.recvfrom(2048)
    packet = wire.decode(data)
    assert (packet.hops, packet.giaddr, packet.mac) == (2, ipv4_int(FIRST_RELAY), MAC)
    assert sender == lab.to_relay
    assert lab.events.first("dhcp.relayed") == {"mac": MAC, "xid": "00001234", "server": SERVER}


def test_a_reply_goes_back_to_the_client(lab: RelayLab) -> None:
    port = lab.to_relay[1] + 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.60", port))
        client.settimeout(ANSWER_TIMEOUT_S)
        ack = make_packet(MessageType.ACK, MAC, giaddr=RELAY, ciaddr="127.0.0.60", op=2)
        lab.server.sendto(wire.encode(ack), lab.to_relay)
        assert wire.decode(client.recv(2048), wire.BOOTREPLY).message_type is MessageType.ACK
    assert lab.events.first("dhcp.returned")["address"] == "127.0.0.60"


HOSTILE = {
    "nothing": b"",
    "one octet": b"\1",
    "a header cut short": discover()[:239],
    "too long": discover() + bytes(9000),
    "hlen 255": discover()[:2] + b"\xff" + discover()[3:],
    "hops 255": discover()[:3] + b"\xff" + discover()[4:],
    "our own giaddr": wire.encode(make_packet(MessageType.DISCOVER, MAC, giaddr=RELAY)),
    "a reply to nobody": wire.encode(make_packet(MessageType.ACK, MAC, giaddr="10.9.9.9", op=2)),
    "a reply to everybody": wire.encode(make_packet(MessageType.ACK, MAC, giaddr=RELAY, op=2)),
    "a reply to a multicast address": wire.encode(
        make_packet(MessageType.ACK, MAC, giaddr=RELAY, op=2, ciaddr="240.0.0.1")
    ),
    "op 0": b"\0" + discover()[1:],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_packet_stops_it(lab: RelayLab, name: str) -> None:
    lab.request(HOSTILE[name])
    lab.request(discover(xid=7))
    assert lab.heard().xid == 7
    assert ("dhcp.dropped", "poison") not in lab.agent.tally.counts


def test_a_decision_that_breaks_is_one_packet_lost(lab: RelayLab, monkeypatch: pytest.MonkeyPatch) -> None:
    real = relay.decide
    monkeypatch.setattr(relay, "decide", lambda *_: 1 // 0)
    lab.request(discover())
    assert "ZeroDivisionError" in str(lab.events.first("dhcp.dropped")["detail"])
    monkeypatch.setattr(relay, "decide", real)
    lab.request(discover(xid=8))
    assert lab.heard().xid == 8


def test_a_server_that_cannot_be_reached_is_told_and_the_others_hear(lab: RelayLab) -> None:
    plan = lab.agent._plan
    lab.agent._plan = plan._replace(destinations=(0xFFFFFFFF, *plan.destinations))  # refused by the kernel
    lab.request(discover(xid=9))
    assert lab.heard().xid == 9
    assert lab.events.first("dhcp.dropped")["detail"] == "255.255.255.255: Permission denied"


def test_destinations_are_addresses_or_names_of_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"boston": "10.0.0.1", "10.0.0.1": "10.0.0.1", "me": "127.0.1.1", "all": "255.255.255.255"}

    def look_up(name: str) -> str:
        if name not in known:
            raise OSError(-2, "Name or service not known")
        return known[name]

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    assert resolve(["boston", "10.0.0.1"]) == (ipv4_int("10.0.0.1"),)
    with pytest.raises(SocketError) as caught:
        resolve(["boston", "me", "all", "nobody"])
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("RELAY_DESTINATIONS: me: 127.0.1.1 is no server's address")


def test_a_relay_is_not_its_own_server(lab_conf: ServiceConf) -> None:
    with pytest.raises(SocketError, match="this machine's own"):
        open_relay(lab_conf, (ipv4_int("127.0.0.1"),), ["lo"])


def test_clients_are_heard_where_it_is_said(lab_conf: ServiceConf) -> None:
    ports, plan = open_relay(replace(lab_conf, interfaces=("lo",)), (ipv4_int("127.0.0.3"),))
    try:
        assert [(port.interface.name, port.echo) for port in ports] == [("lo", None)]
        assert isinstance(plan, Plan)
        assert [link.has_clients for link in plan.links.values()] == [True]
    finally:
        for port in ports:
            assert isinstance(port, Port)
            port.close()


def test_the_way_to_a_server_is_the_kernel_s() -> None:
    assert way_to(ipv4_int("127.0.0.3")) == ipv4_int("127.0.0.1")
