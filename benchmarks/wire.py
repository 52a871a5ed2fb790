"""The wire of the network benchmarks: two namespaces joined by a veth pair, made and removed by the run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click


def as_typed(text: str | None) -> str:
    """A module's docstring as the help of its command, in the lines that it has: click would fill them anew."""
    return "\b\n" + (text or "").strip().replace("\n\n", "\n\n\b\n")


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


@contextmanager
def two_namespaces(prefix: str, server_address: str, load_address: str) -> Iterator[tuple[str, str]]:
    """Server and load namespace, each with an eth0 on one /24; removed at the end."""
    server, load = f"{prefix}{os.getpid()}s", f"{prefix}{os.getpid()}c"
    try:
        for name in (server, load):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", server, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", load)
        for name, address in ((server, server_address), (load, load_address)):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
        yield server, load
    finally:
        for name in (server, load):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def check_tools() -> None:
    """Raise ClickException, one line, where a benchmark between namespaces cannot run."""
    if os.geteuid() != 0:
        raise click.ClickException("network namespaces need root: run it with sudo")
    for tool in ("gcc", "ip", "taskset", "apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise click.ClickException(f"{tool} is missing: apt-get install gcc iproute2 util-linux")


def unpack(package: str, debs: Path, root: Path) -> None:
    """Fetch a Debian package into `debs` unless it is there, and unpack it below `root`: nothing is installed."""
    debs.mkdir(parents=True, exist_ok=True)
    if not list(debs.glob(f"{package}_*.deb")):
        subprocess.run(["apt-get", "download", "-qq", package], cwd=debs, check=True, capture_output=True)
        (deb,) = debs.glob(f"{package}_*.deb")
        run("dpkg", "-x", str(deb), str(root))
