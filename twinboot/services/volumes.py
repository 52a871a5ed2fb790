"""The volumes service: keeps exported what should be, whatever ended it; about once a second.

Rules of this room:

- A process of its own that nobody's work depends on: it is ready before it has looked at the store, and a store that
  hangs or is broken stops nothing but this. What is wrong is told in the journal when it begins and when it is over.
- It stays the account it was started as, because target daemon and views belong to whoever owns the store.
- What it starts outlives it: guests go on reading their disks while twinboot is restarted.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from storage.volumes import Volumes, VolumesError
from storage.volumes.port import NOT_DONE
from twinboot import machine, volumestore
from twinboot.config import Config
from twinboot.events import Emit
from twinboot.faults import Stop
from twinboot.services.port import Bound, Ready, on_stop

__all__ = ["Tender", "bind"]

BEAT_S = 1.0
OPEN_S = 10.0
"""For a store to open before the others start without it."""


def bind(config: Config, emit: Emit) -> Bound:
    """Tend the store."""
    if config.storage is None:
        raise Stop(f'volumes: {config.path}: this server keeps none: add [storage] and backend = "local"')
    tender = Tender(lambda: volumestore.open_volumes(config), emit)
    machine.within(OPEN_S, tender.open, None)

    def serve(ready: Ready) -> None:
        wake, waker = os.pipe()
        on_stop(lambda: os.write(waker, b"!"))
        ready()
        while not select.select([wake], [], [], 0)[0]:
            tender.once()
            select.select([wake], [], [], BEAT_S)

    return Bound(f"volumes {config.storage.portal}", serve, as_started=True)


class Tender:
    """One look after the other, and what the journal is told of it."""

    def __init__(self, open_store: Callable[[], Volumes], emit: Callable[..., None]) -> None:
        self._open = open_store
        self._emit = emit
        self._store: Volumes | None = None
        self._told: frozenset[str] = frozenset()
        self._faults: frozenset[str] = frozenset()

    def open(self) -> None:
        """Open the store; one that does not answer is opened again later. Stop if it never can be."""
        try:
            self._store = self._store or self._open()
        except (VolumesError, OSError) as error:
            self._judge(frozenset([str(error)]))

    def once(self) -> None:
        """Put right what is missing, and tell what is new."""
        try:
            store = self._store = self._store or self._open()
            done = store.tend()
            faults = frozenset(store.faults())
        except (VolumesError, OSError) as error:
            self._judge(frozenset([str(error)]))
            return
        for line in done:
            if NOT_DONE not in line or line not in self._told:  # what cannot be done is tried each time, and told once
                self._emit("volumes.tended", detail=line)
        self._told = frozenset(done)
        self._judge(faults)

    def _judge(self, faults: frozenset[str]) -> None:
        for reason in sorted(faults - self._faults):
            self._emit("volumes.fault", reason=reason, state="begun")
        for reason in sorted(self._faults - faults):
            self._emit("volumes.fault", reason=reason, state="over")
        self._faults = faults
