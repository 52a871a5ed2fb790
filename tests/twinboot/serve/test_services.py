"""All services together: a whole boot, one that crashes, the end, and root, which is gone from each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dnslib import DNSRecord

from tests.processes import has_ended, wait_for
from tests.twinboot.conftest import LOOPBACK, Site, wait_until_ready
from tests.twinboot.serve.conftest import DEADLINE_S, boot_through, events, http_get, tftp_get

pytestmark = pytest.mark.system  # real servers in processes of their own


def test_a_whole_boot_through_real_services(loopback_site: Site) -> None:
    site = loopback_site
    with site.serving() as server:
        assert wait_until_ready(server) == (
            f"twinboot: ready (dhcp {site.dhcp_port}, tftp {site.tftp_port}, "
            f"http {site.http_port}; share {site.share})\n"
        )
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


def test_names_are_answered_beside_the_rest(site: Site) -> None:
    site.init(**LOOPBACK, domain="example.com")
    with site.serving() as server:
        assert f", dns {site.dns_port}; share" in wait_until_ready(server)
        assert dns_address(site.dns_port, "s1.example.com") == "127.0.0.1"
        assert dns_address(site.dns_port, "hv1.example.com") == ""
        site.add_host()
        path = site.share / "hosts" / "hv1.toml"
        path.write_text(path.read_text() + 'address = "10.77.0.50"\n')
        wait_for(lambda: dns_address(site.dns_port, "hv1.example.com") == "10.77.0.50")
        assert json.loads(site.run("status", "--json").stdout)["services"]["dns"]["state"] == "up"
        server.send_signal(signal.SIGTERM)
        assert server.wait(15) == 0


def test_a_crashed_service_comes_back_and_the_others_go_on(loopback_site: Site) -> None:
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


def test_children_end_with_a_supervisor_that_is_killed(loopback_site: Site) -> None:
    site = loopback_site
    with site.serving() as server:
        wait_until_ready(server)
        started = wait_for(lambda: found if len(found := events(site, kind="service.started")) == 5 else [])
        server.kill()
        wait_for(lambda: all(has_ended(one["pid"]) for one in started))


def test_one_service_alone_tells_systemd_when_it_is_ready(loopback_site: Site, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(DEADLINE_S)
        with loopback_site.serving("tftp", NOTIFY_SOCKET=str(tmp_path / "notify")) as server:
            assert notified.recv(100) == b"READY=1"
            assert wait_until_ready(server).startswith(f"twinboot: ready (tftp {loopback_site.tftp_port};")
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
def test_root_is_gone_from_every_service_and_a_boot_still_works(site: Site, open_directory: Path) -> None:
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
