"""An address that was somebody else's a second ago: bound to a guest, in force at the next packet on both servers."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from dhcp.options import MessageType
from guests import commands
from guests.book import Book
from guests.domain import Kind
from guests.faults import Refused
from guests.guest import Nic, Wish
from guests.hypervisor import Place
from guests.memory import MemoryHypervisor
from guests.plan import Plan
from guests.run import Runner
from guests.site import Host, Net, Site
from guests.world import World
from storage.records import Change, Outcome, ipv4_text
from storage.volumes import Project, Snapshot, Volume
from storage.volumes.memory import MemoryVolumes
from tests.dhcp_pair import KINDS, NETWORK, Pair, kind, mac, renewal, request
from twinboot import leases

ORIGIN, GUEST = Snapshot("masters", "osol", "v1"), Volume("appl-1", "vm-1")
ADDRESS = "10.0.0.20"
NIC = Nic("fe0", "", ADDRESS, "vm-host1")
WISH = Wish(Kind.PV, ("fe0",), "odd", 256, 1)


class Room:
    """Two DHCP servers, and the guests' commands on a third opening of the same records."""

    def __init__(self, kind_name: str, path: Path) -> None:
        self.pair = Pair(kind_name, path, range(10, 30))
        self.records = KINDS[kind_name](path, "tools")
        self.host = MemoryHypervisor("hv1")
        self.volumes = MemoryVolumes()
        for project in ("masters", "appl-1"):
            self.volumes.make_project(Project(project))
        self.volumes.create(ORIGIN.parent, 4096)
        self.volumes.snapshot(ORIGIN)
        nets = (Net("public", "fe", IPv4Network("10.0.0.0/24")),)
        host = Host("hv1", "odd", frozenset({"fe0"}), Place("hv1", "iqn.2026-11.test:hv1", "", "", path))
        self.site = Site(nets, {"hv1": host}, {}, {}, 1, 4, 6, "me@odd")
        self.ids = iter(range(1000))

    def do(self, make: Callable[[World], Plan]) -> None:
        book = Book(self.records, self.site, lambda: self.pair.clock.now_s, lambda _: False)
        world = World(self.site, book, lambda: self.volumes, lambda _: self.host)
        assert Runner(world, make(world)).run()

    def make_guest(self) -> str:
        """A guest with a MAC of its own; the MAC."""
        self.do(lambda world: commands.clone(world, ORIGIN, GUEST))
        self.do(lambda world: commands.init(world, GUEST, WISH, lambda: f"uuid-{next(self.ids)}"))
        return self.host.domain("appl-1:vm-1").links[0].mac

    def assign(self) -> None:
        self.do(lambda world: commands.assign(world, GUEST, NIC))

    def destroy(self) -> None:
        self.do(lambda world: commands.destroy(world, GUEST))


@pytest.fixture(params=sorted(KINDS))
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    return Room(request.param, tmp_path)


def is_refused(room: Room, old: str, ack) -> bool:
    """Whether neither server confirms the old holder any more (RFC 2131 4.3.2: silence)."""
    return all(server.is_silent_about(renewal(old, ack)) for server in (room.pair.odd, room.pair.even))


def test_an_assigned_address_is_in_force_at_the_next_packet_on_both_servers(room):
    new = room.make_guest()
    before = room.pair.odd.discover(new)
    assert ipv4_text(before.yiaddr) != ADDRESS
    room.assign()
    for server in (room.pair.odd, room.pair.even):
        offer = server.discover(new)
        assert ipv4_text(offer.yiaddr) == ADDRESS
    (ack,) = room.pair.even.hear(request(new, offer))
    assert (kind(ack), ipv4_text(ack.yiaddr)) == (MessageType.ACK, ADDRESS)


def test_a_guest_made_anew_gets_the_address_that_its_forerunner_leased_a_second_ago(room):
    old = room.make_guest()
    room.assign()
    held = room.pair.lease(old, room.pair.odd, room.pair.even)
    assert ipv4_text(held.yiaddr) == ADDRESS
    room.destroy()
    new = room.make_guest()
    assert new != old
    room.assign()
    ack = room.pair.lease(new, room.pair.even, room.pair.odd)
    assert ipv4_text(ack.yiaddr) == ADDRESS
    assert is_refused(room, old, held)
    (again,) = room.pair.odd.hear(renewal(new, ack))
    assert kind(again) is MessageType.ACK


def test_a_running_lease_is_not_pulled_away_and_its_holder_is_named(room):
    stranger = mac(7)
    room.pair.odd.discover(stranger)
    wish = room.pair.lease(stranger, room.pair.odd, room.pair.even)
    nic = NIC._replace(address=ipv4_text(wish.yiaddr))
    new = room.make_guest()
    with pytest.raises(Refused) as caught:
        room.do(lambda world: commands.assign(world, GUEST, nic))
    (line,) = caught.value.lines
    assert "is leased to client 0100144F000007 for another 10 min" in line
    assert f"`twinboot lease release {nic.address}`" in line
    row = room.pair.row(wish.yiaddr)
    (done,) = room.records.commit([Change(NETWORK, row, leases.freed(row))])
    assert done.outcome is Outcome.STORED
    room.do(lambda world: commands.assign(world, GUEST, nic))
    ack = room.pair.lease(new, room.pair.even, room.pair.odd)
    assert ack.yiaddr == wish.yiaddr
    assert is_refused(room, stranger, wish)


def test_a_lease_that_is_over_is_no_obstacle(room):
    stranger = mac(7)
    held = room.pair.lease(stranger, room.pair.odd, room.pair.even)
    nic = NIC._replace(address=ipv4_text(held.yiaddr))
    new = room.make_guest()
    room.pair.clock.now_s += 601
    room.do(lambda world: commands.assign(world, GUEST, nic))
    ack = room.pair.lease(new, room.pair.even, room.pair.odd)
    assert ack.yiaddr == held.yiaddr
    assert is_refused(room, stranger, held)
