"""The service while a commit is under way: what leaves, what waits, and what it knows by then."""

from collections.abc import Callable, Sequence

import pytest

from dhcp import options as o
from dhcp import underway, wire
from dhcp.decision import Reply
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.service import Service
from dhcp.sockets import Interface, Port
from dhcp.svcconf import ServiceConf
from storage.records import (
    FREE_ID,
    MANUAL,
    Binding,
    Change,
    Delta,
    MemoryRecords,
    Outcome,
    Result,
    TabEntry,
    ipv4_int,
)
from tests.dhcp.conftest import Events, chosen, make_packet

NETWORK = "10.0.0.0"
ONE, TWO, THREE = "00:14:4f:00:00:01", "00:14:4f:00:00:02", "00:14:4f:00:00:03"
NOW_S = 1_800_000_000


def port(name: str, last: int) -> Port:
    return Port(Interface(name, ipv4_int(f"10.0.0.{last}"), 0xFFFFFF00, bytes(6), False), None, None)  # type: ignore[arg-type]


FE, BE = port("fe0", 1), port("be0", 2)


class Clock:
    now_s = 1000.0

    def time(self) -> float:
        return NOW_S + self.now_s

    def monotonic(self) -> float:
        return self.now_s


class Held:
    """Commits that end when the test says so; until then the datastore must be let alone."""

    def __init__(self, records: MemoryRecords) -> None:
        self.records = records
        self.changes: Sequence[Change] | None = None
        self.results: list[Result] | None = None

    def begin(self, changes: Sequence[Change]) -> None:
        assert self.changes is None
        self.changes = changes

    def ended(self) -> list[Result] | None:
        results, self.results = self.results, None
        return results

    def wait(self) -> None:
        if self.results is None:
            self.end()

    def end(self) -> None:
        assert self.changes is not None
        changes, self.changes = self.changes, None
        self.results = self.records.commit(changes)


class Unread(MemoryRecords):
    """A datastore that nobody may ask while a commit is under way."""

    held: Held | None = None

    def read(self, table: str, since: int = 0) -> Delta:
        assert self.held is None or self.held.changes is None, f"{table} is read while a commit is under way"
        return super().read(table, since)

    def tend(self) -> None:
        assert self.held is None or self.held.changes is None


class Site:
    """A service on two interfaces, and what it sent: (interface, packet)."""

    def __init__(self, rows: Sequence[Binding]) -> None:
        self.records = Unread()
        self.records.load(NETWORK, rows)
        self.records.load("dhcptab", [TabEntry(NETWORK, "m", 1, ":LeaseTim=600:LeaseNeg:")])
        self.commits = self.records.held = Held(self.records)
        self.clock, self.events = Clock(), Events()
        self.sent: list[tuple[str, Packet]] = []
        own = frozenset({FE.interface.address, BE.interface.address})
        conf = ServiceConf("SUNWfiles", "/nowhere", icmp_verify=False)
        nets = [network(f"{NETWORK}/24")]
        self.service = Service(conf, own, self.records, nets, self.events, self, self.clock, self.commits)
        self.service.reload()

    def send(self, port: Port, replies: Sequence[Reply]) -> None:
        self.sent += [(port.interface.name, wire.decode(reply.data, op=wire.BOOTREPLY)) for reply in replies]

    def ask(self, port: Port, address: int) -> bool:
        return False

    def hear(self, *packets: Packet, at: Port = FE) -> list[Packet]:
        """Hand packets over; what is sent at once."""
        self.sent.clear()
        self.service.handle(at, [wire.encode(packet) for packet in packets])
        return [packet for _, packet in self.sent]

    def end(self) -> list[Packet]:
        """Let the commit end; what is sent then."""
        self.sent.clear()
        self.commits.end()
        self.service.proceed()
        return [packet for _, packet in self.sent]

    def offer(self, mac: str, at: Port = FE) -> Packet:
        (offer,) = self.hear(make_packet(MessageType.DISCOVER, mac), at=at)
        assert offer.message_type is MessageType.OFFER
        return offer

    def row(self, address: int) -> Binding:
        (row,) = [row for row in self.records.read(NETWORK).rows if row.key == address]
        assert isinstance(row, Binding)
        return row

    def edit(self, row: Binding) -> None:
        """Somebody else stores a row."""
        rows = self.records._tables[NETWORK].rows
        self.records.load(NETWORK, [row if one.key == row.key else one for one in rows.values()])


def free(last: int) -> Binding:
    return Binding(ipv4_int(f"10.0.0.{last}"), FREE_ID, 0, FE.interface.address, 0, 1, "", "")


def leased(last: int, mac: str, left_s: int = 300, flags: int = 0) -> Binding:
    client_id = b"\1" + bytes.fromhex(mac.replace(":", ""))
    return free(last)._replace(client_id=client_id, lease_s=int(NOW_S + Clock.now_s) + left_s, flags=flags)


