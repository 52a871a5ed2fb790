"""A small site in memory: two networks, four hosts, a store of volumes with a master, records; and ways to die."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from guests import commands
from guests.addresses import client_id
from guests.book import Book
from guests.domain import Kind
from guests.fsck import Finding, findings
from guests.guest import Nic, Wish
from guests.hypervisor import Place
from guests.memory import MemoryHypervisor
from guests.plan import Plan
from guests.run import Runner
from guests.site import Host, Net, Site
from guests.world import World
from storage.records import FREE_ID, Binding, Change, Guest, MemoryRecords, Outcome, ipv4_int
from storage.volumes import Project, Snapshot, Volume
from storage.volumes.memory import MemoryVolumes

PUBLIC, BACKEND = "192.168.76.0", "192.168.78.0"
ORIGIN = Snapshot("masters", "osol-0811", "version-01")
GUEST = Volume("appl-1", "vm-1")
WISH = Wish(Kind.PV, ("fe0", "be0"), "odd", 1024, 1)
FE = Nic("fe0", "", "192.168.76.71", "vm-host1")
BE = Nic("be0", "", "192.168.78.71", "vm-host1-be")
UUID = "5f0a5a0e-54fc-4b1c-a8a4-2f2f6f0a7c11"
NOW_S = 1_700_000_000
HOSTS = {"hv1": "odd", "hv3": "odd", "hv2": "even", "hv4": "even"}


class Killed(BaseException):
    """What kill -9 is to a process: nothing of ours runs after it."""


def initiator(name: str) -> str:
    return f"iqn.2026-11.test.memory:{name}"


class Lab:
    """Everything that outlives a command."""

    def __init__(self) -> None:
        self.records = MemoryRecords(generation=lambda: 7)
        self.volumes = MemoryVolumes()
        self.hosts = {name: MemoryHypervisor(name) for name in HOSTS}
        for host in self.hosts.values():
            host.lets_in = self._lets_in
        self.alive: bool | None = False
        nets = (
            Net("public", "fe", IPv4Network(f"{PUBLIC}/24")),
            Net("backend", "be", IPv4Network(f"{BACKEND}/24")),
        )
        places = {name: Place(name, initiator(name), f"memory:{name}", "", Path("/none")) for name in HOSTS}
        hosts = {name: Host(name, HOSTS[name], frozenset({"fe0", "be0"}), places[name]) for name in HOSTS}
        holders = {client_id("00:14:4f:00:00:01"): "hv1"}
        self.site = Site(nets, hosts, {"hv1": "host hv1"}, holders, 1, 4, 6, "alice@odd")
        for table in (PUBLIC, BACKEND, "dhcptab"):
            self.records.create(table)
        for last in range(71, 80):
            self.add(Binding(ipv4_int(f"192.168.76.{last}"), FREE_ID, 0, 1, 0, 0, "odd", ""))
            self.add(Binding(ipv4_int(f"192.168.78.{last}"), FREE_ID, 0, 1, 0, 0, "odd", ""))
        self.volumes.make_project(Project("masters"))
        self.volumes.create(ORIGIN.parent, 4096)
        self.volumes.snapshot(ORIGIN)

    def _lets_in(self, iqn: str, name: str) -> bool:
        exports = [info.export for info in self.volumes.volumes() if info.export]
        return any(export.iqn == iqn and name in export.initiators for export in exports)

    def add(self, row: Binding) -> None:
        table = PUBLIC if row.address >> 8 == ipv4_int(PUBLIC) >> 8 else BACKEND
        (result,) = self.records.commit([Change(table, None, row)])
        assert result.outcome is Outcome.STORED, result

    def binding(self, address: str) -> Binding:
        table = address.rpartition(".")[0] + ".0"
        return next(row for row in self.records.read(table).rows if row.key == ipv4_int(address))

    def book(self) -> Book:
        return Book(self.records, self.site, lambda: NOW_S, lambda work: self.alive)

    def world(self) -> World:
        return World(self.site, self.book(), lambda: self.volumes, lambda host: self.hosts[host.name])

    def row(self, name: str = "appl-1:vm-1") -> Guest | None:
        return self.book().guests().get(name)

    def guest(self, name: str = "appl-1:vm-1") -> Guest:
        """Its row, which must be there."""
        found = self.row(name)
        assert found is not None
        return found

    def state(self) -> object:
        """All that a command may have changed; without signatures, which only count."""
        tables = {
            table: {row.key: row._replace(signature=0) for row in self.records.read(table).rows}
            for table in (PUBLIC, BACKEND)
        }
        guests = [row._replace(signature=0) for row in self.book().guests().values()]
        domains = {name: host.domains() for name, host in self.hosts.items()}
        return tables, guests, domains, self.volumes.volumes(), self.volumes.projects()

    def fsck(self) -> list[Finding]:
        return findings(self.site, commands.whole(self.world(), lambda _: self.alive))

    # the commands, as the shells put them together

    def do(self, make: Callable[[World], Plan], between: Callable[[str], None] = lambda _: None) -> bool:
        world = self.world()
        return Runner(world, make(world), between=between).run()

    def project(self, name: str = "appl-1") -> None:
        if Project(name) not in self.volumes.projects():
            self.volumes.make_project(Project(name))


Make = Callable[[World], Plan]


def clone(volume: Volume = GUEST, origin: Snapshot = ORIGIN) -> Make:
    return lambda world: commands.clone(world, origin, volume)


def init(volume: Volume = GUEST, wish: Wish = WISH, host: str = "") -> Make:
    return lambda world: commands.init(world, volume, wish, new_id(volume), host=host)


def assign(nic: Nic = FE, volume: Volume = GUEST) -> Make:
    return lambda world: commands.assign(world, volume, nic)


def up(volume: Volume = GUEST, wish: Wish = WISH, addresses: tuple[Nic, ...] = (FE, BE)) -> Make:
    return lambda world: commands.up(world, ORIGIN, volume, wish, addresses, new_id(volume))


def start(world: World) -> Plan:
    return commands.start(world, GUEST)


def stop(world: World) -> Plan:
    return commands.stop(world, GUEST, force=True)


def destroy(world: World) -> Plan:
    return commands.destroy(world, GUEST, force=True)


def migrate(to: str, volume: Volume = GUEST) -> Make:
    return lambda world: commands.migrate(world, volume, to, live=True)


def new_id(volume: Volume) -> Callable[[], str]:
    return lambda: UUID[: -len(volume.volume)] + volume.volume


@pytest.fixture
def lab() -> Lab:
    return Lab()
