"""`twinboot init`: a site that every command can use, and the second server that joins it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage.records import FREE_ID, MANUAL
from tests.twinboot.commands.conftest import bindings, macros
from tests.twinboot.conftest import Site


def test_init_makes_a_site_that_every_command_can_use(site: Site) -> None:
    said = site.init()
    assert "with 10 free addresses" in said
    assert "twinboot" in said.splitlines()[-1]
    assert {path.name for path in site.share.iterdir()} == {"dhcp", "hosts", "jumpstart", "boot", "state", "volumes"}
    assert "OWNER_IP=10.77.0.1\nINTERFACES=lo\nRESCAN_INTERVAL=1" in site.dhcpsvc.read_text()
    found = macros(site)
    assert found["10.77.0.0"] == ":Subnet=255.255.255.0:Broadcst=10.77.0.255:Hostname:LeaseTim=3600:LeaseNeg:"
    assert {"PXEClient:Arch:00000", "PXEClient:Arch:00007", "iPXE", "GrubMenu", "s1"} <= set(found)
    assert len(bindings(site)) == 10
    assert all(row.client_id == FREE_ID and row.macro == "s1" for row in bindings(site).values())
    assert "no hosts yet" in site.ok("host", "list")


def test_init_tells_all_faults_before_it_writes(site: Site) -> None:
    args = site.init_args(interface="eth99", address="", range="10.77.0.9-10.77.0.1", share="here", name="a b")
    lines = site.fails(*args)
    assert [line.split(":")[0] for line in lines] == ["--interface", "--range", "--share", "--name"]
    assert not site.config.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"address": ""}, "lo has 127.0.0.1, which is not in 10.77.0.0/24"),
        ({"range": "10.0.0.5-10.0.0.9"}, "is not among the host addresses of 10.77.0.0/24"),
        ({"range": "10.77.0.0-10.77.0.9"}, "is not among the host addresses"),
        ({"range": "10.77.0.1-10.78.0.9"}, "more than 16384 addresses"),
        ({"range": "10.77.0.1"}, "is not a range such as"),
        ({"domain": "example..com"}, "--domain: 'example..com' is not a domain name"),
        ({"router": "10.0.0.1"}, "--router: 10.0.0.1 is not in 10.77.0.0/24"),
        ({"share": "/proc/nothing/here"}, "--share: /proc/nothing"),
        ({"user": "nobody-at-all"}, "server.user: no account 'nobody-at-all'"),
    ],
)
def test_each_bad_answer_gets_one_line(site: Site, changes: dict, words: str) -> None:
    lines = site.fails(*site.init_args(**changes))
    assert len(lines) == 1
    assert words in lines[0]


def test_init_does_not_overwrite_without_force(site: Site) -> None:
    site.init()
    before = site.config.read_text()
    lines = site.fails(*site.init_args())
    assert [line.split(":")[0] for line in lines] == [str(site.config), str(site.dhcpsvc)]
    assert site.config.read_text() == before
    site.ok(*site.init_args(), "--force")
    assert "tftp_port" not in site.config.read_text()


def test_init_with_a_domain_hands_out_this_server_as_name_server(site: Site) -> None:
    site.init(domain="Example.com")
    assert 'domain = "example.com"' in site.config.read_text()
    assert macros(site)["10.77.0.0"].startswith(
        ':Subnet=255.255.255.0:Broadcst=10.77.0.255:DNSserv=10.77.0.1:DNSdmain="example.com":'
    )
    assert "dns" in json.loads(site.run("status", "--json").stdout)["services"]


def test_init_without_a_domain_leaves_names_alone(ready_site: Site) -> None:
    assert "DNS" not in macros(ready_site)["10.77.0.0"]
    assert "dns" not in json.loads(ready_site.run("status", "--json").stdout)["services"]
    assert "set site.domain" in ready_site.fails("serve", "dns")[0]


def test_the_second_server_joins_what_it_finds(site: Site, tmp_path: Path) -> None:
    site.init()
    site.add_host("--address", "fe0=10.77.0.50")
    second = {"config": str(tmp_path / "b.toml"), "dhcpsvc": str(tmp_path / "b.conf"), "name": "s2"}
    said = site.ok(*site.init_args(**second), "--address", "10.77.0.2")
    assert "joined" in said
    assert "bindings owned by 10.77.0.1" in said
    assert "OWNER_IP=10.77.0.1,10.77.0.2" in (tmp_path / "b.conf").read_text()
    assert len(bindings(site)) == 10
    assert bindings(site)[50].flags == MANUAL


def test_init_asks_at_most_five_questions(site: Site) -> None:
    args = [word for word in site.init_args() if word != "--yes"]
    for name in ("--interface", "--subnet", "--range", "--share", "--name"):
        at = args.index(name)
        del args[at : at + 2]
    answers = f"lo\n10.77.0.0/24\n10.77.0.50-10.77.0.59\n{site.share}\ns1\n"
    result = site.run(*args, input=answers)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("]: ") <= 5
