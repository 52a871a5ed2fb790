"""The catalog behind both doors, as this server's configuration wants it."""

from __future__ import annotations

import encodings.unicode_escape  # noqa: F401 - jinja2 loads it when it compiles the first template

from jumpstart.hosts import HostsCache
from jumpstart.targets import Net
from pxe.catalog import Catalog, Settings
from pxe.tree import BootTree
from twinboot import stores
from twinboot.config import Config
from twinboot.events import Emitter
from twinboot.joined import JoinedRecords

__all__ = ["open_catalog"]


def open_catalog(config: Config, emit: Emitter) -> Catalog:
    """Open the records and the boot tree. RecordsError, OSError."""
    records = JoinedRecords(stores.state_records(config), stores.dhcp_records(config))
    settings = Settings(
        str(config.address), config.segment, config.transport, config.http_port, networks=_networks(config)
    )
    return Catalog(BootTree(config.boot_dir), HostsCache(config.hosts_dir), records, settings, emit)


def _networks(config: Config) -> tuple[Net, ...]:
    """The site's networks as installs see them; where one names no name server, it is us, if we answer names."""
    own = (config.name_server,) if config.name_server else ()
    return tuple(
        Net(
            str(net.subnet),
            str(net.router or ""),
            tuple(map(str, net.dns or own)),
            net.domain or config.domain or "",
        )
        for net in config.networks
    )
