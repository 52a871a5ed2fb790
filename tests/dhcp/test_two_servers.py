"""Two servers over one datastore: the whole service twice, each with a datastore object of its own, as on two hosts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dhcp import options as o
from dhcp import wire
from dhcp.decision import Reply
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.repeats import AGAIN_S, MEMORY_S, Repeats
from dhcp.service import Service
from dhcp.sockets import Interface, Port
from dhcp.svcconf import ServiceConf
from storage.records import (
    Binding,
    Change,
    Delta,
    Epoch,
    Outcome,
    Records,
    RecordsError,
    Result,
    SunwFiles,
    TabEntry,
    ipv4_int,
    ipv4_text,
)
from storage.records.files import LocalFiles
from storage.records.twinlog import TwinLog

from .conftest import Events, chosen, make_binding, make_packet

NETWORK = "10.0.0.0"
FIRST, LAST = 10, 209
SERVERS = {"odd": "10.0.0.1", "even": "10.0.0.2"}
NOW_S = 1_800_000_000.0
KINDS: dict[str, Callable[[Path, str], Records]] = {
    "twinlog": lambda path, name: TwinLog(LocalFiles(path), server=name, background=lambda job: job(), look_s=0),
    "SUNWfiles": lambda path, _: SunwFiles(path),
}


class Clock:
    """One clock for both, and the store's; `Wrong` is one server's that differs."""

    now_s = NOW_S
    store_epoch: float | None = None
    store_behind_s = 0.0

    def time(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s - NOW_S


class Intruded:
    """A datastore during whose next commit somebody else is quicker, and whose clock the test sets."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self.intrude: Callable[[], object] | None = None
        self.is_full = False

    def epoch(self) -> Epoch | None:
        clock = self._clock
        return None if clock.store_epoch is None else Epoch(clock.store_epoch, clock.store_behind_s)

    def __getattr__(self, name: str) -> object:
        return getattr(self._records, name)

    def commit(self, changes: Sequence[Change]) -> list[Result]:
        if self.intrude is not None:
            intrude, self.intrude = self.intrude, None
            intrude()
        if self.is_full:
            return [Result(Outcome.FULL, None, "as the test asked")] * len(changes)
        return self._records.commit(changes)


class Server:
    """One of the two: hand it packets, get its replies."""

    def __init__(self, name: str, records: Records, clock: Clock) -> None:
        self.records = Intruded(records, clock)
        self.events = Events()
        address = ipv4_int(SERVERS[name])
        conf = ServiceConf(
            "twinlog", "/nowhere", owner_ip=tuple(map(ipv4_int, SERVERS.values())), icmp_verify=False, lease_min_lru_s=0
        )
        nets = [network(f"{NETWORK}/24")]
        self.service = Service(conf, frozenset({address}), self.records, nets, self.events, self, clock)
        self.service.reload()
        self._port = Port(Interface("fe0", address, 0xFFFFFF00, bytes(6), False), None, None)  # type: ignore[arg-type]
        self._sent: list[Packet] = []

    def send(self, port: Port, replies: Sequence[Reply]) -> None:
        self._sent += [wire.decode(reply.data, op=wire.BOOTREPLY) for reply in replies]

    def ask(self, port: Port, address: int) -> bool:
        return False

    def hear(self, *packets: Packet) -> list[Packet]:
        self._sent = []
        self.service.handle(self._port, [wire.encode(packet) for packet in packets])
        return self._sent

    def discover(self, mac: str) -> Packet:
        (offer,) = self.hear(make_packet(MessageType.DISCOVER, mac))
        return offer

    def is_silent_about(self, *packets: Packet) -> bool:
        return not self.hear(*packets)


class Pair:
    """Both, and the clock."""

    def __init__(self, kind: str, path: Path, addresses: Sequence[int]) -> None:
        self.clock = Clock()
        first = KINDS[kind](path, "odd")
        first.create("dhcptab")
        first.create(NETWORK)
        rows = [make_binding(f"10.0.0.{last}", owner=ipv4_int("10.0.0.1"), macro="net") for last in addresses]
        macros = [TabEntry("net", "m", 1, ":Router=10.0.0.254:LeaseTim=600:LeaseNeg:")]
        first.commit([Change(NETWORK, None, row) for row in rows])
        first.commit([Change("dhcptab", None, macro) for macro in macros])
        self.odd = Server("odd", first, self.clock)
        self.even = Server("even", KINDS[kind](path, "even"), self.clock)
        self._watch = KINDS[kind](path, "watch")

    def row(self, address: int) -> Binding:
        """The binding as it is stored."""
        rows = [row for row in self._watch.read(NETWORK).rows if isinstance(row, Binding)]
        return next(row for row in rows if row.address == address)

    def lease(self, mac: str, server: Server, *others: Server) -> Packet:
        """A whole exchange with `server`, as all servers hear it."""
        offer = server.discover(mac)
        for other in others:
            other.discover(mac)
        taken = request(mac, offer)
        (ack,) = server.hear(taken)
        for other in others:
            assert other.is_silent_about(taken)
        assert kind(ack) is MessageType.ACK
        return ack