@pytest.fixture
def site() -> Callable[..., Site]:
    return lambda *rows: Site(rows or [free(last) for last in range(20, 60)])


def request(mac: str, offer: Packet) -> Packet:
    return make_packet(MessageType.REQUEST, mac, options=chosen(offer))


def renewal(mac: str, last: int) -> Packet:
    return make_packet(MessageType.REQUEST, mac, ciaddr=f"10.0.0.{last}")


def kinds(packets: Sequence[Packet]) -> list[tuple[str, MessageType | None]]:
    return [(packet.mac, packet.message_type) for packet in packets]


def test_an_ack_leaves_when_its_commit_has_ended_and_an_offer_at_once(site: Callable[..., Site]) -> None:
    here = site()
    one = here.offer(ONE)
    assert here.hear(request(ONE, one)) == []
    two = here.offer(TWO)
    assert two.yiaddr != one.yiaddr
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]


def test_what_is_decided_meanwhile_is_the_next_commit(site: Callable[..., Site]) -> None:
    here = site()
    offers = {mac: here.offer(mac) for mac in (ONE, TWO, THREE)}
    here.hear(request(ONE, offers[ONE]))
    assert here.hear(request(TWO, offers[TWO])) == []
    assert here.hear(request(THREE, offers[THREE])) == []
    assert here.commits.changes is not None
    assert len(here.commits.changes) == 1
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]
    assert [change.new.key for change in here.commits.changes if change.new] == [offers[m].yiaddr for m in (TWO, THREE)]
    assert kinds(here.end()) == [(TWO, MessageType.ACK), (THREE, MessageType.ACK)]
    assert here.commits.changes is None


def test_a_machine_whose_change_is_under_way_waits_and_so_do_its_later_packets(site: Callable[..., Site]) -> None:
    here = site()
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    again = make_packet(MessageType.DISCOVER, ONE)
    assert here.hear(request(ONE, offer), again) == []
    sent = here.end()
    assert kinds(sent)[0] == (ONE, MessageType.ACK)
    here.service.finish()
    assert kinds([packet for _, packet in here.sent]) == [(ONE, MessageType.ACK)] * 2 + [(ONE, MessageType.OFFER)]
    assert {packet.yiaddr for _, packet in here.sent} == {offer.yiaddr}


def test_a_machine_waits_also_about_another_address(site: Callable[..., Site]) -> None:
    here = site(free(20), leased(21, TWO))
    assert here.hear(renewal(TWO, 21)) == []
    other_system = make_packet(MessageType.DISCOVER, TWO, options={o.CLIENT_ID: b"\0loader"})
    assert here.hear(other_system) == []
    assert kinds(here.end()) == [(TWO, MessageType.ACK), (TWO, MessageType.OFFER)]


def test_two_machines_with_one_client_id_do_not_share_a_commit(site: Callable[..., Site]) -> None:
    here = site(leased(21, TWO))
    both = {o.CLIENT_ID: leased(21, TWO).client_id}
    assert here.hear(renewal(TWO, 21)) == []
    assert here.hear(make_packet(MessageType.REQUEST, THREE, ciaddr="10.0.0.21", options=both)) == []
    assert here.service._underway.gathered == []
    assert (TWO, MessageType.ACK) in kinds(here.end())


def test_what_others_took_is_known_between_two_commits(site: Callable[..., Site]) -> None:
    """Also while there is always one under way."""
    here = site(free(20), free(21), free(22))
    offers = {mac: here.offer(mac) for mac in (ONE, TWO)}
    here.hear(request(ONE, offers[ONE]))
    here.hear(request(TWO, offers[TWO]))
    (left,) = {ipv4_int(f"10.0.0.{last}") for last in (20, 21, 22)} - {offer.yiaddr for offer in offers.values()}
    here.edit(leased(left & 255, THREE))
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]
    assert here.hear(make_packet(MessageType.DISCOVER, "00:14:4f:00:00:04")) == []
    assert kinds(here.end()) == [(TWO, MessageType.ACK)]


def test_after_a_failed_commit_a_lease_is_promised_by_what_is_stored_then(site: Callable[..., Site]) -> None:
    here = site(leased(21, TWO))
    here.hear(renewal(TWO, 21))
    here.edit(leased(21, THREE, flags=MANUAL)._replace(signature=77))
    here.commits.results = [Result(Outcome.UNAVAILABLE, None, "as the test asked")]
    here.commits.changes = None
    here.sent.clear()
    here.service.proceed()
    assert here.sent == []


def test_an_address_that_is_about_to_be_stored_is_offered_to_nobody(site: Callable[..., Site]) -> None:
    here = site(free(20))
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    here.clock.now_s += 120  # the offer has ended, the commit has not
    here.service.turn()
    assert here.hear(make_packet(MessageType.DISCOVER, TWO)) == []
    assert here.end() == []
    assert here.row(offer.yiaddr).client_id != FREE_ID
    assert here.events.of("dhcp.silent")[-1]["reason"] == "full"


