"""The two nested hosts, the switches between them, and our services beside them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from storage.records import FREE_ID, Binding, Change
from tests.xen.console import BOOT_S
from twinboot import stores
from twinboot.config import Config, load

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
ADDRESSES = {
    "fe0": ("192.168.76.0", "192.168.76.71", "vm-host1"),
    "be0": ("192.168.78.0", "192.168.78.71", "vm-host1-be"),
}


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
