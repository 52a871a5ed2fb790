"""The networks that this site serves: those of the configuration, and those that the containers tell of."""

from __future__ import annotations

from ipaddress import IPv4Address

from dhcp.macros import MacroTable
from dhcp.netmasks import Learned, learn, read_netmasks
from dhcp.networks import network
from dhcp.sockets import list_interfaces
from storage.records import Records, TabEntry
from twinboot import stores
from twinboot.config import Config
from twinboot.faults import Stop

__all__ = ["container", "learned"]


def learned(config: Config, records: Records) -> Learned:
    """The networks, and what is wrong with those that cannot be served. RecordsError."""
    known = [network(str(net.subnet)) for net in config.networks]
    macros = MacroTable.load(stores.rows(records, stores.DHCPTAB, TabEntry))
    return learn(known, stores.containers(records), macros, read_netmasks(), list_interfaces())


def container(config: Config, records: Records, address: IPv4Address) -> str:
    """Name of the network container that holds `address`. Stop if there is no such network; RecordsError."""
    found = next((net for net in learned(config, records).networks if int(address) in net), None)
    if found is None:
        raise Stop(f"{address} is in no network here: `dhcpconfig -N` adds one, or correct the address")
    return found.name
