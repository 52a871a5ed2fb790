"""Two servers over one datastore: one client, one address, whichever of them is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dhcp import options as o
from dhcp.options import MessageType
from dhcp.packet import Packet
from storage.records import ipv4_int, ipv4_text
from tests.dhcp.conftest import make_packet
from tests.dhcp_pair import FIRST, NOW_S, Pair, content, kind, mac, renewal, request


def test_one_client_is_offered_the_same_by_both(pair: Pair) -> None:
    for number in range(50):
        one, other = pair.odd.discover(mac(number)), pair.even.discover(mac(number))
        assert content(one) == content(other)
        assert one.options[o.SERVER_ID] != other.options[o.SERVER_ID]
        assert (one.siaddr, other.siaddr) == (ipv4_int("10.0.0.1"), ipv4_int("10.0.0.2"))


def test_different_clients_are_mostly_offered_different_addresses(pair: Pair) -> None:
    odd = {pair.odd.discover(mac(number)).yiaddr for number in range(0, 40, 2)}
    even = {pair.even.discover(mac(number)).yiaddr for number in range(1, 40, 2)}
    assert (len(odd), len(even)) == (20, 20)
    assert len(odd & even) <= 4  # 200 addresses: by chance alone it would be 2


def test_whoever_is_asked_commits_and_the_other_sees_it_at_the_next_packet(pair: Pair) -> None:
    ack = pair.lease(mac(1), pair.odd, pair.even)
    stored = pair.row(ack.yiaddr)
    assert stored.client_id.hex().upper() == "0100144F000001"
    assert stored.lease_s == NOW_S + 600
    again = pair.even.discover(mac(1))
    assert again.yiaddr == ack.yiaddr
    others = {pair.even.discover(mac(number)).yiaddr for number in range(2, 102)}
    assert ack.yiaddr not in others


def test_either_renews_what_the_other_gave_with_the_same_answer(pair: Pair) -> None:
    ack = pair.lease(mac(1), pair.odd, pair.even)
    pair.clock.now_s += 300
    (first,) = pair.even.hear(renewal(mac(1), ack))
    (second,) = pair.odd.hear(renewal(mac(1), ack))
    assert kind(first) is MessageType.ACK
    assert content(first) == content(second)
    assert pair.row(ack.yiaddr).lease_s == NOW_S + 900


def test_a_client_that_takes_one_offer_frees_the_other(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(range(FIRST, FIRST + 20))
    one = pair.odd.discover(mac(1))
    wish = {o.REQUESTED_ADDRESS: one.yiaddr.to_bytes(4, "big")}
    (blocker,) = pair.even.hear(make_packet(MessageType.DISCOVER, mac(2), options=wish))
    assert blocker.yiaddr == one.yiaddr  # so even has to offer another one to client 1
    other = pair.even.discover(mac(1))
    assert other.yiaddr != one.yiaddr
    taken = request(mac(1), one)
    (ack,) = pair.odd.hear(taken)
    assert kind(ack) is MessageType.ACK
    assert pair.even.is_silent_about(taken)
    offers = [
        offer for number in range(30, 60) for offer in pair.even.hear(make_packet(MessageType.DISCOVER, mac(number)))
    ]
    assert other.yiaddr in {offer.yiaddr for offer in offers}
    assert one.yiaddr not in {offer.yiaddr for offer in offers}


def test_a_request_to_a_server_whose_peer_has_given_the_address_away_is_not_answered(pair: Pair) -> None:
    offer = pair.even.discover(mac(1))
    ack = pair.lease(mac(1), pair.odd)  # the client asked odd in between, with another transaction
    assert ack.yiaddr == offer.yiaddr
    (again,) = pair.even.hear(request(mac(1), offer))  # its own address: acknowledged once more
    assert content(again)[0] == ack.yiaddr
    assert pair.even.is_silent_about(request(mac(2), offer))


def test_what_was_released_on_one_is_offered_by_the_other(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair([FIRST])
    ack = pair.lease(mac(1), pair.odd, pair.even)
    assert pair.even.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))
    release = make_packet(
        MessageType.RELEASE,
        mac(1),
        ciaddr=ipv4_text(ack.yiaddr),
        options={o.SERVER_ID: ack.options[o.SERVER_ID]},
    )
    assert pair.odd.is_silent_about(release)
    pair.clock.now_s += 1
    assert pair.even.discover(mac(2)).yiaddr == ack.yiaddr


def test_a_lease_that_ended_is_given_away_by_either(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair([FIRST])
    ack = pair.lease(mac(1), pair.odd, pair.even)
    pair.clock.now_s += 601
    assert pair.even.discover(mac(2)).yiaddr == ack.yiaddr


@pytest.mark.parametrize("first", ["odd", "even"])
def test_of_two_clients_for_the_last_address_one_gets_it(make_pair: Callable[..., Pair], first: str) -> None:
    pair = make_pair([FIRST])
    winner, loser = (pair.odd, pair.even) if first == "odd" else (pair.even, pair.odd)
    one, other = winner.discover(mac(1)), loser.discover(mac(2))
    assert one.yiaddr == other.yiaddr
    (ack,) = winner.hear(request(mac(1), one))
    assert kind(ack) is MessageType.ACK
    assert loser.is_silent_about(request(mac(2), other))
    assert pair.row(one.yiaddr).client_id.hex() == "0100144f000001"


def test_a_race_that_only_the_commit_can_decide_ends_with_one_ack(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair([FIRST])
    one, other = pair.odd.discover(mac(1)), pair.even.discover(mac(2))
    acks: list[Packet] = []
    pair.even.records.intrude = lambda: acks.extend(pair.odd.hear(request(mac(1), one)))
    assert pair.even.is_silent_about(request(mac(2), other))
    assert [kind(ack) for ack in acks] == [MessageType.ACK]
    assert pair.row(one.yiaddr).client_id.hex() == "0100144f000001"


def test_a_storm_at_both_servers_doubles_nothing(pair: Pair) -> None:
    """All clients ask both, take either offer, and each server's batches are stored behind the other's back."""
    numbers = range(120)
    servers = (pair.odd, pair.even)
    holders: dict[int, str] = {}
    offers = {number: [server.discover(mac(number)) for server in servers] for number in numbers}
    for start in range(0, len(numbers), 8):
        batches: list[list[Packet]] = [[], []]
        for number in numbers[start : start + 8]:
            side = number % 2
            taken = request(mac(number), offers[number][side])
            batches[side].append(taken)
        acks: list[Packet] = []
        pair.even.records.intrude = lambda one=batches[0], into=acks: into.extend(pair.odd.hear(*one))
        acks += pair.even.hear(*batches[1])
        for ack in acks:
            assert kind(ack) is MessageType.ACK
            owner = ack.raw_chaddr[:6].hex()
            assert holders.setdefault(ack.yiaddr, owner) == owner
    assert len(holders) >= 100
    for address, owner in holders.items():
        assert pair.row(address).client_id.hex() == f"01{owner}"
