"""What is told of a site: its state, its events, why a machine does not boot, and what is typed wrongly."""

from __future__ import annotations

import json
import re

import pytest

from tests.twinboot.commands.conftest import MAC, OTHER
from tests.twinboot.conftest import Site, keep_events


def test_status_tells_what_is_free_and_what_is_wrong(ready_site: Site) -> None:
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


def test_a_missing_share_is_one_clear_line(ready_site: Site) -> None:
    ready_site.share.rename(ready_site.root / "gone")
    assert any("is missing: mount it or create it" in line for line in ready_site.fails("status"))
    assert "is missing: mount it or create it" in ready_site.fails("serve")[0]
    for words in (["host", "list"], ["host", "add", "hv1", "--mac", MAC], ["install", "hv1"]):
        assert str(ready_site.root / "share") in ready_site.fails(*words)[0]


def keep(site: Site, *events: dict) -> None:
    keep_events(site.state / "journal.db", *events)


def test_events_are_shown_filtered_and_harmless(ready_site: Site) -> None:
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


def test_explain_tells_the_verdict_and_the_fix(ready_site: Site) -> None:
    ready_site.add_host()
    keep(ready_site, {"at": 1.0, "kind": "dhcp.silent", "mac": MAC, "reason": "full", "detail": "no free address"})
    said = ready_site.ok("explain", "hv1").splitlines()
    assert said[-2] == "verdict: DHCP was silent: no free address"
    assert "pntadm" in said[-1]
    assert json.loads(ready_site.ok("explain", MAC, "--json"))["pattern"] == "full"
    assert "nothing was ever heard" in ready_site.ok("explain", OTHER)
    assert "no host 'hv9'" in ready_site.fails("explain", "hv9")[0]


def test_explain_works_while_the_share_is_away(ready_site: Site) -> None:
    keep(ready_site, {"at": 1.0, "kind": "dhcp.ack", "mac": MAC, "address": "10.77.0.50"})
    ready_site.share.rename(ready_site.root / "gone")
    assert "dhcp.ack" in ready_site.ok("explain", MAC)


def test_without_a_journal_the_commands_say_what_to_start(ready_site: Site) -> None:
    for words in (["events"], ["explain", MAC]):
        assert "twinboot serve" in ready_site.fails(*words)[0]


def test_wrong_usage_is_exit_code_2(site: Site) -> None:
    assert site.run("nonsense").exit_code == 2
    assert site.run("serve", "nfs").exit_code == 2
    assert site.run("host", "add", "hv1").exit_code == 2


def test_a_missing_configuration_says_what_to_type(site: Site) -> None:
    for words in (["status"], ["host", "list"], ["serve"], ["install", "hv1"], ["media", "build", "live-xen"]):
        assert "twinboot init" in site.fails(*words)[0]
    assert "twinboot" in site.ok("version")


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
def test_a_unit_that_is_switched_off_is_skipped(site: Site, service: str, dhcpsvc: dict[str, str], code: int) -> None:
    site.init()
    text = site.dhcpsvc.read_text()
    for old, new in dhcpsvc.items():
        text = text.replace(old, new)
    site.dhcpsvc.write_text(text)
    assert site.run("serve", "--ask", service).exit_code == code


def test_a_faulty_configuration_is_no_reason_to_skip(site: Site) -> None:
    assert site.run("serve", "--ask", "dhcp").exit_code == 0  # there is no file