def mac(number: int) -> str:
    return f"00:14:4f:00:{number >> 8:02x}:{number & 255:02x}"


def kind(packet: Packet) -> MessageType:
    return MessageType(packet.options[o.MESSAGE_TYPE][0])


def request(mac: str, offer: Packet) -> Packet:
    return make_packet(MessageType.REQUEST, mac, options=chosen(offer))


def renewal(mac: str, ack: Packet) -> Packet:
    return make_packet(MessageType.REQUEST, mac, ciaddr=ipv4_text(ack.yiaddr))


def content(packet: Packet) -> tuple[object, ...]:
    """What a client gets, but for who says so."""
    options = {code: value for code, value in packet.options.items() if code != o.SERVER_ID}
    return packet.yiaddr, packet.file, packet.xid, tuple(sorted(options.items()))


@pytest.fixture(params=sorted(KINDS))
def make_pair(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Pair]:
    return lambda addresses=range(FIRST, LAST + 1): Pair(request.param, tmp_path, addresses)


@pytest.fixture
def pair(make_pair: Callable[..., Pair]) -> Pair:
    return make_pair()


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


def again(pair: Pair, server: Server, packet: Packet, after_s: float) -> list[Packet]:
    pair.clock.now_s += after_s
    return server.hear(packet)


def test_what_a_dead_server_began_is_finished_by_its_peer_at_the_first_repeat(pair: Pair) -> None:
    offer = pair.odd.discover(mac(1))
    pair.even.discover(mac(1))
    taken = request(mac(1), offer)
    assert pair.even.is_silent_about(taken)
    assert again(pair, pair.even, taken, 0.5) == []  # a copy from the network, or odd is slow
    (ack,) = again(pair, pair.even, taken, 3.5)
    assert kind(ack) is MessageType.ACK
    assert ack.yiaddr == offer.yiaddr
    assert ack.options[o.SERVER_ID] == offer.options[o.SERVER_ID]
    assert ack.siaddr == ipv4_int("10.0.0.2")  # who lives, serves the boot files too
    assert pair.row(ack.yiaddr).client_id.hex() == "0100144f000001"
    (renewed,) = again(pair, pair.odd, renewal(mac(1), ack), 300)
    assert kind(renewed) is MessageType.ACK


def test_a_server_that_was_only_slow_and_the_peer_that_finished_for_it_agree(pair: Pair) -> None:
    offer = pair.odd.discover(mac(1))
    taken = request(mac(1), offer)
    pair.even.is_silent_about(taken)
    early: list[Packet] = []
    pair.odd.records.intrude = lambda: early.extend(again(pair, pair.even, taken, 4.0))
    acks = [*pair.odd.hear(taken), *early]
    assert {(kind(ack), ack.yiaddr) for ack in acks} == {(MessageType.ACK, offer.yiaddr)}
    longest_s = max(int.from_bytes(ack.options[o.LEASE_TIME], "big") for ack in acks)
    assert pair.row(offer.yiaddr).lease_s >= NOW_S + longest_s
    assert pair.row(offer.yiaddr).client_id.hex() == "0100144f000001"


def test_a_repeat_finds_the_address_gone_and_is_not_answered(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair([FIRST])
    offer = pair.odd.discover(mac(1))
    taken = request(mac(1), offer)
    assert pair.even.is_silent_about(taken)
    row = pair.row(offer.yiaddr)
    pair.odd.records.commit([Change(NETWORK, row, row._replace(client_id=b"\1other", lease_s=int(NOW_S) + 600))])
    assert again(pair, pair.even, taken, 4.0) == []


def test_a_lease_that_may_have_been_released_is_not_confirmed_from_an_old_view(pair: Pair) -> None:
    """A server that cannot read the share still has the lease which its client gave back at the other one."""
    ack = pair.lease(mac(1), pair.odd)
    row = pair.row(ack.yiaddr)
    pair.odd.records.commit([Change(NETWORK, row, row._replace(lease_s=row.lease_s + 6000))])  # nothing to lengthen
    pair.even.discover(mac(2))

    def gone(*_: object) -> Delta:
        raise RecordsError(Outcome.UNAVAILABLE, "Connection timed out")

    pair.even.records.read = gone  # type: ignore[method-assign, assignment]
    pair.odd.hear(make_packet(MessageType.RELEASE, mac(1), ciaddr=ipv4_text(ack.yiaddr)))
    taken = request(mac(1), ack)
    assert pair.even.is_silent_about(taken)
    assert again(pair, pair.even, taken, 1.0) == []


def test_the_peer_keeps_the_address_for_who_may_have_to_ask_again(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair([FIRST])
    taken = request(mac(1), pair.odd.discover(mac(1)))
    assert pair.even.is_silent_about(taken)
    assert pair.even.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))
    (ack,) = again(pair, pair.even, taken, 1.0)
    assert kind(ack) is MessageType.ACK


