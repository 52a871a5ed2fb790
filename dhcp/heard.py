"""Which machine was last acknowledged under which client id, and when: one network's memory of it.

Written for every acknowledgement, so it keeps no order: names go into a young table, and when that is full it becomes
the old one, whose names are forgotten unless they were heard again. So it remembers the last `HEARD_MAX` clients at
the least, and twice as many at the most. Pure: times are handed in.
"""

from typing import Final

HEARD_MAX = 65536  # more than the largest network of a site has

_NEVER: Final = (b"", 0)

Hearing = tuple[bytes, int]
"""Hardware address (htype + chaddr) and Unix time of an acknowledgement."""


class Heard:
    """Client id -> the last acknowledgement."""

    def __init__(self) -> None:
        self._young: dict[bytes, Hearing] = {}
        self._old: dict[bytes, Hearing] = {}
        # hardware address -> client id, of those that differ: most clients are named by their hardware address
        self._young_ids: dict[bytes, bytes] = {}
        self._old_ids: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def note(self, client_id: bytes, hearing: Hearing) -> None:
        """Remember an acknowledgement."""
        young, mac = self._young, hearing[0]
        young[client_id] = hearing
        if mac != client_id:
            self._young_ids[mac] = client_id
        elif self._young_ids or self._old_ids:
            self._young_ids.pop(mac, None)
            self._old_ids.pop(mac, None)
        if len(young) >= HEARD_MAX:
            self._old, self._young = young, {}
            self._old_ids, self._young_ids = self._young_ids, {}

    def of(self, client_id: bytes) -> Hearing:
        """Return who holds a client id, and since when; (b"", 0) if that was never heard."""
        found = self._young.get(client_id)
        return self._old.get(client_id, _NEVER) if found is None else found

    def id_of(self, mac: bytes) -> bytes | None:
        """Return the client id last acknowledged to a hardware address, None for the hardware address itself or if
        there was none."""
        found = self._young_ids.get(mac)
        return self._old_ids.get(mac) if found is None else found
