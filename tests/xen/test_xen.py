"""A guest on real Xen: `make test-xen`. It takes minutes under emulation, and root, so it is not in `make test`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from tests.volume_stores import tgt_programs
from tests.xen import image
from twinboot.lab.enclosure import Enclosure

pytestmark = [pytest.mark.xen, pytest.mark.system, pytest.mark.root, pytest.mark.timeout(3600)]

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "twinboot"
STORY_TIMEOUT_S = 2400


def test_a_guest_from_its_master_to_another_host_and_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: namespaces, taps, a dom0 made of a directory")
    programs = tgt_programs()
    missing = [
        name for name in ("qemu-system-x86_64", "qemu-storage-daemon", "mmdebstrap", "ssh") if not shutil.which(name)
    ]
    if programs is None or missing or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip(f"needs tgt, /dev/fuse and {missing or 'nothing else'}: packaging/apt-packages-test.txt")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{programs}")
    images = image.build(CACHE, print)
    with Enclosure() as inside, tempfile.TemporaryDirectory(prefix="tbxen.") as place:
        story = inside.start([sys.executable, "-m", "tests.xen.drive", str(images), place], stdout=None)
        assert story.process.wait(STORY_TIMEOUT_S) == 0, "its last line says why"