def test_a_transaction_id_that_comes_around_is_no_repeat(pair: Pair) -> None:
    taken = request(mac(1), pair.odd.discover(mac(1)))
    assert pair.even.is_silent_about(taken)
    assert again(pair, pair.even, taken, MEMORY_S + 1) == []
    assert len(again(pair, pair.even, taken, AGAIN_S + 0.1)) == 1


def test_what_is_remembered_of_requests_to_others_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.repeats.HEARD_MAX", 3)
    repeats = Repeats()
    for number in range(10):
        assert not repeats.hear(bytes((number,)), 0.0)
    assert len(repeats) == 3
    assert not repeats.hear(b"\0", 1.0)
    assert repeats.hear(b"\x09", 1.0)


class Wrong:
    """A server's own clock that is off."""

    def __init__(self, clock: Clock, off_s: float) -> None:
        self._clock = clock
        self.off_s = off_s
        self.monotonic = clock.monotonic

    def time(self) -> float:
        return self._clock.time() + self.off_s


@pytest.fixture
def clocks(make_pair: Callable[..., Pair]) -> Callable[..., Pair]:
    """A pair with one address; the share knows the time, even's own clock is off by so much."""

    def make(off_s: float, store_off_s: float = 0.0) -> Pair:
        pair = make_pair([FIRST])
        pair.clock.store_epoch = NOW_S + store_off_s
        pair.even.service._decider.watch._clock = Wrong(pair.clock, off_s)
        return pair

    return make


@pytest.mark.parametrize("off_s", [3600.0, -3600.0, 20.0, 1.0])
def test_a_server_with_a_wrong_clock_gives_away_nothing_that_its_peer_has_leased(
    clocks: Callable[..., Pair], off_s: float
) -> None:
    pair = clocks(off_s)
    ack = pair.lease(mac(1), pair.odd)
    for _ in range(3):
        pair.clock.now_s += 190
        assert pair.even.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))
    (renewed,) = pair.even.hear(renewal(mac(1), ack))  # and refuses it to nobody
    assert kind(renewed) is MessageType.ACK
    assert pair.row(ack.yiaddr).lease_s == NOW_S + 570 + max(off_s, 0.0) + 600


@pytest.mark.parametrize("off_s", [3600.0, -3600.0])
def test_what_a_server_with_a_wrong_clock_grants_holds_at_its_peer(clocks: Callable[..., Pair], off_s: float) -> None:
    pair = clocks(off_s)
    pair.lease(mac(1), pair.even)
    pair.clock.now_s += 599
    assert pair.odd.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))


@pytest.mark.parametrize("store_off_s", [3600.0, -3600.0])
def test_a_storage_head_with_a_wrong_clock_ends_no_lease(clocks: Callable[..., Pair], store_off_s: float) -> None:
    pair = clocks(0.0)
    ack = pair.lease(mac(1), pair.odd)
    pair.clock.store_epoch = NOW_S + store_off_s
    pair.clock.now_s += 599
    for server in (pair.odd, pair.even):
        assert server.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))
    (renewed,) = pair.odd.hear(renewal(mac(1), ack))
    assert kind(renewed) is MessageType.ACK


def test_a_wrong_clock_of_the_storage_that_a_failed_commit_shows_ends_no_lease(clocks: Callable[..., Pair]) -> None:
    """The look at the store after it is taken for an answer without promises, and holds for the rest of the batch."""
    pair = clocks(0.0)
    ack = pair.lease(mac(1), pair.odd)
    pair.clock.now_s += 100
    pair.odd.records.is_full = True
    pair.odd.records.intrude = lambda: setattr(pair.clock, "store_epoch", NOW_S + 3600.0)
    renewed = renewal(mac(1), ack)
    assert pair.odd.is_silent_about(renewed, renewed, make_packet(MessageType.DISCOVER, mac(2)))


