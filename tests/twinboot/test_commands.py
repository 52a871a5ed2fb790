from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from storage.records import FREE_ID, MANUAL, Binding, Change, Install, TabEntry, open_records
from tests.rows import rows_of
from tests.twinboot.conftest import keep_events

MAC = "00:14:4f:00:00:01"
OTHER = "00:14:4f:00:00:02"


def bindings(site) -> dict:
    rows = rows_of(open_records("SUNWfiles", site.share / "dhcp"), "10.77.0.0", Binding)
    return {row.address & 0xFF: row for row in rows}


def macros(site) -> dict:
    rows = rows_of(open_records("SUNWfiles", site.share / "dhcp"), "dhcptab", TabEntry)
    return {row.name: row.value for row in rows}


# -- init


def test_init_makes_a_site_that_every_command_can_use(site) -> None:
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


def test_init_tells_all_faults_before_it_writes(site) -> None:
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
def test_each_bad_answer_gets_one_line(site, changes: dict, words: str) -> None:
    lines = site.fails(*site.init_args(**changes))
    assert len(lines) == 1
    assert words in lines[0]


def test_init_does_not_overwrite_without_force(site) -> None:
    site.init()
    before = site.config.read_text()
    lines = site.fails(*site.init_args())
    assert [line.split(":")[0] for line in lines] == [str(site.config), str(site.dhcpsvc)]
    assert site.config.read_text() == before
    site.ok(*site.init_args(), "--force")
    assert "tftp_port" not in site.config.read_text()


def test_init_with_a_domain_hands_out_this_server_as_name_server(site) -> None:
    site.init(domain="Example.com")
    assert 'domain = "example.com"' in site.config.read_text()
    assert macros(site)["10.77.0.0"].startswith(
        ':Subnet=255.255.255.0:Broadcst=10.77.0.255:DNSserv=10.77.0.1:DNSdmain="example.com":'
    )
    assert "dns" in json.loads(site.run("status", "--json").stdout)["services"]


def test_init_without_a_domain_leaves_names_alone(ready_site) -> None:
    assert "DNS" not in macros(ready_site)["10.77.0.0"]
    assert "dns" not in json.loads(ready_site.run("status", "--json").stdout)["services"]
    assert "set site.domain" in ready_site.fails("serve", "dns")[0]


def test_the_second_server_joins_what_it_finds(site, tmp_path: Path) -> None:
    site.init()
    site.add_host("--address", "fe0=10.77.0.50")
    second = {"config": str(tmp_path / "b.toml"), "dhcpsvc": str(tmp_path / "b.conf"), "name": "s2"}
    said = site.ok(*site.init_args(**second), "--address", "10.77.0.2")
    assert "joined" in said
    assert "bindings owned by 10.77.0.1" in said
    assert "OWNER_IP=10.77.0.1,10.77.0.2" in (tmp_path / "b.conf").read_text()
    assert len(bindings(site)) == 10
    assert bindings(site)[50].flags == MANUAL


def test_init_asks_at_most_five_questions(site) -> None:
    args = [word for word in site.init_args() if word != "--yes"]
    for name in ("--interface", "--subnet", "--range", "--share", "--name"):
        at = args.index(name)
        del args[at : at + 2]
    answers = f"lo\n10.77.0.0/24\n10.77.0.50-10.77.0.59\n{site.share}\ns1\n"
    result = site.run(*args, input=answers)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("]: ") <= 5


# -- hosts


def test_a_host_is_added_shown_and_removed(ready_site) -> None:
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


def test_an_address_of_the_pool_is_reserved_and_then_free_again(ready_site) -> None:
    before = bindings(ready_site)[50]
    ready_site.add_host("--address", "fe0=10.77.0.50")
    assert bindings(ready_site)[50].flags == MANUAL
    ready_site.ok("host", "remove", "hv1")
    assert bindings(ready_site)[50]._replace(signature=0) == before._replace(signature=0)


