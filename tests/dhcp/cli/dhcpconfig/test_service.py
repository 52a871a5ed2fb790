"""-S: the state by lines and exit code, and starting and stopping what really runs."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dhcp.cli import service
from dhcp.cli.common import CommandError
from dhcp.cli.service import Daemon
from tests.dhcp.cli.dhcpconfig.conftest import Server

FIND, UNIT = service.find, service.unit
SERVER = """
import signal, socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
signal.signal(signal.SIGHUP, lambda *_: print("reloaded", flush=True))
print(sock.getsockname()[1], flush=True)
while True:
    time.sleep(60)
"""
SUPERVISOR = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1], "/opt/twinboot/bin/twinboot", "serve", "dhcp"])
"""


@contextmanager
def running(*argv: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with subprocess.Popen([sys.executable, "-c", *argv], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


SERVING = (SERVER, "/opt/twinboot/bin/twinboot", "serve", "dhcp")


@pytest.mark.parametrize(
    ("enabled", "daemon", "lines", "code"),
    [
        ("FALSE", None, "DHCP server disabled.\nDHCP server stopped.\n", 0),
        ("TRUE", None, "DHCP server enabled.\nDHCP server stopped.\n", 1),
        ("false", Daemon(1, False), "DHCP server disabled.\nDHCP server running.\n", 2),
        ("TRUE", Daemon(0, False), "DHCP server enabled.\nDHCP server running.\n", 3),
        (None, None, "DHCP server enabled.\nDHCP server stopped.\n", 1),
    ],
)
def test_the_state_is_told_by_lines_and_exit_code(
    server: Server, enabled: str | None, daemon, lines: str, code: int
) -> None:
    said = f"DAEMON_ENABLED={enabled}\n" if enabled else ""
    server.configure(f"{said}RESOURCE=SUNWfiles\nPATH=@/dhcp\nCONVER=1\n")
    server.daemon = daemon
    assert (server("-S -q"), server.out, server.err) == (code, lines, "")
    assert server("-S -q --json") == code
    assert json.loads(server.out) == {"enabled": code in (1, 3), "running": code >= 2}


def test_without_a_configuration_the_code_is_none_of_the_states(server: Server) -> None:
    assert server("-S -q") == 255


def test_enabling_and_disabling_is_written_down(server: Server) -> None:
    server.configure()
    assert server.ok("-S -d") == "DHCP server disabled.\nDHCP server not running.\n"
    assert server.conf.read_text().startswith("DAEMON_ENABLED=FALSE\n")
    assert server.ok("-S -e") == "DHCP server enabled.\n`twinboot serve` starts it.\n"
    assert server.conf.read_text().startswith("DAEMON_ENABLED=TRUE\n")


@pytest.mark.parametrize(
    ("unit", "letter", "word"),
    [
        ("twinboot@dhcp.service", "e", "start"),
        ("twinboot@dhcp.service", "d", "stop"),
        ("twinboot@dhcp.service", "r", "restart"),
        ("twinboot.service", "e", "restart"),
        ("twinboot.service", "d", "restart"),
    ],
)
def test_systemd_starts_and_stops_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str, letter: str, word: str
) -> None:
    server.configure()
    server.unit = unit
    server.daemon = None if letter == "e" else Daemon(4711, supervised=False)
    fake = tmp_path / "systemctl"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    server.ok(f"-S -{letter}")
    assert (tmp_path / "told").read_text() == f"{word} {unit}\n"
    fake.write_text("#!/bin/sh\necho 'Job failed.' >&2\nexit 1\n")
    assert server(f"-S -{letter}") == 255
    assert f"dhcpconfig: systemctl {word} {unit} failed: Job failed.: see `systemctl status {unit}`\n" == server.err


def test_a_systemd_that_does_not_answer_is_told_of(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.configure()
    server.unit = "twinboot@dhcp.service"
    fake = tmp_path / "systemctl"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(service, "SYSTEMCTL_S", 0.1)
    assert server("-S -e") == 255
    assert server.err.startswith("dhcpconfig: systemctl start twinboot@dhcp.service did not end in 0.1 s")


def test_the_unit_is_the_one_that_is_active_or_enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert UNIT() is None
    fake = tmp_path / "systemctl"
    fake.write_text('#!/bin/sh\ntest "$*" = "is-enabled twinboot.service"\n')
    fake.chmod(0o755)
    assert UNIT() == "twinboot.service"


@pytest.mark.parametrize("line", ["-S", "-S -e -d", "-S -e --json", "-S -x"])
def test_one_thing_is_asked_at_a_time(server: Server, line: str) -> None:
    server.configure()
    assert server(line) == 255
    assert "\n\ndhcpconfig [--config-file" in server.err


# -- with real processes


def test_a_service_is_found_told_and_stopped(server: Server) -> None:
    with running(*SERVING) as (process, port):
        assert FIND(port) == Daemon(process.pid, supervised=False)
        server.monkeypatch.setattr(service, "find", lambda _: FIND(port))
        service.reload(port)
        assert process.stdout is not None
        assert process.stdout.readline() == "reloaded\n"
        server.configure()
        assert server.ok("-S -d") == "DHCP server disabled.\nDHCP server shutdown.\n"
        assert process.wait(10) == -15
        assert FIND(port) is None


def test_a_service_under_a_supervisor_is_not_stopped_but_told_of() -> None:
    with running(SUPERVISOR, SERVER, "twinboot", "serve") as (process, port):
        found = FIND(port)
        assert found is not None
        try:
            assert found.supervised
            assert found.pid != process.pid
        finally:
            os.kill(found.pid, 15)


def test_another_program_on_the_port_is_not_ours() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        assert FIND(sock.getsockname()[1]) is None


def test_a_free_port_has_no_service() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    assert FIND(port) is None


def test_what_is_another_user_s_runs_but_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(*SERVING) as (_, port):
        monkeypatch.setattr(service, "_links", lambda pid: iter(()))
        found = FIND(port)
        assert found == Daemon(service.UNKNOWN_PID, supervised=False)
        with pytest.raises(CommandError, match="another user's process: repeat the command as root"):
            service.reload(port)


@pytest.mark.parametrize(
    ("text", "port"), [("", 67), ("DEBUG_PORT_OFFSET=10000\n", 10067), ("DEBUG_PORT_OFFSET=x\n", 67)]
)
def test_the_port_follows_the_configuration(text: str, port: int) -> None:
    assert service.port(text) == port
