"""A guest from its master to its end, as it is typed, and what is left over."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from storage.volumes.names import parse_snapshot, parse_volume
from tests.twinboot.conftest import Site
from tests.twinboot.domu.conftest import PROGRAMS, UP, made, open_fake


@pytest.mark.parametrize("resource", ["SUNWfiles", "twinlog"])
def test_the_mission_as_it_is_typed(site: Site, monkeypatch: pytest.MonkeyPatch, resource) -> None:
    guests = made(site, monkeypatch, resource)
    assert guests.ok("domu-project appl-1") == "appl-1: made\n"
    guests.ok("domu-clone masters/osol-0811@version-01 appl-1/vm-1")
    said = guests.ok("domu-init pv fe-be odd 1024 1 appl-1/vm-1")
    assert "appl-1:vm-1: defined on hv1" in said
    guests.ok("domu-assign-ip appl-1:vm-1 fe0 vm-host1 192.168.76.71")
    guests.ok("domu-assign-ip appl-1:vm-1 be0 vm-host1-be 192.168.78.71")
    guests.ok("domu-start appl-1:vm-1")
    (row,) = json.loads(guests.ok("domu-list --json"))
    assert (row["name"], row["state"], row["hypervisor"], row["memory_mib"]) == ("appl-1:vm-1", "running", "hv1", 1024)
    macs = {link.name: link.mac for link in guests.host("hv1").domain("appl-1:vm-1").links}
    for link, address, name in (("fe0", "192.168.76.71", "vm-host1"), ("be0", "192.168.78.71", "vm-host1-be")):
        found = guests.binding(address)
        assert found.client_id == b"\1" + bytes.fromhex(macs[link].replace(":", ""))
        assert (found.flags, found.comment) == (2, name)
    shown = guests.ok("domu-show appl-1:vm-1")
    assert "running on hv1" in shown
    assert "192.168.76.71  vm-host1\n" in shown
    assert json.loads(guests.ok("domu-show appl-1:vm-1 --json"))["volume"]["export"]["lun"] == 1
    assert "echo" in guests.ok("domu-console appl-1:vm-1 --json")
    assert "is on hv2" in guests.ok("domu-migrate appl-1:vm-1 --live")
    assert guests.host("hv2").domain("appl-1:vm-1").state.value == "running"
    assert "no findings: 1 guests" in guests.ok("domu-fsck")
    assert "running on hv2: `domu-stop appl-1:vm-1` first" in guests.fails("domu-destroy appl-1:vm-1")
    guests.ok("domu-stop appl-1:vm-1 --force")
    guests.ok("domu-destroy appl-1:vm-1")
    assert guests.binding("192.168.76.71").client_id == b"\0"
    assert "no findings: 0 guests" in guests.ok("domu-fsck")


def test_the_whole_chain_in_one_command(guests):
    plan = json.loads(guests.ok(f"domu-up {UP} --dry-run --json"))
    keys = ["project", "clone", "export", "define", "bind:fe0", "bind:be0", "start"]
    assert [step["step"] for step in plan["steps"]] == keys
    assert plan["changed"] is False
    assert guests.ok("domu-list") == "no guests yet: domu-clone MASTER@VERSION PROJECT/GUEST\n"
    assert "start it on hv1" in guests.ok(f"domu-up {UP}")
    assert guests.ok(f"domu-up {UP}").startswith("appl-1:vm-1: nothing to do\n")
    assert "no findings: 1 guests" in guests.ok("domu-fsck")


ORPHAN = "appl-1/orphan is a clone of masters/osol-0811@version-01 and no guest is known of it"


def test_what_is_left_over_is_found_with_the_command_that_removes_it(guests):
    guests.ok(f"domu-up {UP}")
    open_fake(guests.root).clone(parse_snapshot("masters/osol-0811@version-01"), parse_volume("appl-1/orphan"))
    guests.host("hv1").stop("appl-1:vm-1")
    guests.host("hv1").undefine("appl-1:vm-1")
    result = guests.run("domu-fsck")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:2] == [
        "guest: appl-1:vm-1: hv1 has no such domain: domu-start appl-1:vm-1",
        f"volume: {ORPHAN}: domu-destroy appl-1:orphan",
    ]
    guests.ok("domu-destroy appl-1:orphan")
    guests.ok("domu-start appl-1:vm-1")
    assert "no findings" in guests.ok("domu-fsck")


def test_a_host_with_guests_is_not_removed(guests):
    guests.ok(f"domu-up {UP}")
    (line,) = guests.site.fails("host", "remove", "hv1")
    assert line.startswith("hv1: 1 guests are on it (appl-1:vm-1)")


def test_names_are_completed(guests):
    guests.ok("domu-project appl-1")
    guests.ok("domu-clone masters/osol-0811@version-01 appl-1/vm-1")

    def completed(*words: str) -> list[str]:
        env = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        env[f"_{words[0].upper().replace('-', '_')}_COMPLETE"] = "bash_complete"
        result = CliRunner().invoke(PROGRAMS[words[0]], [], prog_name=words[0], env=env)
        return [line.partition(",")[2] for line in result.stdout.splitlines()]

    assert completed("domu-show", "app") == ["appl-1:vm-1"]
    assert completed("domu-clone", "mast") == ["masters/osol-0811@version-01"]
    assert completed("domu-init", "pv", "fe-be", "odd", "1024", "1", "a") == ["appl-1/", "appl-1/vm-1"]
    assert completed("domu-migrate", "appl-1:vm-1", "hv") == ["hv1", "hv2", "hv3"]
