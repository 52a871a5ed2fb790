from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from guests import xl
from guests.domain import Disk, DomainSpec, Kind, State
from guests.hypervisor import HypervisorError, Outcome, Place
from guests.xl import XlHypervisor
from guests.xl_files import TEMPLATES
from guests.xl_render import render
from guests.xl_shell import Shell
from guests.xl_text import define
from storage.volumes import Chap
from tests import xl_hosts

NAME, UUID, IQN = "appl-1:vm-1", "5f0a5a0e-54fc-4b1c-a8a4-2f2f6f0a7c11", "iqn.2026-11.test.twinboot:appl-1:vm-1"
SPEC = DomainSpec(NAME, UUID, Kind.PV, 64, 1, Disk(IQN, "127.0.0.1:3260", 1), ("fe0", "be0"))
GOLDEN = Path(__file__).parent / "golden" / "xl" / "pv.cfg"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", xl_hosts.path_with(tmp_path))
    xl_hosts.lay(tmp_path)
    (tmp_path / "exported").write_text(IQN)
    return tmp_path


@pytest.fixture
def hosts(root: Path) -> tuple[XlHypervisor, XlHypervisor]:
    return xl_hosts.two_hosts(root)


def refused(outcome: Outcome, verb, *arguments: object, **named: object) -> str:
    with pytest.raises(HypervisorError) as caught:
        verb(*arguments, **named)
    assert caught.value.outcome is outcome, caught.value
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sessions(root: Path, host: str) -> str:
    path = root / host / "sessions"
    return path.read_text() if path.exists() else ""


def test_the_file_on_the_host_is_the_shipped_template_filled_in(hosts, root: Path) -> None:
    hosts[0].define(SPEC)
    assert (root / "hv1/etc/appl-1:vm-1.cfg").read_text() == GOLDEN.read_text()
    script = root / "hv1/etc/scripts/block-twinboot"
    assert os.access(script, os.X_OK)
    assert script.read_bytes() == (TEMPLATES / "xl/block-twinboot").read_bytes()
    hosts[0].define(SPEC._replace(kind=Kind.HVM))
    text = (root / "hv1/etc/appl-1:vm-1.cfg").read_text()
    assert 'type = "hvm"' in text
    assert "vdev=hda" in text


@pytest.mark.parametrize(
    ("field", "value"), [("iqn", 'iqn.x:a"\nname="b'), ("portal", "1.2.3.4:3260,lun=0"), ("iqn", "")]
)
def test_a_value_that_would_break_out_of_its_string_is_refused(field: str, value: Any) -> None:
    definition = define(SPEC, None)._replace(**{field: value})
    text = (TEMPLATES / "xl/pv.cfg").read_text()
    assert "cannot stand in a string" in refused(Outcome.INVALID, render, "pv.cfg", text, definition)


def test_a_sites_own_template_is_used_and_its_mistakes_are_told(root: Path) -> None:
    templates = root / "templates"
    (templates / "xl").mkdir(parents=True)
    host, _ = xl_hosts.two_hosts(root, templates)
    path = templates / "xl/pv.cfg"
    path.write_text((TEMPLATES / "xl/pv.cfg").read_text() + 'cpus = "2-3"\n')
    host.define(SPEC)
    assert (root / "hv1/etc/appl-1:vm-1.cfg").read_text().endswith('cpus = "2-3"\n')
    path.write_text('name = "{{ nmae }}"\n')
    assert "'nmae' is undefined" in refused(Outcome.INVALID, host.define, SPEC)
    path.write_text('name = "{{ name }}"\n')
    assert "what it makes lacks " + UUID in refused(Outcome.INVALID, host.define, SPEC)
    path.write_bytes(b"\xff")
    assert "make it readable" in refused(Outcome.INVALID, host.define, SPEC)


def test_a_failed_start_and_a_crashed_one_leave_no_session(hosts, root: Path) -> None:
    host, _ = hosts
    host.define(SPEC)
    (root / "exported").write_text("")
    assert "does not let us log in" in refused(Outcome.NO_DISK, host.start, NAME)
    assert sessions(root, "hv1") == ""
    (root / "hv1" / "sessions").write_text(IQN)  # xl was killed after it had logged in
    (root / "exported").write_text(IQN)
    host.start(NAME)
    assert host.domain(NAME).state is State.RUNNING


def test_a_guest_that_cannot_come_up_over_there_goes_on_here(hosts, root: Path) -> None:
    one, two = hosts
    made = one.define(SPEC)
    one.start(NAME)
    (root / "hv2" / "broken").write_text("")
    for live in (False, True):
        refused(Outcome.FAILED, one.migrate, NAME, two, live=live)
        assert one.domain(NAME) == made._replace(state=State.RUNNING)
        refused(Outcome.NOT_FOUND, two.domain, NAME)
        assert (sessions(root, "hv1"), sessions(root, "hv2")) == (IQN, "")
    assert not list((root / "hv1/save").iterdir()) + list((root / "hv2/save").iterdir())


