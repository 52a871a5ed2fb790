"""The debian target's watch over bridges: two shells run it with stand-ins for systemctl and for time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from jumpstart.hostfile import from_toml
from jumpstart.targets.debian import Debian
from tests.jumpstart.targets.test_debian import CTX, HV1, unpacked

SCRIPT, UNIT = "usr/local/sbin/twinboot-bridges", "etc/systemd/system/twinboot-bridges.service"
FILES = unpacked(Debian().texts(from_toml(HV1, "hv1.toml"), CTX)["overlay.tar"])
RESTART = "systemctl restart systemd-networkd.service"
STARTS = 5
LINKS = ("fe0", "be0")


class Booting:
    """A machine that starts, as the script sees it: its links, its bridges and what networkd says of them."""

    def __init__(self, place: Path, shell: str) -> None:
        self.place, self.shell = place, shutil.which(shell) or shell
        self.net, self.states, self.log = place / "net", place / "states", place / "calls"
        for folder in (self.net, self.states, place / "bin"):
            folder.mkdir()
        self.log.touch()
        self.stand_in("sleep")
        self.stand_in("systemctl")
        for name in LINKS:
            (self.net / name).mkdir()
            self.bridge(name)

    def stand_in(self, tool: str, does: str = "") -> None:
        path = self.place / "bin" / tool
        path.write_text(f'#!/bin/sh\necho "{tool} $*" >>"{self.log}"\n{does}\n')
        path.chmod(0o755)

    def bridge(self, name: str) -> None:
        """Give the link a bridge, stand it therein, and let networkd be content."""
        port = self.net / f"br-{name}" / "brif" / name
        port.mkdir(parents=True)
        for device in (name, f"br-{name}"):
            (self.net / device / "ifindex").write_text(f"{device}\n")
            (self.states / device).write_text("ADMIN_STATE=configured\nOPER_STATE=routable\n")

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {"NET": str(self.net), "STATES": str(self.states), "PATH": f"{self.place}/bin:/usr/bin:/bin"}
        command = [self.shell, *(["--posix"] if "bash" in self.shell else []), "-c", FILES[SCRIPT][1]]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    @property
    def restarts(self) -> int:
        return self.log.read_text().splitlines().count(RESTART)


@pytest.fixture(params=["dash", "bash"])
def booting(request: pytest.FixtureRequest, tmp_path: Path) -> Booting:
    return Booting(tmp_path, request.param)


FAULTS = {
    "there is no br-be0": ('rm -r "$NET/br-be0"', 'mkdir -p "$NET/br-be0/brif/be0"'),
    "be0 is not in br-be0": ('rmdir "$NET/br-be0/brif/be0"', 'mkdir "$NET/br-be0/brif/be0"'),
    "networkd gave up be0 or br-be0": (
        'echo ADMIN_STATE=failed >"$STATES/br-be0"',
        'echo ADMIN_STATE=configuring >"$STATES/br-be0"',
    ),
}
"""What is said -> how it comes about, and what undoes it."""


def broken(booting: Booting, fault: str) -> str:
    """Bring the fault about and return the command that undoes it."""
    breaks, mends = FAULTS[fault]
    environment = {"NET": str(booting.net), "STATES": str(booting.states)}
    subprocess.run(["sh", "-c", breaks], env=environment, check=True)
    return mends


def test_what_is_well_is_left_alone(booting: Booting) -> None:
    done = booting.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert booting.log.read_text() == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_networkd_starts_anew_once_and_the_second_run_finds_all_well(booting: Booting, fault: str) -> None:
    booting.stand_in("systemctl", broken(booting, fault))
    done = booting.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"TWINBOOT: {fault}",
        f"TWINBOOT: systemd-networkd is started anew, 1 of {STARTS}",
    ]
    assert booting.restarts == 1
    assert (booting.run().stdout, booting.restarts) == ("", 1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_networkd_that_is_only_slow_is_waited_for(booting: Booting, fault: str) -> None:
    booting.stand_in("sleep", f'[ "$(grep -c sleep "{booting.log}")" != 20 ] || {{ {broken(booting, fault)}; }}')
    done = booting.run()
    assert (done.returncode, done.stdout, booting.restarts) == (0, "", 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_no_start_helps_is_told_and_fails_the_unit(booting: Booting, fault: str) -> None:
    broken(booting, fault)
    done = booting.run()
    assert (done.returncode, booting.restarts) == (1, STARTS)
    assert done.stdout.splitlines()[-2:] == [
        f"TWINBOOT: {fault}",
        f"TWINBOOT: {STARTS} starts of systemd-networkd did not help; see `journalctl -u systemd-networkd`",
    ]


def test_for_a_nic_that_is_not_there_networkd_is_not_started_anew(booting: Booting) -> None:
    shutil.rmtree(booting.net / "be0")
    (booting.net / "br-be0/brif/be0").rmdir()
    done = booting.run()
    assert (done.returncode, done.stdout, booting.restarts) == (1, "TWINBOOT: there is no NIC be0\n", 0)


def test_the_unit_holds_back_all_that_waits_for_the_network_and_outlives_the_start_it_asks_for() -> None:
    unit = FILES[UNIT][1].splitlines()
    assert "After=systemd-networkd.service" in unit
    assert "Before=systemd-networkd-wait-online.service network-online.target" in unit
    assert f"ExecStart=/{SCRIPT}" in unit
    assert FILES[SCRIPT][0].mode == 0o755
    assert not [line for line in unit if line.startswith(("Requires=", "BindsTo=", "PartOf="))]
    assert FILES["etc/systemd/system/multi-user.target.wants/twinboot-bridges.service"][0].linkname == (
        "../twinboot-bridges.service"
    )


def test_the_bridge_module_is_there_before_networkd_asks() -> None:
    assert "bridge" in FILES["etc/modules-load.d/twinboot.conf"][1].splitlines()


def test_the_script_is_clean_to_shellcheck(tmp_path: Path) -> None:
    script = tmp_path / "bridges"
    script.write_text(FILES[SCRIPT][1])
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
