"""The reference site's server, set up by Sun's commands only as the page for people has it, until its machine boots."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from twinboot.commands.lab import CACHE

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

SCENARIO = Path(__file__).with_name("sun_commands.py")
VARIES = "twinboot explain hv1"  # its times and sizes


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK):
        pytest.skip("not root, or no access to /dev/net/tun (README, Tests)")
    build = [sys.executable, "-m", "twinboot", "media", "build", "live-xen", "--into", str(CACHE / "boot")]
    subprocess.run(build, check=True)
    result = tmp_path_factory.mktemp("sun") / "session.json"
    run = subprocess.run(
        [sys.executable, str(SCENARIO), str(result)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(run.stdout)  # the transcript; pytest shows it when a test below fails
    assert result.exists()
    return json.loads(result.read_text())


def test_every_command_does_and_says_what_the_page_says(played: dict[str, Any]) -> None:
    assert len(played["typed"]) > 20
    for step in played["typed"]:
        assert step["code"] == 0, step
        if step["command"] != VARIES:
            assert step["said"] == step["page"], step["command"]


def test_the_machine_boots_by_what_the_commands_wrote(played: dict[str, Any]) -> None:
    events = played["events"]
    acks = [event for event in events if event["kind"] == "dhcp.ack"]
    assert {event["address"] for event in acks} == {"192.168.78.21"}
    fetched = [str(event["file"]).lstrip("/") for event in events if event["kind"] == "tftp.done"]
    for name in ("grub/x86_64-efi/core.efi", "grub/grub.cfg-01-00-14-4f-00-00-01", "install/hv1/vmlinuz"):
        assert name in fetched
    (report,) = (event for event in events if event["kind"] == "report.received")
    assert report["state"] == "installed"
    assert "hypervisor=xen" in report["detail"]
    assert not [event for event in events if event["kind"] == "records.fault"]


def test_explain_tells_the_same_story_as_the_page(played: dict[str, Any]) -> None:
    (step,) = (step for step in played["typed"] if step["command"] == VARIES)
    kinds = [re.findall(r"^ +\+ +\S+ s  (\S+)", text, re.MULTILINE) for text in (step["said"], step["page"])]
    assert set(kinds[0]) >= set(kinds[1])
    assert "verdict: it booted and reported home" in step["said"]
