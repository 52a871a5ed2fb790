from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from twinboot.cli import cli
from twinboot.journal import Journal

MAC = "00:14:4f:00:00:01"


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keep_events(path: Path, *events: dict) -> None:
    """Put events into a journal."""
    path.parent.mkdir(exist_ok=True)
    journal = Journal(path)
    journal.store(list(events))
    journal.close()


def wait_until_ready(server: subprocess.Popen[str]) -> str:
    """The line that a server says as soon as it serves; fails with what it said instead."""
    assert server.stdout is not None
    assert server.stderr is not None
    said = server.stdout.readline()
    assert "ready" in said, said or server.stderr.read()
    return said


class Site:
    """A server set up by `twinboot init` on loopback, with unprivileged ports."""

    def __init__(self, root: Path, user: str = "") -> None:
        self.root = root
        self.config = root / "etc" / "twinboot.toml"
        self.dhcpsvc = root / "etc" / "dhcpsvc.conf"
        self.share = root / "share"
        self.state = root / "state"
        self.user = user or pwd.getpwuid(os.geteuid()).pw_name
        self.tftp_port = free_port(socket.SOCK_DGRAM)
        self.http_port = free_port(socket.SOCK_STREAM)
        self.dhcp_port = free_port(socket.SOCK_DGRAM)
        self.dns_port = free_port(socket.SOCK_STREAM)
        self.iscsi_port = free_port(socket.SOCK_STREAM)

    def run(self, *args: str, **kwargs: Any) -> Result:
        result = CliRunner().invoke(cli, ["--config", str(self.config), *args], **kwargs)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def ok(self, *args: str) -> str:
        result = self.run(*args)
        assert result.exit_code == 0, result.output
        return result.stdout

    def fails(self, *args: str) -> list[str]:
        result = self.run(*args)
        assert result.exit_code == 1, result.output
        lines = result.stderr.splitlines()
        assert lines
        assert all(line.startswith("twinboot: ") for line in lines), lines
        return [line.removeprefix("twinboot: ") for line in lines]

    def init_args(self, **changes: str) -> list[str]:
        given = {
            "interface": "lo",
            "subnet": "10.77.0.0/24",
            "address": "10.77.0.1",
            "range": "10.77.0.50-10.77.0.59",
            "share": str(self.share),
            "state": str(self.state),
            "config": str(self.config),
            "dhcpsvc": str(self.dhcpsvc),
            "name": "s1",
            "user": self.user,
        } | changes
        return ["init", "--yes", *(word for name, value in given.items() for word in (f"--{name}", value))]

    def init(self, **changes: str) -> str:
        said = self.ok(*self.init_args(**changes))
        text = self.config.read_text()
        ports = f"[server]\ntftp_port = {self.tftp_port}\nhttp_port = {self.http_port}\n"
        ports += f"dns_port = {self.dns_port}\n"
        self.config.write_text(text.replace("[server]\n", ports))
        with self.dhcpsvc.open("a") as file:
            file.write(f"DEBUG_PORT_OFFSET={self.dhcp_port - 67}\n")
        return said

    def add_host(self, *args: str) -> str:
        return self.ok("host", "add", "hv1", "--mac", f"fe0={MAC}", *args)

    @contextmanager
    def serving(self, *args: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "twinboot", "--config", str(self.config), "serve", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


LOOPBACK = {"subnet": "127.0.0.0/8", "address": "127.0.0.1", "range": "127.0.0.50-127.0.0.59"}


@pytest.fixture
def loopback_site(site: Site) -> Site:
    """A server that can really serve: its address is loopback's own."""
    site.init(**LOOPBACK)
    return site


@pytest.fixture
def ready_site(site: Site) -> Site:
    """A server on a made-up network, for commands that only touch files."""
    site.init()
    return site