def test_nobody_is_refused_by_what_was_known_before_the_commit(site: Callable[..., Site]) -> None:
    """Another server renewed a lease that has ended by what we know."""
    here = site(free(20), leased(21, TWO, left_s=2))
    offer = here.offer(ONE)
    here.clock.now_s += 10
    here.hear(request(ONE, offer))
    here.edit(leased(21, TWO, left_s=900))
    assert here.hear(renewal(TWO, 21)) == []
    here.end()
    here.service.finish()
    assert kinds([packet for _, packet in here.sent]) == [(ONE, MessageType.ACK), (TWO, MessageType.ACK)]


def test_a_change_by_an_old_view_loses_and_is_decided_once_more(site: Callable[..., Site]) -> None:
    here = site(free(20), leased(21, TWO))
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    assert here.hear(renewal(TWO, 21)) == []
    other = leased(21, THREE, flags=MANUAL)._replace(signature=77)
    here.edit(other)  # while the first commit is under way: an operator gives the address away
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]
    assert (TWO, MessageType.ACK) not in kinds(here.end())
    here.service.finish()
    assert here.row(other.key).client_id == other.client_id
    assert (TWO, MessageType.ACK) not in kinds([packet for _, packet in here.sent])


def test_what_could_not_be_stored_is_not_acknowledged_and_the_next_commit_goes_on(site: Callable[..., Site]) -> None:
    here = site()
    offers = {mac: here.offer(mac) for mac in (ONE, TWO)}
    here.hear(request(ONE, offers[ONE]))
    here.hear(request(TWO, offers[TWO]))
    here.records.fail_next(Outcome.UNAVAILABLE)
    assert here.end() == []
    assert here.events.of("dhcp.silent")[-1]["reason"] == "store-unavailable"
    assert kinds(here.end()) == [(TWO, MessageType.ACK)]


def test_each_answer_leaves_where_its_packet_came_in(site: Callable[..., Site]) -> None:
    here = site()
    offers = {ONE: here.offer(ONE, FE), TWO: here.offer(TWO, BE), THREE: here.offer(THREE, FE)}
    here.hear(request(ONE, offers[ONE]), at=FE)
    here.hear(request(TWO, offers[TWO]), at=BE)
    here.hear(request(THREE, offers[THREE]), at=FE)
    here.end()
    here.commits.end()
    here.service.proceed()
    assert [(name, packet.mac) for name, packet in here.sent] == [("fe0", ONE), ("be0", TWO), ("fe0", THREE)]
    assert here.sent[1][1].options[o.SERVER_ID] == BE.interface.address.to_bytes(4, "big")


def test_a_release_that_waited_too_long_for_a_commit_does_not_count(site: Callable[..., Site]) -> None:
    here = site(free(20), leased(21, TWO))
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    here.hear(renewal(TWO, 21), make_packet(MessageType.RELEASE, TWO, ciaddr="10.0.0.21"))
    here.clock.now_s += 1.5
    here.end()
    here.service.finish()
    assert here.row(ipv4_int("10.0.0.21")).client_id == leased(21, TWO).client_id
    assert here.events.of("dhcp.dropped")[-1]["reason"] == "stale"


def test_a_release_that_gathered_too_long_for_the_next_commit_does_not_count(site: Callable[..., Site]) -> None:
    here = site(free(20), leased(21, TWO))
    here.hear(request(ONE, here.offer(ONE)))
    here.hear(make_packet(MessageType.RELEASE, TWO, ciaddr="10.0.0.21"))
    here.clock.now_s += 1.5
    here.end()
    here.service.finish()
    assert here.row(ipv4_int("10.0.0.21")).client_id == leased(21, TWO).client_id
    assert here.events.of("dhcp.silent")[-1]["reason"] == "stale"


def test_what_waits_is_bounded(site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    here = site()
    offers = {mac: here.offer(mac) for mac in (ONE, TWO, THREE)}
    monkeypatch.setattr(underway, "FULL", 2)
    here.hear(request(ONE, offers[ONE]))
    assert here.hear(request(TWO, offers[TWO])) == []
    assert kinds(here.hear(request(THREE, offers[THREE]))) == [(ONE, MessageType.ACK)]
    assert kinds(here.end()) == [(TWO, MessageType.ACK), (THREE, MessageType.ACK)]


def test_a_rescan_finishes_first(site: Callable[..., Site]) -> None:
    here = site()
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    here.service.reload()
    assert kinds([packet for _, packet in here.sent]) == [(ONE, MessageType.ACK)]


def test_the_datastore_is_not_tended_while_it_commits(site: Callable[..., Site]) -> None:
    here = site()
    here.hear(request(ONE, here.offer(ONE)))
    here.service.turn()  # `Unread` would tell
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]
