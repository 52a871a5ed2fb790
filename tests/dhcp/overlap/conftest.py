"""A service whose commits end when the test says so."""

from collections.abc import Callable, Sequence

import pytest

from dhcp import wire
from dhcp.decision import Reply
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.service import Service
from dhcp.sockets import Interface, Port
from dhcp.svcconf import ServiceConf
from storage.records import FREE_ID, Binding, Change, Delta, MemoryRecords, Result, TabEntry, ipv4_int
from tests.dhcp.conftest import Events, chosen, make_packet

NETWORK = "10.0.0.0"
ONE, TWO, THREE = "00:14:4f:00:00:01", "00:14:4f:00:00:02", "00:14:4f:00:00:03"
NOW_S = 1_800_000_000


def port(name: str, last: int) -> Port:
    return Port(Interface(name, ipv4_int(f"10.0.0.{last}"), 0xFFFFFF00, bytes(6), False), None, None)  # type: ignore[arg-type] # it never sends


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
