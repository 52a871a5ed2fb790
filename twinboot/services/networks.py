"""The networks that a service serves, looked up anew whenever it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dhcp.networks import Network, network
from storage.records import Records, RecordsError
from twinboot import networks, stores
from twinboot.config import Config

__all__ = ["Networks"]


class Networks:
    """The networks of configuration and containers; each pass over it looks up those that there are now.

    What is wrong with one is told once, until it changes. While the store cannot be read, the networks are those of the
    last time; the first time, those of the configuration.
    """

    def __init__(self, config: Config, records: Records, emit: Callable[..., None]) -> None:
        self._config = config
        self._records = records
        self._emit = emit
        self._last = tuple(network(str(net.subnet)) for net in config.networks)
        self._told: frozenset[tuple[str, str]] = frozenset()

    def __iter__(self) -> Iterator[Network]:
        """Look them up."""
        try:
            learned = networks.learned(self._config, self._records)
            self._last, faults = learned.networks, learned.faults
        except RecordsError as error:
            faults = ((stores.DHCPTAB, str(error)),)
        for name, reason in faults:
            if (name, reason) not in self._told:
                self._emit("records.fault", file=name, reason=reason)
        self._told = frozenset(faults)
        return iter(self._last)
