"""Sun's commands called as a shell would call them, on a datastore in memory and on files."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def rows(self, table: str) -> dict[Any, Row]:
        return {row.key: row for row in self.records.read(table).rows}


def argv_of(program: str) -> list[str]:
    """How to start one of the commands as a process of its own."""
    return [sys.executable, "-c", f"from dhcp.cli.{program} import main; raise SystemExit(main())"]


def run_batches_at_once(program: str, texts: Iterable[str]) -> None:
    """Give each text to a process of its own, all at the same time; every one has to succeed."""
    writers = []
    for text in texts:
        writer = subprocess.Popen([*argv_of(program), "-B"], stdin=subprocess.PIPE, text=True)
        assert writer.stdin is not None
        writer.stdin.write(text)
        writer.stdin.close()
        writers.append(writer)
    assert {writer.wait(30) for writer in writers} == {0}


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
