"""A guest on real Xen, from its master to its end: two nested hosts, our volumes, our DHCP, the commands as typed.

Run inside private namespaces (see `test_xen.py`). Each line tells what happened and when; the last is the verdict.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from guests.domain import State
from guests.hypervisor import HypervisorError, Outcome
from guests.xl import XlHypervisor
from guests.xl_files import XlSettings
from storage.records import FREE_ID, Binding, Change
from storage.volumes import Access, Project, Volume, Volumes, VolumesError
from storage.volumes.local_target import Tgt
from storage.volumes.local_view import FuseViews
from twinboot import stores
from twinboot.config import Config, load
from twinboot.volumestore import open_volumes

SITE = """
[site]
name = "xen"
domain = "twinboot.test"
share = "{place}/share"
[server]
name = "s1"
address = "192.168.78.10"
state = "{place}/state"
dhcpsvc = "{place}/dhcpsvc.conf"
user = "root"
interfaces = ["swbe", "swfe"]
[networks.public]
subnet = "192.168.76.0/24"
link = "fe"
[networks.backend]
subnet = "192.168.78.0/24"
link = "be"
[storage]
backend = "local"
[guests]
hypervisor = "xl"
uri = "ssh://root@{{address}}?config={place}/ssh_config"
"""
DHCPSVC = """DAEMON_ENABLED=TRUE
RESOURCE=SUNWfiles
RUN_MODE=server
PATH={place}/share/dhcp
CONVER=1
OWNER_IP=192.168.78.10
"""
SSH = """
Host *
  IdentityFile {place}/key
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  ControlMaster auto
  ControlPath {place}/mux-%C
  ControlPersist 600
"""
XEN = "com1=115200,8n1 console=com1 dom0_mem=500M,max:500M sched=credit"
HOSTS = {"xen-31": 31, "xen-32": 32}
GUEST = Volume("appl-1", "vm-1")
NAME = GUEST.domain
ADDRESSES = {
    "fe0": ("192.168.76.0", "192.168.76.71", "vm-host1"),
    "be0": ("192.168.78.0", "192.168.78.71", "vm-host1-be"),
}
PROGRAMS = Path(sys.executable).parent
MEMORY_MIB, CLONE_BYTES_MAX = 160, 1_000_000
TICK = r"TICK (\d+) up ([\d.]+)\r"
BOOT_S, GUEST_S, LEAVE_S, SLOW_S = 400.0, 240.0, 3.0, 2.0
STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:7.1f}  {text}", flush=True)


def check(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"VERDICT: failed: {what}")
    say(f"ok: {what}")


def run(*argv: str) -> None:
    subprocess.run(argv, check=True)


def wires() -> None:
    """Two switches that we are on, and a card of each for each host."""
    for switch, address in (("swbe", "192.168.78.10/24"), ("swfe", "192.168.76.10/24")):
        run("ip", "link", "add", switch, "type", "bridge", "forward_delay", "0")
        run("ip", "address", "add", address, "dev", switch)
        run("ip", "link", "set", switch, "up")
        for number in HOSTS.values():
            run("ip", "tuntap", "add", f"{switch}{number}", "mode", "tap")
            run("ip", "link", "set", f"{switch}{number}", "master", switch, "up")


@contextmanager
def machine(number: int, images: Path, log: Path) -> Iterator[None]:
    """A nested host."""
    argv = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64", "-m", "1152", "-display", "none", "-nodefaults"]
    argv += ["-serial", f"file:{log}", "-no-reboot", "-kernel", str(images / "xen"), "-append", XEN]
    argv += ["-initrd", f"{images}/vmlinuz console=hvc0 quiet mitigations=off,{images}/initrd.gz"]
    argv += ["-drive", f"file={images}/dom0.img,format=raw,if=virtio,snapshot=on"]
    for index, switch in enumerate(("swbe", "swfe")):
        argv += ["-netdev", f"tap,id={switch},ifname={switch}{number},script=no,downscript=no"]
        argv += ["-device", f"virtio-net-pci,netdev={switch},mac=52:54:00:00:{index:02x}:{number:02x}"]
    process = subprocess.Popen(argv)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def wait_for(log: Path, words: str) -> str:
    end = time.monotonic() + BOOT_S
    while time.monotonic() < end:
        found = [line for line in _text(log).splitlines() if words in line]
        if found:
            return found[0]
        time.sleep(0.5)
    raise SystemExit(f"VERDICT: failed: {log.name}: no {words!r}:\n{_text(log)[-3000:]}")


def _text(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""


class Console:
    """The guest's console on a terminal of ours."""

    def __init__(self, *argv: str) -> None:
        typed(argv)
        self._terminal, inner = pty.openpty()
        command = [str(PROGRAMS / argv[0]), *argv[1:]]
        self._process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
        os.close(inner)
        self._seen = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the command has ended
            while piece := os.read(self._terminal, 4096):
                self._seen += piece.decode(errors="replace")

    def expect(self, pattern: str, timeout_s: float = GUEST_S) -> re.Match[str]:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if match := re.search(pattern, self._seen):
                self._seen = self._seen[match.end() :]
                say(f"console: {match[0].strip()}")
                return match
            time.sleep(0.1)
        raise SystemExit(f"VERDICT: failed: the console says no {pattern!r}: {self._seen[-1500:]}")

    def type(self, line: str) -> None:
        os.write(self._terminal, line.encode() + b"\n")

    def close(self) -> None:
        """Leave as a person does, by Ctrl-]."""
        os.write(self._terminal, b"\x1d")
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def typed(argv: Iterable[str]) -> None:
    say(f"$ {shlex.join(argv)}")


