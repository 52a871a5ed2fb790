"""A shell for dhtadm whose dhcptab is there."""

import pytest

from storage.records import TabEntry
from tests.dhcp.cli.conftest import Shell


@pytest.fixture
def tab(shell: Shell) -> Shell:
    shell.ok("dhtadm -C")
    return shell


def value(shell: Shell, name: str, kind: str = "m") -> str:
    row = shell.rows("dhcptab")[(name, kind)]
    assert isinstance(row, TabEntry)
    return row.value
