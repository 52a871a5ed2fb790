"""Bare metal to a running hypervisor: the demo, played whole, its verdict read from what it proved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    if not os.access("/dev/net/tun", os.W_OK):
        pytest.skip("no access to /dev/net/tun: the machines of the lab have no cable (README, Tests)")
    result = tmp_path_factory.mktemp("demo") / "proof.json"
    before = labs()
    run = subprocess.run(
        [sys.executable, "-m", "twinboot", "lab", "demo", "--result", str(result)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.exists(), run.stdout + run.stderr
    print(run.stdout)  # pytest shows it when a test below fails
    return {**json.loads(result.read_text()), "left": labs() - before}, run.stdout


def labs() -> set[Path]:
    """The places of labs that are on this machine: of one that runs, or that was killed."""
    return set(Path(tempfile.gettempdir()).glob("twinboot-lab-*"))


def test_both_machines_come_up_in_xen_with_their_own_dom0_mem(played: tuple[dict[str, Any], str]) -> None:
    proof, _ = played
    assert proof["faults"] == []
    assert "dom0_mem=512M" in proof["xen_lines"]["hv1"]
    assert "dom0_mem=640M" in proof["xen_lines"]["hv2"]
    assert set(proof["power_on_to_report_s"]) == {"hv1", "hv2"}


def test_a_spent_install_boots_the_local_disk(played: tuple[dict[str, Any], str]) -> None:
    assert "LOCAL DISK of hv1" in played[0]["local_disk_line"]


def test_explain_tells_the_story_and_its_end(played: tuple[dict[str, Any], str]) -> None:
    story = played[1].partition("$ twinboot explain hv2")[2]
    for word in ("DISCOVER", "menu", "REPORT", "verdict: it booted and reported home"):
        assert word in story


def test_the_lab_leaves_nothing_behind(played: tuple[dict[str, Any], str]) -> None:
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    assert "hv1-fe" not in links
    assert not played[0]["left"]
    commands = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    assert not [command for command in commands if b"hv1-fe" in command]


def test_a_bios_rom_without_ipxe_installs_through_grub(played: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    result = tmp_path / "events.json"  # `played` has built the boot files
    subprocess.run([sys.executable, str(Path(__file__).with_name("grub_bios.py")), str(result)], check=True)
    events = json.loads(result.read_text())
    by_tftp = [str(event["file"]).lstrip("/") for event in events if event["kind"] == "tftp.done"]
    for name in (
        "grub/i386-pc/core.0",
        "grub/grub.cfg-01-00-14-4f-00-00-01",
        "install/hv1/xen",
        "install/hv1/initrd.gz",
    ):
        assert name in by_tftp
    assert [event["state"] for event in events if event["kind"] == "report.received"] == ["installed"]
