"""Hosts of libvirt's own test driver, for tests: private daemons of an ordinary user, on sockets of their own.

A daemon in between, because the driver forgets its domains with the last connection, and virsh makes a new one for each
question; a virsh that only waits keeps them. Nothing of the machine's own libvirt is used or touched: the daemon is
`nobody`'s when root runs the tests, with a home of its own. It can neither migrate nor attach disks.
"""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from guests.libvirt import LibvirtHypervisor
from guests.libvirt_settings import LibvirtSettings

NOBODY = 65534
START_TIMEOUT_S = 20.0
LINKS = ("fe0", "be0")


def missing() -> str:
    """What the machine lacks for it, as a reason to skip; empty if nothing."""
    path = os.environ["PATH"] + ":/usr/sbin"
    lacks = [name for name in ("libvirtd", "virsh") if not shutil.which(name, path=path)]
    return f"needs {' and '.join(lacks)}: packaging/apt-packages-test.txt" if lacks else ""


@functools.cache
def two_hosts() -> "tuple[TestDriverHost, TestDriverHost]":
    """Two hosts that live as long as the test run."""
    pair = (TestDriverHost("hv1"), TestDriverHost("hv2"))
    for host in pair:
        atexit.register(host.end)
    return pair


class TestDriverHost(LibvirtHypervisor):
    """A host with the bridges fe0 and be0 and no domains; `end` ends its daemon."""

    __test__ = False

    def __init__(self, name: str, templates: Path | None = None) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="twinboot-virt."))
        self._daemon = self._start()
        uri = f"test+unix:///default?socket={self._place}/libvirt-sock"
        settings = LibvirtSettings(name, uri, f"iqn.2026-11.test.twinboot:{name}", templates=templates)
        super().__init__(settings)
        argv = ["virsh", "--quiet", "--connect", uri]
        self._holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self._until_kept()

    def _until_kept(self) -> None:
        """Make the host what it should be, until the next question still knows: then the holder holds."""
        begin = [f"iface-define {self._bridge(link)}; iface-start {link}" for link in LINKS]
        deadline = time.monotonic() + START_TIMEOUT_S
        while set(LINKS) - set(self._links(self._virsh.ask_all(["iface-list"])[0], "")):
            assert time.monotonic() < deadline, "the test driver forgets"
            self._virsh.ask_all(begin)
        self._virsh.ask_all(["destroy test", "undefine test"])

    def _bridge(self, link: str) -> Path:
        path = self._place / f"{link}.xml"
        path.write_text(f"<interface type='bridge' name='{link}'><bridge/></interface>")
        return path

    def close(self) -> None:
        """Forget all domains; the daemon stays for the next test."""
        known = [one.uuid for one in self.domains()]
        self._virsh.ask_all([f"{verb} {one}" for one in known for verb in ("destroy", "undefine")])

    def end(self) -> None:
        for process in (self._holder, self._daemon):
            process.kill()
            process.communicate()
        shutil.rmtree(self._place)

    def _start(self) -> "subprocess.Popen[bytes]":
        place = self._place
        conf = place / "libvirtd.conf"
        conf.write_text(f'listen_tls = 0\nunix_sock_dir = "{place}"\nauth_unix_rw = "none"\n')
        become = ["setpriv", "--pdeathsig", "KILL"]  # a test run that is killed leaves no daemon
        if os.geteuid() == 0:
            become += ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
            os.chown(place, NOBODY, NOBODY)
        home = {name: str(place) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        path = os.environ["PATH"] + ":/usr/sbin"
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [*become, str(shutil.which("libvirtd", path=path)), "-f", str(conf), "-p", str(place / "pid")],
                env={"PATH": path, **home},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (place / "libvirt-sock").exists():
            assert process.poll() is None, (place / "log").read_text()
            assert time.monotonic() < deadline, (place / "log").read_text()
            time.sleep(0.02)
        return process
