"""Hypervisors of the lab: each a libvirtd of its own in namespaces of its own, with the bridges fe0 and be0.

A host has its own network, mounts, processes and name, so that /etc/libvirt, /run/libvirt and all of /var are its own,
and two of them live on one machine as two machines would. `plan` is pure. Machines are emulated by QEMU alone: there is
no /dev/kvm in a host's /dev, because its presence does not mean that a stock kernel boots with it.

libvirt refuses migration between hosts of one uuid, so each is given one. Its keep-alive towards clients is off: on a
machine whose two processors boot a guest, an answer may take longer than it allows. Between hosts it is on, so that a
move to a host that fell silent ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from twinboot.lab import wires
from twinboot.lab.isolate import LabError

START_TIMEOUT_S = 60.0
POLL_S = 0.1
TCP_PORT = 16509
"""Where libvirtd listens, without encryption: the lab's wires lead nowhere."""

UUIDS = uuid.UUID("a1f1f3de-5b59-4f5b-8a0e-6a7e0c1d2b10")

LIBVIRTD_CONF = """listen_tls = 0
listen_tcp = 1
listen_addr = "{address}"
auth_tcp = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
host_uuid = "{uuid}"
keepalive_interval = -1
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""

QEMU_CONF = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
migration_address = "{address}"
migration_host = "{address}"
"""

ACCOUNTS = {
    "passwd": "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n",
    "group": "libvirt-qemu:x:64055:\n",
}
"""What libvirt-daemon-system would add: libvirtd looks it up, though qemu.conf names another."""

INSIDE = """set -e
hostname "$1"
mount --bind "$2/passwd" /etc/passwd
mount --bind "$2/group" /etc/group
mount --bind "$2/etc" /etc/libvirt
mkdir -p /run/libvirt
mount --bind "$2/run" /run/libvirt
mkdir -p /run/libvirt/qemu
mount -t tmpfs -o mode=755 dev "$2/dev"
mkdir "$2/dev/net" "$2/dev/pts" "$2/dev/shm"
for node in null zero full random urandom tty net/tun; do
    touch "$2/dev/$node"
    mount --bind "/dev/$node" "$2/dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$2/dev/pts"
ln -s pts/ptmx "$2/dev/ptmx"
mount --move "$2/dev" /dev
mount --bind "$2/var" /var
libvirtd -l -f /etc/libvirt/libvirtd.conf -p /run/libvirt/libvirtd.pid &
wait $!
"""
# The shell stays as the first process of the host: the one that has to bury the emulators that libvirtd lets go of.


class Spot(NamedTuple):
    """Where a hypervisor is: its name, and for each role its address with prefix length."""

    name: str
    addresses: dict[str, str]

    @property
    def address(self) -> str:
        """On the backend network, where it is asked, and where guests move."""
        return self.addresses["be"].partition("/")[0]


def plan(spot: Spot) -> list[list[str]]:
    """The `ip` commands that plug a hypervisor into the switches: a bridge for each role, with an uplink."""
    inside = ["-n", spot.name]
    steps = [["netns", "add", spot.name], [*inside, "link", "set", "lo", "up"]]
    for role, switch in wires.ROLES.items():
        port, uplink, bridge = f"{spot.name}-{role}", f"up-{role}", f"{role}0"
        steps.append(["link", "add", port, "type", "veth", "peer", "name", uplink, "netns", spot.name])
        steps.append(["link", "set", port, "master", switch, "up"])
        steps += wires.bridge(bridge, inside)
        steps.append([*inside, "link", "set", uplink, "master", bridge, "up"])
        if role in spot.addresses:
            steps.append([*inside, "addr", "add", spot.addresses[role], "dev", bridge])
    return steps


class Hypervisor:
    """A libvirtd, with everything it writes below `directory`."""

    def __init__(self, spot: Spot, directory: Path) -> None:
        self.spot = spot
        self.uri = f"qemu+tcp://{spot.address}/system"
        self._place = directory / spot.name
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `ready` waits for it. LabError if it is not installed."""
        if not shutil.which("libvirtd", path=os.environ["PATH"] + ":/usr/sbin"):
            raise LabError("libvirtd is missing: apt-get install libvirt-daemon libvirt-daemon-driver-qemu")
        for name in ("dev", "etc/qemu", "run", "var/lib", "var/cache", "var/log/libvirt", "var/lock", "var/tmp"):
            (self._place / name).mkdir(parents=True, exist_ok=True)
        for name, line in ACCOUNTS.items():
            (self._place / name).write_text(Path("/etc", name).read_text().rstrip("\n") + "\n" + line)
        filled = {"address": self.spot.address, "uuid": uuid.uuid5(UUIDS, self.spot.name)}
        (self._place / "etc/libvirtd.conf").write_text(LIBVIRTD_CONF.format(**filled))
        (self._place / "etc/qemu.conf").write_text(QEMU_CONF.format(**filled))
        namespaces = ["--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        inside = ["unshare", *namespaces, "--", "sh", "-c", INSIDE, "sh"]
        with (self._place / "output").open("wb") as output:
            self._daemon = subprocess.Popen(
                ["ip", "netns", "exec", self.spot.name, *inside, self.spot.name, str(self._place)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
            )

    def ready(self) -> None:
        """Wait until it answers. LabError with its own last words."""
        deadline = time.monotonic() + START_TIMEOUT_S
        ask = ["ip", "netns", "exec", self.spot.name, "virsh", "--connect", self.uri, "version"]  # asks QEMU, too
        while subprocess.run(ask, capture_output=True, check=False).returncode:
            if time.monotonic() > deadline or self._daemon is None or self._daemon.poll() is not None:
                raise LabError(f"libvirtd of {self.spot.name} does not answer: {self.words() or 'no message'}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Pull the plug, guests and all."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None

    def words(self) -> str:
        """What it said last."""
        texts = [path.read_text(errors="replace") for path in (self._place / "output", self._log) if path.exists()]
        lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
        return " / ".join(lines[-2:])

    @property
    def _log(self) -> Path:
        return self._place / "var/log/libvirt/libvirtd.log"
