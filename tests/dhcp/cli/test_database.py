"""Sun's commands on a real database, opened as -r and -p say."""

import shlex

import pytest

from dhcp.cli import dhtadm, pntadm
from dhcp.cli.common import Session

COMMANDS = """
dhtadm -C
dhtadm -A -m Locale -d :UTCoffst=3600:
pntadm -C 192.168.76.0
pntadm -A 192.168.76.10 -m Locale -s 192.168.76.1 -c 'a|b' 192.168.76.0
pntadm -M 192.168.76.10 -f MANUAL -i 010108AABBCC 192.168.76.0
"""


@pytest.fixture
def typed(database, conf, capsys):
    def run(line: str) -> tuple[int, str]:
        program, *words = shlex.split(line)
        main = {"dhtadm": dhtadm.main, "pntadm": pntadm.main}[program]
        code = main([*words, "-r", "postgresql", "-p", database], Session())
        out, err = capsys.readouterr()
        return int(code), out + err

    return run


def test_tables_are_made_filled_listed_and_removed(typed) -> None:
    for line in COMMANDS.strip().splitlines():
        assert typed(line) == (0, "")
    assert typed("pntadm -L") == (0, "192.168.76.0\n")
    assert "Locale              \tMacro   \t:UTCoffst=3600:" in typed("dhtadm -P")[1]
    code, listing = typed("pntadm -P 192.168.76.0")
    assert code == 0
    assert listing.splitlines()[-1].split("\t")[:3] == ["010108AABBCC", "02  ", "192.168.76.10"]
    assert typed("pntadm -A 192.168.76.10 192.168.76.0")[0] == 1
    assert typed("pntadm -D 192.168.76.10 192.168.76.0") == (0, "")
    assert typed("pntadm -R 192.168.76.0") == (0, "")
    assert typed("pntadm -P 192.168.76.0")[0] == 2
    assert typed("dhtadm -R") == (0, "")
