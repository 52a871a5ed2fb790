"""Hosts are added, shown and removed; an install of one is armed and taken back."""

from __future__ import annotations

import json

import pytest

from storage.records import MANUAL, Change, Install, open_records
from tests.rows import rows_of
from tests.twinboot.commands.conftest import MAC, OTHER, bindings, macros
from tests.twinboot.conftest import Site


def test_a_host_is_added_shown_and_removed(ready_site: Site) -> None:
    site = ready_site
    site.add_host("--address", "fe0=10.77.0.70", "--dom0-mem", "512M", "--console", "com1=9600")
    assert bindings(site)[70].client_id.hex() == "0100144f000001"
    assert bindings(site)[70].comment == "hv1"  # the name that option 12 and the DNS have
    assert macros(site)["0100144F000001"] == ':GrubMenu="grub/grub.cfg-01-00-14-4f-00-00-01":'
    listed = json.loads(site.ok("host", "list", "--json"))
    assert listed[0]["dom0_mem"] == "512M"
    assert listed[0]["links"] == [{"name": "fe0", "mac": MAC, "address": "10.77.0.70"}]
    assert "reserved: 10.77.0.70" in site.ok("host", "show", "hv1")
    assert "hv1" in site.ok("host", "list")
    assert "no faults" in site.ok("host", "check")
    site.ok("host", "remove", "hv1")
    assert 70 not in bindings(site)
    assert "0100144F000001" not in macros(site)
    assert json.loads(site.ok("host", "list", "--json")) == []


def test_an_address_of_the_pool_is_reserved_and_then_free_again(ready_site: Site) -> None:
    before = bindings(ready_site)[50]
    ready_site.add_host("--address", "fe0=10.77.0.50")
    assert bindings(ready_site)[50].flags == MANUAL
    ready_site.ok("host", "remove", "hv1")
    assert bindings(ready_site)[50]._replace(signature=0) == before._replace(signature=0)


def test_each_address_is_named_as_in_the_dns(ready_site: Site) -> None:
    macs, addresses = f"fe0={MAC},be0={OTHER}", "fe0=10.77.0.70,be0=10.77.0.71"
    ready_site.ok("host", "add", "hv1", "--mac", macs, "--address", addresses)
    assert [bindings(ready_site)[host].comment for host in (70, 71)] == ["hv1", "hv1-be0"]


def test_a_comment_that_was_there_stays(ready_site: Site) -> None:
    store = open_records("SUNWfiles", ready_site.share / "dhcp")
    old = bindings(ready_site)[51]
    store.commit([Change("10.77.0.0", old, old._replace(comment="rack 3"))])
    ready_site.add_host("--address", "fe0=10.77.0.51")
    assert bindings(ready_site)[51].comment == "rack 3"
    ready_site.ok("host", "remove", "hv1")
    assert (bindings(ready_site)[51].comment, bindings(ready_site)[51].client_id) == ("rack 3", b"\0")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["hv2", "--mac", f"fe0={MAC}"], f"MAC {MAC} belongs to hv1"),
        (["hv2", "--mac", OTHER, "--address", "10.77.0.70"], "address 10.77.0.70 belongs to hv1"),
        (["hv1", "--mac", OTHER], "host hv1 exists"),
        (["hv2", "--mac", "fe0=zz"], "is not a MAC address"),
        (["hv2", "--mac", OTHER, "--address", "fe0=10.9.9.9"], "10.9.9.9 is in no network"),
        (["hv2", "--mac", OTHER, "--address", "be0=10.77.0.71"], "no --mac was given for be0"),
        (["hv2", "--mac", f"{OTHER},{MAC}"], "fe0 is given twice"),
        (["hv2", "--mac", OTHER, "--segment", "left"], "is not a segment"),
        (["hv2", "--mac", OTHER, "--target", "windows"], "is not an install target"),
        (["hv2", "--mac", OTHER, "--dom0-mem", "lots"], "is not a dom0 memory size"),
        (["../hv2", "--mac", OTHER], "name"),
    ],
)
def test_a_host_that_cannot_be_added_gets_one_line(ready_site: Site, args: list[str], words: str) -> None:
    ready_site.add_host("--address", "fe0=10.77.0.70")
    lines = ready_site.fails("host", "add", *args)
    assert len(lines) == 1
    assert words in lines[0]


def test_an_address_that_a_client_holds_is_not_taken_from_it(ready_site: Site) -> None:
    records = open_records("SUNWfiles", ready_site.share / "dhcp")
    row = bindings(ready_site)[51]
    records.commit([Change("10.77.0.0", row, row._replace(client_id=b"\1\2\3", lease_s=99))])
    lines = ready_site.fails("host", "add", "hv1", "--mac", MAC, "--address", "10.77.0.51")
    assert "bound to client 010203" in lines[0]


def test_broken_and_disputed_host_files_are_all_named(ready_site: Site) -> None:
    ready_site.add_host()
    hosts = ready_site.share / "hosts"
    (hosts / "hv2.toml").write_text((hosts / "hv1.toml").read_text().replace('"hv1"', '"hv2"'))
    (hosts / "hv3.toml").write_text("name = \n")
    lines = ready_site.fails("host", "check")
    assert len(lines) == 3
    assert "not TOML" in lines[0]
    assert all(MAC in line for line in lines[1:])
    assert ready_site.run("host", "list").stderr.count("twinboot: ") == 3


def test_a_host_that_is_not_there(ready_site: Site) -> None:
    for words in (["host", "show"], ["host", "remove"], ["install"]):
        assert "hv9" in ready_site.fails(*words, "hv9")[0]


def test_a_host_that_its_target_cannot_render_is_not_armed(ready_site: Site) -> None:
    ready_site.add_host()
    assert "root_mirror must name two disks" in ready_site.fails("install", "hv1", "--target", "debian")[0]
    assert "no install is armed" in ready_site.fails("install", "hv1", "--disarm")[0]


def test_an_install_is_armed_once_and_can_be_taken_back(ready_site: Site) -> None:
    ready_site.add_host()
    result = ready_site.run("install", "hv1")
    assert result.exit_code == 0
    assert "media build live-xen" in result.stderr
    (row,) = rows_of(open_records("SUNWfiles", ready_site.share / "state"), "installs", Install)
    assert (row.host, row.state, row.target) == ("hv1", "armed", "live-xen")
    assert "an install is armed" in ready_site.fails("host", "remove", "hv1")[0]
    ready_site.ok("install", "hv1", "--disarm")
    assert "no install is armed" in ready_site.fails("install", "hv1", "--disarm")[0]
    ready_site.ok("install", "hv1")
    ready_site.ok("host", "remove", "hv1", "--force")
    assert open_records("SUNWfiles", ready_site.share / "state").read("installs").rows == ()


def test_an_unknown_target_is_named(ready_site: Site) -> None:
    ready_site.add_host()
    assert "not an install target" in ready_site.fails("install", "hv1", "--target", "windows")[0]
