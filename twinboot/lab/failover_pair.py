"""Two install servers on one share, a bare machine and a place for clients, all on one switch, for the failover demo.

`Pair` must run inside `isolate.run`. The share is a directory of this machine; the datastore is `twinlog`. A server is
killed as by a power cut: SIGKILL to every process in its namespace.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from twinboot.lab import isolate, wires
from twinboot.lab.isolate import LabError
from twinboot.lab.machine import EMULATION, Card, Machine, Spec

READY_TIMEOUT_S = 60.0
SUBNET = "10.79.0.0/16"
RANGE = "10.79.1.0-10.79.5.255"
CLIENTS, CLIENTS_ADDRESS = "clients", "10.79.0.3"
ADDRESSES = {"odd": "10.79.0.1", "even": "10.79.0.2"}


@dataclass
class Server:
    """One of the two, below `place`."""

    name: str
    address: str
    place: Path
    process: subprocess.Popen[str] | None = None

    @property
    def config(self) -> Path:
        """Its twinboot.toml."""
        return self.place / "etc" / "twinboot.toml"

    @property
    def dhcpsvc(self) -> Path:
        """Its dhcpsvc.conf."""
        return self.place / "etc" / "dhcpsvc.conf"

    @property
    def journal(self) -> Path:
        """Its journal's database."""
        return self.place / "state" / "journal.db"

    def type(self, *argv: str) -> str:
        """Run a command on this server; return what it printed. LabError with its own words."""
        done = subprocess.run(self._inside(*argv), env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def twinboot(self, *words: str) -> str:
        """Type `twinboot WORDS` on this server."""
        return self.type(sys.executable, "-m", "twinboot", *words)

    def status(self) -> str:
        """What `twinboot status` prints, faults last."""
        argv = self._inside(sys.executable, "-m", "twinboot", "status")
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def serve(self) -> str:
        """Start `twinboot serve`; return its readiness line."""
        with (self.place / "serve.log").open("w") as log:
            argv = self._inside(sys.executable, "-m", "twinboot", "serve")
            self.process = subprocess.Popen(argv, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                text = self.process.stdout.readline()
                if text.startswith("twinboot: ready"):
                    return text.strip()
        raise LabError(f"{self.name} did not become ready: {(self.place / 'serve.log').read_text().strip()}")

    def kill(self) -> int:
        """SIGKILL every process of this server; return how many there were."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        pids = [int(word) for word in found.stdout.split()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        return len(pids)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "TWINBOOT_CONFIG": str(self.config)}

    def _inside(self, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *argv]


class Pair:
    """The lab. Leaving its `with` block switches everything off."""

    def __init__(self, directory: Path, accel: str = "") -> None:
        self.share = directory / "share"
        self.servers = {name: Server(name, address, directory / name) for name, address in ADDRESSES.items()}
        card = Card("00:14:4f:00:00:01", "hv1-fe")
        self.machine = Machine(Spec("hv1", "bios", (card,), accel=accel or EMULATION), directory)
        self.storm: subprocess.Popen[bytes] | None = None
        self._heard = b""

    def __enter__(self) -> Pair:
        """Lay the wires."""
        isolate.private_run_directory()
        places = {**ADDRESSES, CLIENTS: CLIENTS_ADDRESS}
        servers = [wires.Server(name, {"fe": f"{address}/16"}) for name, address in places.items()]
        plugs = [wires.Plug(card.tap, "fe") for card in self.machine.spec.cards]
        wires.lay(wires.plan(servers, plugs))
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Switch everything off."""
        self.machine.power_off()
        if self.storm:
            self.storm.kill()
            self.storm.wait()
        for server in self.servers.values():
            if server.process and server.process.poll() is None:
                server.kill()

    def set_up(self) -> None:
        """Type what docs/two-servers.md says."""
        self.share.mkdir()
        account = () if isolate.may_become("nobody") else ("--user", "root")
        for server in self.servers.values():
            where = ["--interface", "fe0", "--subnet", SUBNET, "--range", RANGE, "--share", str(self.share)]
            keep = ["--config", str(server.config), "--dhcpsvc", str(server.dhcpsvc)]
            keep += ["--state", str(server.place / "state"), "--name", server.name, *account]
            server.place.mkdir()
            server.twinboot("init", "--yes", "--resource", "twinlog", *where, *keep)
        odd, even = self.servers["odd"], self.servers["even"]
        config = ["--config-file", str(odd.dhcpsvc)]
        owners = ",".join(ADDRESSES.values())
        for line in (f"OWNER_IP={owners}", "ICMP_VERIFY=FALSE"):  # nobody else is on this wire to be asked
            odd.type(*_DHCPCONFIG, "-P", line, *config)
        text = odd.dhcpsvc.read_text()
        even.dhcpsvc.write_text(text)

    def without_ipxe(self) -> None:
        """Take the macro for iPXE ROMs out of the dhcptab: QEMU's BIOS ROM then boots GRUB by TFTP, like any other."""
        odd = self.servers["odd"]
        odd.type(*_DHTADM, "-D", "-m", "iPXE", "--config-file", str(odd.dhcpsvc))

    def start_storm(self) -> None:
        """Let the simulated clients begin."""
        argv = [sys.executable, "-m", "twinboot.lab.failover_storm", CLIENTS_ADDRESS, *ADDRESSES.values()]
        inside = ["ip", "netns", "exec", CLIENTS, *argv]
        self.storm = subprocess.Popen(inside, stdout=subprocess.PIPE)
        assert self.storm.stdout
        os.set_blocking(self.storm.stdout.fileno(), False)

    def storm_facts(self) -> dict[str, Any] | None:
        """The newest line of the clients, if there is a new one. LabError if they ended."""
        assert self.storm
        assert self.storm.stdout
        with contextlib.suppress(BlockingIOError):
            heard = os.read(self.storm.stdout.fileno(), 65536)
            if not heard:
                raise LabError("the simulated clients ended")
            self._heard += heard
        *lines, self._heard = self._heard.split(b"\n")
        return json.loads(lines[-1]) if lines else None


_DHCPCONFIG, _DHTADM = (
    (sys.executable, "-c", f"import sys; from dhcp.cli.{name} import main; sys.exit(main())")
    for name in ("dhcpconfig", "dhtadm")
)
