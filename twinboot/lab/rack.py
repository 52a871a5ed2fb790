"""A rack with an install server and machines, driven by the commands that a user types.

`Rack` must run inside `isolate.run`. Leaving its `with` block switches machines and server off; what a crash leaves
running, the end of the namespaces removes.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from ipaddress import ip_interface
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from twinboot.lab import isolate, wires
from twinboot.lab.disk import make_local_disk
from twinboot.lab.isolate import LabError
from twinboot.lab.machine import EMULATION, Card, Machine, Spec

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


class Plan(NamedTuple):
    """A machine of the rack: name, firmware (`bios`, `uefi`), MAC of its public card, what its host file will say.

    With `backend_mac` it has a second card, on the backend switch; `mirror_mib` is the size of each of two empty disks.
    """

    name: str
    firmware: str
    mac: str
    dom0_mem: str = "512M"
    address: str = ""
    local_disk: bool = False
    memory_mib: int = 1536
    backend_mac: str = ""
    mirror_mib: int = 0
    cpus: int = 1


class Site(NamedTuple):
    """The install server's place on the public switch."""

    server: str = "server-odd"
    address: str = "10.77.0.1"
    subnet: str = "10.77.0.0/24"
    range: str = "10.77.0.50-10.77.0.99"
    backend: str = ""  # own address there, with prefix length; empty: not plugged in
    backend_range: str = ""


class Rack:
    """Wires, one install server and machines, all below `directory` (the service account must be able to enter it)."""

    def __init__(self, directory: Path, plans: tuple[Plan, ...], site: Site | None = None, accel: str = "") -> None:
        self.site = site or Site()
        self.directory = directory
        self.share = directory / "share"
        self.state = directory / "state"
        self.plans = {plan.name: plan for plan in plans}
        self._config = directory / "etc" / "twinboot.toml"
        self._server: subprocess.Popen[str] | None = None
        self.machines = {plan.name: Machine(self._spec(plan, accel), directory) for plan in plans}

    def _spec(self, plan: Plan, accel: str) -> Spec:
        disk = self.directory / f"{plan.name}.disk" if plan.local_disk else None
        if disk:
            make_local_disk(disk, plan.name)
        cards = [Card(plan.mac, f"{plan.name}-fe")]
        if plan.backend_mac:
            cards.append(Card(plan.backend_mac, f"{plan.name}-be"))
        mirror = tuple(self.directory / f"{plan.name}-{half}.raw" for half in "ab" if plan.mirror_mib)
        for path in mirror:
            path.touch()
            os.truncate(path, plan.mirror_mib << 20)
        return Spec(
            plan.name, plan.firmware, tuple(cards), plan.memory_mib, disk, plan.cpus, accel or EMULATION, mirror
        )

    def __enter__(self) -> Rack:
        """Lay the wires."""
        isolate.private_run_directory()
        prefix = self.site.subnet.partition("/")[2]
        addresses = {"fe": f"{self.site.address}/{prefix}", "be": self.site.backend}
        server = wires.Server(self.site.server, {role: address for role, address in addresses.items() if address})
        cards = [card for machine in self.machines.values() for card in machine.spec.cards]
        taps = [wires.Plug(card.tap, card.tap.rpartition("-")[2]) for card in cards]
        wires.lay(wires.plan([server], taps))
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Switch everything off."""
        for machine in self.machines.values():
            machine.power_off()
        self.stop_serving()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of commands on the install server: its configuration file named."""
        return {**os.environ, "TWINBOOT_CONFIG": str(self._config)}

    def on_server(self, *argv: str) -> list[str]:
        """Return the command line that runs `argv` on the install server."""
        return ["ip", "netns", "exec", self.site.server, *argv]

    def twinboot(self, *args: str) -> str:
        """Type `twinboot ARGS` on the install server; return what it printed. Raises LabError with its own words."""
        done = subprocess.run(
            self.on_server(sys.executable, "-m", "twinboot", *args),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(f"`twinboot {' '.join(args)}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def init(self) -> str:
        """Set the install server up without questions; return what `twinboot init` said."""
        self.share.mkdir()
        paths = ["--config", str(self._config), "--dhcpsvc", str(self._config.with_name("dhcpsvc.conf"))]
        site, devices, subnets = self.site, ["fe0"], [self.site.subnet]
        if site.backend_range:
            devices.append("be0")
            subnets.append(str(ip_interface(site.backend).network))
        ranges = filter(None, (site.range, site.backend_range))
        where = ["--interface", ",".join(devices), "--subnet", ",".join(subnets), "--range", ",".join(ranges)]
        keep = ["--share", str(self.share), "--state", str(self.state), "--name", self.site.server]
        account = () if isolate.may_become("nobody") else ("--user", "root")
        return self.twinboot("init", "--yes", *where, *keep, "--segment", "odd", *account, *paths)

    def serve(self) -> str:
        """Start `twinboot serve` on the install server and return its readiness line."""
        self._server = subprocess.Popen(
            self.on_server(sys.executable, "-m", "twinboot", "serve"),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=(self.directory / "serve.log").open("w"),
            text=True,
        )
        return self._await_ready(self._server)

    def _await_ready(self, server: subprocess.Popen[str]) -> str:
        deadline = time.monotonic() + READY_TIMEOUT_S
        assert server.stdout
        while time.monotonic() < deadline and server.poll() is None:
            if select.select([server.stdout], [], [], 0.2)[0]:
                text = server.stdout.readline()
                if text.startswith("twinboot: ready"):
                    return text.strip()
        said = (self.directory / "serve.log").read_text().strip() or "no message"
        raise LabError(f"`twinboot serve` did not become ready: {said}")

    def stop_serving(self) -> None:
        """Stop the install server as systemd would (SIGTERM) and wait for it."""
        if self._server is None:
            return
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            try:
                self._server.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._server = None


def without_ipxe(rack: Rack) -> None:
    """Take the macro for iPXE ROMs out of the dhcptab, as with an editor: QEMU's BIOS ROM then boots like any other.

    `twinboot serve` writes the macro again when it starts.
    """
    dhcptab = rack.share / "dhcp" / "SUNWfiles1_dhcptab"
    lines = [line for line in dhcptab.read_text().splitlines(keepends=True) if not line.startswith("iPXE|")]
    dhcptab.write_text("".join(lines))
