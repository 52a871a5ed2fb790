"""Sun's commands called as a shell would call them, on a datastore in memory and on files."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from dhcp.cli import dhtadm, hostsfile, pntadm
from dhcp.cli.common import CONF_VARIABLE, Session
from storage.records import MemoryRecords, Records, Row, SunwFiles

MAINS: dict[str, Callable[[Sequence[str], Session], int]] = {"dhtadm": dhtadm.main, "pntadm": pntadm.main}


@dataclass
class Shell:
    """Types command lines; `out` and `err` are what the last one printed."""

    records: Records
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def __call__(self, line: str) -> int:
        program, *words = shlex.split(line)
        self.capsys.readouterr()
        code = MAINS[program](words, Session(lambda resource, path: self.records))
        self.out, self.err = self.capsys.readouterr()
        return int(code)

    def ok(self, line: str) -> str:
        """Run a command that must succeed without a word on stderr; return what it printed."""
        assert (self(line), self.err) == (0, "")
        return self.out

    def refused(self, line: str) -> tuple[int, str]:
        """Run a command that must fail in one line; return its exit code and that line."""
        code = self(line)
        first, _, rest = self.err.partition("\n")
        assert not rest.startswith(line.split(maxsplit=1)[0]), f"more than one line: {self.err}"
        assert self.out == ""
        return code, first

    def rows(self, table: str) -> dict[object, Row]:
        return {row.key: row for row in self.records.read(table).rows}


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a dhcpsvc.conf that the commands find by themselves."""
    store = tmp_path / "dhcp"
    store.mkdir()
    file = tmp_path / "dhcpsvc.conf"
    file.write_text(f"DAEMON_ENABLED=TRUE\nRESOURCE=SUNWfiles\nRUN_MODE=server\nPATH={store}\nCONVER=1\n")
    monkeypatch.setenv(CONF_VARIABLE, str(file))
    monkeypatch.setattr(hostsfile, "HOSTS_FILE", tmp_path / "hosts")
    return file


@pytest.fixture(params=["memory", "SUNWfiles"])
def shell(request: pytest.FixtureRequest, conf: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a shell whose commands work on an empty datastore."""
    records: Records = MemoryRecords() if request.param == "memory" else SunwFiles(conf.parent / "dhcp")
    return Shell(records, capsys)
