"""The networks that a service begins with."""

from __future__ import annotations

from collections.abc import Callable

from dhcp.networks import Network, network
from storage.records import Records, RecordsError
from twinboot import stores
from twinboot.config import Config

__all__ = ["served"]


def served(config: Config, records: Records, emit: Callable[..., None]) -> tuple[Network, ...]:
    """The networks of configuration and containers; what is wrong with them is told.

    While the store cannot be read, those of the configuration alone.
    """
    try:
        learned = stores.networks(config, records)
    except RecordsError as error:
        emit("records.fault", file=stores.DHCPTAB, reason=str(error))
        return tuple(network(str(net.subnet)) for net in config.networks)
    for name, reason in learned.faults:
        emit("records.fault", file=name, reason=reason)
    return learned.networks
