"""Real clients on a wire of their own lease, renew, rebind, reboot, release, decline and inform themselves.

ISC dhclient, busybox udhcpc, dhcpcd and systemd-networkd, each on a daemon that has dropped root. A client's broadcast
flag decides whether it is answered by broadcast or by a frame to its MAC.
"""

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.records import FREE_ID, MANUAL, UNUSABLE, Binding, Change, ipv4_int
from tests.system.conftest import CLIENT_ID, NET, SERVER, Wire, ip

pytestmark = pytest.mark.root

NETWORKD = Path("/lib/systemd/systemd-networkd")


def needs(program: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"{package} is not installed")


def dhclient(wire: Wire, *words: str) -> str:
    """Run dhclient; its script is a copy of our own, so that it touches nothing but the namespace's interface."""
    script = wire.shell(
        "script",
        'case "$reason" in\n'
        "PREINIT) ip link set dev $interface up ;;\n"
        "BOUND|REBOOT|RENEW|REBIND) ip address replace $new_ip_address/24 dev $interface ;;\n"
        "RELEASE|STOP|EXPIRE) ip address flush dev $interface ;;\n"
        "esac\n",
    )
    (wire.folder / "dhclient.conf").write_text("timeout 10;\n")
    files = [("-lf", "leases"), ("-pf", "pid"), ("-cf", "dhclient.conf")]
    flags = [word for flag, name in files for word in (flag, str(wire.folder / name))]
    return wire.run("dhclient", "-4", "-v", *flags, "-sf", script, *words, "eth0")


@needs("dhclient", "isc-dhcp-client")
def test_dhclient_leases_reboots_and_releases(wire: Wire) -> None:
    dhclient(wire, "-1")
    assert wire.binding().client_id == CLIENT_ID
    address = wire.addresses()
    assert "192.168.76.5" in address
    dhclient(wire, "-x")
    dhclient(wire, "-1")
    assert wire.addresses() == address
    states = wire.acks()
    assert (states[0], set(states[1:])) == ("selecting", {"init-reboot"})
    dhclient(wire, "-r")
    wire.wait_for("dhcp.release")
    assert wire.binding().client_id == FREE_ID
    assert wire.addresses() == ""


@contextlib.contextmanager
def udhcpc(wire: Wire, *words: str, where: str = "") -> Iterator[subprocess.Popen[bytes]]:
    script = wire.shell(
        "udhcpc.sh",
        'case "$1" in\n'
        "deconfig) ip address flush dev $interface; ip link set dev $interface up ;;\n"
        "bound|renew) ip address replace $ip/24 dev $interface ;;\n"
        "esac\n",
    )
    with wire.running("udhcpc", "-f", "-i", "eth0", "-s", script, *words, where=where) as client:
        yield client


def renew(wire: Wire, client: subprocess.Popen[bytes]) -> None:
    """Let udhcpc renew. It is bound a moment after its address is there, and begins anew if it is asked before."""
    for asked in range(1, 6):
        client.send_signal(signal.SIGUSR1)
        wire.wait_for("dhcp.ack", asked + 1)
        if "renewing" in wire.acks():
            return
    raise AssertionError(f"it never renewed: {wire.acks()}")


@needs("udhcpc", "udhcpc")
@pytest.mark.parametrize("flags", [[], ["-B"]], ids=["frame", "broadcast"])
def test_udhcpc_leases_renews_and_releases(wire: Wire, flags: list[str]) -> None:
    with udhcpc(wire, "-R", *flags) as client:
        wire.wait_for("dhcp.ack")
        assert wire.binding().client_id == CLIENT_ID
        wire.wait_until(lambda: "192.168.76.5" in wire.addresses())
        renew(wire, client)
    wire.wait_for("dhcp.release")
    assert wire.binding().client_id == FREE_ID


@needs("udhcpc", "udhcpc")
def test_a_reservation_by_mac_serves_whatever_client_id_is_sent(wire: Wire) -> None:
    fixed = Binding(ipv4_int("192.168.76.9"), CLIENT_ID, MANUAL, ipv4_int(SERVER), 0, 0, "", "")
    wire.store.commit([Change(NET, None, fixed)])
    with udhcpc(wire, "-x", "0x3d:ff00112233445566"):
        wire.wait_for("dhcp.ack")
    assert next(event for event in wire.told() if event["kind"] == "dhcp.ack")["address"] == "192.168.76.9"


