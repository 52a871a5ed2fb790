"""What keeps it from serving is told at once, a line for each fault."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.twinboot.conftest import LOOPBACK, Site
from tests.twinboot.serve.conftest import DEADLINE_S

pytestmark = pytest.mark.system  # real servers in processes of their own


def test_a_name_server_in_the_way_is_one_clear_line(site: Site) -> None:
    site.init(**LOOPBACK, domain="example.com")
    with socket.create_server(("127.0.0.1", site.dns_port)):
        lines = site.fails("serve", "dns")
    assert len(lines) == 1
    assert lines[0].startswith(f"dns: cannot listen on port 127.0.0.1:{site.dns_port}: in use by another name server")
    assert "names.enable = false" in lines[0]


def test_ports_in_use_are_all_told_at_once(loopback_site: Site) -> None:
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
def test_what_keeps_it_from_serving_is_one_line(loopback_site: Site, old: str, new: str, words: str) -> None:
    text = loopback_site.dhcpsvc.read_text()
    loopback_site.dhcpsvc.write_text(text.replace(old, new))
    lines = loopback_site.fails("serve")
    assert len(lines) == 1
    assert words in lines[0]
    assert str(loopback_site.dhcpsvc) in lines[0]


def test_an_unwritable_state_directory_and_an_unknown_account(loopback_site: Site) -> None:
    text = loopback_site.config.read_text()
    loopback_site.config.write_text(text.replace(f'state = "{loopback_site.state}"', 'state = "/proc/none"'))
    assert "server.state: /proc/none" in loopback_site.fails("serve")[0]
    if os.geteuid() == 0:
        loopback_site.config.write_text(text.replace('user = "root"', 'user = "nobody-at-all"'))
        assert "no account 'nobody-at-all'" in loopback_site.fails("serve")[0]


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv of util-linux")
@pytest.mark.skipif(
    int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 67,
    reason="every port is free to bind here",
)
def test_without_permission_every_port_says_what_to_do(loopback_site: Site) -> None:
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
