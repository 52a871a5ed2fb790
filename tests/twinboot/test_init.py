"""`twinboot init` on a site with two links: both devices, both networks, and the addresses of each."""

from __future__ import annotations

import pytest

from dhcp import svcconf_file
from dhcp.sockets import Interface
from storage.records import FREE_ID, Binding, TabEntry, ipv4_int, ipv4_text, open_records
from tests.rows import rows_of
from tests.twinboot.conftest import Site
from twinboot.config import load

DEVICES = {"lo": "127.0.0.1", "fe0": "192.168.76.10", "be0": "192.168.78.10"}
PUBLIC, BACKEND = "192.168.76.0/24", "192.168.78.0/24"
TWO = {
    "interface": "fe0,be0",
    "subnet": f"{PUBLIC},{BACKEND}",
    "range": "192.168.76.8-192.168.76.12,192.168.78.8-192.168.78.12",
    "address": "",
}


@pytest.fixture(autouse=True)
def _devices(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Interface(name, ipv4_int(text), 0, b"", name == "lo") for name, text in DEVICES.items()]
    monkeypatch.setattr("twinboot.answers.list_interfaces", lambda: found)
    nets = {"fe0": PUBLIC, "be0": BACKEND}
    monkeypatch.setattr("twinboot.answers.default_subnet", lambda name: nets.get(name, ""))


def addresses(site: Site, table: str) -> list[str]:
    rows = rows_of(open_records("SUNWfiles", site.share / "dhcp"), table, Binding)
    assert all(row.client_id == FREE_ID and row.macro == "s1" for row in rows)
    assert {row.owner for row in rows} == {ipv4_int("192.168.76.10")}
    return sorted(ipv4_text(row.address) for row in rows)


def macros_of(site: Site) -> dict[str, str]:
    rows = rows_of(open_records("SUNWfiles", site.share / "dhcp"), "dhcptab", TabEntry)
    return {row.name: row.value for row in rows}


def written(site: Site) -> tuple[list[str], list[tuple[str, str, str | None]], str]:
    """INTERFACES, the networks, and our address, as the programs read them from the two files."""
    config = load(site.config)
    nets = [(net.name, str(net.subnet), net.link) for net in config.networks]
    return list(svcconf_file.load(site.dhcpsvc).interfaces), nets, str(config.address)


NETS = [("public", PUBLIC, "fe"), ("backend", BACKEND, "be")]


def test_both_links_are_written_as_they_were_given(site: Site) -> None:
    said = site.ok(*site.init_args(**TWO), "--router", "192.168.78.1")
    assert written(site) == (["fe0", "be0"], NETS, "192.168.76.10")
    for table in ("192.168.76.0", "192.168.78.0"):
        ours = table.removesuffix("0") + "10"
        assert ours not in addresses(site, table)
        assert len(addresses(site, table)) == 4
    assert "with 8 free addresses" in said
    macros = macros_of(site)
    assert "Router" not in macros["192.168.76.0"]
    assert "Router=192.168.78.1:" in macros["192.168.78.0"]


def test_each_network_names_our_address_there_as_its_name_server(site: Site) -> None:
    site.ok(*site.init_args(**TWO, domain="example.com"))
    macros = macros_of(site)
    assert "DNSserv=192.168.76.10:" in macros["192.168.76.0"]
    assert "DNSserv=192.168.78.10:" in macros["192.168.78.0"]


def test_what_is_not_given_is_that_of_each_device(site: Site) -> None:
    site.ok(*site.init_args(**TWO | {"subnet": "", "range": ""}))
    assert written(site) == (["fe0", "be0"], NETS, "192.168.76.10")
    assert min(map(len, (addresses(site, "192.168.76.0"), addresses(site, "192.168.78.0")))) > 100


def test_options_may_be_repeated(site: Site) -> None:
    site.ok(*site.init_args(**TWO | {"interface": "fe0"}), "--interface", "be0")
    assert written(site)[0] == ["fe0", "be0"]


def test_a_network_without_a_range_begins_without_addresses_and_that_is_said(site: Site) -> None:
    said = site.ok(*site.init_args(**TWO | {"range": "192.168.76.70-192.168.76.79"}))
    assert "192.168.78.0 has no addresses to give out yet: pntadm -A ADDRESS 192.168.78.0" in said
    assert len(addresses(site, "192.168.76.0")) == 10


def test_one_device_of_several_stays_one(site: Site) -> None:
    site.ok(*site.init_args(interface="be0", subnet=BACKEND, range="192.168.78.70-192.168.78.79", address=""))
    assert written(site) == (["be0"], [("public", BACKEND, "fe")], "192.168.78.10")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interface": "fe0,fe0", "subnet": f"{PUBLIC},{BACKEND}"}, "a device stands there twice"),
        ({"interface": "fe0,eth9"}, "eth9 is not there"),
        ({"subnet": PUBLIC}, "1 given for 2 devices"),
        ({"subnet": f"{BACKEND},{PUBLIC}"}, "fe0 has 192.168.76.10, which is not in 192.168.78.0/24"),
        ({"subnet": f"192.168.0.0/16,{BACKEND}"}, "192.168.0.0/16 and 192.168.78.0/24 overlap"),
        ({"range": "10.0.0.1-10.0.0.9"}, "is not among the host addresses of 192.168.76.0/24 or 192.168.78.0/24"),
        ({"interface": "fe0,be0,lo", "subnet": f"{PUBLIC},{BACKEND},127.0.0.0/8"}, "2 devices at most"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_written(site: Site, changes: dict[str, str], words: str) -> None:
    lines = site.fails(*site.init_args(**TWO | changes))
    assert any(words in line for line in lines), lines
    assert not site.config.exists()