def test_a_difference_of_clocks_is_told_once_and_its_end(clocks: Callable[..., Pair]) -> None:
    pair = clocks(3600.0)
    for _ in range(3):
        pair.clock.now_s += 1.3
        pair.even.discover(mac(1))
    (told,) = pair.even.events.of("clock.skew")
    assert told["reason"] == "this server's clock is 3600 s ahead of the clock of the datastore"
    assert pair.odd.events.of("clock.skew") == []
    pair.even.service._decider.watch._clock.off_s = 0.5
    pair.even.discover(mac(1))
    assert [one["state"] for one in pair.even.events.of("clock.skew")] == ["apart", "together"]


class Full:
    """What a commit to a share gives that cannot be written."""

    def __init__(self, records: Intruded) -> None:
        self._records = records

    def __getattr__(self, name: str) -> object:
        return getattr(self._records, name)

    def commit(self, changes: Sequence[Change]) -> list[Result]:
        return [Result(Outcome.DENIED, None, "read-only")] * len(changes)


@pytest.mark.parametrize(("behind_s", "told_s"), [(0.0, 400), (100.0, 300), (399.5, None), (math.inf, None)])
def test_what_time_it_is_not_known_for_promises_nothing_beyond_it(
    clocks: Callable[..., Pair], behind_s: float, told_s: int | None
) -> None:
    """A server starts on a read-only share, its own clock behind: the newest file tells how late it is at least."""
    pair = clocks(-7200.0)
    ack = pair.lease(mac(1), pair.odd)
    pair.clock.now_s += 200
    pair.clock.store_behind_s = behind_s
    pair.even.records._records = Full(pair.even.records._records)
    if told_s is None:
        assert pair.even.is_silent_about(renewal(mac(1), ack))
        assert pair.even.events.of("dhcp.silent")[-1]["reason"] == "store-denied"
    else:
        (renewed,) = pair.even.hear(renewal(mac(1), ack))
        assert int.from_bytes(renewed.options[o.LEASE_TIME], "big") == told_s
    states = [one["state"] for one in pair.even.events.of("clock.skew")]
    assert ("unknown" in states) == (behind_s > 0)


def test_a_commit_that_did_not_tell_the_time_is_not_answered(clocks: Callable[..., Pair]) -> None:
    """It is stored with an end that may be too early: the look at the share's stamp failed."""
    pair = clocks(-7200.0)
    pair.clock.store_behind_s = math.inf
    offer = pair.even.discover(mac(1))
    assert pair.even.is_silent_about(request(mac(1), offer))
    pair.clock.store_behind_s = 0.0
    (ack,) = pair.even.hear(request(mac(1), offer))
    assert kind(ack) is MessageType.ACK


def test_what_is_left_of_a_lease_that_is_not_lengthened_is_told_only_when_it_is_known(
    clocks: Callable[..., Pair],
) -> None:
    pair = clocks(-7200.0)
    ack = pair.lease(mac(1), pair.odd)
    (macro,) = pair.odd.records.read("dhcptab").rows
    fixed = macro._replace(value=":Router=10.0.0.254:LeaseTim=600:")
    assert pair.odd.records.commit([Change("dhcptab", macro, fixed)])[0].row is not None
    pair.clock.now_s += 200
    pair.clock.store_behind_s = math.inf  # and as nothing is to be stored, no commit tells
    assert pair.even.is_silent_about(renewal(mac(1), ack))
    assert pair.even.events.of("dhcp.silent")[-1]["reason"] == "frozen"
    pair.clock.store_behind_s = 0.0
    (renewed,) = pair.even.hear(renewal(mac(1), ack))
    assert int.from_bytes(renewed.options[o.LEASE_TIME], "big") == 400


def test_who_was_stopped_with_its_machine_promises_nothing_by_its_old_clocks(clocks: Callable[..., Pair]) -> None:
    """A virtual machine that was suspended has old clocks, both; its commit shows what time it is."""
    pair = clocks(0.0)
    offer = pair.odd.discover(mac(1))

    def wake() -> None:
        pair.clock.store_epoch = NOW_S + 400

    pair.odd.records.intrude = wake
    assert pair.odd.is_silent_about(request(mac(1), offer))
    assert pair.row(offer.yiaddr).lease_s == NOW_S + 600
    (ack,) = pair.odd.hear(request(mac(1), offer))
    assert ack.options[o.LEASE_TIME] == (600).to_bytes(4, "big")
    assert pair.row(offer.yiaddr).lease_s == NOW_S + 1000
