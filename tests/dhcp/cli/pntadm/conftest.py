"""A shell for pntadm on a network of its own, and one time zone for the dates."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.records import Binding, ipv4_int
from tests.dhcp.cli.conftest import Shell

NET = "10.0.0.0"
HEADER = "Client ID\tFlags\tClient IP\tServer IP\tLease Expiration         \tMacro   \tComment\n\n"


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Dates are local: let every test have one zone, and not that of the machine."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def net(shell: Shell, conf: Path) -> Shell:
    """Return a shell with the network 10.0.0.0, and OWNER_IP such that 127.0.0.1 is "this host"."""
    conf.write_text(conf.read_text() + "OWNER_IP=240.0.0.1,127.0.0.1\n")
    shell.ok(f"pntadm -C {NET}")
    return shell


def binding(shell: Shell, address: str, table: str = NET) -> Binding:
    row = shell.rows(table)[ipv4_int(address)]
    assert isinstance(row, Binding)
    return row
