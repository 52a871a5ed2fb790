"""Guest programs that are killed at any step or typed by two at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.twinboot.domu.conftest import UP, GuestSite

KILLED = """
import os, sys
from pathlib import Path
from guests.run import Runner
from tests.twinboot.domu.conftest import PROGRAMS, open_fake
from twinboot import volumestore
from twinboot.commands import domu
root, number, line = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
volumestore.OPENERS["local"] = lambda _config, _storage: open_fake(root)
count = iter(range(1000))
def between(_):
    if next(count) == number:
        os.kill(os.getpid(), 9)
class Mortal(Runner):
    def __init__(self, world, plan, telling):
        super().__init__(world, plan, telling, between)
domu.Runner = Mortal
name, *words = line.split()
PROGRAMS[name].main(words, prog_name=name)
"""


def start(guests: GuestSite, number: int, line: str) -> subprocess.Popen[str]:
    """Type a line; its program is killed between two steps, after so many of them."""
    argv = [sys.executable, "-P", "-c", KILLED, str(guests.root), str(number), line]
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(argv, env=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", range(9))
def test_killed_for_real_the_same_command_goes_on(guests: GuestSite, number: int) -> None:
    process = start(guests, number, f"domu-up {UP}")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    if number:
        found = guests.run("domu-fsck")
        assert found.exit_code == 1
        assert "domu-up by " in found.stdout
    guests.ok(f"domu-up {UP}")
    assert "no findings: 1 guests" in guests.ok("domu-fsck")
    assert guests.host("hv1").domain("appl-1:vm-1").state.value == "running"


def test_of_two_who_type_at_once_one_wins_and_the_other_is_told(guests: GuestSite) -> None:
    lines = [f"domu-up {UP}", f"domu-up {UP.replace('vm-1', 'vm-2').replace('vm-host1', 'vm-host2')}"]
    never = 1000
    both = [start(guests, never, line) for line in lines]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    loser = said[[process.returncode for process in both].index(1)]
    assert "192.168.76.71" in loser
    assert "no findings: 1 guests, 2 volumes" in guests.ok("domu-fsck")
