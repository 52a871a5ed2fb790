"""Two servers of one site, as each sees the other through the share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from storage.records import Records
from tests.twinboot.conftest import Site, keep_events
from twinboot import config as configuration
from twinboot import peershare, stores
from twinboot.peerlook import Look
from twinboot.services.peers import Beat, Teller

NETWORK = "10.77.0.0"
MAC = "00:14:4f:00:00:01"
FIRMWARE = "PXEClient:Arch:00000:UNDI:002001"
BEGUN: tuple[dict[str, Any], ...] = (
    {"at": 100.0, "kind": "dhcp.offer", "mac": MAC, "address": "10.77.0.5", "class_id": FIRMWARE},
    {"at": 100.1, "kind": "dhcp.ack", "mac": MAC, "address": "10.77.0.5", "class_id": FIRMWARE},
)
"""What a journal has of a boot so far."""


class Server:
    """One server, its beat, and what its journal was told."""

    def __init__(self, path: Path) -> None:
        self.config = configuration.load(path)
        self.told: list[tuple[str, str]] = []
        self.beat = Beat(peershare.files_of(self.config), Look(self.config), self._emit)

    def _emit(self, kind: str, **fields: object) -> None:
        assert kind == "config.fault"
        self.told.append((str(fields["state"]), str(fields["reason"])))

    @property
    def records(self) -> Records:
        return stores.dhcp_records(self.config)

    @property
    def file(self) -> Path:
        return self.config.share / "state" / "servers" / f"{self.config.server}.json"

    def edit(self, old: str, new: str) -> None:
        text = self.config.dhcpsvc.read_text()
        assert old in text
        self.config.dhcpsvc.write_text(text.replace(old, new))


def shift(path: Path, by_s: float) -> None:
    """Let the share say that a file was written earlier or later."""
    status = path.stat()
    os.utime(path, (status.st_atime, status.st_mtime + by_s))


@pytest.fixture
def pair(site: Site) -> tuple[Server, Server]:
    """`s1` is the site's; `s2` joins its share, as a second host would."""
    site.init()
    etc = site.root / "etc2"
    changed = {"name": "s2", "address": "10.77.0.2", "state": str(site.root / "state2")}
    changed |= {"config": str(etc / "twinboot.toml"), "dhcpsvc": str(etc / "dhcpsvc.conf")}
    site.ok(*site.init_args(**changed))
    first, second = Server(site.config), Server(etc / "twinboot.toml")
    for server in (first, second):  # both have only loopback to serve on
        server.edit("OWNER_IP=10.77.0.", "OWNER_IP=10.77.0.1,10.77.0.2\n#")
    first.beat.once()
    second.beat.once()
    first.beat.once()
    return first, second


def keep(server: Server, *events: dict) -> None:
    keep_events(server.config.journal_path, *events)


def tell(server: Server) -> Teller:
    teller = Teller(peershare.files_of(server.config), server.config, "life")
    teller.once()
    return teller
