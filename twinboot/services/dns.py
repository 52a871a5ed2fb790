"""The DNS service: the names of this site's machines, and other names if they are to be passed on."""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401 - loaded at the first look-up of a name otherwise
import errno
import signal
from ipaddress import IPv4Network

from dhcp import svcconf_file
from dhcp.sockets import SocketError
from jumpstart.hosts import HostsCache
from twinboot import dnsd, machine, stores
from twinboot.config import Config
from twinboot.dnsforward import Forwarder
from twinboot.dnszone import Sources, ZoneKeeper
from twinboot.events import Emit
from twinboot.faults import Stop
from twinboot.names import Zone
from twinboot.services.networks import Networks
from twinboot.services.port import Bound, Ready

__all__ = ["bind"]

FORWARD_PORT = 53
OFF = "set names.enable = false in twinboot.toml"
BIND_REASONS = {
    errno.EACCES: "not permitted; start as root (privileges are dropped after binding) or set server.dns_port",
    errno.EADDRINUSE: "in use by another name server; see which with `ss -lnp sport = :{port}` and stop it, or " + OFF,
    errno.EADDRNOTAVAIL: "this machine does not have that address; correct server.address",
}


def bind(config: Config, emit: Emit) -> Bound:
    """Answer for the names of this site."""
    if not config.names or config.domain is None:
        raise Stop(f"dns: {config.path}: names are off: set site.domain, and names.enable if it is there")
    try:
        where = machine.addresses(config, svcconf_file.load(config.dhcpsvc))
    except SocketError as error:
        raise Stop(f"dns: {error}") from error
    domain = config.domain
    sockets = [_bound(address, config.dns_port) for address in where]
    refusals = dnsd.Refusals(emit)
    forwarder = Forwarder([(str(address), FORWARD_PORT) for address in config.forward], refusals)

    async def run(ready: Ready) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        records = stores.dhcp_records(config)
        networks = [IPv4Network(f"{net.name}/{net.prefix}") for net in Networks(config, records, emit)]
        zone = Zone(domain, config.server, config.address, networks)
        sources = Sources(HostsCache(config.hosts_dir), records, zone.tables)
        keeper = ZoneKeeper(zone, sources, emit)
        keeper.load()
        await dnsd.DnsServer(keeper, forwarder, refusals, networks).run(sockets, ready, stop)

    return Bound(f"dns {config.dns_port}", lambda ready: asyncio.run(run(ready)))


def _bound(address: str, port: int) -> dnsd.Sockets:
    try:
        return dnsd.bind(address, port)
    except OSError as error:
        reason = BIND_REASONS.get(error.errno or 0, f"{error.strerror}; check the address and port")
        raise Stop(f"dns: cannot listen on port {address}:{port}: {reason.format(port=port)}") from error
