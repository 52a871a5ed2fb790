"""Which MAC address sits behind an IPv4 address, as the bindings tell.

A loader that does not ask for its menu by MAC is known only by where it comes from. The binding of that address
holds the client id; one that begins with hardware type 01 (Ethernet) and has six more bytes is a MAC (RFC 2132
section 9.14). This is a courtesy look-up: it chooses a menu, never a permission.
"""

import re

from storage.records import Binding, Records, RecordsError, ipv4_int

NETWORK_TABLE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
ETHERNET_ID_BYTES = 7


def mac_of(client_id: bytes) -> str | None:
    """The MAC in a client id of the form 01 + MAC, as `00:14:4f:00:00:01`; None for every other id."""
    if len(client_id) != ETHERNET_ID_BYTES or client_id[0] != 1:
        return None
    return client_id[1:].hex(":")


class Neighbours:
    """The bindings of all networks by address, followed by their changes."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._versions: dict[str, int] = {}
        self._ids: dict[str, dict[int, bytes]] = {}

    def mac(self, address: str) -> str | None:
        """The MAC bound to this dotted address, or None. RecordsError when the bindings cannot be read."""
        try:
            number = ipv4_int(address)
        except ValueError:
            return None
        self._refresh()
        for ids in self._ids.values():
            if number in ids:
                return mac_of(ids[number])
        return None

    def _refresh(self) -> None:
        tables = [name for name in self._records.tables() if NETWORK_TABLE.fullmatch(name)]
        for gone in self._ids.keys() - set(tables):
            del self._ids[gone], self._versions[gone]
        for table in tables:
            try:
                delta = self._records.read(table, since=self._versions.get(table, 0))
            except RecordsError:  # one network that cannot be read must not hide the others
                continue
            ids = self._ids.setdefault(table, {})
            if delta.whole:
                ids.clear()
            for key in delta.gone:
                ids.pop(int(str(key)), None)
            ids.update((row.address, row.client_id) for row in delta.rows if isinstance(row, Binding))
            self._versions[table] = delta.version
