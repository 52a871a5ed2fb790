from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dnslib import DNSRecord
from scapy.all import BOOTP, DHCP

from tests.twinboot.conftest import wait_until_ready
from twinboot.journal import JournalError, Query, open_reader, read

pytestmark = pytest.mark.system  # real servers in processes of their own
LOOPBACK = {"subnet": "127.0.0.0/8", "address": "127.0.0.1", "range": "127.0.0.50-127.0.0.59"}
MAC = "00:14:4f:00:00:01"
DEADLINE_S = 30.0


def wait_for(what, deadline_s: float = DEADLINE_S):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def events(site, **query: Any) -> list[dict]:
    try:
        return read(open_reader(site.state / "journal.db"), Query(**query))
    except JournalError:
        return []


def tftp_get(port: int, name: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"\0\1" + name.encode() + b"\0octet\0", ("127.0.0.1", port))
        got = b""
        while True:
            data, peer = client.recvfrom(2048)
            if data[:2] != b"\0\3":
                return data
            client.sendto(b"\0\4" + data[2:4], peer)
            got += data[4:]
            if len(data) < 516:
                return got


def dhcp_offer(site, wait_s: float = 10) -> bytes:
    """What the server answers a relayed DISCOVER of a BIOS boot ROM."""
    discover = BOOTP(op=1, chaddr=bytes.fromhex(MAC.replace(":", "")), xid=7, giaddr="127.0.0.1") / DHCP(
        options=[("message-type", "discover"), ("vendor_class_id", b"PXEClient:Arch:00000:UNDI:002001"), "end"]
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        relay.bind(("127.0.0.9", site.dhcp_port))
        relay.settimeout(wait_s)
        packet = bytes(discover).replace(socket.inet_aton("127.0.0.1"), socket.inet_aton("127.0.0.9"), 1)
        relay.sendto(packet, ("127.0.0.1", site.dhcp_port))
        return relay.recv(2048)


def http_get(site, path: str, data: bytes | None = None) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.http_port}{path}", data=data, timeout=10) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        pytest.fail(f"{path}: {error}: {error.read()!r}; {events(site)[-3:]}")


def boot_through(site) -> None:
    """Everything a machine does, from DISCOVER to report."""
    for name in ("xen", "vmlinuz", "initrd.gz"):
        path = site.share / "boot" / "live-xen" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    site.add_host()
    site.ok("install", "hv1")
    offer = dhcp_offer(site)
    assert b"grub/i386-pc/core.0" in offer
    assert struct.unpack_from("!B", offer)[0] == 2
    menu = tftp_get(site.tftp_port, "grub/grub.cfg-01-00-14-4f-00-00-01").decode()
    found = re.search(r"install/([0-9a-f]{32})", menu)
    assert found, (menu, events(site)[-3:])
    token = found[1]
    assert http_get(site, f"/boot/install/{token}/xen") == b"xen"
    assert b"installed" in http_get(site, f"/report/{token}", b"outcome=installed\nmemory_mib=512\n")


def test_a_whole_boot_through_real_services(loopback_site) -> None:
    site = loopback_site
    with site.serving() as server:
        said = server.stdout.readline()
        assert said == (
            f"twinboot: ready (dhcp {site.dhcp_port}, tftp {site.tftp_port}, "
            f"http {site.http_port}; share {site.share})\n"
        ), server.stderr.read()
        boot_through(site)
        wait_for(lambda: events(site, kind="report"))
        assert {row["detail"] for row in events(site, kind="service.ready")} >= {"journal"}
        assert "faults" in site.run("status", "--json").stdout
        assert site.run("status").exit_code == 0
        assert "verdict: it booted and reported home: memory_mib=512" in site.ok("explain", "hv1")
        server.send_signal(signal.SIGTERM)
        assert server.wait(15) == 0
    assert len(events(site, kind="service.stopped")) >= 3


