"""The zone kept fresh: it follows host files and containers, looked at when somebody asks, at most once a second.

Rules of this room:

- Looking may hang (a dead NFS mount), so it is done in a thread; only the loop's thread touches the zone.
- A question waits for a look that is due, FRESH_WAIT_S at most; while a look hangs nobody waits for it again, and the
  answers are those of the last good one.
- What cannot be read keeps its last content and is reported, once for each reason.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from jumpstart.hosts import HostsCache
from jumpstart.model import Hypervisor
from storage.records import Delta, Outcome, Records, RecordsError
from twinboot.names import Zone

__all__ = ["News", "Sources", "ZoneKeeper"]

FRESH_S = 1.0
FRESH_WAIT_S = 0.5
NO_ROWS = Delta(0, (), (), whole=True, faults=())


class News(NamedTuple):
    """What a look found: hosts if any changed, what changed in each container, and what could not be read."""

    hosts: tuple[Hypervisor, ...] | None
    deltas: tuple[tuple[str, Delta], ...]
    faults: tuple[tuple[str, str], ...]


class Sources:
    """Host files and containers, and how far they were read. For one thread at a time."""

    def __init__(self, hosts: HostsCache, records: Records, tables: tuple[str, ...]) -> None:
        self._hosts = hosts
        self._records = records
        self._versions = dict.fromkeys(tables, 0)
        self._seen: object = None

    def look(self) -> News:
        """What is new since the last look; never raises for what a share can suffer."""
        found = self._hosts.get().by_name
        hosts = None if found is self._seen else tuple(found.values())
        self._seen = found
        deltas, faults = [], []
        for table, version in self._versions.items():
            try:
                delta = self._records.read(table, version)
            except RecordsError as error:
                if error.outcome is not Outcome.NOT_FOUND:
                    faults.append((table, str(error)))
                    continue
                delta = NO_ROWS
            self._versions[table] = delta.version
            deltas.append((table, delta))
        return News(hosts, tuple(deltas), tuple(faults))


class ZoneKeeper:
    """A zone and the sources that it follows. Its methods belong to the loop's thread."""

    def __init__(self, zone: Zone, sources: Sources, emit: Callable[..., None]) -> None:
        self.zone = zone
        self._sources = sources
        self._emit = emit
        self._looked_at = 0.0
        self._look: asyncio.Future[News] | None = None
        self._hangs = False
        self._told: dict[str, str] = {}

    @property
    def is_fresh(self) -> bool:
        """Whether an answer may be given without a look, because none is due or the one under way hangs."""
        return self._hangs or time.monotonic() - self._looked_at < FRESH_S

    def load(self) -> None:
        """Look now, in this thread."""
        self._take(self._sources.look())

    async def freshen(self) -> None:
        """Look if that is due, and wait for it, but not for long."""
        if self._look is None:
            self._look = asyncio.get_running_loop().create_future()
            self._look.add_done_callback(self._looked)
            threading.Thread(target=self._run, args=(self._look, self._look.get_loop()), daemon=True).start()
        done, _ = await asyncio.wait({self._look}, timeout=FRESH_WAIT_S)
        self._hangs = self._hangs or not (done or self.is_fresh)

    def _run(self, look: asyncio.Future[News], loop: asyncio.AbstractEventLoop) -> None:
        try:
            news = self._sources.look()
        except OSError as error:
            news = News(None, (), (("share", str(error)),))
        with suppress(RuntimeError):  # the loop ended while we looked
            loop.call_soon_threadsafe(look.set_result, news)

    def _looked(self, look: asyncio.Future[News]) -> None:
        self._look, self._hangs = None, False
        self._take(look.result())

    def _take(self, news: News) -> None:
        now_s = int(time.time())
        if news.hosts is not None:
            self.zone.set_hosts(news.hosts, now_s)
        for table, delta in news.deltas:
            self.zone.apply(table, delta, now_s)
        faults = dict(news.faults)
        for table, reason in faults.items():
            if self._told.get(table) != reason:
                self._emit("records.fault", file=table, reason=reason)
        self._told = faults
        self._looked_at = time.monotonic()
