"""What the `domu-` programs load before they know what they are asked: it is most of the time of a short command."""

import subprocess
import sys

import pytest

UNUSED = {
    *("rich", "jinja2", "httpx", "aiohttp", "sqlite_utils", "psycopg", "dnslib", "scapy", "pyroute2"),
    *("storage.volumes.local", "storage.volumes.zfs", "storage.volumes.zfssa", "storage.records.twinlog"),
    *("guests.libvirt", "guests.xl", "guests.render", "guests.memory"),
    *("jumpstart.language", "jumpstart.targets.nevada", "jumpstart.targets.debian"),
    *("dhcp.macros", "dhcp.engine", "dhcp.sockets", "pxe.catalog"),
}
"""Loaded by who needs it, or by no command of these."""


@pytest.mark.parametrize("name", ["domu_guests", "domu_look"])
def test_a_program_loads_no_part_that_it_may_not_need(name: str) -> None:
    code = f"import sys, twinboot.commands.{name}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert f"twinboot.commands.{name}" in loaded
    assert sorted(UNUSED & set(loaded)) == []
