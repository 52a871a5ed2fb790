"""The commands around nevada: take in an image, arm, disarm; what then lies on the share and in the dhcptab."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import product
from pathlib import Path

import pytest

from jumpstart.language.check import check
from jumpstart.language.okfile import fault_of
from jumpstart.model import Hypervisor
from pxe.catalog import Catalog
from pxe.content import Refused, TextContent
from pxe.report import parse
from storage.records import Change, Install, TabEntry, open_records
from tests.twinboot.conftest import Site
from tests.twinboot.nevada_image import complete, make_image
from twinboot import nevadabook, stores
from twinboot.commands.install import _arm_nevada
from twinboot.config import Config, load
from twinboot.services.catalog import open_catalog

CLASS = "PXEClient:Arch:00000:UNDI:002001"
OWN = "0100144F000001"
GRUB = ':GrubMenu="grub/grub.cfg-01-00-14-4f-00-00-01":'


def macros(site: Site) -> dict[str, str]:
    rows = open_records("SUNWfiles", site.share / "dhcp").read("dhcptab").rows
    return {row.name: row.value for row in rows if isinstance(row, TabEntry)}


def installs(site: Site) -> list[Install]:
    rows = open_records("SUNWfiles", site.share / "state").read("installs").rows
    return [row for row in rows if isinstance(row, Install)]


def tree(site: Site) -> list[str]:
    top = site.share / "jumpstart"
    return sorted(
        str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and path.name != "nevada.toml"
    )


def add(site: Site, name: str, mac: str, address: str, *more: str) -> None:
    site.ok("host", "add", name, "--mac", f"fe0={mac}", "--address", f"fe0={address}", "--target", "nevada", *more)
    complete(site.share / "hosts" / f"{name}.toml")


@pytest.fixture
def nevada_site(ready_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    # No journal runs here; a command waits half a second for one before it gives its event up.
    monkeypatch.setattr("twinboot.commands.install._tell", lambda *_: None)
    make_image(tmp_path / "nv105")
    ready_site.ok("media", "add", "nevada", str(tmp_path / "nv105"), "--release", "snv_105")
    add(ready_site, "hv1", "00:14:4f:00:00:01", "10.77.0.21")
    return ready_site


def test_an_image_is_added_and_the_other_server_joins(ready_site: Site, tmp_path: Path) -> None:
    make_image(tmp_path / "nv105")
    said = ready_site.ok("media", "add", "nevada", str(tmp_path / "nv105"))
    assert "I86PC.nv105 installs nv105 in the segment odd" in said
    assert f"{tmp_path}/nv105 to all" in said
    ready_site.config.write_text(
        ready_site.config.read_text()
        .replace('segment = "odd"', 'segment = "even"')
        .replace('"10.77.0.1"', '"10.77.0.2"')
    )
    ready_site.ok("media", "add", "nevada", str(tmp_path / "nv105"), "--media", "/export/nv105", "--nfs", "10.77.0.9")
    text = (ready_site.share / "jumpstart/nevada.toml").read_text()
    assert re.search(r'\[servers.odd\]\naddress = "10.77.0.1"', text)
    assert re.search(r'\[servers.even\]\naddress = "10.77.0.2"\n(.*\n)+nfs = "10.77.0.9"', text)
    assert (ready_site.share / "boot/pxegrub.I86PC.nv105").is_file()


def test_what_is_no_image_is_refused_with_all_faults_at_once(ready_site: Site, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert len(ready_site.fails("media", "add", "nevada", str(tmp_path / "none"))) == 4
    image = make_image(tmp_path / "a b")
    said = ready_site.fails("media", "add", "nevada", str(image), "--nfs", "x")
    assert len(said) == 4  # the names of image and release, the path for -B, the address
    assert not (ready_site.share / "jumpstart/nevada.toml").exists()
    assert not list((ready_site.share / "boot").glob("*I86PC*"))


def test_arming_makes_everything_ready_and_disarming_takes_it_back(nevada_site: Site) -> None:
    before = macros(nevada_site)
    assert before[OWN] == GRUB
    assert "armed" in nevada_site.ok("install", "hv1")
    armed = macros(nevada_site)
    assert armed[OWN] == f":BootSrvA=10.77.0.1:BootFile={OWN}:GrubMenu=menu.lst.{OWN}:"
    assert armed[CLASS] == armed["PXEClient:Arch:00000"]  # other machines of the class boot what they did
    assert armed["GrubMenu"] == "Site,150,ASCII,1,0"
    place = nevada_site.share / "jumpstart"
    assert (
        (place / "rules.ok").read_text().startswith("hostname hv1 hosts/hv1/begin hosts/hv1/profile hosts/hv1/finish\n")
    )
    assert not fault_of((place / "rules.ok").read_bytes(), (place / "rules").read_bytes())
    assert not check(place, dry_run=True).faults
    (row,) = installs(nevada_site)
    assert row.token in (place / "hosts/hv1/report").read_text()
    for path in (place / "hosts/hv1").iterdir():
        assert path.stat().st_mode & 0o077 == 0
    exports = (nevada_site.share / "state/nevada.exports").read_text()
    assert f'"{place}" 10.77.0.21(ro,' in exports
    nevada_site.ok("install", "hv1", "--disarm")
    assert macros(nevada_site) == before
    assert tree(nevada_site) == []
    assert "10.77.0.21" not in (nevada_site.share / "state/nevada.exports").read_text()


def test_an_install_that_never_reports_can_be_taken_back(nevada_site: Site) -> None:
    nevada_site.ok("install", "hv1")
    (row,) = installs(nevada_site)
    begun = Change("installs", row, row._replace(state="installing"))
    open_records("SUNWfiles", nevada_site.share / "state").commit([begun])
    nevada_site.ok("install", "hv1", "--disarm")
    assert (tree(nevada_site), installs(nevada_site)) == ([], [])
    assert macros(nevada_site)[OWN] == GRUB
    assert "no install is armed" in nevada_site.fails("install", "hv1", "--disarm")[0]


def test_either_is_for_nevada(nevada_site: Site) -> None:
    assert "leave the option out" in nevada_site.fails("install", "hv1", "--target", "live-xen", "--either")[0]


def test_rules_hold_the_armed_hosts_only(nevada_site: Site) -> None:
    add(nevada_site, "hv2", "00:14:4f:00:00:02", "10.77.0.22")
    add(nevada_site, "hv3", "00:14:4f:00:00:03", "10.77.0.23")
    for name in ("hv1", "hv2"):
        nevada_site.ok("install", name)
    rules = nevada_site.share / "jumpstart/rules.ok"
    assert [line.split()[1] for line in rules.read_text().splitlines()[:-1]] == ["hv1", "hv2"]
    nevada_site.ok("install", "hv1", "--disarm")
    assert [line.split()[1] for line in rules.read_text().splitlines()[:-1]] == ["hv2"]
    assert CLASS in macros(nevada_site)
    nevada_site.ok("host", "remove", "hv2", "--force")
    assert tree(nevada_site) == []
    assert CLASS not in macros(nevada_site)


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


def test_another_target_takes_suns_macros_away(nevada_site: Site) -> None:
    nevada_site.ok("install", "hv1")
    nevada_site.ok("install", "hv1", "--target", "live-xen")
    assert macros(nevada_site)[OWN] == GRUB
    assert tree(nevada_site) == []


def test_arming_again_replaces_the_token_everywhere(nevada_site: Site) -> None:
    nevada_site.ok("install", "hv1")
    (first,) = installs(nevada_site)
    nevada_site.ok("install", "hv1")
    (second,) = installs(nevada_site)
    text = (nevada_site.share / "jumpstart/hosts/hv1/report").read_text()
    assert second.token in text
    assert first.token not in text


def test_what_cannot_be_installed_is_not_armed(nevada_site: Site) -> None:
    path = nevada_site.share / "hosts/hv1.toml"
    good = path.read_text()
    path.write_text(good.replace("root_password_hash", "# root_password_hash"))
    assert "root_password_hash is missing" in nevada_site.fails("install", "hv1")[0]
    path.write_text(good.replace('root_password_hash = "$5$', 'root_password_hash = "secret$'))
    assert "not a password hash" in nevada_site.fails("install", "hv1")[0]
    path.write_text(good)
    (nevada_site.share / "boot/I86PC.nv105/x86.miniroot").unlink()
    assert "x86.miniroot is missing" in nevada_site.fails("install", "hv1")[0]
    (nevada_site.share / "jumpstart/nevada.toml").unlink()
    assert "takes an install image" in nevada_site.fails("install", "hv1")[0]
    assert installs(nevada_site) == []
    assert macros(nevada_site)[OWN] == GRUB


def test_no_value_of_the_shared_file_reaches_a_script_or_menu(nevada_site: Site) -> None:
    path = nevada_site.share / "jumpstart/nevada.toml"
    good = path.read_text()
    keys = ("image", "release", "timezone", "locale", "keyboard", "terminal", "media", "config")
    for key, value in product(keys, ("a b", "a,b", "a'b", "a$(reboot)")):
        given = f"/{value}" if key in ("media", "config") else f"I86PC.{value}" if key == "image" else value
        path.write_text(re.sub(rf"(?m)^{key} = .*$", lambda _: f'{key} = "{given}"', good))  # noqa: B023
        (said,) = nevada_site.fails("install", "hv1")
        assert f"{key}: " in said
    assert (installs(nevada_site), tree(nevada_site)) == ([], [])


def test_what_a_person_keeps_there_is_left_alone(nevada_site: Site) -> None:
    place = nevada_site.share / "jumpstart"
    (place / "hosts/hv9").mkdir(parents=True)
    (place / "hosts/hv9/profile").write_text("mine")
    (place / "rules").write_text("any - - hosts/hv9/profile -\n")
    assert "is not ours" in nevada_site.fails("install", "hv1")[0]
    (place / "rules").rename(place / "my-rules")
    nevada_site.ok("install", "hv1")
    (place / "hosts/hv1/notes").write_text("mine")
    nevada_site.ok("install", "hv1", "--disarm")
    assert tree(nevada_site) == ["hosts/hv1/notes", "hosts/hv9/profile", "my-rules"]


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
