"""Two empty disks to a dom0 that survives the loss of either: the debian target, installed by both firmwares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.system, pytest.mark.install, pytest.mark.timeout(2400)]

HALVES = ("only a", "only b")


@pytest.fixture(scope="module")
def image() -> None:
    """Build the boot files, or find them current, where the lab keeps them."""
    if os.geteuid():
        pytest.skip("installs need the lab's namespaces with root's rights (README, Tests)")
    build = [sys.executable, "tests/system/debian_install.py", "image"]
    subprocess.run(build, check=True)


def played(tmp_path_factory: pytest.TempPathFactory, *argv: str) -> dict[str, Any]:
    """The result of a scenario; pytest shows it when a test fails."""
    result = tmp_path_factory.mktemp("story") / "story.json"
    run = subprocess.run([sys.executable, *argv, str(result)], capture_output=True, text=True, check=False)
    assert result.exists(), run.stdout + run.stderr
    told: dict[str, Any] = json.loads(result.read_text())
    print(json.dumps(told, indent=1))
    return told


@pytest.fixture(scope="module", params=["uefi", "bios"])
def story(image: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return played(tmp_path_factory, "tests/system/debian_install.py", request.param)


def test_it_installs_and_reboots_by_itself(story: dict[str, Any]) -> None:
    assert story["rebooted"], story["console"]["install"]
    states = dict.fromkeys(event["state"] for event in story["state"])  # each step of the installer is told again
    assert list(states) == ["armed", "installing", "installed"]
    (report,) = story["reports"]
    assert "dom0_mem_mib=512" in report["detail"]
    assert "[2/2] [UU]" in report["detail"]


def test_it_comes_back_through_the_network_to_its_own_disks(story: dict[str, Any]) -> None:
    assert "debian" in story["explain"]
    assert story["menus"] == ["install", "local"]  # the second time it is not installed
    assert any("dom0_mem=512M,max:512M" in line for line in story["console"]["both"])


@pytest.mark.parametrize("boot", ["both", *HALVES])
def test_it_is_the_dom0_that_its_host_file_describes(story: dict[str, Any], boot: str) -> None:
    seen = story["boots"][boot]
    domain = next(line for line in seen["xen"].splitlines() if line.startswith("Domain-0"))
    assert domain.split()[2] == "512"
    assert "dom0_mem=512M,max:512M" in seen["xen"]
    assert seen["links"].splitlines()[-2:] == ["br-fe0", "br-be0"]
    assert "10.77.0.11/24" in seen["addresses"]
    assert "10.78.0.11/24" in seen["addresses"]
    assert "/dev/md0 on / type ext4" in seen["kernel"]
    assert seen["units"].splitlines()[:2] == ["masked", "active"]


@pytest.mark.parametrize("story", ["bios"], indirect=True)
def test_a_bridge_that_came_too_late_for_networkd_gets_its_link(story: dict[str, Any]) -> None:
    said = story["boots"]["only b"]["networkd"].splitlines()
    assert any(line.endswith("Connection timed out") for line in said)
    assert "TWINBOOT: systemd-networkd is started anew, 1 of 5" in said
    assert story["boots"]["only b"]["links"].splitlines()[-2:] == ["br-fe0", "br-be0"]


def test_the_mirror_is_whole_with_both_and_degraded_with_either(story: dict[str, Any]) -> None:
    marks = {
        boot: seen["mirror"].partition("blocks")[2].split("]")[1].strip(" [") for boot, seen in story["boots"].items()
    }
    assert marks["both"] == "UU"
    assert {marks[half] for half in HALVES} <= {"U_", "_U"}


def test_only_the_peer_reaches_the_migration_port(story: dict[str, Any]) -> None:
    assert "migration" in story["migration"]["10.78.0.1"]
    assert "timed out" in story["migration"]["10.78.0.99"]


def test_without_its_second_disk_it_says_so_and_stands_still(
    image: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = played(tmp_path_factory, "tests/system/debian_install.py", "lonely")
    (report,) = told["reports"]
    assert report["state"] == "failed"
    assert report["detail"].startswith("find the disks: no disk virtio-hv1-b; root_mirror can name: virtio-hv1-a ")
    assert told["stands"]
    assert told["shell"].startswith("(initramfs)")
    assert told["menus"] == ["install", "local"]
    assert "no disk virtio-hv1-b" in told["explain"]


def test_when_its_server_dies_the_other_one_ends_the_install(
    image: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = played(tmp_path_factory, "tests/system/debian_servers.py")
    assert told["rebooted"], told["console"]
    assert "trying the next server" in told["console"]
    (report,) = told["reports"]
    assert report["state"] == "installed"
    assert "mirror=[2/2] [UU]" in report["detail"]


def test_no_token_stays_on_the_machine(story: dict[str, Any]) -> None:
    assert not [line for line in story["boots"]["both"]["secrets"].splitlines() if line.endswith(" report")]
