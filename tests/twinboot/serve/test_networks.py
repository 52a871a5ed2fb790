"""Relays and networks, as the service of DHCP finds them at its start or while it runs."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from tests.processes import wait_for
from tests.twinboot.conftest import Site, wait_until_ready
from tests.twinboot.serve.conftest import dhcp_offer

pytestmark = pytest.mark.system  # real servers in processes of their own


def test_a_relay_runs_without_a_share(loopback_site: Site) -> None:
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
        assert f"ready (dhcp relay {loopback_site.dhcp_port};" in wait_until_ready(process)
    assert process.returncode == 0


def test_names_and_bindings_of_a_relay_are_on_its_servers(loopback_site: Site) -> None:
    loopback_site.dhcpsvc.write_text("RUN_MODE=relay\nRELAY_DESTINATIONS=192.0.2.1\n")
    (line,) = loopback_site.fails("lease", "list")
    assert "RUN_MODE=relay" in line


@pytest.mark.parametrize("is_live", [False, True], ids=["before the start", "while it runs"])
def test_a_network_made_by_sun_s_commands_is_served(loopback_site: Site, is_live: bool) -> None:
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


def offered(site: Site) -> bytes:
    """The address offered; none if the service has not come to its SIGHUP yet."""
    try:
        return dhcp_offer(site, wait_s=1)[16:20]
    except TimeoutError:
        return b""


def make_network(site: Site) -> None:
    for line in (
        "dhtadm -D -m 127.0.0.0",
        "dhcpconfig -N 127.0.0.0 -m 255.255.0.0",
        "pntadm -A 127.0.0.70 -m s1 -s 127.0.0.1 127.0.0.0",
    ):
        program, *words = line.split()
        command = [sys.executable, "-c", f"import sys; from dhcp.cli.{program} import main; sys.exit(main())"]
        subprocess.run([*command, *words, "--config-file", str(site.dhcpsvc)], check=True, capture_output=True)
