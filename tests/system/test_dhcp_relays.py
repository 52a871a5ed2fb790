"""Clients behind a relay, and perfdhcp, which is a relay and a crowd of clients in one."""

import contextlib
import re
import shutil
import signal
import sys
from collections.abc import Iterator

import pytest

from storage.records import FREE_ID, Binding, Change, ipv4_int
from tests.rows import rows_of
from tests.system.conftest import FAR_NET, NET, RELAY, RELAY_FAR, SERVER, Wire, ip
from tests.system.test_dhcp_clients import needs, renew, udhcpc

pytestmark = pytest.mark.root

OURS = """
import sys
from dhcp.relayd import open_relay, resolve, serve
from dhcp.svcconf_file import load

conf = load(sys.argv[1])
ports, plan = open_relay(conf, resolve(conf.relay_destinations))
assert [link.has_clients for link in plan.links.values()] == [True, False], plan
serve(plan, ports, lambda kind, **fields: print(kind, fields, flush=True))
"""
"""A relay as `twinboot serve dhcp` runs it with RUN_MODE=relay; clients on eth1, the server beyond eth0."""

RELAYS = {
    "twinboot": [sys.executable, "-c", OURS, "dhcpsvc-relay.conf"],
    "dhcrelay": ["dhcrelay", "-4", "-d", "-a", "-iu", "eth0", "-id", "eth1", SERVER],
    "dnsmasq": ["dnsmasq", "-k", "-p", "0", "-C", "/dev/null", "-x", "", f"--dhcp-relay={RELAY_FAR},{SERVER}"],
}


@contextlib.contextmanager
def relay(wire: Wire, program: str) -> Iterator[None]:
    """Make the client's machine a relay and router for one that is behind it."""
    ip("-n", wire.client, "address", "add", f"{RELAY}/24", "dev", "eth0")
    ip("-n", wire.client, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", wire.far)
    ip("-n", wire.client, "address", "add", f"{RELAY_FAR}/24", "dev", "eth1")
    for name, link in ((wire.client, "eth1"), (wire.far, "eth0")):
        ip("-n", name, "link", "set", link, "up")
    wire.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    conf = wire.folder / "dhcpsvc-relay.conf"
    conf.write_text(f"RUN_MODE=relay\nRELAY_DESTINATIONS={SERVER}\nINTERFACES=eth1\n")
    words = [str(conf) if word == conf.name else word for word in RELAYS[program]]
    with wire.running(*words):
        wire.wait_until(lambda: ":67" in wire.run("ss", "-lnu"))
        yield


@needs("udhcpc", "udhcpc")
@pytest.mark.parametrize("flags", [[], ["-B"]], ids=["frame", "broadcast"])
@pytest.mark.parametrize("program", RELAYS)
def test_a_client_behind_a_relay_leases_renews_and_releases(wire: Wire, program: str, flags: list[str]) -> None:
    if not shutil.which(RELAYS[program][0]):
        pytest.skip(f"{program} is not installed")
    with relay(wire, program), udhcpc(wire, "-R", *flags, where=wire.far) as client:
        wire.wait_until(lambda: "192.168.77.50" in wire.addresses(wire.far))
        ip("-n", wire.far, "route", "add", "default", "via", RELAY_FAR)
        renew(wire, client)
        client.send_signal(signal.SIGUSR2)
        wire.wait_for("dhcp.release")
    (row,) = rows_of(wire.store, FAR_NET, Binding)
    assert row.client_id == FREE_ID


@needs("perfdhcp", "kea-admin")
def test_perfdhcp_finds_no_packet_lost(wire: Wire) -> None:
    rows = [Binding(ipv4_int(f"192.168.76.{n}"), FREE_ID, 0, ipv4_int(SERVER), 0, 0, "", "") for n in range(60, 160)]
    wire.store.commit([Change(NET, None, row) for row in rows])
    ip("-n", wire.client, "address", "add", f"{RELAY}/24", "dev", "eth0")
    said = wire.run(
        "perfdhcp", "-4", "-l", "eth0", "-r", "50", "-n", "100", "-R", "50", "-W", "500000", SERVER, check=False
    )
    received = re.findall(r"received packets: (\d+)", said)
    assert received == ["100", "100"], said
    held = [row for row in rows_of(wire.store, NET, Binding) if row.client_id != FREE_ID]
    assert len(held) == 50
    assert wire.kinds().count("dhcp.ack") == 100
