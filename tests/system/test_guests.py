"""Guests on real hypervisors: the port's contract over libvirt and QEMU, and the whole demo, judged by a machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from twinboot.commands.lab import CACHE
from twinboot.lab import guestkit, isolate

pytestmark = [pytest.mark.system, pytest.mark.root]

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("libvirtd", "virsh", "qemu-system-x86_64", "qemu-storage-daemon", "grub-mkimage", "mke2fs")
TIMEOUT_S = 900


@pytest.fixture(autouse=True)
def _programs() -> None:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: packaging/apt-packages-guest.txt")


@pytest.mark.timeout(TIMEOUT_S)
def test_libvirt_and_qemu_keep_the_ports_promises():
    guestkit.build(CACHE)  # out here: in there is no network to fetch packages from
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", "tests/system/guests_inside.py"]
    environment = {**os.environ, isolate.INSIDE: "1"}
    done = subprocess.run(
        isolate.command(argv, root=True), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout.splitlines()[-1]


@pytest.mark.timeout(TIMEOUT_S)
def test_the_demo_proves_what_it_promises(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    argv = [sys.executable, "-m", "twinboot", "lab", "guest", "--result", str(result)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    proof = json.loads(result.read_text())
    assert proof["faults"] == []
    assert sorted(proof["hosts"]) == ["hv1", "hv2"]  # from and to; which has more room is the machine's affair
    before, after = proof["ticks"]
    assert 0 < before < after
    assert "VERDICT: guests came up" in done.stdout
