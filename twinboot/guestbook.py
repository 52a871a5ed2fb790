"""Guests as this site's configuration, host files and share say: the world that the `domu-*` commands act upon.

The volumes belong to whoever keeps them (docs/volumes.md), the records to the account of the services. So the commands
run as the owner of the volumes, usually root, and touch the records as the services' account, like any other command.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence

from guests.addresses import client_id
from guests.book import Book
from guests.hypervisor import Hypervisor, Place
from guests.site import Host, Net, Site
from guests.world import World
from jumpstart.model import Hypervisor as HostFile
from jumpstart.model import Link
from storage.records import Change, Delta, Records, Rescan, Result
from storage.records.port import Epoch, nothing
from twinboot import stores, volumestore
from twinboot.config import Config
from twinboot.privileges import acting_as, typist

__all__ = ["OPENERS", "opened", "site_of"]

OPENERS = {"libvirt": "guests.libvirt:open_libvirt", "xl": "guests.xl:open_xl", "memory": "guests.memory:open_memory"}
"""Way to drive domains -> what opens a `Place`; loaded when used. `memory` is for tests: no configuration names it."""

BACKEND_LINK = "be"


@contextlib.contextmanager
def opened(config: Config) -> Iterator[World]:
    """The world for one command. RecordsError, ConfError; Stop."""
    site = site_of(config)
    book = Book(_ByServices(stores.site_records(config), config.user), site)
    world = World(
        site,
        book,
        lambda: volumestore.open_volumes(config),
        lambda host: _hypervisor(config, host),
        lambda: volumestore.chap(config),
    )
    try:
        yield world
    finally:
        world.close()


def site_of(config: Config) -> Site:
    """The site's networks, hosts and names. A host whose file is at fault is none."""
    hosts = stores.hosts(config).by_name
    names = {config.server: f"server {config.server}"}
    holders: dict[bytes, str] = {}
    for name, host in hosts.items():
        names |= dict.fromkeys((name, *(f"{name}-{link.name}" for link in host.links)), f"host {name}")
        holders |= {client_id(link.mac): name for link in host.links}
    return Site(
        nets=tuple(Net(net.name, net.link, net.subnet) for net in config.networks if net.link),
        hosts={name: _host(config, host) for name, host in hosts.items()},
        names=names,
        holders=holders,
        server=int(config.address),
        few=config.guests.few,
        most=config.guests.most,
        by=f"{typist()}@{config.server}",
    )


def _host(config: Config, host: HostFile) -> Host:
    guests = config.guests
    address = _address(config, host)
    authority = config.storage.authority if config.storage else "iqn.2026-11.internal"
    uri = host.guests_uri or guests.uri.format(name=host.name, address=address)
    initiator = host.guests_initiator or guests.initiator.format(name=host.name, authority=authority)
    place = Place(host.name, initiator, uri, address, guests.templates, guests.disk_source)
    return Host(host.name, host.segment, frozenset(link.name for link in host.links), place)


def _address(config: Config, host: HostFile) -> str:
    """Where a host is reached: on the backend network, else where it takes migrations, else anywhere; else by name."""
    backend = {net.name for net in config.networks if net.link == BACKEND_LINK}

    def is_backend(link: Link) -> bool:
        return link.network in backend or link.name.startswith(BACKEND_LINK)

    addressed = [link for link in host.links if link.address]
    first = sorted(addressed, key=lambda link: not is_backend(link))
    if first and is_backend(first[0]):
        return first[0].address
    return host.relocation_address or (first[0].address if first else host.name)


def _hypervisor(config: Config, host: Host) -> Hypervisor:
    scheme = "memory" if host.place.uri.startswith("memory:") else config.guests.hypervisor
    module, _, name = OPENERS[scheme].partition(":")
    opener: Callable[[Place], Hypervisor] = getattr(importlib.import_module(module), name)
    return opener(host.place)


class _ByServices:
    """The records, touched as the account of the services."""

    def __init__(self, records: Records, user: str) -> None:
        self.location = records.location
        self._records = records
        self._user = user

    def tables(self) -> list[str]:
        """As the store's."""
        with acting_as(self._user):
            return self._records.tables()

    def create(self, table: str) -> None:
        """As the store's."""
        with acting_as(self._user):
            self._records.create(table)

    def drop(self, table: str) -> None:
        """As the store's."""
        with acting_as(self._user):
            self._records.drop(table)

    def read(self, table: str, since: int = 0) -> Delta:
        """As the store's."""
        with acting_as(self._user):
            return self._records.read(table, since)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """As the store's."""
        with acting_as(self._user):
            return self._records.commit(changes, waits)

    def rescan(self) -> Rescan:
        """As the store's."""
        with acting_as(self._user):
            return self._records.rescan()

    def tend(self) -> None:
        """As the store's: with twinlog, publish the copies."""
        with acting_as(self._user):
            self._records.tend()

    def epoch(self) -> Epoch | None:
        """As the store's."""
        return self._records.epoch()
