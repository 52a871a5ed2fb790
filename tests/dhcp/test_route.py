"""Where replies go: RFC 2131 section 4.1 as a table."""

import pytest

from dhcp.options import MessageType
from dhcp.route import LIMITED_BROADCAST, Destination, Via, destination
from dhcp.wire import Packet

MAC = bytes.fromhex("00144f000001")
RELAY, OWN, GIVEN = 0x0A000001, 0xC0A84C0A, 0xC0A84C0B
TO_RELAY = Destination(Via.SOCKET, RELAY, 67)
TO_OWN = Destination(Via.SOCKET, OWN, 68)
TO_ALL = Destination(Via.SOCKET, LIMITED_BROADCAST, 68)
TO_STATION = Destination(Via.FRAME, GIVEN, 68, MAC)


def request(giaddr: int = 0, ciaddr: int = 0, flags: int = 0, hlen: int = 6, htype: int = 1) -> Packet:
    return Packet(1, htype, hlen, 0, 1, 0, flags, ciaddr, 0, 0, giaddr, MAC.ljust(16, b"\0"), b"", b"", {})


def reply(kind: MessageType | None, yiaddr: int = GIVEN) -> Packet:
    options = {} if kind is None else {53: bytes((kind,))}
    return request()._replace(op=2, yiaddr=yiaddr, options=options)


@pytest.mark.parametrize(
    ("asked", "answer", "where"),
    [
        (request(RELAY, OWN, 0x8000), reply(MessageType.ACK), TO_RELAY),
        (request(RELAY), reply(MessageType.NAK, 0), TO_RELAY),
        (request(0, OWN, 0x8000), reply(MessageType.ACK), TO_OWN),
        (request(0, OWN), reply(MessageType.ACK, 0), TO_OWN),
        (request(0, 0, 0x8000), reply(MessageType.OFFER), TO_ALL),
        (request(0, 0, 0x7F80), reply(MessageType.OFFER), TO_STATION),
        (request(), reply(MessageType.ACK), TO_STATION),
        (request(), reply(None), TO_STATION),
        (request(), reply(MessageType.NAK, 0), TO_ALL),
        (request(0, OWN), reply(MessageType.NAK, 0), TO_ALL),
        (request(hlen=0), reply(MessageType.OFFER), TO_ALL),
        (request(hlen=16), reply(MessageType.OFFER), TO_ALL),
        (request(htype=32), reply(MessageType.OFFER), TO_ALL),
        (request(), reply(None, 0), TO_ALL),
    ],
)
def test_destination(asked: Packet, answer: Packet, where: Destination) -> None:
    assert destination(asked, answer) == where


def test_a_refusal_reaches_a_client_beyond_a_router() -> None:
    assert destination(request(0, OWN), reply(MessageType.NAK, 0), ciaddr_is_local=False) == TO_OWN


def test_ports_of_a_test_setup() -> None:
    ports = {"server_port": 1067, "client_port": 1068}
    assert destination(request(RELAY), reply(MessageType.ACK), **ports).port == 1067
    assert destination(request(), reply(MessageType.ACK), **ports).port == 1068
    assert destination(request(0, OWN), reply(MessageType.ACK), **ports).port == 1068
