from __future__ import annotations

import socket
from dataclasses import dataclass, field

from twinboot.lab.failover import Proof, verdict
from twinboot.lab.failover_storm import RETRY_S, SAME_SERVER_TRIES, Client, Storm
from twinboot.lab.simulate.packets import ACK, DISCOVER, NAK, OFFER, REQUEST, Message, read

RELAY, ODD, EVEN = "10.0.0.3", "10.0.0.1", "10.0.0.2"
ADDRESS = 0x0A000050


def number(address: str) -> int:
    return int.from_bytes(socket.inet_aton(address), "big")


@dataclass
class Wire:
    """Keeps what was sent and to whom."""

    sent: list[tuple[str, Message, bytes]] = field(default_factory=list)

    def sendto(self, data: bytes | bytearray, to: tuple[str, int]) -> None:
        self.sent.append((to[0], read(bytes(data)), bytes(data)))

    def take(self) -> list[tuple[str, Message, bytes]]:
        sent, self.sent = self.sent, []
        return sent


def storm() -> tuple[Storm, Wire, Client]:
    found = Storm(RELAY, [ODD, EVEN])
    client = Client(b"\2\0\0\0\0\1", 0.0)
    found.clients.append(client)
    return found, Wire(), client


def reply(kind: int, client: Client, server: str) -> Message:
    return Message(kind, client.xid, client.mac, yiaddr=ADDRESS, server=number(server), lease_s=600)


def test_a_broadcast_goes_to_every_server_with_the_relay_s_address() -> None:
    lab, wire, client = storm()
    lab._speak(wire, client, 1.0)
    sent = wire.take()
    assert [(to, message.kind) for to, message, _ in sent] == [(ODD, DISCOVER), (EVEN, DISCOVER)]
    assert all(data[3] == 1 and data[24:28] == socket.inet_aton(RELAY) for _, _, data in sent)


def test_the_first_offer_is_taken_and_its_ack_ends_the_silence() -> None:
    lab, wire, client = storm()
    lab._speak(wire, client, 1.0)
    wire.take()
    lab._hear(wire, client, reply(OFFER, client, EVEN), 1.2)
    ((to, message, _),) = wire.take()
    assert (to, message.kind, message.wanted, message.server) == (EVEN, REQUEST, ADDRESS, number(EVEN))
    lab._hear(wire, client, reply(ACK, client, EVEN), 1.5)
    facts = lab.facts(1.5)
    assert (facts["bound"], facts["longest_s"], facts["acks"]) == (1, 0.5, {EVEN: 1})


def test_a_client_whose_chosen_server_is_dead_begins_anew() -> None:
    lab, wire, client = storm()
    lab._speak(wire, client, 1.0)
    lab._hear(wire, client, reply(OFFER, client, ODD), 1.1)
    wire.take()
    now = 1.1
    kinds = []
    for _ in range(SAME_SERVER_TRIES):
        now += RETRY_S
        lab._speak(wire, client, now)
        kinds.append({(to, message.kind) for to, message, _ in wire.take()})
    assert kinds == [{(ODD, REQUEST)}, {(ODD, DISCOVER), (EVEN, DISCOVER)}]
    lab._hear(wire, client, reply(OFFER, client, EVEN), now)
    lab._hear(wire, client, reply(ACK, client, EVEN), now)
    assert abs(lab.longest_s - (now - 1.0)) < 1e-6  # from the very first packet on


def test_a_renewal_asks_the_server_of_the_lease_and_then_all() -> None:
    lab, wire, client = storm()
    client.bound, client.address, client.server = True, ADDRESS, number(ODD)
    tos = []
    for turn in range(SAME_SERVER_TRIES + 1):
        lab._speak(wire, client, 1.0 + turn)
        sent = wire.take()
        assert {message.ciaddr for _, message, _ in sent} == {ADDRESS}
        tos.append([to for to, _, _ in sent])
    assert tos == [[ODD], [ODD], [ODD, EVEN]]


def test_an_address_of_two_clients_is_counted() -> None:
    lab, wire, client = storm()
    other = Client(b"\2\0\0\0\0\2", 0.0)
    for one in (client, other):
        lab._speak(wire, one, 1.0)
        lab._hear(wire, one, reply(ACK, one, ODD), 1.1)
    assert lab.doubled == 1


def test_a_nak_sends_the_client_back_to_the_start() -> None:
    lab, wire, client = storm()
    client.bound, client.address, client.server = True, ADDRESS, number(ODD)
    lab._speak(wire, client, 1.0)
    lab._hear(wire, client, reply(NAK, client, ODD), 1.1)
    wire.take()
    lab._speak(wire, client, 2.0)
    assert {message.kind for _, message, _ in wire.take()} == {DISCOVER}


def test_the_verdict_names_the_longest_silence_or_every_fault() -> None:
    proof = Proof(killed="odd", loader_s=35, report_s=70, longest_s=2.6, acks={"odd": 5, "even": 9}, clients=300)
    assert "odd was killed; 300 clients, 5 by odd + 9 by even ACKs, none doubled" in verdict(proof)
    assert "longest silence any client saw was 2.6 s" in verdict(proof)
    assert "hv1, whose loader went on with the other server 35 s after the kill, booted untouched" in verdict(proof)
    proof.faults.append("a client waited")
    assert "not so" in verdict(proof)
    assert "failed" in verdict(proof)