def test_each_address_is_named_as_in_the_dns(ready_site) -> None:
    macs, addresses = f"fe0={MAC},be0={OTHER}", "fe0=10.77.0.70,be0=10.77.0.71"
    ready_site.ok("host", "add", "hv1", "--mac", macs, "--address", addresses)
    assert [bindings(ready_site)[host].comment for host in (70, 71)] == ["hv1", "hv1-be0"]


def test_a_comment_that_was_there_stays(ready_site) -> None:
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
def test_a_host_that_cannot_be_added_gets_one_line(ready_site, args: list[str], words: str) -> None:
    ready_site.add_host("--address", "fe0=10.77.0.70")
    lines = ready_site.fails("host", "add", *args)
    assert len(lines) == 1
    assert words in lines[0]


def test_an_address_that_a_client_holds_is_not_taken_from_it(ready_site) -> None:
    records = open_records("SUNWfiles", ready_site.share / "dhcp")
    row = bindings(ready_site)[51]
    records.commit([Change("10.77.0.0", row, row._replace(client_id=b"\1\2\3", lease_s=99))])
    lines = ready_site.fails("host", "add", "hv1", "--mac", MAC, "--address", "10.77.0.51")
    assert "bound to client 010203" in lines[0]


def test_broken_and_disputed_host_files_are_all_named(ready_site) -> None:
    ready_site.add_host()
    hosts = ready_site.share / "hosts"
    (hosts / "hv2.toml").write_text((hosts / "hv1.toml").read_text().replace('"hv1"', '"hv2"'))
    (hosts / "hv3.toml").write_text("name = \n")
    lines = ready_site.fails("host", "check")
    assert len(lines) == 3
    assert "not TOML" in lines[0]
    assert all(MAC in line for line in lines[1:])
    assert ready_site.run("host", "list").stderr.count("twinboot: ") == 3


def test_a_host_that_is_not_there(ready_site) -> None:
    for words in (["host", "show"], ["host", "remove"], ["install"]):
        assert "hv9" in ready_site.fails(*words, "hv9")[0]


# -- install


def test_a_host_that_its_target_cannot_render_is_not_armed(ready_site) -> None:
    ready_site.add_host()
    assert "root_mirror must name two disks" in ready_site.fails("install", "hv1", "--target", "debian")[0]
    assert "no install is armed" in ready_site.fails("install", "hv1", "--disarm")[0]


def test_an_install_is_armed_once_and_can_be_taken_back(ready_site) -> None:
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


def test_an_unknown_target_is_named(ready_site) -> None:
    ready_site.add_host()
    assert "not an install target" in ready_site.fails("install", "hv1", "--target", "windows")[0]


# -- looking


def test_status_tells_what_is_free_and_what_is_wrong(ready_site) -> None:
    ready_site.add_host("--address", "fe0=10.77.0.50")
    ready_site.run("install", "hv1")
    result = ready_site.run("status", "--json")
    facts = json.loads(result.stdout)
    assert result.exit_code == 1
    assert facts["networks"] == [
        {"name": "public", "subnet": "10.77.0.0/24", "free": 9, "used": 0}
        | {"reserved": 1, "expired": 0, "unusable": 0},
    ]
    assert facts["installs"] == {"hv1": "armed"}
    assert facts["services"]["dhcp"]["state"] == "unknown"
    plain = ready_site.run("status")
    assert re.search(r"public +10\.77\.0\.0/24 +9 +0 +1", plain.stdout)
    assert "dhcp is unknown" in plain.stderr


def test_a_missing_share_is_one_clear_line(ready_site) -> None:
    ready_site.share.rename(ready_site.root / "gone")
    assert any("is missing: mount it or create it" in line for line in ready_site.fails("status"))
    assert "is missing: mount it or create it" in ready_site.fails("serve")[0]
    for words in (["host", "list"], ["host", "add", "hv1", "--mac", MAC], ["install", "hv1"]):
        assert str(ready_site.root / "share") in ready_site.fails(*words)[0]


