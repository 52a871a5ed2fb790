"""What is mounted in a lab goes with it, whoever still uses it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from twinboot.lab import isolate

pytestmark = pytest.mark.root

BUSY = textwrap.dedent("""
    import os, subprocess, sys, tempfile
    from pathlib import Path
    from twinboot.lab import isolate
    with tempfile.TemporaryDirectory() as place:
        beside = Path(place + "-beside")
        beside.mkdir()
        inner = Path(place, "a guest", "vm-1")
        inner.mkdir(parents=True)
        for where in (beside, inner, inner):  # one over the other: both go
            subprocess.run(["mount", "-t", "tmpfs", "twinboot-test", where], check=True)
        user = subprocess.Popen(["sleep", "300"], cwd=inner)
        isolate.unmount_below(Path(place))
        print([name for name in (beside, inner) if os.path.ismount(name)] == [beside])
        subprocess.run(["umount", beside], check=True)
        beside.rmdir()
    user.kill()
    print("gone" if not Path(place).exists() else "left")
""")


def test_a_directory_with_busy_mounts_below_it_can_be_removed() -> None:
    argv = isolate.command([sys.executable, "-c", BUSY], root=os.geteuid() == 0)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "gone"], done.stderr