def does(*argv: str, code: int = 0) -> str:
    """Type a command, show what it says, see that it ends as it should."""
    typed(argv)
    began = time.monotonic()
    done = subprocess.run(
        [str(PROGRAMS / argv[0]), *argv[1:]], capture_output=True, text=True, check=False, timeout=BOOT_S
    )
    for line in (done.stdout + done.stderr).splitlines():
        print(f"         {line}")
    if done.returncode != code:
        raise SystemExit(f"VERDICT: failed: {argv[0]} ended with {done.returncode}, not {code}")
    if time.monotonic() - began > SLOW_S:
        say(f"({time.monotonic() - began:.1f} s)")
    return done.stdout + done.stderr


@contextmanager
def serving(config: Config, place: Path) -> Iterator[None]:
    """Our DHCP, names and volumes services."""
    argv = [sys.executable, "-m", "twinboot", "--config", str(config.path), "serve"]
    argv += ["--without", "tftp", "--without", "http", "--without", "peers"]
    with (place / "serve.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        wait_for(place / "serve.log", "ready")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def addresses(config: Config) -> None:
    """Free addresses, as `pntadm -A` adds them."""
    records = stores.dhcp_records(config)
    for table, address, _ in ADDRESSES.values():
        row = Binding(int(IPv4Address(address)), FREE_ID, 0, int(config.address), 0, 0, "", "")
        stores.commit(records, [Change(table, None, row)])


def site(place: Path, images: Path) -> Config:
    for name in ("dhcp", "hosts", "boot", "state", "jumpstart"):
        (place / "share" / name).mkdir(parents=True)
    path = place / "twinboot.toml"
    path.write_text(SITE.format(place=place))
    (place / "dhcpsvc.conf").write_text(DHCPSVC.format(place=place))
    (place / "ssh_config").write_text(SSH.format(place=place))
    (place / "key").write_bytes((images / "ssh_key").read_bytes())
    (place / "key").chmod(0o600)
    os.environ["TWINBOOT_CONFIG"] = str(path)
    return load(path)


def refused(outcome: Outcome, what: str, verb, *arguments: object, **named: object) -> None:
    try:
        verb(*arguments, **named)
    except HypervisorError as error:
        say(f"told: {error}")
        check(error.outcome is outcome, f"{what} is refused as {outcome.value}")
        return
    check(False, f"{what} is refused")


def sessions(host: XlHypervisor) -> list[str]:
    return [line for line in host.shell.run("iscsiadm -m session", 60).out.splitlines() if GUEST.domain in line]


def story(config: Config, hosts: list[XlHypervisor], images: Path) -> None:
    one, two = hosts
    store = open_volumes(config)
    master_and_clone(store, images)
    defined(store, one, two)
    for link, (_, address, name) in ADDRESSES.items():
        does("domu-assign-ip", NAME, link, name, address)
    does("domu-start", NAME)
    before = booted(one)
    check(store.volumes(Project("appl-1"))[0].users == (one.initiator,), "the volume is used by the first host")
    moved(one, two)
    goes_on(before)
    ended(store, one, two)


def master_and_clone(store: Volumes, images: Path) -> None:
    does("domu-master", "import", str(images / "guest.img"), "masters/tiny")
    does("domu-master", "snapshot", "masters/tiny@version-01")
    does("domu-project", "appl-1")
    does("domu-clone", "masters/tiny@version-01", "appl-1/vm-1")
    taken = store.volumes(Project("appl-1"))[0].own_bytes
    check(taken < CLONE_BYTES_MAX, f"the clone takes {taken} bytes")


def defined(store: Volumes, one: XlHypervisor, two: XlHypervisor) -> None:
    facts = one.host()
    say(f"{one.name}: {facts}; {' '.join(sorted(one.see().facts.caps))}")
    does("domu-init", "pv", "fe-be", "odd", str(MEMORY_MIB), "1", "appl-1/vm-1", "--host", one.name)
    info = one.domain(NAME)
    say(f"{info.name}: {', '.join(f'{link.name} {link.mac}' for link in info.links)}")
    check(info.state is State.OFF, "it is defined, and off")
    store.unexport(GUEST)
    refused(Outcome.NO_DISK, "a start without its disk", one.start, NAME)
    check(not sessions(one), "a failed start leaves no session")
    store.export(GUEST, Access((one.initiator, two.initiator)))


def booted(host: XlHypervisor) -> re.Match[str]:
    """Look at the guest's console until it ticks."""
    info = host.domain(NAME)
    console = Console("domu-console", NAME)
    console.expect(r"GUEST-UP [^\r]*\r")
    console.expect(r"GUEST-DISK /dev/xvda boots=1 label=master")
    text = console.expect(r"(?s)(GUEST-ADDR[^\r]*\r.*?){2}")[0]
    for link in info.links:
        address = ADDRESSES[link.name][1]
        check(f"{link.mac} {address}/24" in text, f"{link.name} has {address} from our DHCP")
    ticked = console.expect(TICK)
    console.close()
    return ticked


def moved(one: XlHypervisor, two: XlHypervisor) -> None:
    info = one.domain(NAME)
    said = does("domu-migrate", NAME, two.name, "--live", code=1)
    check(
        "without --live" in said,
        "this Xen moves no PV guest live (it is built without shadow paging), and that is told",
    )
    does("domu-migrate", NAME, two.name)
    check(two.domain(NAME) == info, "the second host runs it, addresses and all")
    refused(Outcome.NOT_FOUND, "a start on the first host, which knows it no more,", one.start, NAME)
    check(not sessions(one), "the first host is logged out")


def goes_on(before: re.Match[str]) -> None:
    console = Console("domu-console", NAME)
    after = console.expect(TICK)
    check(int(after[1]) > int(before[1]), "the guest's counter goes on")
    check(float(after[2]) > float(before[2]), "it has not booted anew")
    console.type("touch /run/quiet; cat /data/label; ping -c 2 192.168.78.10; ping -c 2 192.168.76.10")
    console.expect(r"master\r")
    console.expect(r"2 packets received")
    console.expect(r"2 packets received")
    console.close()


def ended(store: Volumes, one: XlHypervisor, two: XlHypervisor) -> None:
    try:
        store.unexport(GUEST)
        check(False, "the disk of a running guest is not taken away")
    except VolumesError as error:
        check(two.initiator in error.dependents, "the disk of a running guest is not taken away")
    does("domu-stop", NAME, "--force")
    does("domu-destroy", NAME)
    check(not one.domains() and not two.domains(), "no host knows the domain")
    check(not sessions(one) and not sessions(two), "no host is logged in")
    does("domu-fsck")
    does("domu-master", "list")


def main(images: Path, place: Path) -> None:
    wires()
    config = site(place, images)
    with ExitStack() as undo:
        logs = {name: place / f"{name}.log" for name in HOSTS}
        for name, number in HOSTS.items():
            undo.enter_context(machine(number, images, logs[name]))
        undo.enter_context(serving(config, place))
        say("our services are ready")
        assert config.storage
        undo.callback(FuseViews(config.storage.run).down, GUEST.domain)
        undo.callback(Tgt(config.storage.run, config.storage.portal).stop)
        for name, log in logs.items():
            say(f"{name}: {wait_for(log, 'READY').strip()}")
        for name, number in HOSTS.items():
            macs = ",".join(f"{link}0=52:54:00:00:{index:02x}:{number:02x}" for index, link in enumerate(("be", "fe")))
            where = f"be0=192.168.78.{number}"
            does("twinboot", "host", "add", name, "--mac", macs, "--address", where, "--segment", "odd")
        addresses(config)
        hosts = [
            XlHypervisor(
                XlSettings(
                    name,
                    f"ssh://root@192.168.78.{number}?config={place}/ssh_config",
                    f"iqn.2026-11.test.twinboot:{name}",
                    f"192.168.78.{number}",
                )
            )
            for name, number in HOSTS.items()
        ]
        story(config, hosts, images)
    print("VERDICT: a guest ran and moved on real Xen", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
