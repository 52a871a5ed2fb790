"""Scenario of test_debian_install: a machine with two empty disks is installed and comes back from them as a dom0.

Run by hand as root: `python tests/system/debian_install.py image`, then `... uefi|bios RESULT.json`; the last line is
a verdict. `... lonely RESULT.json` is a machine that lacks its second disk. Every stage's seconds since power-on are in
the result, and the processor time that QEMU had used by then, which says more where other programs run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from twinboot import journal
from twinboot.commands.lab import CACHE
from twinboot.lab import console, isolate
from twinboot.lab.rack import Plan, Rack, Site

NAME, MAC = "hv1", "00:14:4f:00:00:01"
ADDRESS, PEER, STRANGER = "10.77.0.11", "10.78.0.1", "10.78.0.99"
BACKEND = "10.78.0.11"
LOGINS_MAX, SETTLE_TIMEOUT_S = 5, 180.0
GOAL_S = 100.0  # from power-on to the reboot, by UEFI
INSTALL_TIMEOUT_S, BOOT_TIMEOUT_S, SSH_TIMEOUT_S = 600.0, 900.0, 60.0  # a quiet machine needs a fifth of it
STAGES = {
    "kernel": r"TWINBOOT: network",
    "disks": r"TWINBOOT: find the disks",
    "mirror": r"TWINBOOT: make the mirror",
    "unpack": r"TWINBOOT: unpack",
    "configure": r"TWINBOOT: configure",
    "bootable": r"TWINBOOT: make /dev/\S+ bootable",
    "unmount": r"TWINBOOT: unmount",
}
SEEN_ON_DOM0 = {
    "xen": "xl list; xl info | grep -E 'xen_commandline|total_memory'",
    "links": "ip -br link; for n in fe0 be0; do basename $(readlink /sys/class/net/$n/master); done",
    "addresses": "ip -4 -br addr",
    "mirror": "cat /proc/mdstat",
    "units": "systemctl is-enabled apt-daily.timer; systemctl is-active twinboot-relocation.socket; systemctl --failed",
    "secrets": "ls -la /var/lib/twinboot /root/.ssh; grep ^root: /etc/shadow",
    "networkd": "journalctl -b -o cat -u systemd-networkd -u twinboot-bridges | grep -E 'not be created|anew|help'",
    "kernel": "cat /proc/cmdline; uname -r; mount | grep -E ' (/|/boot/efi2?) '",
}
EACH_BOOT = {"xen": "dom0_mem=512M,max:512M", "links": "br-fe0\nbr-be0", "kernel": "/dev/md0 on / type ext4"}
# networkd counts a bridge as failed after 25 s: without disk a, the kernel waits longer than that for the module.
LATE_BRIDGES = """rm /etc/modules-load.d/twinboot.conf
echo 'install bridge [ -e /dev/disk/by-id/virtio-hv1-a ] || /bin/sleep 40; /sbin/modprobe --ignore-install bridge' \\
    >/etc/modprobe.d/late.conf; sync"""
HASH = "$6$abcdefgh$" + "yVfUwsw5T.JApa8POvClA1pQ5peiq97D" * 2
HOST = """root_mirror = ["virtio-hv1-a", "virtio-hv1-b"]
relocation_address = "{backend}"
relocation_peers = ["{peer}"]
services_off = ["apt-daily.timer"]
root_password_hash = "{hash}"
ssh_keys = ["{key}"]
"""


class Play:
    """One machine's story; `result` gathers what was seen."""

    def __init__(self, rack: Rack, folder: Path) -> None:
        self.rack = rack
        self.machine = rack.machines[NAME]
        self.key = folder / "key"
        self.result: dict[str, Any] = {"stages_s": {}, "stages_cpu_s": {}, "boots": {}}
        self.began = 0.0
        self.cpu_s = 0.0

    def prepare(self) -> None:
        rack = self.rack
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        rack.init()
        config = rack.directory / "etc" / "twinboot.toml"
        config.write_text(config.read_text() + '\n[networks.backend]\nsubnet = "10.78.0.0/24"\nlink = "be"\n')
        subprocess.run(["cp", "-a", f"{CACHE}/boot/.", str(rack.share / "boot")], check=True)
        plan = rack.plans[NAME]
        add = ["--mac", f"fe0={plan.mac}", "--mac", f"be0={plan.backend_mac}", "--address", f"fe0={ADDRESS}"]
        add += ["--segment", "odd", "--target", "debian", "--dom0-mem", plan.dom0_mem]
        rack.twinboot("host", "add", NAME, *add)
        file = rack.share / "hosts" / f"{NAME}.toml"
        key = self.key.with_suffix(".pub").read_text().strip()
        file.write_text(
            HOST.format(hash=HASH, backend=BACKEND, peer=PEER, key=key) + file.read_text() + f'address = "{BACKEND}"\n'
        )
        print(file.read_text(), rack.serve(), rack.twinboot("install", NAME), sep="\n", flush=True)

    def power_on(self) -> None:
        self.began, self.cpu_s = time.monotonic(), 0.0
        self.machine.power_on()

    def elapsed_s(self) -> float:
        return round(time.monotonic() - self.began, 1)

    def note(self, stage: str) -> None:
        self.result["stages_s"][stage] = self.elapsed_s()
        self.result["stages_cpu_s"][stage] = round(self.cpu_s, 1)
        print(f"{self.elapsed_s():7.1f} s, {self.cpu_s:6.1f} s of processor time  {stage}", flush=True)

    def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        while not holds():
            self.cpu_s = max(self.cpu_s, self.machine.cpu_s())  # the last one seen, once QEMU has ended
            if self.elapsed_s() > timeout_s:
                return False
            time.sleep(0.2)
        return True

    def install(self) -> None:
        """From power-on to the reboot, which ends QEMU."""
        self.power_on()
        stages = self.result["stages_s"]

        def ended() -> bool:
            for stage, pattern in STAGES.items():
                if stage not in stages and console.find(self.machine.serial, pattern):
                    self.note(stage)
            return not self.machine.running() or bool(console.find(self.machine.serial, "TWINBOOT: FAILED"))

        self.until(ended, INSTALL_TIMEOUT_S)
        self.note("reboot")
        self.result["rebooted"] = not self.machine.running()
        self.keep_console("install")

    def keep_console(self, name: str) -> None:
        lines = console.lines(self.machine.serial)
        self.result.setdefault("console", {})[name] = [
            line for line in lines if "TWINBOOT" in line or "(XEN) Command" in line
        ]
        result = Path(sys.argv[2])
        result.with_suffix(f".{name}.log").write_text("\n".join(lines))
        result.write_text(json.dumps(self.result, indent=1))  # what was seen so far, should the rest fail

    def events(self, kind: str) -> list[dict[str, Any]]:
        rows = journal.read(journal.open_reader(self.rack.state / "journal.db"), journal.Query())
        return [dict(row) for row in rows if row["kind"] == kind]

    def first_boot(self) -> None:
        """The network is asked first, as firmware is set up, and sends the machine on to its disk."""
        self.power_on()
        self.until(lambda: bool(self.events("report.received")), BOOT_TIMEOUT_S)
        self.note("report, counted from the reboot")
        self.result["reports"] = self.events("report.received")
        self.until(lambda: bool(console.find(self.machine.serial, "reported home")), self.elapsed_s() + 10)
        self.look("both")
        self.result["migration"] = {source: self.reached(source) for source in (PEER, STRANGER)}
        if self.machine.spec.firmware == "bios":
            self.asked(LATE_BRIDGES)
        self.machine.power_off()

    def boot_with(self, name: str, disks: tuple[Path, ...]) -> None:
        spec = self.machine.spec
        self.machine.spec = replace(spec, mirror=disks, network_boot=False, keep_writes=False)
        self.power_on()
        self.look(name)
        self.machine.power_off()
        self.machine.spec = spec

    def look(self, name: str) -> None:
        """Log in by the model's key as soon as that works, and look around."""
        found: dict[str, str] = {}
        if self.until(lambda: self.ssh("true") is not None, BOOT_TIMEOUT_S):
            self.result["boots"].setdefault(name, {})["ssh_s"] = self.elapsed_s()
            self.note(f"login with {name} disk{'s' if name == 'both' else ''}")
            self.until(self.settled, self.elapsed_s() + SETTLE_TIMEOUT_S)
            found = {what: self.asked(command) for what, command in SEEN_ON_DOM0.items()}
        self.result["boots"].setdefault(name, {}).update(found)
        print(found.get("mirror", "nobody answers"), flush=True)
        self.keep_console(name)

    def settled(self) -> bool:
        """Logins begin before all else is up: whether Xen's tools answer and the second link is in its bridge."""
        said = self.ssh("xl list; ls /sys/class/net/br-be0/brif") or ""
        return "Domain-0" in said and "be0" in said.splitlines()

    def asked(self, command: str) -> str:
        """What the command prints; on a busy machine a login may take longer than ssh waits, so some are tried."""
        tries = (self.ssh(command) for _ in range(LOGINS_MAX))
        return next((said for said in tries if said is not None), "")

    def ssh(self, command: str) -> str | None:
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=15"]
        options += ["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-i", str(self.key)]
        line = self.rack.on_server("ssh", *options, f"root@{ADDRESS}", command)
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=SSH_TIMEOUT_S)
        return None if done.returncode == 255 else done.stdout + done.stderr

    def reached(self, source: str) -> str:
        """What a migration's sender at `source` hears."""
        subprocess.run(["ip", "-n", self.rack.site.server, "addr", "replace", f"{source}/24", "dev", "be0"], check=True)
        client = (
            f"import socket; s = socket.create_connection(('{BACKEND}', 8002), 8, ('{source}', 0)); s.settimeout(20);"
            "print(s.recv(200))"
        )
        done = subprocess.run(
            self.rack.on_server(sys.executable, "-c", client), capture_output=True, text=True, check=False, timeout=60
        )
        return (done.stdout or done.stderr.strip().rpartition("\n")[2]).strip()


