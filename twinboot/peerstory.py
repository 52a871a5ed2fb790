"""What a server's journal tells of boots, for the other servers: `<share>/state/servers/NAME.events`, an event a line.

Rules of this room:

- One file for each server, replaced by that server only. It outlives its writer: what a server saw of a boot before it
  died is told by the others.
- Bounded: the newest events, `EVENTS_MAX` and `BYTES_MAX`. Left out are the leases of machines that were never seen
  to boot from the network: they are most of a journal, and nobody asks how they booted.
- Times are Unix seconds by the writer's clock, as in its journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from twinboot import events
from twinboot.explain import BOOT_CLASSES

__all__ = ["BYTES_MAX", "EVENTS_MAX", "Digest", "decode"]

EVENTS_MAX = 2000
BYTES_MAX = 1 << 20
MACHINES_MAX = 4096
BOOTING = frozenset({"tftp", "http", "menu", "install", "report"})

Event = dict[str, Any]


class Digest:
    """The part of a journal that the other servers are told, kept current."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=EVENTS_MAX)
        self._booted: dict[str, None] = {}  # MACs, the latest one last

    def take(self, news: Iterable[Event]) -> bool:
        """Take what tells of boots, oldest first; say whether anything did."""
        told = [event for event in news if self._tells(event)]
        self._lines.extend(_line(event) for event in told)
        return bool(told)

    def encode(self) -> bytes:
        """The file: the newest lines that fit."""
        room, kept = BYTES_MAX, 0
        for line in reversed(self._lines):
            room -= len(line)
            if room < 0:
                break
            kept += 1
        return b"".join(list(self._lines)[len(self._lines) - kept :])

    def _tells(self, event: Event) -> bool:
        kind, mac = str(event["kind"]).partition(".")[0], str(event.get("mac", ""))
        if kind in BOOTING:
            return True
        if kind != "dhcp":
            return False
        if str(event.get("class_id", "")).startswith(BOOT_CLASSES) and mac:
            self._booted.pop(mac, None)
            self._booted[mac] = None
            if len(self._booted) > MACHINES_MAX:
                del self._booted[next(iter(self._booted))]
        return mac in self._booted


def _line(event: Event) -> bytes:
    fields = {name: value for name, value in event.items() if name not in ("id", "at", "kind")}
    return events.encode(str(event["kind"]), float(event["at"]), fields) + b"\n"


def decode(data: bytes) -> list[Event]:
    """The events in a file, what is none left out. ValueError says in one line why the file is not one of ours."""
    if len(data) > BYTES_MAX:
        raise ValueError(f"is longer than {BYTES_MAX} bytes")
    found = map(events.decode, data.splitlines()[-EVENTS_MAX:])
    return [event for event in found if event is not None]
