"""A real ZFS without a kernel module: Debian's zfs-fuse, in a mount namespace of its own, with a pool in a file.

The package is unpacked below ~/.cache, never installed: that would start a service. Its daemon has fixed places for its
socket and its list of pools; in the namespace these are file systems of its own. It has no zvols.
"""

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.volume_stores import CACHE, unpacked

PROGRAMS = CACHE.parent / "zfs-fuse" / "sbin"
KSTAT = Path("/zfs-kstat")
"""A directory that the daemon makes for itself, whatever namespace it is in."""

POOL_BYTES = 512 * 2**20
START_TIMEOUT_S = 20
TOOL_TIMEOUT_S = 60
ENTER = """
mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/zfs /run/lock && mount -t tmpfs tmpfs /var/lib &&
exec "$0" -n
"""


def lacking() -> str:
    """Why it cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "zfs-fuse needs root"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "zfs-fuse needs /dev/fuse"
    if unpacked("zfs-fuse", PROGRAMS.parent, PROGRAMS / "zfs-fuse") is None:
        return "zfs-fuse is not to be had: apt-get download zfs-fuse"
    return ""


class ZfsFuse:
    """A pool `tank`, mounted where only commands with `inside` before them see it."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="twinboot-zfs."))
        with (self.place / "log").open("wb") as log:
            self._daemon = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", ENTER, str(PROGRAMS / "zfs-fuse")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.inside = ("nsenter", f"--mount=/proc/{self._daemon.pid}/ns/mnt", "--")
        self._numbers = itertools.count(1)
        with (self.place / "disk").open("wb") as disk:
            disk.truncate(POOL_BYTES)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._ask("zfs", "list").returncode:
            if time.monotonic() > deadline or self._daemon.poll() is not None:
                raise RuntimeError((self.place / "log").read_text())
            time.sleep(0.05)
        mount = self.place / "mnt"
        self.run("zpool", "create", "-o", "cachefile=none", "-m", str(mount), "tank", str(self.place / "disk"))

    def dataset(self) -> str:
        """A new one."""
        name = f"tank/guests-{next(self._numbers)}"
        self.run("zfs", "create", name)
        return name

    def run(self, *argv: str) -> str:
        done = self._ask(*argv)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> None:
        self._ask("zpool", "export", "-f", "tank")
        self._daemon.kill()
        self._daemon.wait()
        shutil.rmtree(self.place)
        with contextlib.suppress(OSError):
            KSTAT.rmdir()

    def _ask(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, "LC_ALL": "C", "PATH": f"{PROGRAMS}:{os.environ['PATH']}:/usr/sbin:/sbin"}
        return subprocess.run(
            [*self.inside, *argv], capture_output=True, text=True, env=env, timeout=TOOL_TIMEOUT_S, check=False
        )