def verdict(told: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """What was promised and did not come true (none: True), as the lines that end the demo."""
    wall, cpu = told["stages_s"], told["stages_cpu_s"]
    lines = ["", f"{'from power-on, seconds':<42}{'clock':>8}{'processor':>11}"]
    lines += [f"  {stage:<40}{wall[stage]:8.1f}{cpu[stage]:11.1f}" for stage in wall]
    faults = [] if told["rebooted"] else [f"it did not reboot within {INSTALL_TIMEOUT_S:.0f} s"]
    for name, mark in (("both", "[UU]"), ("only a", "[2/1]"), ("only b", "[2/1]")):
        boot = told["boots"].get(name, {})
        wanted = {**EACH_BOOT, "mirror": mark}
        missing = [text.replace("\n", " and ") for what, text in wanted.items() if text not in boot.get(what, "")]
        faults += [f"with {name}: no {', no '.join(missing)}"] if missing else []
    if told.get("menus") != ["install", "local"]:
        faults.append("its second boot was not sent to its disks")
    heard = told.get("migration", {})
    if "migration" not in heard.get(PEER, "") or "timed out" not in heard.get(STRANGER, ""):
        faults.append("the migration port is not open to its peer alone")
    took = wall.get("reboot", INSTALL_TIMEOUT_S)
    goal = "within" if took <= GOAL_S else "beyond"
    used = f"{cpu.get('reboot', 0):.1f} s of processor time"
    lines += ["", f"power-on to reboot: {took:.1f} s, {used}: {goal} the goal of {GOAL_S:.0f} s for UEFI"]
    return not faults, [*lines, f"VERDICT: FAILED: {'; '.join(faults)}" if faults else GOOD]


GOOD = "VERDICT: installed by itself onto two disks, and a dom0 with both of them and with each alone"


def menus(story: Play) -> list[str]:
    """What the machine was told boot by boot: an iPXE ROM is told twice, by its script and by GRUB's menu after it."""
    return [plan for plan, _ in groupby(event["plan"] for event in story.events("menu.rendered"))]


def play(firmware: str, result: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="twinboot-lab-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        plan = Plan(NAME, firmware, MAC, backend_mac="00:14:4f:00:01:01", mirror_mib=4096, cpus=2)
        with Rack(folder, (plan,), Site(backend=f"{PEER}/24")) as rack:
            story = Play(rack, folder)
            story.prepare()
            story.install()
            if story.result["rebooted"]:
                story.first_boot()
                story.result["explain"] = rack.twinboot("explain", NAME)
                story.result["menus"] = menus(story)
                for half, path in zip("ab", rack.machines[NAME].spec.mirror, strict=True):
                    story.boot_with(f"only {half}", (path,))
            story.result["state"] = story.events("install.state")
            result.write_text(json.dumps(story.result, indent=1))
    good, lines = verdict(story.result)
    print("\n".join(lines), flush=True)
    return good


def play_lonely(result: Path) -> bool:
    """One of the disks that the host file names is not there: the machine tells, stands still, does not start over."""
    with tempfile.TemporaryDirectory(prefix="twinboot-lab-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        plan = Plan(NAME, "uefi", MAC, backend_mac="00:14:4f:00:01:01", mirror_mib=4096, cpus=2)
        with Rack(folder, (plan,)) as rack:
            story = Play(rack, folder)
            story.prepare()
            spec = story.machine.spec
            story.machine.spec = replace(spec, mirror=spec.mirror[:1])
            story.install()
            story.until(lambda: bool(console.find(story.machine.serial, r"^\(initramfs\)")), story.elapsed_s() + 30)
            story.result["shell"] = console.find(story.machine.serial, r"^\(initramfs\)")
            story.result["stands"] = story.machine.running()
            story.machine.power_off()
            story.power_on()
            story.until(lambda: len(story.events("menu.rendered")) > 1, BOOT_TIMEOUT_S)
            story.machine.power_off()
            story.result["menus"] = menus(story)
            story.result["reports"] = story.events("report.received")
            story.result["explain"] = rack.twinboot("explain", NAME)
            result.write_text(json.dumps(story.result, indent=1))
    return bool(story.result["reports"])


def build() -> None:
    """The boot files, in the lab's cache, by the command that a user types."""
    into = ["--into", str(CACHE / "boot")]
    subprocess.run([sys.executable, "-m", "twinboot", "media", "build", "debian", *into], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "image":
        build()
    elif isolate.inside():
        where = Path(sys.argv[2])
        sys.exit(not (play_lonely(where) if sys.argv[1] == "lonely" else play(sys.argv[1], where)))
    else:
        sys.exit(isolate.run([sys.executable, *sys.argv]))
