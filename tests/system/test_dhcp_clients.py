"""Real clients on a wire of their own: ISC dhclient and udhcpc lease, renew and release from a daemon as root runs it.

The server is a child process in one network namespace, the client in another, a veth pair between them. Both namespaces
go away with the test. A client's broadcast flag decides whether it is answered by broadcast or by a frame to its MAC.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.records import FREE_ID, MANUAL, Binding, Change, SunwFiles, TabEntry, ipv4_int

pytestmark = pytest.mark.root

NET, SERVER = "192.168.76.0", "192.168.76.1"
CLIENT_MAC = "02:14:4f:00:00:01"
CLIENT_ID = b"\1" + bytes.fromhex(CLIENT_MAC.replace(":", ""))
WAIT_S = 20.0

SERVE = """
import json, os, sys
from dhcp.daemon import serve
from dhcp.networks import network
from dhcp.sockets import open_sockets
from dhcp.svcconf import load
from storage.records import open_records

conf = load(sys.argv[1])
ports = open_sockets(conf)
assert all(port.raw for port in ports)
os.setgroups([]); os.setgid(65534); os.setuid(65534)

def emit(kind, **fields):
    print(json.dumps({"kind": kind, **fields}), flush=True)

serve(conf, ports, open_records(conf.resource, conf.path), [network("192.168.76.0/24")], emit,
      lambda: emit("service.ready"))
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Wire:
    """Two namespaces, the datastore of the server, and the file of its events."""

    client: str
    store: SunwFiles
    events: Path
    folder: Path

    def run(self, *words: str, check: bool = True) -> str:
        command = ["ip", "netns", "exec", self.client, *words]
        done = subprocess.run(command, check=check, capture_output=True, text=True, timeout=WAIT_S)
        return done.stdout + done.stderr

    def told(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.events.read_text().splitlines()]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.told()]

    def wait_for(self, kind: str, count: int = 1) -> None:
        end = time.monotonic() + WAIT_S
        while self.kinds().count(kind) < count:
            assert time.monotonic() < end, f"no {kind}: {self.told()}"
            time.sleep(0.05)

    def wait_for_address(self) -> None:
        end = time.monotonic() + WAIT_S
        while "192.168.76.5" not in self.addresses():
            assert time.monotonic() < end, self.told()
            time.sleep(0.05)

    def binding(self) -> Binding:
        rows = [row for row in self.store.read(NET).rows if isinstance(row, Binding)]
        return next((row for row in rows if row.client_id != FREE_ID), rows[0])

    def addresses(self) -> str:
        return self.run("ip", "-4", "-o", "address", "show", "dev", "eth0")


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    names = [f"tbdhcp-{os.getpid()}-{side}" for side in ("server", "client")]
    server, client = names
    folder = tmp_path / "store"
    folder.mkdir()
    for path in (*reversed(tmp_path.parents), tmp_path):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    os.chown(folder, 65534, 65534)
    store = SunwFiles(folder)
    for table in (NET, "dhcptab"):
        store.create(table)
    rows = [Binding(ipv4_int(f"192.168.76.{host}"), FREE_ID, 0, ipv4_int(SERVER), 0, 0, "", "") for host in (50, 51)]
    store.commit([Change(NET, None, row) for row in rows])
    store.commit([Change("dhcptab", None, TabEntry(NET, "m", 0, f":Router={SERVER}:LeaseTim=600:LeaseNeg:"))])
    for path in folder.iterdir():
        os.chown(path, 65534, 65534)
    conf = tmp_path / "dhcpsvc.conf"
    conf.write_text(f"RESOURCE=SUNWfiles\nPATH={folder}\nCONVER=1\nICMP_VERIFY=FALSE\nINTERFACES=srv0\n")
    events = tmp_path / "events"
    with contextlib.ExitStack() as undo:
        for name in names:
            ip("netns", "add", name)
            undo.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
        ip("-n", server, "link", "add", "srv0", "type", "veth", "peer", "name", "eth0", "netns", client)
        ip("-n", client, "link", "set", "eth0", "address", CLIENT_MAC)
        ip("-n", server, "address", "add", f"{SERVER}/24", "dev", "srv0")
        for name, link in ((server, "srv0"), (client, "eth0"), (client, "lo")):
            ip("-n", name, "link", "set", link, "up")
        with events.open("w") as out:
            command = ["ip", "netns", "exec", server, sys.executable, "-c", SERVE, str(conf)]
            daemon = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        wire = Wire(client, store, events, tmp_path)
        try:
            wire.wait_for("service.ready")
            yield wire
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(WAIT_S) == 0, events.read_text()


