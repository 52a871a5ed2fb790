"""The guest programs as they are typed, over a site's own files: volumes and records on disk, hosts kept in files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from guests.memory import MemoryHypervisor
from storage.records import Binding, Change, ipv4_int, open_records
from storage.volumes import Volumes
from storage.volumes.local import LocalVolumes
from storage.volumes.names import parse_snapshot, parse_volume
from storage.volumes.settings import LocalSettings
from tests.rows import rows_of
from tests.twinboot.conftest import Site
from tests.volume_stores import AUTHORITY, FakeTargets, FakeViews
from twinboot import volumestore
from twinboot.commands import domu_guests, domu_look

PROGRAMS: dict[str, click.Command] = {
    command.name: command
    for room in (domu_guests, domu_look)
    for command in (getattr(room, name) for name in room.__all__)
}
NETWORKS = """
[networks.public]
subnet = "192.168.76.0/24"
link = "fe"
[networks.backend]
subnet = "192.168.78.0/24"
link = "be"
[storage]
backend = "local"
"""
MIB = 2**20
UP = "masters/osol-0811@version-01 appl-1/vm-1 --fe vm-host1=192.168.76.71 --be vm-host1-be=192.168.78.71"


def open_fake(root: Path) -> Volumes:
    """The local store with stand-ins for its daemons; opened in any process, it finds what was there."""
    run_dir = root / "run"
    run_dir.mkdir(exist_ok=True)
    return LocalVolumes(
        LocalSettings(root / "volumes", run_dir, AUTHORITY), views=FakeViews(run_dir), targets=FakeTargets(run_dir)
    )


class GuestSite:
    """A site with two hosts on the odd segment and one on the even one."""

    def __init__(self, site: Site, resource: str) -> None:
        self.site = site
        self.root = site.root
        site.init(
            subnet="192.168.76.0/24", address="192.168.76.1", range="192.168.76.70-192.168.76.79", resource=resource
        )
        text = site.config.read_text()
        site.config.write_text(text.partition("[networks")[0] + NETWORKS)
        self.resource = resource
        records = open_records(resource, site.share / "dhcp")
        records.create("192.168.78.0")
        rows = [Binding(ipv4_int(f"192.168.78.{last}"), b"\0", 0, 1, 0, 0, "s1", "") for last in range(70, 80)]
        assert all(done.row for done in records.commit([Change("192.168.78.0", None, row) for row in rows]))
        for number, segment in ((1, "odd"), (2, "odd"), (3, "even")):
            mac = f"fe0=00:14:4f:00:00:0{number},be0=00:14:4f:00:01:0{number}"
            site.ok("host", "add", f"hv{number}", "--mac", mac, "--segment", segment)
            with (site.share / "hosts" / f"hv{number}.toml").open("a") as file:
                file.write(f'\n[hypervisor]\nuri = "memory:{self.root}/hv{number}.json"\n')
        store = open_fake(self.root)
        image = self.root / "disk.img"
        image.write_bytes(b"\x5a" * MIB)
        store.make_project(parse_volume("masters/osol-0811").parent)
        store.load(parse_volume("masters/osol-0811"), image)
        store.snapshot(parse_snapshot("masters/osol-0811@version-01"))

    def host(self, name: str) -> MemoryHypervisor:
        return MemoryHypervisor(name, file=self.root / f"{name}.json")

    def binding(self, address: str) -> Binding:
        table = address.rpartition(".")[0] + ".0"
        rows = rows_of(open_records(self.resource, self.site.share / "dhcp"), table, Binding)
        return next(row for row in rows if row.address == ipv4_int(address))

    def run(self, line: str) -> Result:
        name, *words = line.split()
        result = CliRunner().invoke(PROGRAMS[name], words)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def ok(self, line: str) -> str:
        result = self.run(line)
        assert result.exit_code == 0, result.output
        return result.stdout

    def fails(self, line: str) -> str:
        result = self.run(line)
        assert result.exit_code == 1, result.output
        lines = result.stderr.splitlines()
        assert lines
        assert all(one.startswith((f"{line.split(maxsplit=1)[0]}: ", "undoing: ")) for one in lines), lines
        return "\n".join(lines)


def made(site: Site, monkeypatch: pytest.MonkeyPatch, resource: str) -> GuestSite:
    monkeypatch.setenv("TWINBOOT_CONFIG", str(site.config))
    monkeypatch.setitem(volumestore.OPENERS, "local", lambda _config, _storage: open_fake(site.root))
    return GuestSite(site, resource)


@pytest.fixture
def guests(site: Site, monkeypatch: pytest.MonkeyPatch) -> GuestSite:
    return made(site, monkeypatch, "SUNWfiles")


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestSite]:
    """A site with one guest, for commands that are refused and change nothing."""
    with pytest.MonkeyPatch.context() as patch:
        guests = made(Site(tmp_path_factory.mktemp("settled")), patch, "SUNWfiles")
        guests.ok("domu-project appl-1")
        guests.ok("domu-clone masters/osol-0811@version-01 appl-1/vm-1")
        guests.ok("domu-init pv fe-be odd 1024 1 appl-1/vm-1")
        yield guests
