"""What is typed wrongly is told with the usage, which the documentation has as well."""

from pathlib import Path

import pytest

from dhcp.cli.dhcpconfig import USAGE
from tests.dhcp.cli.dhcpconfig.conftest import Server


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "give one of -D -R"),
        ("-Z", "give one of -D -R"),
        ("-D", "-D needs -r"),
        ("-D -r SUNWfiles", "-D needs -p"),
        ("-N", "option -N requires argument"),
        ("-U -q", "option -q not recognized"),
        ("-D -U -r a -p b", "option -U not recognized"),
        ("-N 10.0.0.0 -m 24 -m 25", "-m is given twice"),
        ("-U now", "-U takes no operands, not 1"),
        ("-D --json -r SUNWfiles -p /x", "--json does not go with -D"),
    ],
)
def test_wrong_usage_is_told_with_the_usage(server: Server, line: str, reason: str) -> None:
    assert server(line) == 255
    first, blank, usage, *_ = server.err.splitlines()
    assert reason in first
    assert (blank, usage) == ("", "dhcpconfig [--config-file dhcpsvc.conf] function")


def test_the_documentation_has_the_usage_as_it_is() -> None:
    text = (Path(__file__).parents[4] / "docs" / "sun-commands.md").read_text()
    section = text.partition("\n## dhcpconfig\n")[2].partition("\n## ")[0]
    for line in USAGE.splitlines()[:-2]:
        assert f"    {line}\n" in section or not line
