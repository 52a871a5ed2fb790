"""Programs in private namespaces end with them, and with their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twinboot.lab.enclosure import Enclosure
from twinboot.lab.isolate import LabError

pytestmark = pytest.mark.root
WAIT_S = 10.0

OWNER = """
import sys, time
from twinboot.lab.enclosure import Enclosure
with Enclosure() as lab:
    lab.start(["sh", "-c", f"echo {sys.argv[1]}; sleep 300"])
    print("up", flush=True)
    time.sleep(300)
"""


def running(marker: str) -> bool:
    own = str(os.getpid())
    commands = (path / "cmdline" for path in Path("/proc").glob("[0-9]*") if path.name != own)
    return any(marker.encode() in path.read_bytes() for path in commands if path.exists())


def test_links_made_inside_are_not_outside() -> None:
    with Enclosure() as lab:
        lab.run("ip", "link", "add", "tbswitch", "type", "bridge")
        assert "tbswitch" in lab.run("ip", "-br", "link")
        assert not Path("/sys/class/net/tbswitch").exists()


def test_a_failing_command_is_told_in_its_own_words() -> None:
    with Enclosure() as lab, pytest.raises(LabError, match="No such"):
        lab.run("ls", "/no/such/place")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_programs_end_with_their_owner(number: int) -> None:
    marker = f"twinboot-test-{os.getpid()}-{number}"
    with subprocess.Popen([sys.executable, "-c", OWNER, marker], stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        owner.stdout.readline()
        owner.send_signal(number)
    end = time.monotonic() + WAIT_S
    while running(marker):
        assert time.monotonic() < end
        time.sleep(0.05)
