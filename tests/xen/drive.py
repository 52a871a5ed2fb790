"""A guest on real Xen, from its master to its end: two nested hosts, our volumes, our DHCP, the `xl` adapter.

Run inside private namespaces (see `test_xen.py`). Each line tells what happened and when; the last is the verdict.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from guests.domain import Disk, DomainInfo, DomainSpec, Kind, State
from guests.hypervisor import HypervisorError, Outcome
from guests.xl import XlHypervisor, XlSettings
from storage.records import FREE_ID, MANUAL, Binding, Change
from storage.volumes import Access, Project, Snapshot, Volume, Volumes, VolumesError
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
MASTER, VERSION = Volume("masters", "tiny"), Snapshot("masters", "tiny", "version-01")
GUEST = Volume("appl-1", "vm-1")
ADDRESSES = {"fe0": ("192.168.76.0", "192.168.76.71"), "be0": ("192.168.78.0", "192.168.78.71")}
UUID = "5f0a5a0e-54fc-4b1c-a8a4-2f2f6f0a7c11"
MEMORY_MIB, CLONE_BYTES_MAX = 160, 1_000_000
TICK = r"TICK (\d+) up ([\d.]+)\r"
BOOT_S, GUEST_S = 400.0, 240.0
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
    """The guest's console as a person sees it, by the command that `domu-console` runs."""

    def __init__(self, host: XlHypervisor, name: str) -> None:
        argv = ["-tt" if word == "-t" else word for word in host.console_argv(name)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._seen = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        while piece := self._process.stdout.read1(4096):  # type: ignore[attr-defined]
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
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


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


def bind(config: Config, info: DomainInfo) -> None:
    """What `domu-assign-ip` writes: a reservation for the MAC of each link."""
    records = stores.dhcp_records(config)
    own = int(config.address)
    for link in info.links:
        table, address = ADDRESSES[link.name]
        free = Binding(int(IPv4Address(address)), FREE_ID, 0, own, 0, 0, "", "")
        client = b"\1" + bytes.fromhex(link.mac.replace(":", ""))
        held = free._replace(client_id=client, flags=MANUAL, comment=f"vm-host1-{link.name}")
        stores.commit(records, [Change(table, None, held)])


def site(place: Path, images: Path) -> Config:
    for name in ("dhcp", "hosts", "boot", "state", "jumpstart"):
        (place / "share" / name).mkdir(parents=True)
    path = place / "twinboot.toml"
    path.write_text(SITE.format(place=place))
    (place / "dhcpsvc.conf").write_text(DHCPSVC.format(place=place))
    (place / "ssh_config").write_text(SSH.format(place=place))
    (place / "key").write_bytes((images / "ssh_key").read_bytes())
    (place / "key").chmod(0o600)
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
    info = defined(store, one, two)
    bind(config, info)
    began = time.monotonic()
    one.start(GUEST.domain)
    say(f"started in {time.monotonic() - began:.1f} s")
    check(one.domain(GUEST.domain)._replace(state=State.OFF) == info, "it runs with the addresses it was defined with")
    before = booted(one, info)
    check(store.volumes(Project("appl-1"))[0].users == (one.initiator,), "the volume is used by the first host")
    moved(info, one, two)
    goes_on(two, before)
    ended(store, one, two)


def master_and_clone(store: Volumes, images: Path) -> None:
    for project in ("masters", "appl-1"):
        store.make_project(Project(project))
    store.load(MASTER, images / "guest.img")
    store.snapshot(VERSION)
    store.clone(VERSION, GUEST)
    taken = store.volumes(Project("appl-1"))[0].own_bytes
    check(taken < CLONE_BYTES_MAX, f"the clone takes {taken} bytes")


def defined(store: Volumes, one: XlHypervisor, two: XlHypervisor) -> DomainInfo:
    facts = one.host()
    say(f"{one.name}: {facts}; {' '.join(sorted(one.see().facts.caps))}")
    check({"fe0", "be0"} <= set(facts.links), "the hosts have the bridges fe0 and be0")
    export = store.export(GUEST, Access((two.initiator,)))
    disk = Disk(export.iqn, export.portal, export.lun)
    info = one.define(DomainSpec(GUEST.domain, UUID, Kind.PV, MEMORY_MIB, 1, disk, ("fe0", "be0")))
    say(f"defined {info.name}: {', '.join(f'{link.name} {link.mac}' for link in info.links)}")
    check(one.domain(GUEST.domain) == info, "a defined domain is kept, with its addresses")
    check(info.state is State.OFF, "it is off")
    refused(Outcome.NO_DISK, "a start without its disk", one.start, GUEST.domain)
    check(not sessions(one), "a failed start leaves no session")
    store.unexport(GUEST)
    store.export(GUEST, Access((one.initiator, two.initiator)))
    return info


def booted(host: XlHypervisor, info: DomainInfo) -> re.Match[str]:
    """Look at the guest's console until it ticks."""
    console = Console(host, GUEST.domain)
    console.expect(r"GUEST-UP [^\r]*\r")
    console.expect(r"GUEST-DISK /dev/xvda boots=1 label=master")
    text = console.expect(r"(?s)(GUEST-ADDR[^\r]*\r.*?){2}")[0]
    for link in info.links:
        address = ADDRESSES[link.name][1]
        check(f"{link.mac} {address}/" in text, f"{link.name} has {address} from our DHCP")
    ticked = console.expect(TICK)
    console.close()
    return ticked


def moved(info: DomainInfo, one: XlHypervisor, two: XlHypervisor) -> None:
    refused(Outcome.INCOMPATIBLE, "a live move of a PV guest by this Xen", one.migrate, GUEST.domain, two, live=True)
    shipped: list[int] = []
    began = time.monotonic()
    one.migrate(GUEST.domain, two, live=False, progress=lambda done, _total: shipped.append(done))
    say(f"moved (saved, {shipped[-1] / 1e6:.0f} MB shipped, restored) in {time.monotonic() - began:.1f} s")
    check(two.domain(GUEST.domain)._replace(state=State.OFF) == info, "the second host runs it, addresses and all")
    refused(Outcome.NOT_FOUND, "a start on the first host, which knows it no more,", one.start, GUEST.domain)
    check(not sessions(one), "the first host is logged out")


def goes_on(host: XlHypervisor, before: re.Match[str]) -> None:
    console = Console(host, GUEST.domain)
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
    two.stop(GUEST.domain, force=True)
    two.undefine(GUEST.domain)
    check(not one.domains() and not two.domains(), "no host knows the domain")
    check(not sessions(one) and not sessions(two), "no host is logged in")
    store.unexport(GUEST)
    store.destroy(GUEST)
    check(not store.volumes(Project("appl-1")) and not store.tend(), "nothing is exported, the project is empty")


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
