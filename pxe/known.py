"""What the catalog's answers stand on: targets, hosts, installs, and who is at an address. Trouble is told once."""

import threading
from collections.abc import Callable

from jumpstart.hosts import Hosts, HostsCache
from jumpstart.model import HostFault, Hypervisor
from jumpstart.targets import TARGETS, load_target
from pxe.installs import Installs, StoreError
from pxe.neighbours import Neighbours
from storage.records import Records, RecordsError

LOADED = {name: load_target(name) for name in TARGETS}
"""All targets; loaded with this module, because a server answers its first machine as fast as any other."""

Emit = Callable[..., None]


class Known:
    """Hosts, installs and neighbours, as last read. Every method may be called from any thread."""

    def __init__(self, hosts: HostsCache, records: Records, emit: Emit) -> None:
        self.installs = Installs(records)
        self._hosts_cache = hosts
        self._neighbours = Neighbours(records)
        self._emit = emit
        self._lock = threading.Lock()
        self._host_faults: frozenset[HostFault] = frozenset()
        self._store_fault = ""

    def hosts(self) -> Hosts:
        """All host files; what is newly wrong with one is told."""
        with self._lock:
            hosts = self._hosts_cache.get()
            faults = frozenset(hosts.faults)
            new = faults - self._host_faults
            self._host_faults = faults
        for fault in sorted(new):
            self._emit("host.fault", file=fault.file, reason=str(fault))
        return hosts

    def host_of(self, mac: str) -> Hypervisor | None:
        """The host that has a link with this MAC."""
        return self.hosts().by_mac.get(mac)

    def mac_at(self, client: str) -> str | None:
        """The MAC bound to an address, None if there is none or nobody can tell."""
        try:
            with self._lock:
                return self._neighbours.mac(client)
        except RecordsError as error:
            self._emit("records.fault", reason=f"cannot tell which machine is at {client}: {error}")
            return None

    def refresh(self) -> None:
        """Follow the installs; a share that is away is told once, and the last known rows stand."""
        try:
            self.installs.refresh()
        except StoreError as error:
            if str(error) != self._store_fault:
                self._store_fault = str(error)
                self._emit("records.fault", reason=f"{error}; the last known installs stay in force")
        else:
            self._store_fault = ""
