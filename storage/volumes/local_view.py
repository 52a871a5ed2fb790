"""A raw view of a qcow2 layer: a file that qemu-storage-daemon shows through FUSE, because tgtd reads raw files only.

One daemon for each exported volume, so that one that dies takes no other with it. It outlives the command that
started it; whoever comes later finds it by its pid file and by the view's name in its command line, so that a process
that merely has the old number is never taken for it. The layer is locked by QEMU itself: a second daemon, or
a qemu that opens the file behind our back, is refused.
"""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Protocol

from storage.volumes.local_image import form_of
from storage.volumes.local_tools import run
from storage.volumes.port import Outcome, VolumesError

FUSE = "/dev/fuse"
END_TIMEOUT_S = 10.0
"""For a daemon to write back what it holds and go."""

END_POLL_S = 0.005
CMDLINE_BYTES_MAX = 1 << 16


class Views(Protocol):
    """Raw files that show layers; `key` names one for as long as it is up."""

    def usable(self) -> bool:
        """Whether this machine can show qcow2 layers at all."""

    def up(self, key: str, layer: Path) -> Path:
        """The raw file that shows the layer, made unless it is there; VolumesError BUSY, UNAVAILABLE."""

    def alive(self, key: str) -> bool:
        """Whether the view is there and answers."""

    def down(self, key: str) -> None:
        """Write back and end; nothing to do if it is not there. VolumesError BUSY."""


class FuseViews:
    """Views in a directory that should be empty after a boot (below /run)."""

    def __init__(self, run_dir: Path) -> None:
        self._dir = run_dir / "views"

    def usable(self) -> bool:
        """Whether FUSE is there for this user, and the program."""
        return os.access(FUSE, os.R_OK | os.W_OK) and shutil.which("qemu-storage-daemon") is not None

    def up(self, key: str, layer: Path) -> Path:
        """Start the daemon; it says when the view stands."""
        shown = self._dir / key
        if self.alive(key):
            return shown
        if not self.usable():
            raise VolumesError(
                Outcome.UNAVAILABLE,
                f"{layer}: qcow2 disks are exported through {FUSE}, which this user cannot open: "
                "load the module fuse, or give the user access",
            )
        self.down(key)
        self._dir.mkdir(parents=True, exist_ok=True)
        shown.touch()
        file = f"driver=file,node-name=file,filename={_quoted(layer)},discard=unmap"
        form = f"driver={form_of(layer.name)},node-name=disk,file=file,discard=unmap"
        view = f"type=fuse,id=view,node-name=disk,mountpoint={_quoted(shown)},writable=on,growable=off"
        tail = ["--export", view, "--pidfile", str(self._pid_file(key)), "--daemonize"]
        run(["qemu-storage-daemon", "--blockdev", file, "--blockdev", form, *tail])
        return shown

    def alive(self, key: str) -> bool:
        """Whether something is mounted there that answers, and its daemon lives."""
        try:
            mounted = (self._dir / key).stat().st_dev != self._dir.stat().st_dev
        except OSError:  # ENOTCONN: its daemon died
            return False
        return mounted and self._pid(key) is not None

    def down(self, key: str) -> None:
        """End the daemon by SIGTERM, which writes back, and take away what it left."""
        pid = self._pid(key)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + END_TIMEOUT_S
            while self._pid(key) == pid:
                if time.monotonic() > deadline:
                    raise VolumesError(Outcome.BUSY, f"{self._dir / key}: process {pid} does not end: see to the disk")
                time.sleep(END_POLL_S)
        shown = self._dir / key
        if self._dir.is_dir() and shown.name in os.listdir(self._dir):
            self._unmount(shown)
            shown.unlink()
        self._pid_file(key).unlink(missing_ok=True)

    def _unmount(self, shown: Path) -> None:
        try:
            if shown.stat().st_dev == self._dir.stat().st_dev:
                return
        except OSError:
            pass  # the daemon is gone, its mount is not
        run(["umount", "-l", str(shown)] if os.geteuid() == 0 else ["fusermount3", "-u", "-z", str(shown)])

    def _pid_file(self, key: str) -> Path:
        return self._dir / f"{key}.pid"

    def _pid(self, key: str) -> int | None:
        """The daemon of this view, if it lives: a zombie has no command line."""
        with contextlib.suppress(OSError, ValueError):
            pid = int(self._pid_file(key).read_text())
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if _quoted(self._dir / key).encode() in file.read(CMDLINE_BYTES_MAX):
                    return pid
        return None


def _quoted(path: Path) -> str:
    """A path inside QEMU's comma-separated options."""
    return str(path).replace(",", ",,")