def test_a_move_that_is_not_live_ships_the_memory_and_tells_how_far(hosts, root: Path) -> None:
    one, two = hosts
    for host in xl_hosts.HOSTS:
        (root / host / "caps").write_text("pv hvm gnttab-v1 gnttab-v2")
    made = one.define(SPEC)
    one.start(NAME)
    assert "without --live" in refused(Outcome.INCOMPATIBLE, one.migrate, NAME, two, live=True)
    told: list[tuple[int, int]] = []
    one.migrate(NAME, two, live=False, progress=lambda done, total: told.append((done, total)))
    assert two.domain(NAME) == made._replace(state=State.RUNNING)
    assert told[-1][0] == told[-1][1] > 100_000
    assert not list((root / "hv1/save").iterdir()) + list((root / "hv2/save").iterdir())
    assert (sessions(root, "hv1"), sessions(root, "hv2")) == ("", IQN)


def test_what_keeps_a_guest_from_moving_is_told_before_anything_is_touched(hosts, root: Path) -> None:
    one, two = hosts
    one.define(SPEC)
    one.start(NAME)
    (root / "hv2/net/fe0/bridge").rmdir()
    assert "there is no bridge fe0" in refused(Outcome.NO_LINK, one.migrate, NAME, two, live=True)
    (root / "hv2/net/fe0/bridge").mkdir()
    (root / "exported").write_text("")
    assert "does not let iqn.2026-11.test:hv2 in" in refused(Outcome.NO_DISK, one.migrate, NAME, two, live=True)
    assert one.domain(NAME).state is State.RUNNING


def test_the_secret_of_the_disk_is_in_no_text_and_goes_along(hosts, root: Path) -> None:
    one, two = hosts
    secret = SPEC._replace(disk=SPEC.disk._replace(chap=Chap("hv", "secretsecret12")))
    one.define(secret)
    one.start(NAME)
    assert "secretsecret12" not in (root / "hv1/etc/appl-1:vm-1.cfg").read_text()
    one.migrate(NAME, two, live=True)
    path = root / "hv2/etc/twinboot" / IQN
    assert path.read_text() == "hv secretsecret12\n"
    assert path.stat().st_mode & 0o077 == 0
    assert not (root / "hv1/etc/twinboot" / IQN).exists()
    two.stop(NAME, force=True)
    two.undefine(NAME)
    assert not path.exists()


def test_domains_that_others_made_are_seen_and_not_started(hosts, root: Path) -> None:
    one, _ = hosts
    one.define(SPEC)
    one.start(NAME)
    (root / "hv1/etc/appl-1:vm-1.cfg").unlink()
    found = one.domain(NAME)
    assert (found.state, found.uuid, found.iqn, found.memory_mib) == (State.RUNNING, UUID, IQN, 64)
    assert {link.name for link in found.links} == {"fe0", "be0"}
    (root / "hv1/etc/other.cfg").write_text("name = 'other'\n")
    assert [one.name for one in one.domains()] == [NAME]


def test_a_host_that_does_not_answer_is_unavailable(root: Path) -> None:
    nobody = xl.open_xl(Place("hv9", "iqn.2026-11.test:hv9", "ssh://root@hv9", "", root))
    assert "No route to host" in refused(Outcome.UNAVAILABLE, nobody.host)
    (root / "hv1" / "caps").unlink()
    refused(Outcome.FAILED, xl_hosts.two_hosts(root)[0].host)


@pytest.mark.parametrize(
    "uri",
    ["", "qemu:///system", "ssh://", "ssh://-oProxyCommand=x", "ssh://root@hv1?key=x", "ssh://root@hv1:port", "hv1"],
)
def test_a_uri_that_is_none_of_ours_is_told(uri: str) -> None:
    assert "ssh://root@ADDRESS" in refused(Outcome.INVALID, Shell, "hv1", uri)


def test_where_ssh_goes() -> None:
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    assert Shell("hv1", "ssh://root@10.0.0.1").argv("xl list") == ["ssh", *options, "root@10.0.0.1", "xl list"]
    argv = Shell("hv1", "ssh://hv1:2222?config=/etc/c").argv("x", terminal=True)
    assert argv == ["ssh", "-t", "-F", "/etc/c", *options, "-p", "2222", "hv1", "x"]
    assert Shell("hv1", "local:").argv("x") == ["sh", "-c", "x"]


def test_a_deadline_ends_what_hangs(tmp_path: Path) -> None:
    refused(Outcome.UNAVAILABLE, Shell("hv1", "local:").ask, "sleep 5", 0.05)


def test_a_definition_is_kept_as_json_that_others_can_read(hosts, root: Path) -> None:
    hosts[0].define(SPEC)
    head = (root / "hv1/etc/appl-1:vm-1.cfg").read_text().splitlines()[0]
    assert json.loads(head.removeprefix("# twinboot "))["links"][0][0] == "fe0"