def keep(site, *events: dict) -> None:
    keep_events(site.state / "journal.db", *events)


def test_events_are_shown_filtered_and_harmless(ready_site) -> None:
    ready_site.add_host()
    keep(
        ready_site,
        {"at": 2.0, "kind": "tftp.done", "address": "10.77.0.50", "file": "core.0"},
        {"at": 1.0, "kind": "dhcp.ack", "mac": MAC, "address": "10.77.0.50", "detail": "\x1b[2J"},
    )
    lines = ready_site.ok("events").splitlines()
    assert "dhcp.ack mac=" in lines[0]
    assert "\x1b" not in lines[0]
    assert len(ready_site.ok("events", "--host", "hv1").splitlines()) == 1
    assert len(ready_site.ok("events", "--kind", "tftp").splitlines()) == 1
    assert json.loads(ready_site.ok("events", "--mac", MAC.upper(), "--json"))["kind"] == "dhcp.ack"
    assert ready_site.ok("events", "--since", "10m") == ""
    assert "write an age" in ready_site.fails("events", "--since", "yesterday")[0]


def test_explain_tells_the_verdict_and_the_fix(ready_site) -> None:
    ready_site.add_host()
    keep(ready_site, {"at": 1.0, "kind": "dhcp.silent", "mac": MAC, "reason": "full", "detail": "no free address"})
    said = ready_site.ok("explain", "hv1").splitlines()
    assert said[-2] == "verdict: DHCP was silent: no free address"
    assert "pntadm" in said[-1]
    assert json.loads(ready_site.ok("explain", MAC, "--json"))["pattern"] == "full"
    assert "nothing was ever heard" in ready_site.ok("explain", OTHER)
    assert "no host 'hv9'" in ready_site.fails("explain", "hv9")[0]


def test_explain_works_while_the_share_is_away(ready_site) -> None:
    keep(ready_site, {"at": 1.0, "kind": "dhcp.ack", "mac": MAC, "address": "10.77.0.50"})
    ready_site.share.rename(ready_site.root / "gone")
    assert "dhcp.ack" in ready_site.ok("explain", MAC)


def test_without_a_journal_the_commands_say_what_to_start(ready_site) -> None:
    for words in (["events"], ["explain", MAC]):
        assert "twinboot serve" in ready_site.fails(*words)[0]


def test_wrong_usage_is_exit_code_2(site) -> None:
    assert site.run("nonsense").exit_code == 2
    assert site.run("serve", "nfs").exit_code == 2
    assert site.run("host", "add", "hv1").exit_code == 2


def test_a_missing_configuration_says_what_to_type(site) -> None:
    for words in (["status"], ["host", "list"], ["serve"], ["install", "hv1"], ["media", "build", "live-xen"]):
        assert "twinboot init" in site.fails(*words)[0]
    assert "twinboot" in site.ok("version")


# -- what systemd asks before it starts a unit


@pytest.mark.parametrize(
    ("service", "dhcpsvc", "code"),
    [
        ("dhcp", {}, 0),
        ("dhcp", {"DAEMON_ENABLED=TRUE": "DAEMON_ENABLED=FALSE"}, 1),
        ("tftp", {"DAEMON_ENABLED=TRUE": "DAEMON_ENABLED=FALSE"}, 0),
        ("dns", {}, 1),  # there is no domain
        ("dhcp", {"CONVER=1": "CONVER=9"}, 0),  # the start itself tells the fault
    ],
)
def test_a_unit_that_is_switched_off_is_skipped(site, service: str, dhcpsvc: dict[str, str], code: int) -> None:
    site.init()
    text = site.dhcpsvc.read_text()
    for old, new in dhcpsvc.items():
        text = text.replace(old, new)
    site.dhcpsvc.write_text(text)
    assert site.run("serve", "--ask", service).exit_code == code


def test_a_faulty_configuration_is_no_reason_to_skip(site) -> None:
    assert site.run("serve", "--ask", "dhcp").exit_code == 0  # there is no file
