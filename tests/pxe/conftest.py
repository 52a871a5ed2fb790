"""A small share with two hosts, and a catalog on it, for the tests of this folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jumpstart.hosts import HostsCache
from jumpstart.targets import Net
from pxe.catalog import Catalog
from pxe.installs import TABLE
from pxe.settings import Settings
from pxe.tree import BootTree
from storage.records import MemoryRecords, Records

T0_S = 1_767_225_600  # 2026-01-01 00:00:00 UTC
HV1 = "grub/grub.cfg-01-00-14-4f-00-00-01"  # the menu of hv1
HOST = """
name = "{name}"
segment = "odd"
target = "live-xen"
dom0_mem = "{mem}"
[links.fe0]
mac = "{mac}"
"""
FILES = {
    "grub/i386-pc/core.0": b"bios core",
    "grub/x86_64-efi/core.efi": b"efi core",
    "live-xen/xen": b"xen" * 1000,
    "live-xen/vmlinuz": b"linux" * 1000,
    "live-xen/initrd.gz": b"initrd" * 1000,
}


class Event(NamedTuple):
    kind: str
    fields: dict[str, Any]


class Rig(NamedTuple):
    """One server on the share: its catalog and what it said."""

    share: Path
    records: Records
    catalog: Catalog
    events: list[Event]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "boot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "hosts").mkdir()
    for name, mac, mem in (("hv1", "00:14:4f:00:00:01", "512M"), ("hv2", "00:14:4f:00:00:02", "768M")):
        (tmp_path / "hosts" / f"{name}.toml").write_text(HOST.format(name=name, mac=mac, mem=mem))
    return tmp_path


@pytest.fixture
def records() -> MemoryRecords:
    store = MemoryRecords()
    store.create(TABLE)
    return store


@pytest.fixture
def make_rig(share: Path, records: MemoryRecords) -> Callable[..., Rig]:
    def make(
        store: Records = records,
        server: str = "10.0.0.1",
        transport: str = "http",
        port: int = 80,
        others: tuple[str, ...] = (),
        networks: tuple[Net, ...] = (),
    ) -> Rig:
        events: list[Event] = []
        catalog = Catalog(
            BootTree(share / "boot"),
            HostsCache(share / "hosts"),
            store,
            Settings(server, "odd", transport, port, others=others, networks=networks),
            lambda kind, **fields: events.append(Event(kind, fields)),
            clock=lambda: T0_S + 60.0,
        )
        return Rig(share, store, catalog, events)

    return make


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig()
