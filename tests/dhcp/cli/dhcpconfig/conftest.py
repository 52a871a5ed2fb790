"""dhcpconfig called as a shell would call it, on real files, on a machine that the test describes."""

import io
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from dhcp.cli import config_machine, config_remove, config_setup, dhcpconfig, service
from dhcp.cli.common import CONF_VARIABLE
from dhcp.cli.config_machine import Machine
from storage.records import Row, SunwFiles, TabEntry, ipv4_int
from tests.rows import rows_of

NET = "192.168.76.0"


@dataclass
class Server:
    """One server: its machine, its dhcpsvc.conf and datastore, and what the last command printed."""

    root: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    machine: Machine
    daemon: service.Daemon | None = None
    unit: str | None = None
    out: str = ""
    err: str = ""

    @property
    def conf(self) -> Path:
        return self.root / "etc" / "dhcpsvc.conf"

    @property
    def store(self) -> Path:
        return self.root / "dhcp"

    def __call__(self, line: str, answer: str = "") -> int:
        """Type what follows `dhcpconfig`; @ stands for the test's directory."""
        self.capsys.readouterr()
        self.monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        code = dhcpconfig.main(shlex.split(line.replace("@", str(self.root))))
        out, err = self.capsys.readouterr()
        self.out, self.err = (text.replace(str(self.root), "@") for text in (out, err))
        return int(code)

    def ok(self, line: str, answer: str = "") -> str:
        assert (self(line, answer), self.err) == (0, "")
        return self.out

    def refused(self, line: str, answer: str = "") -> str:
        """Return the one line of a command that must fail and write nothing."""
        before = self.files()
        assert self(line, answer) == 255, self.out + self.err
        assert self.err.startswith("dhcpconfig: ")
        assert self.err.count("\n") == 1, self.err
        assert self.files() == before
        return self.err.removeprefix("dhcpconfig: ").rstrip("\n")

    def configure(self, conf: str = "") -> None:
        assert self("-D -r SUNWfiles -p @/dhcp") == 0
        if conf:
            self.conf.write_text(conf.replace("@", str(self.root)))

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.root.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
        return {str(path): path.read_bytes() for path in found}

    def rows(self, table: str = "dhcptab") -> dict[object, Row]:
        return {row.key: row for row in SunwFiles(self.store).read(table).rows}

    def macros(self) -> dict[str, str]:
        return {row.name: row.value for row in rows_of(SunwFiles(self.store), "dhcptab", TabEntry) if row.kind == "m"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Server:
    """Return a server that is not configured yet, in Boston, with one address and no systemd."""
    machine = Machine("install-odd", ipv4_int("192.168.78.14"), -18000, "", ())
    made = Server(tmp_path, capsys, monkeypatch, machine)
    monkeypatch.setenv(CONF_VARIABLE, str(made.conf))
    monkeypatch.setattr(config_machine, "ACCOUNTS", ())  # the test's directory is closed to others
    monkeypatch.setattr(config_machine, "NETMASKS", tmp_path / "no-netmasks")
    monkeypatch.setattr(config_setup, "is_left_to_root", lambda path: False)
    for module in (config_setup, config_remove):
        monkeypatch.setattr(module, "look", lambda: made.machine)
    monkeypatch.setattr(service, "find", lambda port: made.daemon)
    monkeypatch.setattr(service, "unit", lambda: made.unit)
    return made
