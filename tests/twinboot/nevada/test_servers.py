"""Nevada by two servers: each serves its own segment or either, and leaves alone what the other one lays."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from jumpstart.model import Hypervisor
from pxe.catalog import Catalog
from pxe.content import Refused, TextContent
from pxe.report import parse
from storage.records import Change, Install, open_records
from tests.twinboot.conftest import Site
from tests.twinboot.nevada.conftest import OWN, add, installs, macros, tree
from twinboot import nevadabook, stores
from twinboot.commands.install import _arm_nevada
from twinboot.config import Config, load
from twinboot.services.catalog import open_catalog


def test_another_segment_gets_its_own_server_or_either(nevada_site: Site, tmp_path: Path) -> None:
    add(nevada_site, "hv2", "00:14:4f:00:00:02", "10.77.0.22", "--segment", "even")
    nevada_site.ok("install", "hv2")
    assert "BootSrvA" not in macros(nevada_site)["0100144F000002"]  # no server of that segment is known
    text = nevada_site.config.read_text()
    nevada_site.config.write_text(
        text.replace('segment = "odd"', 'segment = "even"').replace('"10.77.0.1"', '"10.77.0.2"')
    )
    nevada_site.ok("media", "add", "nevada", str(tmp_path / "nv105"))
    nevada_site.config.write_text(text)
    nevada_site.ok("install", "hv2")
    assert ":BootSrvA=10.77.0.2:" in macros(nevada_site)["0100144F000002"]
    own = nevada_site.share / "jumpstart/hosts/hv2"
    assert "timeserver=10.77.0.2\n" in (own / "sysidcfg").read_text()
    (urls,) = re.findall(r"URLS='(.*)'", (own / "report").read_text())
    assert [url.split("/")[2].split(":")[0] for url in urls.split()] == ["10.77.0.2", "10.77.0.1"]
    nevada_site.ok("install", "hv2", "--either")
    assert "BootSrvA" not in macros(nevada_site)["0100144F000002"]


def test_what_the_other_server_lays_meanwhile_stays(nevada_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between listing and pruning, the install that is over is armed anew, at the other server."""
    config = load(nevada_site.config)
    nevada_site.ok("install", "hv1")
    records = open_records("SUNWfiles", nevada_site.share / "state")
    (row,) = installs(nevada_site)
    (over,) = [result.row for result in records.commit([Change("installs", row, row._replace(state="installed"))])]
    assert isinstance(over, Install)
    prune = nevadabook._prune
    rounds: list[int] = []

    def late(directory: Path, gone: list) -> None:
        if not rounds:
            rounds.append(1)
            records.commit([Change("installs", over, over._replace(state="armed", token="f" * 32))])
            text = (directory / "hosts/hv1/report").read_text().replace(over.token, "f" * 32)
            nevadabook._write(directory / "hosts/hv1/report", text, 0o600)
        prune(directory, gone)

    monkeypatch.setattr(nevadabook, "_prune", late)
    assert nevadabook.follow(config) == ("hv1",)
    assert "hosts/hv1/sysidcfg" in tree(nevada_site)


def test_two_servers_on_one_share_end_what_the_other_began(nevada_site: Site) -> None:
    odd = load(nevada_site.config)
    even = replace(odd, server="s2", segment="even", address=IPv4Address("10.77.0.2"))
    told: list[str] = []
    catalogs = [open_catalog(config, lambda kind, **_fields: told.append(kind)) for config in (odd, even)]
    nevada_site.ok("install", "hv1")
    (row,) = installs(nevada_site)

    def fetch(catalog: Catalog, name: str) -> bytes:
        content = catalog.resolve(name, "10.77.0.21")
        if isinstance(content, TextContent):
            return content.data
        with open(content.fd, "rb") as file:
            return file.read()

    one, other = catalogs
    assert row.token in fetch(other, f"menu.lst.{OWN}").decode()
    assert fetch(one, f"install/{row.token}/platform/i86pc/kernel/unix")
    assert b"chainloader" in fetch(other, f"menu.lst.{OWN}")
    assert b"pool rpool" in fetch(other, f"install/{row.token}/jumpstart/profile")
    assert fetch(other, "jumpstart/rules.ok").startswith(b"hostname hv1 ")
    assert other.report(row.token, parse(b"outcome=installed\n"), "10.77.0.21").state == "installed"
    assert tree(nevada_site) == []
    for catalog in catalogs:
        with pytest.raises(Refused):
            fetch(catalog, f"install/{row.token}/x86.miniroot")
    assert "records.fault" not in told


def test_a_report_is_taken_even_if_the_files_cannot_be_tidied(
    nevada_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    nevada_site.ok("install", "hv1")
    (row,) = installs(nevada_site)
    told: list[dict[str, object]] = []
    catalog = open_catalog(load(nevada_site.config), lambda kind, **fields: told.append({"kind": kind, **fields}))

    def broken(_config: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(nevadabook, "follow", broken)
    assert catalog.report(row.token, parse(b"outcome=failed\nreason=x\n"), "10.77.0.21").state == "failed"
    (fault,) = [event for event in told if event["kind"] == "records.fault"]
    assert "JumpStart files are still there" in str(fault["reason"])


def test_both_servers_arm_at_once(nevada_site: Site) -> None:
    odd = load(nevada_site.config)
    even = replace(odd, server="s2", segment="even", address=IPv4Address("10.77.0.2"))
    for number in range(2, 9):
        add(nevada_site, f"hv{number}", f"00:14:4f:00:00:0{number}", f"10.77.0.2{number}")
    hosts = [stores.hosts(odd).by_name[f"hv{number}"] for number in range(1, 9)]

    def arm_all(config: Config, mine: list[Hypervisor]) -> None:
        for host in mine:
            _arm_nevada(config, host, either=False)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(arm_all, odd, hosts[::2]), pool.submit(arm_all, even, hosts[1::2])]:
            done.result()
    lines = (nevada_site.share / "jumpstart/rules.ok").read_text().splitlines()
    assert [line.split()[1] for line in lines[:-1]] == [f"hv{number}" for number in range(1, 9)]
    told = macros(nevada_site)
    for host, row in zip(hosts, sorted(installs(nevada_site)), strict=True):
        report = (nevada_site.share / "jumpstart/hosts" / host.name / "report").read_text()
        assert row.token in report
        assert "menu.lst." in told["01" + host.links[0].mac.replace(":", "").upper()]