@needs("udhcpc", "udhcpc")
def test_udhcpc_declines_an_address_that_it_finds_in_use(wire: Wire) -> None:
    ip("-n", wire.server, "address", "add", "192.168.76.50/32", "dev", "srv0")  # a machine that never asked
    with udhcpc(wire, "-a", "-A", "1", "-r", "192.168.76.50"):
        wire.wait_for("dhcp.decline")
        assert wire.flags("192.168.76.50") == UNUSABLE
        wire.wait_until(lambda: "192.168.76.51" in wire.addresses())


@needs("udhcpc", "udhcpc")
@pytest.mark.parametrize("wire", ["TRUE"], indirect=True)
def test_an_address_that_answers_a_ping_is_never_offered(wire: Wire) -> None:
    ip("-n", wire.client, "address", "add", "192.168.76.50/32", "dev", "lo")  # another machine's, on the same wire
    ip("-n", wire.client, "route", "add", f"{SERVER}/32", "dev", "eth0", "src", "192.168.76.50")
    with udhcpc(wire, "-r", "192.168.76.50"):
        wire.wait_for("dhcp.ack")
        wire.wait_until(lambda: "192.168.76.51" in wire.addresses())
    assert wire.flags("192.168.76.50") == UNUSABLE
    assert wire.kinds().index("dhcp.conflict") < wire.kinds().index("dhcp.offer")
    assert not [event for event in wire.told() if event["kind"] == "config.fault"]


DHCPCD = """
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/dhcpcd || exit 1
exec dhcpcd "$@"
"""


@contextlib.contextmanager
def dhcpcd(wire: Wire, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run dhcpcd with places of its own for its files, and no scripts."""
    (wire.folder / "dhcpcd.conf").write_text("nodev\nipv4only\nclientid\nnoarp\ntimeout 15\nscript /bin/true\n")
    conf = str(wire.folder / "dhcpcd.conf")
    flags = ["-B", "-d", "-4", "-f", conf]
    with wire.running(wire.shell("dhcpcd.sh", DHCPCD), *flags, *words, "eth0", stop=signal.SIGALRM) as client:
        yield client


@needs("dhcpcd", "dhcpcd-base")
def test_dhcpcd_leases_renews_rebinds_and_releases(wire: Wire) -> None:
    with dhcpcd(wire) as client:
        wire.wait_until(lambda: "192.168.76.5" in wire.addresses())
        assert wire.binding().client_id == CLIENT_ID
        client.send_signal(signal.SIGUSR1)
        wire.wait_for("dhcp.ack", 2)
        client.send_signal(signal.SIGHUP)
        wire.wait_for("dhcp.ack", 3)
    assert wire.acks()[:3] == ["selecting", "renewing", "renewing"]
    wire.wait_for("dhcp.release")
    assert wire.binding().client_id == FREE_ID


@needs("dhcpcd", "dhcpcd-base")
def test_dhcpcd_informs_itself(wire: Wire) -> None:
    ip("-n", wire.client, "address", "add", "192.168.76.77/24", "dev", "eth0")
    with dhcpcd(wire, "--inform", "192.168.76.77/24"):
        wire.wait_for("dhcp.inform")
    assert wire.binding().client_id == FREE_ID


NETWORKD_RUN = """
mount -t tmpfs tmpfs /run && mount -o remount,ro /sys || exit 77
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
printf '[Match]\\nName=eth0\\n[Network]\\nDHCP=ipv4\\nLinkLocalAddressing=no\\nIPv6AcceptRA=no\\n' \\
    > /run/systemd/network/eth0.network
printf '[DHCPv4]\\nClientIdentifier=mac\\n' >> /run/systemd/network/eth0.network
chown -R systemd-network: /run/systemd/netif
exec /lib/systemd/systemd-networkd
"""


@pytest.mark.skipif(not NETWORKD.exists(), reason="systemd (systemd-networkd) is not installed")
def test_systemd_networkd_leases_and_releases(wire: Wire) -> None:
    with wire.running(wire.shell("networkd.sh", NETWORKD_RUN)) as client:
        wire.wait_until(lambda: "192.168.76.5" in wire.addresses() or client.poll() is not None)
        if client.poll() is not None:
            pytest.skip(f"systemd-networkd does not run without systemd here: {wire.output()[-300:]}")
        assert wire.binding().client_id == CLIENT_ID
        assert wire.acks() == ["selecting"]
    wire.wait_for("dhcp.release")
