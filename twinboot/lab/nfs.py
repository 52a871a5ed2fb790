"""A real NFS server for the cluster lab: nfs-ganesha on a disk of its own, with an active and a passive head.

Both heads know the same disk, the same recovery directory and the same address, as a pair of storage controllers does;
at most one of them serves. A head is a network namespace with a card on the storage switch. The disk is an ext4 image
on a loop device, because NFS handles need a real local file system (open_by_handle_at(2)); a second, very small one is
for tests that fill it.

Sources: ganesha-core-config(8), ganesha-export-config(8), ganesha-vfs-config(8).
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from twinboot.lab.enclosure import Enclosure, Program
from twinboot.lab.isolate import LabError
from twinboot.lab.kit import Kit

__all__ = ["EXPORTS", "Storage", "Timing", "configuration"]

START_TIMEOUT_S = 15.0
POLL_S = 0.05
NFS_PORT = 2049
CARD = "be0"
RPC_ACCOUNT = "_rpc"
RENEWAL_S = 5
"""A Linux client renews its lease after two thirds of it, but no sooner than after this silence (nfs4renewd.c)."""


class Timing(NamedTuple):
    """How long the server waits for its clients after a start, and how long their leases live (seconds).

    A client whose lease ended in a silence gets EIO for what it asks next, until it has made itself known anew. So a
    lease has to be well above `RENEWAL_S`.
    """

    lease_s: int = 2 * RENEWAL_S
    grace_s: int = 3


class Export(NamedTuple):
    """A directory that is exported: its name for clients, and the size of the disk behind it."""

    name: str
    size_mib: int


EXPORTS = (Export("share", 512), Export("small", 8))


def configuration(place: Path, plugins: Path, timing: Timing, access: str = "RW") -> str:
    """The server's configuration. `place` holds the disks and the recovery directory; `access` is RW or RO."""
    exports = "".join(
        f"EXPORT {{ Export_Id = {number}; Path = {place}/{export.name}; Pseudo = /{export.name};"
        f" Access_Type = {access}; Squash = No_Root_Squash; SecType = sys; Protocols = 3, 4; Transports = TCP;"
        " FSAL { Name = VFS; } }\n"
        for number, export in enumerate(EXPORTS, 1)
    )
    return (
        "NFS_CORE_PARAM { Protocols = 3, 4; Enable_UDP = false; Enable_NLM = false; Enable_RQUOTA = false;"
        f' Mount_Path_Pseudo = true; Plugins_Dir = "{plugins}"; }}\n'
        f"NFSv4 {{ Lease_Lifetime = {timing.lease_s}; Grace_Period = {timing.grace_s}; Minor_Versions = 1, 2;"
        f' RecoveryBackend = fs; RecoveryRoot = "{place}/recovery"; Delegations = false;'
        " Only_Numeric_Owners = true; UseGetpwnam = true; }\n"
        "NFS_KRB5 { Active_krb5 = false; }\n"
        f"{exports}"
        f'LOG {{ Default_Log_Level = EVENT; Facility {{ name = FILE; destination = "{place}/ganesha.log";'
        " enable = active; } }\n"
    )


class Storage:
    """The disks below `place` and the heads that serve them, one at a time."""

    def __init__(self, enclosure: Enclosure, kit: Kit, place: Path, address: str, heads: tuple[str, str]) -> None:
        self.address = address
        self.active, self._passive = heads
        self.timing = Timing()
        self._enclosure, self._kit, self._place = enclosure, kit, place
        self._programs: list[Program] = []

    def make_disks(self) -> None:
        """Make and mount the disks."""
        (self._place / "recovery").mkdir(parents=True)
        self._make_account()
        for export in EXPORTS:
            image = self._place / f"{export.name}.disk"
            with image.open("wb") as file:
                os.truncate(file.fileno(), export.size_mib << 20)
            (self._place / export.name).mkdir()
            self._enclosure.run("mkfs.ext4", "-q", "-m", "0", "-F", str(image))
            self._enclosure.run("mount", "-o", "loop", str(image), str(self._place / export.name))

    def start(self, access: str = "RW") -> float:
        """Serve from the active head; return how many seconds that took. Grace begins now."""
        began = time.monotonic()
        config = self._place / "ganesha.conf"
        config.write_text(configuration(self._place, self._kit.ganesha_plugins, self.timing, access))
        self._enclosure.run("mkdir", "-p", "/run/rpcbind", "/run/ganesha")
        self._programs = [self._begin(str(self._kit.rpcbind), "-w", "-f")]
        self._await("rpcbind", 111)
        files = ["-f", str(config), "-p", "/run/ganesha/pid", "-L", str(self._place / "ganesha.log")]
        self._programs.append(self._begin(str(self._kit.ganesha), "-F", *files))
        self._await("ganesha.nfsd", NFS_PORT)
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL: what was not on the disk is gone."""
        for program in reversed(self._programs):
            program.kill()
        self._programs = []

    def fail_over(self) -> float:
        """The active head dies and the passive one takes disk and address; return the seconds until it serves."""
        self.kill()
        began = time.monotonic()
        self._enclosure.run("ip", "link", "set", CARD, "down", namespace=self.active)
        self.active, self._passive = self._passive, self.active
        self._enclosure.run("ip", "link", "set", CARD, "up", namespace=self.active)
        # Clients hold the dead head's hardware address for this IP: only a gratuitous ARP tells them (RFC 826, 5227).
        self._enclosure.run(
            "busybox", "arping", "-U", "-c", "2", "-I", CARD, self.address, namespace=self.active, timeout_s=10
        )
        self.start()
        return time.monotonic() - began

    def path(self, export: str, name: str = "") -> Path:
        """A path on the disk itself, for those who look without NFS. Enter the enclosure to see it."""
        return self._place / export / name

    def _make_account(self) -> None:
        """Give the lab the account that rpcbind becomes: installing its package would make it."""
        accounts = self._place / "passwd"
        text = Path("/etc/passwd").read_text(encoding="utf-8")
        if f"\n{RPC_ACCOUNT}:" not in text:
            accounts.write_text(
                f"{text}{RPC_ACCOUNT}:x:65533:65534::/run/rpcbind:/usr/sbin/nologin\n", encoding="utf-8"
            )
            self._enclosure.run("mount", "--bind", str(accounts), "/etc/passwd")

    def _begin(self, *argv: str) -> Program:
        with (self._place / "server.log").open("ab") as log:
            return self._enclosure.start(argv, self.active, self._kit.environment, stdout=log)

    def _await(self, what: str, port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        listening = self._enclosure.command(["ss", "-Htln", f"sport = :{port}"], self.active)
        while time.monotonic() < deadline and self._programs[-1].is_running():
            if subprocess.run(listening, capture_output=True, check=True, timeout=START_TIMEOUT_S).stdout:
                return
            time.sleep(POLL_S)
        said = (self._place / "server.log").read_text(errors="replace").strip().splitlines()
        raise LabError(f"{what} does not serve port {port}: {(said or ['it says nothing'])[-1]}")
