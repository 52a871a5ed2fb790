"""Where replies go: RFC 2131 section 4.1 as a table."""

import pytest

from dhcp.packet import Packet
from dhcp.route import LIMITED_BROADCAST, Destination, Via, destination

MAC = bytes.fromhex("00144f000001")
RELAY, OWN, GIVEN = 0x0A000001, 0xC0A84C0A, 0xC0A84C0B
TO_RELAY = Destination(Via.SOCKET, RELAY, 67)
TO_OWN = Destination(Via.SOCKET, OWN, 68)
TO_ALL = Destination(Via.SOCKET, LIMITED_BROADCAST, 68)
TO_STATION = Destination(Via.FRAME, GIVEN, 68, MAC)


def request(giaddr: int = 0, ciaddr: int = 0, flags: int = 0, hlen: int = 6, htype: int = 1) -> Packet:
    return Packet(1, htype, hlen, 0, 1, 0, flags, ciaddr, 0, 0, giaddr, MAC.ljust(16, b"\0"), b"", b"", {})


@pytest.mark.parametrize(
    ("asked", "yiaddr", "refused", "where"),
    [
        (request(RELAY, OWN, 0x8000), GIVEN, False, TO_RELAY),
        (request(RELAY), 0, True, TO_RELAY),
        (request(0, OWN, 0x8000), GIVEN, False, TO_OWN),
        (request(0, OWN), 0, False, TO_OWN),
        (request(0, 0, 0x8000), GIVEN, False, TO_ALL),
        (request(0, 0, 0x7F80), GIVEN, False, TO_STATION),
        (request(), GIVEN, False, TO_STATION),
        (request(), 0, True, TO_ALL),
        (request(0, OWN), 0, True, TO_ALL),
        (request(hlen=0), GIVEN, False, TO_ALL),
        (request(hlen=16), GIVEN, False, TO_ALL),
        (request(htype=32), GIVEN, False, TO_ALL),
        (request(), 0, False, TO_ALL),
    ],
)
def test_destination(asked: Packet, yiaddr: int, refused: bool, where: Destination) -> None:
    assert destination(asked, yiaddr, refused=refused) == where


def test_a_refusal_reaches_a_client_beyond_a_router() -> None:
    assert destination(request(0, OWN), 0, refused=True, ciaddr_is_local=False) == TO_OWN


def test_ports_of_a_test_setup() -> None:
    assert destination(request(RELAY), GIVEN, 1000).port == 1067
    assert destination(request(), GIVEN, 1000).port == 1068
    assert destination(request(0, OWN), GIVEN, 1000).port == 1068