def dhclient(wire: Wire, *words: str) -> str:
    """Run dhclient; its script is a copy of our own, so that it touches nothing but the namespace's interface."""
    script = wire.folder / "script"
    script.write_text(
        "#!/bin/sh\n"
        'case "$reason" in\n'
        "PREINIT) ip link set dev $interface up ;;\n"
        "BOUND|REBOOT|RENEW|REBIND) ip address replace $new_ip_address/24 dev $interface ;;\n"
        "RELEASE|STOP|EXPIRE) ip address flush dev $interface ;;\n"
        "esac\n"
    )
    script.chmod(0o755)
    (wire.folder / "dhclient.conf").write_text("timeout 10;\n")
    files = [("-lf", "leases"), ("-pf", "pid"), ("-cf", "dhclient.conf"), ("-sf", "script")]
    flags = [word for flag, name in files for word in (flag, str(wire.folder / name))]
    return wire.run("dhclient", "-4", "-v", *flags, *words, "eth0")


@pytest.mark.skipif(not shutil.which("dhclient"), reason="isc-dhcp-client is not installed")
def test_dhclient_leases_reboots_and_releases(wire: Wire) -> None:
    dhclient(wire, "-1")
    assert wire.binding().client_id == CLIENT_ID
    address = wire.addresses()
    assert "192.168.76.5" in address
    dhclient(wire, "-x")
    dhclient(wire, "-1")
    assert wire.addresses() == address
    states = [event["state"] for event in wire.told() if event["kind"] == "dhcp.ack"]
    assert (states[0], set(states[1:])) == ("selecting", {"init-reboot"})
    dhclient(wire, "-r")
    wire.wait_for("dhcp.release")
    assert wire.binding().client_id == FREE_ID
    assert wire.addresses() == ""


def udhcpc(wire: Wire, *words: str) -> subprocess.Popen[str]:
    script = wire.folder / "udhcpc.sh"
    script.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        "deconfig) ip address flush dev $interface; ip link set dev $interface up ;;\n"
        "bound|renew) ip address replace $ip/24 dev $interface ;;\n"
        "esac\n"
    )
    script.chmod(0o755)
    command = ["ip", "netns", "exec", wire.client, "udhcpc", "-f", "-i", "eth0", "-s", str(script), *words]
    return subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.skipif(not shutil.which("udhcpc"), reason="udhcpc is not installed")
@pytest.mark.parametrize("flags", [[], ["-B"]], ids=["frame", "broadcast"])
def test_udhcpc_leases_renews_and_releases(wire: Wire, flags: list[str]) -> None:
    client = udhcpc(wire, "-R", *flags)
    try:
        wire.wait_for("dhcp.ack")
        assert wire.binding().client_id == CLIENT_ID
        wire.wait_for_address()  # before that a request to renew would make it begin anew
        client.send_signal(signal.SIGUSR1)  # renew now
        wire.wait_for("dhcp.ack", 2)
        assert [event.get("state") for event in wire.told()].count("renewing") == 1
    finally:
        client.terminate()
        client.wait(WAIT_S)
    wire.wait_for("dhcp.release")
    assert wire.binding().client_id == FREE_ID


@pytest.mark.skipif(not shutil.which("udhcpc"), reason="udhcpc is not installed")
def test_a_reservation_by_mac_serves_whatever_client_id_is_sent(wire: Wire) -> None:
    fixed = Binding(ipv4_int("192.168.76.9"), CLIENT_ID, MANUAL, ipv4_int(SERVER), 0, 0, "", "")
    wire.store.commit([Change(NET, None, fixed)])
    client = udhcpc(wire, "-x", "0x3d:ff00112233445566")
    try:
        wire.wait_for("dhcp.ack")
    finally:
        client.terminate()
        client.wait(WAIT_S)
    assert next(event for event in wire.told() if event["kind"] == "dhcp.ack")["address"] == "192.168.76.9"
