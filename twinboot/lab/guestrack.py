"""A rack for guests: an install server that keeps volumes, and hypervisors of segment odd, driven by what a user types.

Must run inside `isolate.run`, like every rack. Commands run on the server by nsenter(1), which keeps the mounts:
ip(8) would give each of them a mount table of its own, and the target daemon would not see a volume's view that a later
command mounts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from twinboot.lab import hypervisors, isolate, wires
from twinboot.lab.guestkit import GuestKit
from twinboot.lab.hypervisors import Hypervisor, Spot
from twinboot.lab.isolate import LabError
from twinboot.lab.rack import Rack, Site
from twinboot.lab.terminal import Terminal

SITE = Site(
    address="192.168.76.10",
    subnet="192.168.76.0/24",
    range="192.168.76.70-192.168.76.99",
    backend="192.168.78.10/24",
    backend_range="192.168.78.70-192.168.78.79",
)
SPOTS = (
    Spot("hv1", {"fe": "192.168.76.21/24", "be": "192.168.78.21/24"}),
    Spot("hv2", {"fe": "192.168.76.22/24", "be": "192.168.78.22/24"}),
)
ADDED = """
[storage]
backend = "local"
root = "{directory}/volumes"
portal = "192.168.78.10:3260"
[guests]
uri = "qemu+tcp://{{address}}/system"
"""
COMMAND_TIMEOUT_S = 300
PROGRAMS = Path(sys.executable).parent
"""Where the `domu-` programs are: beside the interpreter that runs us."""


class GuestRack(Rack):
    """The server, its volumes and its hypervisors."""

    def __init__(self, directory: Path, kit: GuestKit, spots: tuple[Spot, ...] = SPOTS) -> None:
        super().__init__(directory, (), SITE)
        self.kit = kit
        self.hypervisors = {spot.name: Hypervisor(spot, directory) for spot in spots}

    def __enter__(self) -> GuestRack:
        """Lay the wires."""
        super().__enter__()
        for host in self.hypervisors.values():
            wires.lay(hypervisors.plan(host.spot))
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Stop what we started; the rest ends with the namespaces. What broke the play must not be hid by its views."""
        for host in self.hypervisors.values():
            host.stop()
        super().__exit__(kind, value, tb)
        isolate.unmount_below(self.directory)

    @property
    def environment(self) -> dict[str, str]:
        """As on a server where everything is installed."""
        there = super().environment
        return {**there, "PATH": f"{PROGRAMS}:{there['PATH']}:/usr/sbin:/sbin:{self.kit.programs}"}

    def on_server(self, *argv: str) -> list[str]:
        """The command line that runs `argv` on the server, among its mounts."""
        return ["nsenter", f"--net=/run/netns/{self.site.server}", "--", *argv]

    def typed(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Type a command on the server. LabError with its own words if it fails."""
        done = subprocess.run(
            self.on_server(*argv),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
        )
        if check and done.returncode:
            raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def prepare(self) -> str:
        """Set up the server as its owner would, switch the hypervisors on; return the server's readiness line."""
        for host in self.hypervisors.values():
            host.start()
        self.init()
        config = Path(self.environment["TWINBOOT_CONFIG"])
        config.write_text(config.read_text() + ADDED.format(directory=self.directory))
        for number, host in enumerate(self.hypervisors.values(), start=1):
            macs = [f"{role}0=00:14:4f:00:0{index}:{number:02x}" for index, role in enumerate(wires.ROLES)]
            addresses = [f"{role}0={address.partition('/')[0]}" for role, address in host.spot.addresses.items()]
            given = [word for mac in macs for word in ("--mac", mac)]
            given += [word for address in addresses for word in ("--address", address)]
            self.twinboot("host", "add", host.spot.name, *given, "--segment", "odd", "--target", "live-xen")
        ready = self.serve()
        for host in self.hypervisors.values():
            host.ready()
        return ready

    def watch(self, name: str, into: Path) -> Terminal:
        """Attach a terminal to a guest's console by `domu-console`; what it shows is appended to `into`."""
        return Terminal(self.on_server("domu-console", name), self.environment, into)