def dns_address(port: int, name: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(DNSRecord.question(name).pack(), ("127.0.0.1", port))
        return ",".join(str(one.rdata) for one in DNSRecord.parse(client.recv(2048)).rr)


def test_names_are_answered_beside_the_rest(site) -> None:
    site.init(**LOOPBACK, domain="example.com")
    with site.serving() as server:
        assert f", dns {site.dns_port}; share" in server.stdout.readline(), server.stderr.read()
        assert dns_address(site.dns_port, "s1.example.com") == "127.0.0.1"
        assert dns_address(site.dns_port, "hv1.example.com") == ""
        site.add_host()
        path = site.share / "hosts" / "hv1.toml"
        path.write_text(path.read_text() + 'address = "10.77.0.50"\n')
        wait_for(lambda: dns_address(site.dns_port, "hv1.example.com") == "10.77.0.50")
        assert json.loads(site.run("status", "--json").stdout)["services"]["dns"]["state"] == "up"
        server.send_signal(signal.SIGTERM)
        assert server.wait(15) == 0


def test_a_name_server_in_the_way_is_one_clear_line(site) -> None:
    site.init(**LOOPBACK, domain="example.com")
    with socket.create_server(("127.0.0.1", site.dns_port)):
        lines = site.fails("serve", "dns")
    assert len(lines) == 1
    assert lines[0].startswith(f"dns: cannot listen on port 127.0.0.1:{site.dns_port}: in use by another name server")
    assert "names.enable = false" in lines[0]


def test_a_crashed_service_comes_back_and_the_others_go_on(loopback_site) -> None:
    site = loopback_site
    with site.serving() as server:
        wait_until_ready(server)
        first = wait_for(lambda: [one for one in events(site, kind="service.started") if one["detail"] == "tftp"])[0]
        os.kill(first["pid"], signal.SIGKILL)
        crash = wait_for(lambda: events(site, kind="service.crashed"))[0]
        assert (crash["detail"], crash["reason"]) == ("tftp", "killed by SIGKILL")
        assert http_get(site, "/").startswith(b"twinboot")
        wait_for(lambda: len([one for one in events(site, kind="service.ready") if one["service"] == "tftp"]) == 2)
        assert tftp_get(site.tftp_port, "none")[:4] == b"\0\5\0\1"
        server.send_signal(signal.SIGHUP)
        assert server.poll() is None


def test_children_end_with_a_supervisor_that_is_killed(loopback_site) -> None:
    site = loopback_site
    with site.serving() as server:
        wait_until_ready(server)
        started = wait_for(lambda: len(found := events(site, kind="service.started")) == 5 and found)
        server.kill()
        wait_for(lambda: not any(_runs(one["pid"]) for one in started))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ports_in_use_are_all_told_at_once(loopback_site) -> None:
    site = loopback_site
    with socket.create_server(("127.0.0.1", site.http_port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", site.tftp_port))
        with site.serving() as server:
            _, errors = server.communicate(timeout=DEADLINE_S)
            lines = errors.splitlines()
            assert server.returncode == 1
            assert len(lines) == 2
            assert all(line.startswith("twinboot: ") for line in lines)
            assert str(site.tftp_port) in lines[0]
            assert str(site.http_port) in lines[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("INTERFACES=lo", "INTERFACES=eth99", "eth99"),
        ("RESOURCE=SUNWfiles", "RESOURCE=floppy", "RESOURCE"),
        ("RESCAN_INTERVAL=1", "RESCAN_INTERVAL=often", "RESCAN_INTERVAL"),
    ],
)
def test_what_keeps_it_from_serving_is_one_line(loopback_site, old: str, new: str, words: str) -> None:
    text = loopback_site.dhcpsvc.read_text()
    loopback_site.dhcpsvc.write_text(text.replace(old, new))
    lines = loopback_site.fails("serve")
    assert len(lines) == 1
    assert words in lines[0]
    assert str(loopback_site.dhcpsvc) in lines[0]


def test_an_unwritable_state_directory_and_an_unknown_account(loopback_site) -> None:
    text = loopback_site.config.read_text()
    loopback_site.config.write_text(text.replace(f'state = "{loopback_site.state}"', 'state = "/proc/none"'))
    assert "server.state: /proc/none" in loopback_site.fails("serve")[0]
    if os.geteuid() == 0:
        loopback_site.config.write_text(text.replace('user = "root"', 'user = "nobody-at-all"'))
        assert "no account 'nobody-at-all'" in loopback_site.fails("serve")[0]


def test_one_service_alone_tells_systemd_when_it_is_ready(loopback_site, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(DEADLINE_S)
        with loopback_site.serving("tftp", NOTIFY_SOCKET=str(tmp_path / "notify")) as server:
            assert notified.recv(100) == b"READY=1"
            assert server.stdout.readline().startswith(f"twinboot: ready (tftp {loopback_site.tftp_port};")
            server.send_signal(signal.SIGTERM)
            assert server.wait(10) == 0


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every account may enter."""
    path = Path(tempfile.mkdtemp(prefix="twinboot-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="drops root")
def test_root_is_gone_from_every_service_and_a_boot_still_works(site, open_directory: Path) -> None:
    site = type(site)(open_directory, "nobody")
    site.init(**LOOPBACK, domain="example.com")
    with site.serving() as server:
        wait_until_ready(server)
        for started in events(site, kind="service.started"):
            status = Path(f"/proc/{started['pid']}/status").read_text()
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert set(fields["Uid"].split()) == {"65534"}
            assert set(fields["Gid"].split()) == {"65534"}
            assert fields["NoNewPrivs"] == "1"
            assert int(fields["CapEff"], 16) == 0
        boot_through(site)
        wait_for(lambda: events(site, kind="report"))
    assert not [one for one in events(site) if "fault" in one["kind"] or one["kind"] == "service.crashed"]
    left = subprocess.run(
        ["find", str(site.share / "dhcp"), str(site.share / "state"), "-user", "root"], check=True, capture_output=True
    )
    assert left.stdout == b""


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv of util-linux")
@pytest.mark.skipif(
    int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 67,
    reason="every port is free to bind here",
)
def test_without_permission_every_port_says_what_to_do(loopback_site) -> None:
    site = loopback_site
    text = site.config.read_text()
    site.config.write_text(text.replace(f"= {site.tftp_port}\n", "= 69\n").replace(f"= {site.http_port}\n", "= 80\n"))
    site.dhcpsvc.write_text(site.dhcpsvc.read_text().replace("DEBUG_PORT_OFFSET", "#DEBUG_PORT_OFFSET"))
    serve = [sys.executable, "-m", "twinboot", "--config", str(site.config), "serve"]
    less = ["setpriv", "--bounding-set=-net_bind_service,-net_raw"] if os.geteuid() == 0 else []
    done = subprocess.run([*less, *serve], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert [line.split(":")[1].strip() for line in lines] == ["dhcp", "tftp", "http"]
    assert all("root" in line for line in lines)


def test_a_relay_runs_without_a_share(loopback_site) -> None:
    loopback_site.dhcpsvc.write_text(
        "RUN_MODE=relay\nRELAY_DESTINATIONS=127.0.0.1\nINTERFACES=lo\n"
        f"DEBUG_PORT_OFFSET={loopback_site.dhcp_port - 67}\n"
    )
    shutil.rmtree(loopback_site.share)
    with loopback_site.serving("dhcp") as process:
        _, said = process.communicate(timeout=30)
    assert said.startswith("twinboot: dhcp: RELAY_DESTINATIONS: 127.0.0.1: 127.0.0.1 is no server's address")
    assert said.count("\n") == 1
    text = loopback_site.dhcpsvc.read_text().replace("DESTINATIONS=127.0.0.1", "DESTINATIONS=192.0.2.1")
    loopback_site.dhcpsvc.write_text(text)
    with loopback_site.serving("dhcp") as process:
        assert f"ready (dhcp relay {loopback_site.dhcp_port};" in process.stdout.readline()
    assert process.returncode == 0


def test_names_and_bindings_of_a_relay_are_on_its_servers(loopback_site) -> None:
    loopback_site.dhcpsvc.write_text("RUN_MODE=relay\nRELAY_DESTINATIONS=192.0.2.1\n")
    (line,) = loopback_site.fails("lease", "list")
    assert "RUN_MODE=relay" in line


@pytest.mark.parametrize("is_live", [False, True], ids=["before the start", "while it runs"])
def test_a_network_made_by_sun_s_commands_is_served(loopback_site, is_live: bool) -> None:
    text = loopback_site.config.read_text()
    loopback_site.config.write_text(text.partition("[networks.")[0])
    (loopback_site.share / "dhcp" / "SUNWfiles1_127_0_0_0").unlink()
    if not is_live:
        make_network(loopback_site)
    with loopback_site.serving() as process:
        wait_until_ready(process)
        if is_live:
            make_network(loopback_site)
            process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: offered(loopback_site)) == socket.inet_aton("127.0.0.70")
        told = json.loads(loopback_site.run("status", "--json").stdout)
        assert told["networks"] == [
            {"name": "127.0.0.0", "subnet": "127.0.0.0/16", "free": 1, "used": 0}
            | {"reserved": 0, "expired": 0, "unusable": 0}
        ]


def offered(site) -> bytes:
    """The address offered; none if the service has not come to its SIGHUP yet."""
    try:
        return dhcp_offer(site, wait_s=1)[16:20]
    except TimeoutError:
        return b""


def make_network(site) -> None:
    for line in (
        "dhtadm -D -m 127.0.0.0",
        "dhcpconfig -N 127.0.0.0 -m 255.255.0.0",
        "pntadm -A 127.0.0.70 -m s1 -s 127.0.0.1 127.0.0.0",
    ):
        program, *words = line.split()
        command = [sys.executable, "-c", f"import sys; from dhcp.cli.{program} import main; sys.exit(main())"]
        subprocess.run([*command, *words, "--config-file", str(site.dhcpsvc)], check=True, capture_output=True)
