"""Power-on to dom0, served by twinboot and by dnsmasq: the same machine, files and menu, in the same run, interleaved.

Chains:

    dnsmasq       DHCP and TFTP by Debian's dnsmasq; GRUB's payloads over TFTP (its only door)
    twinboot-tftp ours, without its macro for iPXE: the same bytes by the same protocol as dnsmasq's
    twinboot      ours as shipped: an iPXE ROM boots Xen over HTTP; other firmware loads GRUB, which uses TFTP

The clock runs from QEMU's start to the first line of the small dom0's own init on the serial console, so the report
home, which dnsmasq has no place for, is in none of them. Run as root: `python benchmarks/boot.py`.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from wire import as_typed

from twinboot.commands.lab import CACHE
from twinboot.lab import console, isolate
from twinboot.lab.rack import Plan, Rack, without_ipxe

FIRMWARES = {"bios": Plan("hv1", "bios", "00:14:4f:00:00:01"), "uefi": Plan("hv2", "uefi", "00:14:4f:00:00:02")}
CHAINS = ("dnsmasq", "twinboot-tftp", "twinboot")
DOM0_UP = r"TWINBOOT: "
BOOT_TIMEOUT_S = 300
POLL_S = 0.05


class Bench:
    """One rack; for each boot the server of one chain is started and stopped."""

    def __init__(self, rack: Rack) -> None:
        self.rack = rack

    def boot(self, chain: str, plan: Plan) -> float:
        """Boot `plan` through `chain` once and return the seconds from power-on to dom0."""
        server: subprocess.Popen[bytes] | None = None
        if chain == "dnsmasq":
            server = self._start_dnsmasq()
        else:
            self._start_twinboot(chain, plan)
        machine = self.rack.machines[plan.name]
        began = time.monotonic()
        machine.power_on()
        try:
            while time.monotonic() - began < BOOT_TIMEOUT_S:
                if console.find(machine.serial, DOM0_UP):
                    return time.monotonic() - began
                time.sleep(POLL_S)
            raise click.ClickException(f"{plan.name} through {chain} did not reach dom0: see {machine.serial}")
        finally:
            machine.power_off()
            if server:
                server.terminate()
                server.wait()
            else:
                self.rack.stop_serving()

    def _start_twinboot(self, chain: str, plan: Plan) -> None:
        self.rack.twinboot("install", plan.name)
        self.rack.serve()
        if chain == "twinboot-tftp":
            without_ipxe(self.rack)

    def _start_dnsmasq(self) -> subprocess.Popen[bytes]:
        site = self.rack.site
        first, last = site.range.split("-")
        server = subprocess.Popen(
            self.rack.on_server(
                "dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--no-hosts", "--no-resolv", "--port=0",
                "--interface=fe0", "--bind-interfaces", f"--dhcp-range={first},{last},1h", "--no-ping", "--user=root",
                "--dhcp-match=set:efi,option:client-arch,7", "--dhcp-boot=tag:!efi,grub/i386-pc/core.0",
                "--dhcp-boot=tag:efi,grub/x86_64-efi/core.efi", "--enable-tftp", "--pid-file=",
                f"--tftp-root={self.rack.directory / 'peer'}", f"--dhcp-leasefile={self.rack.directory / 'leases'}",
            ),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(1.0)  # dnsmasq has no readiness line
        return server

    def make_peer_tree(self) -> None:
        """Lay out for dnsmasq what our server renders: the same menus, with the payloads' plain names over TFTP."""
        peer = self.rack.directory / "peer"
        shutil.copytree(self.rack.share / "boot", peer)
        for plan in FIRMWARES.values():
            self._start_twinboot("twinboot-tftp", plan)
            name = f"grub/grub.cfg-01-{plan.mac.replace(':', '-')}"
            url = f"http://{self.rack.site.address}/boot/{name}"
            fetched = subprocess.run(
                self.rack.on_server("curl", "-fsS", url), capture_output=True, text=True, check=True
            )
            self.rack.stop_serving()
            menu = re.sub(r"install/[^/\s]+/", "live-xen/", fetched.stdout)
            (peer / name).write_text(re.sub(r"\S*twinboot\.report=\S*", "", menu))


def play(rounds: int, firmwares: list[str]) -> None:
    """Measure inside the lab and print the table."""
    boots = [(firmware, chain) for firmware in firmwares for chain in CHAINS]
    times: dict[tuple[str, str], list[float]] = {boot: [] for boot in boots}
    with tempfile.TemporaryDirectory(prefix="twinboot-bench-") as place:
        directory = Path(place)
        directory.chmod(0o755)
        with Rack(directory, tuple(FIRMWARES.values())) as rack:
            rack.init()
            shutil.copytree(CACHE / "boot", rack.share / "boot", dirs_exist_ok=True)
            for plan in FIRMWARES.values():
                where = ["--segment", "odd", "--target", "live-xen", "--dom0-mem", "512M"]
                rack.twinboot("host", "add", plan.name, "--mac", f"fe0={plan.mac}", *where)
            bench = Bench(rack)
            bench.make_peer_tree()
            for number in range(rounds):
                for firmware, chain in boots:
                    took = bench.boot(chain, FIRMWARES[firmware])
                    times[firmware, chain].append(took)
                    click.echo(f"round {number + 1}/{rounds}  {firmware}  {chain:14} {took:6.1f} s")
    report(times)


def report(times: dict[tuple[str, str], list[float]]) -> None:
    """Print medians and their ratios to dnsmasq's (below 1 is faster)."""
    click.echo(f"\n{'firmware':9} {'chain':14} {'median s':>9} {'min-max s':>14} {'x dnsmasq':>10}")
    for (firmware, chain), seconds in times.items():
        median, peer = statistics.median(seconds), statistics.median(times[firmware, "dnsmasq"])
        spread = f"{min(seconds):.1f}-{max(seconds):.1f}"
        click.echo(f"{firmware:9} {chain:14} {median:9.1f} {spread:>14} {median / peer:10.2f}")


@click.command(help=as_typed(__doc__))
@click.option("--rounds", default=3, show_default=True, help="Boots of each chain and firmware.")
@click.option("--firmware", "firmwares", multiple=True, type=click.Choice(list(FIRMWARES)), help="Only this firmware.")
def main(rounds: int, firmwares: tuple[str, ...]) -> None:
    """Enter a lab and measure there."""
    if isolate.inside():
        play(rounds, list(firmwares) or list(FIRMWARES))
        return
    build = [sys.executable, "-m", "twinboot", "media", "build", "live-xen", "--into", str(CACHE / "boot")]
    subprocess.run(build, check=True)
    try:
        sys.exit(isolate.run([sys.executable, *sys.argv]))
    except isolate.LabError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
