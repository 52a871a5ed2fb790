"""The commands around nevada: take in an image, arm, disarm; what then lies on the share and in the dhcptab."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from jumpstart.language.check import check
from jumpstart.language.okfile import fault_of
from storage.records import Change, open_records
from tests.twinboot.conftest import Site
from tests.twinboot.nevada.conftest import CLASS, GRUB, OWN, add, installs, macros, tree
from tests.twinboot.nevada.image import make_image


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
