"""The catalog behind both doors, as this server's configuration wants it."""

from __future__ import annotations

import encodings.unicode_escape  # noqa: F401 - jinja2 loads it when it compiles the first template
from collections.abc import Iterable
from ipaddress import IPv4Address

from dhcp import svcconf_file
from dhcp.sockets import list_interfaces
from jumpstart.hosts import HostsCache
from jumpstart.targets import Net
from jumpstart.targets.nevada import NAME as NEVADA
from pxe.catalog import Catalog
from pxe.settings import Settings
from pxe.tree import BootTree
from storage.records import Install, RecordsError
from twinboot import nevadabook, stores
from twinboot.config import Config
from twinboot.events import Emit
from twinboot.faults import Stop

__all__ = ["open_catalog"]

OTHERS_MAX = 7
"""So many other servers a menu tries; each dead one costs GRUB the better part of a minute."""


def open_catalog(config: Config, emit: Emit) -> Catalog:
    """Open the records and the boot tree. RecordsError, OSError."""
    records = stores.site_records(config)
    conf = svcconf_file.load(config.dhcpsvc)
    settings = Settings(
        str(config.address),
        config.segment,
        config.transport,
        config.http_port,
        networks=_networks(config),
        others=_others(config, map(IPv4Address, conf.owner_ip), (one.address for one in list_interfaces())),
    )
    return Catalog(
        BootTree(config.boot_dir),
        HostsCache(config.hosts_dir),
        records,
        settings,
        emit,
        jumpstart=config.share / "jumpstart",
        after_report=lambda row: _tidy(config, emit, row),
    )


def _tidy(config: Config, emit: Emit, row: Install) -> None:
    """Take away what an install that is over needed; the machine's report stands, whatever becomes of this."""
    if row.target != NEVADA:
        return
    try:
        nevadabook.follow(config)
    except (Stop, RecordsError, OSError) as error:
        emit("records.fault", host=row.host, reason=f"its JumpStart files are still there: {error}")


def _others(config: Config, owners: Iterable[IPv4Address], own: Iterable[int]) -> tuple[str, ...]:
    """The other servers, by OWNER_IP; where some are on our own network only those: they may have more."""
    mine = {config.address, *map(IPv4Address, own)}
    others = [one for one in dict.fromkeys(owners) if one not in mine]
    net = config.network_of(config.address)
    near = [one for one in others if net is not None and one in net.subnet]
    return tuple(map(str, (near or others)[:OTHERS_MAX]))


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
