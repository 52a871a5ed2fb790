"""A BIOS machine in QEMU finds the installer of nevada by Sun's names, and its own disk when it starts again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if not os.access("/dev/net/tun", os.W_OK):
        pytest.skip("no access to /dev/net/tun: the machines of the lab have no cable (README, Tests)")
    result = tmp_path_factory.mktemp("nevada") / "result.json"
    script = Path(__file__).with_name("nevada_pxegrub.py")
    subprocess.run([sys.executable, str(script), str(result)], check=True)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def test_the_kernel_gets_the_words_of_suns_menu(played: dict[str, Any]) -> None:
    words = re.search(r"(/install/[0-9a-f]{32})/platform/i86pc/kernel/unix - install nowin -B (\S+)", played["said"][0])
    assert words, played["said"][0]
    properties = dict(pair.split("=") for pair in words[2].split(","))
    assert properties["install_config"] == "10.77.0.1:" + properties["sysid_config"].partition(":")[2].removesuffix(
        "/hosts/hv1"
    )
    assert properties["console"] == "ttya"


def test_everything_came_by_the_names_of_the_chain(played: dict[str, Any]) -> None:
    done = [event["file"].lstrip("/") for event in played["events"] if event["kind"] == "tftp.done"]
    first = list(dict.fromkeys(done))
    assert first == [
        "01021440000001",
        "menu.lst.01021440000001",
        "install/hv1/platform/i86pc/kernel/unix",
        "install/hv1/x86.miniroot",
    ]
    assert done[-2:] == first[:2]  # the second start: loader and menu, and nothing of the installer
    states = [event["state"] for event in played["events"] if event["kind"] == "install.state"]
    assert states == ["armed", "installing"]


def test_a_second_start_boots_the_disk(played: dict[str, Any]) -> None:
    assert "LOCAL DISK of hv1" in played["said"][1]
    assert "install nowin" not in played["said"][1]
