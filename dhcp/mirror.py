"""The daemon's copy of the datastore: views of the networks and the macros, kept current by asking for what changed.

A table that cannot be read leaves its copy as it was, and is told of once until it can be read again or fails in
another way. What the copy is good for then is the engine's business: fixed bindings go on being renewed from it.
"""

from collections.abc import Iterable
from typing import Final

from dhcp.macros import MacroFault, MacroTable
from dhcp.networks import Network
from dhcp.tally import Emit
from dhcp.view import NetworkView
from storage.records import Fault, Records, RecordsError, TabEntry

DHCPTAB: Final = "dhcptab"
COPIES, EVERYTHING = "published copies", "datastore"  # what is told of besides tables
FAULTS_TOLD_MAX: Final = 20  # of one table at a time; the rest as a number

_Told = str | Fault | MacroFault


class Mirror:
    """Views by network, and the macro table."""

    def __init__(self, records: Records, networks: Iterable[Network], owners: frozenset[int], emit: Emit) -> None:
        self._records = records
        self._emit = emit
        self._told: dict[str, tuple[_Told, ...]] = {}  # table -> what was last told of it
        self._dhcptab_version = 0
        self._networks = networks  # gone through anew at each rescan: they may come and go
        self._owners = owners
        self.views = tuple(NetworkView(network, owners) for network in networks)
        self.macros = MacroTable.load(())

    def refresh(self, view: NetworkView) -> None:
        """Bring one network's view up to date."""
        try:
            delta = self._records.read(view.name, view.version)
        except RecordsError as error:
            view.is_stale = True
            self._tell(view.name, (str(error),))
            return
        view.is_stale = False
        if delta.whole or delta.rows or delta.gone:
            view.apply(delta)
        view.version = delta.version
        self._tell(view.name, delta.faults)

    def tend(self) -> None:
        """Let the datastore do what can wait."""
        try:
            self._records.tend()
        except RecordsError as error:
            self._tell(EVERYTHING, (str(error),))

    def _rescan(self) -> None:
        """Have edits of published copies taken over, and tell which were not."""
        try:
            self._tell(COPIES, self._records.rescan().refused)
        except RecordsError as error:
            self._tell(COPIES, (str(error),))

    def refresh_macros(self) -> bool:
        """Load the macros anew if the dhcptab changed; tell whether it did."""
        try:
            delta = self._records.read(DHCPTAB, self._dhcptab_version)
            changed = bool(delta.whole or delta.rows or delta.gone)
            if changed and not delta.whole:
                delta = self._records.read(DHCPTAB)
        except RecordsError as error:
            self._tell(DHCPTAB, (str(error),))
            return False
        self._dhcptab_version = delta.version
        if changed:
            self.macros = MacroTable.load(row for row in delta.rows if isinstance(row, TabEntry))
        self._tell(DHCPTAB, (*delta.faults, *self.macros.faults))
        return changed

    def reload(self) -> None:
        """Read everything from the beginning and forget all offers: a rescan."""
        self._rescan()
        self._dhcptab_version = 0
        self.refresh_macros()
        known = {view.network: view for view in self.views}
        self.views = tuple(known.get(network) or NetworkView(network, self._owners) for network in self._networks)
        for view in self.views:
            view.version = 0
            view.forget_offers()
            self.refresh(view)

    def _tell(self, table: str, faults: tuple[_Told, ...]) -> None:
        if self._told.get(table, ()) == faults:
            return
        self._told[table] = faults
        for fault in faults[:FAULTS_TOLD_MAX]:
            if isinstance(fault, str):
                self._emit("records.fault", file=table, reason=fault)
            elif isinstance(fault, Fault):
                self._emit("records.fault", file=table, reason=f"line {fault.line}: {fault.reason}", detail=fault.text)
            else:
                self._emit("records.fault", file=table, reason=f"{fault.name}: {fault.reason}")
        if len(faults) > FAULTS_TOLD_MAX:
            self._emit("records.fault", file=table, reason="more faults", count=len(faults) - FAULTS_TOLD_MAX)
