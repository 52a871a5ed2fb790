"""A relay's decisions: what of a packet changes, where it goes, and what goes no further."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp import options as o
from dhcp import wire
from dhcp.options import MessageType
from dhcp.relay import DROPPED, Dropped, Homeward, Link, Onward, Plan, decide
from dhcp.route import LIMITED_BROADCAST, Via
from storage.records import ipv4_int, ipv4_text
from tests.dhcp.conftest import make_packet

MAC = "00:14:4f:00:00:01"
CLIENTS = Link("eth1", ipv4_int("192.168.77.1"), 0xFFFFFF00)
UPLINK = Link("eth0", ipv4_int("192.168.76.2"), 0xFFFFFF00, has_clients=False)
SERVERS = (ipv4_int("192.168.76.1"), ipv4_int("10.9.0.1"))
PLAN = Plan(SERVERS, 4, {link.address: link for link in (CLIENTS, UPLINK)})


def request(**fields: Any) -> bytes:
    return wire.encode(make_packet(MessageType.DISCOVER, MAC, **fields))


def reply(*, giaddr: str = "192.168.77.1", yiaddr: str = "192.168.77.50", **fields: Any) -> bytes:
    packet = make_packet(MessageType.OFFER, MAC, giaddr=giaddr, op=2, **fields)
    return wire.encode(packet.altered(yiaddr=ipv4_int(yiaddr)))


def changed(before: bytes, after: bytes) -> dict[int, int]:
    return {at: new for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new}


def test_a_request_goes_to_every_server_with_giaddr_and_hops_and_nothing_else() -> None:
    data = request(options={o.RELAY_INFO: b"\1\1x", o.CLASS_ID: b"PXEClient"})
    onward = decide(data, CLIENTS, PLAN)
    assert isinstance(onward, Onward)
    assert (onward.servers, onward.port) == (SERVERS, 67)
    assert changed(data, onward.data) == {3: 1, 24: 192, 25: 168, 26: 77, 27: 1}


def test_what_another_relay_passed_on_keeps_its_giaddr() -> None:
    data = request(giaddr="10.5.0.1", hops=2)
    onward = decide(data, CLIENTS, PLAN)
    assert isinstance(onward, Onward)
    assert changed(data, onward.data) == {3: 3}


def test_options_that_make_no_sense_to_us_are_passed_on() -> None:
    data = request()[:240] + b"\x3d\xff\1"
    onward = decide(data, CLIENTS, PLAN)
    assert isinstance(onward, Onward)
    assert onward.data[240:] == data[240:]


def test_a_server_in_the_client_s_own_network_has_heard_it() -> None:
    near = PLAN._replace(destinations=(ipv4_int("192.168.77.9"), SERVERS[1]))
    onward = decide(request(), CLIENTS, near)
    assert isinstance(onward, Onward)
    assert onward.servers == SERVERS[1:]
    relayed = decide(request(giaddr="10.5.0.1"), CLIENTS, near)
    assert isinstance(relayed, Onward)
    assert len(relayed.servers) == 2
    only = near._replace(destinations=near.destinations[:1])
    assert decide(request(), CLIENTS, only) == Dropped("no-destination", MAC, "0.0.0.0")


@pytest.mark.parametrize(
    ("data", "came_in", "reason"),
    [
        (request(hops=5), CLIENTS, "hops"),
        (request(giaddr="192.168.77.1", hops=1), CLIENTS, "loop"),
        (request(giaddr="192.168.76.2", hops=1), CLIENTS, "loop"),
        (request(), UPLINK, "server-side"),
        (reply(giaddr="0.0.0.0"), UPLINK, "not-ours"),
        (reply(giaddr="10.5.0.1"), UPLINK, "not-ours"),
        (reply(giaddr="192.168.76.2"), UPLINK, "not-ours"),
        (b"", CLIENTS, "short"),
        (request()[:239], CLIENTS, "short"),
        (request() + bytes(8192), CLIENTS, "long"),
        (b"\3" + request()[1:], CLIENTS, "op"),
        (request()[:2] + b"\x11" + request()[3:], CLIENTS, "hlen"),
    ],
)
def test_what_goes_no_further(data: bytes, came_in: Link, reason: str) -> None:
    dropped = decide(data, came_in, PLAN)
    assert isinstance(dropped, Dropped)
    assert dropped.reason == reason
    assert dropped.reason in DROPPED


def test_hops_never_run_over() -> None:
    onward = decide(request(hops=254), CLIENTS, PLAN._replace(hops_max=255))
    assert isinstance(onward, Onward)
    assert onward.data[3] == 255
    assert isinstance(decide(request(hops=255), CLIENTS, PLAN._replace(hops_max=255)), Dropped)


def test_two_relays_on_one_wire_end_a_circle_between_them() -> None:
    other = Plan((CLIENTS.address,), 4, {ipv4_int("192.168.77.2"): Link("eth0", ipv4_int("192.168.77.2"), 0xFFFFFF00)})
    ours = PLAN._replace(destinations=(ipv4_int("192.168.77.2"),))
    data, passed = request(giaddr="10.5.0.1"), 0
    plans = [(CLIENTS, ours), (next(iter(other.links.values())), other)]
    while isinstance(onward := decide(data, *plans[passed % 2]), Onward):
        data, passed = onward.data, passed + 1
    assert passed == 5  # hops 0 to 4


@pytest.mark.parametrize(
    ("fields", "via", "address"),
    [
        ({}, Via.FRAME, "192.168.77.50"),
        ({"flags": 0x8000}, Via.SOCKET, "255.255.255.255"),
        ({"htype": 32}, Via.SOCKET, "255.255.255.255"),
        ({"hlen": 0}, Via.SOCKET, "255.255.255.255"),
        ({"yiaddr": "0.0.0.0"}, Via.SOCKET, "255.255.255.255"),
        ({"yiaddr": "0.0.0.0", "ciaddr": "192.168.77.60"}, Via.SOCKET, "192.168.77.60"),
    ],
)
def test_a_reply_leaves_where_giaddr_is(fields: dict[str, Any], via: Via, address: str) -> None:
    data = reply(**fields)
    homeward = decide(data, UPLINK, PLAN)
    assert isinstance(homeward, Homeward)
    assert (homeward.data, homeward.link) == (data, CLIENTS.address)
    assert (homeward.to.via, ipv4_text(homeward.to.address), homeward.to.port) == (via, address, 68)
    assert LIMITED_BROADCAST == 0xFFFFFFFF


@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: b"\1\1\6\0" + bytes(236) + tail))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for came_in in (CLIENTS, UPLINK):
        decision = decide(data, came_in, PLAN)
        assert isinstance(decision, Onward | Homeward | Dropped)
        if isinstance(decision, Onward):
            assert len(decision.data) == len(data)
