"""A wire for real DHCP clients and relays: a server as root runs it and a client's machine, in namespaces of their own.

Both namespaces, and a third one behind a relay, go away with the test. The server knows two networks: the wire's, and
one that only a relay reaches.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.records import FREE_ID, Binding, Change, SunwFiles, TabEntry, ipv4_int
from tests.rows import rows_of

NET, SERVER = "192.168.76.0", "192.168.76.1"
FAR_NET, RELAY, RELAY_FAR = "192.168.77.0", "192.168.76.2", "192.168.77.1"
CLIENT_MAC = "02:14:4f:00:00:01"
CLIENT_ID = b"\1" + bytes.fromhex(CLIENT_MAC.replace(":", ""))
WAIT_S = 20.0
STOP_S = 4.0  # for a client to end

SERVE = """
import json, os, sys
from dhcp.daemon import serve
from dhcp.networks import network
from dhcp.sockets import open_sockets
from dhcp.svcconf_file import load
from storage.records import open_records

conf = load(sys.argv[1])
ports = open_sockets(conf)
assert all(port.raw for port in ports)
os.setgroups([]); os.setgid(65534); os.setuid(65534)

def emit(kind, **fields):
    print(json.dumps({"kind": kind, **fields}), flush=True)

serve(conf, ports, open_records(conf.resource, conf.path), [network(f"192.168.{n}.0/24") for n in (76, 77)], emit,
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
    server: str
    far: str

    def run(self, *words: str, check: bool = True, where: str = "") -> str:
        command = ["ip", "netns", "exec", where or self.client, *words]
        done = subprocess.run(command, check=check, capture_output=True, text=True, timeout=WAIT_S)
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def running(self, *words: str, where: str = "", stop: int = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program beside the test, and end it afterwards."""
        with (self.folder / "output").open("ab") as out:
            command = ["ip", "netns", "exec", where or self.client, *words]
            process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield process
        finally:
            _end(process, stop)

    def shell(self, name: str, text: str) -> str:
        """Write a script and return its path."""
        script = self.folder / name
        script.write_text(f"#!/bin/sh\n{text}")
        script.chmod(0o755)
        return str(script)

    def told(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.events.read_text().splitlines()]

    def output(self) -> str:
        path = self.folder / "output"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def acks(self) -> list[str]:
        return [event["state"] for event in self.told() if event["kind"] == "dhcp.ack"]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.told()]

    def wait_for(self, kind: str, count: int = 1) -> None:
        end = time.monotonic() + WAIT_S
        while self.kinds().count(kind) < count:
            assert time.monotonic() < end, f"no {kind}: {self.told()} {self.output()}"
            time.sleep(0.05)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < end, f"{self.told()} {self.output()}"
            time.sleep(0.05)

    def binding(self) -> Binding:
        rows = rows_of(self.store, NET, Binding)
        return next((row for row in rows if row.client_id != FREE_ID), rows[0])

    def flags(self, address: str) -> int:
        rows = rows_of(self.store, NET, Binding)
        return next(row.flags for row in rows if row.address == ipv4_int(address))

    def addresses(self, where: str = "") -> str:
        return self.run("ip", "-4", "-o", "address", "show", "dev", "eth0", where=where)


def _end(process: subprocess.Popen[bytes], stop: int) -> None:
    """End a client as its user would. dhcpcd 9 now and then stays on a busy machine, with all its work done."""
    for signal_number in (stop, stop, signal.SIGKILL):
        process.send_signal(signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            return


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory that others may enter: pytest's own are root's alone, and the daemon is not root."""
    with tempfile.TemporaryDirectory(prefix="tbdhcp-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def wire(place: Path, request: pytest.FixtureRequest) -> Iterator[Wire]:
    """Start a server; a parameter of the fixture is the value of ICMP_VERIFY, FALSE without."""
    names = [f"tbdhcp-{os.getpid()}-{side}" for side in ("server", "client", "far")]
    server, client, far = names
    folder = place / "store"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    store = SunwFiles(folder)
    for table in (NET, FAR_NET, "dhcptab"):
        store.create(table)
    rows = [Binding(ipv4_int(f"192.168.76.{host}"), FREE_ID, 0, ipv4_int(SERVER), 0, 0, "", "") for host in (50, 51)]
    store.commit([Change(NET, None, row) for row in rows])
    behind = Binding(ipv4_int("192.168.77.50"), FREE_ID, 0, ipv4_int(SERVER), 0, 0, "", "")
    store.commit([Change(FAR_NET, None, behind)])
    store.commit([Change("dhcptab", None, TabEntry(NET, "m", 0, f":Router={SERVER}:LeaseTim=600:LeaseNeg:"))])
    for path in folder.iterdir():
        os.chown(path, 65534, 65534)
    conf, verify = place / "dhcpsvc.conf", getattr(request, "param", "FALSE")
    conf.write_text(f"RESOURCE=SUNWfiles\nPATH={folder}\nCONVER=1\nICMP_VERIFY={verify}\nINTERFACES=srv0\n")
    events = place / "events"
    with contextlib.ExitStack() as undo:
        for name in names:
            ip("netns", "add", name)
            undo.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
        ip("-n", server, "link", "add", "srv0", "type", "veth", "peer", "name", "eth0", "netns", client)
        ip("-n", client, "link", "set", "eth0", "address", CLIENT_MAC)
        ip("-n", server, "address", "add", f"{SERVER}/24", "dev", "srv0")
        for name, link in ((server, "srv0"), (client, "eth0"), (client, "lo")):
            ip("-n", name, "link", "set", link, "up")
        ip("-n", server, "route", "add", f"{FAR_NET}/24", "via", RELAY)
        with events.open("w") as out:
            command = ["ip", "netns", "exec", server, sys.executable, "-c", SERVE, str(conf)]
            daemon = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        wire = Wire(client, store, events, place, server, far)
        try:
            wire.wait_for("service.ready")
            yield wire
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(WAIT_S) == 0, events.read_text()
