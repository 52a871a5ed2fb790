"""The peers service: says on the share what this server is and what it saw of boots, looks at what the others say of
themselves, and tells what is wrong.

Rules of this room:

- A process of its own, so that a share that hangs stops nothing else: it is ready before it touches the share, and
  while that hangs it tells nothing (the others then say how long ago it was seen).
- Every warning is told in the journal when it appears and when it ends, and not in between.
- Nobody's work depends on it. It yields to whoever serves (nice).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import sqlite3
import time
from collections.abc import Callable, Iterable

import storage.records.twinlog  # noqa: F401 - loaded when the records are opened otherwise
from storage.records import RecordsError
from storage.records.files import Files
from twinboot import peershare
from twinboot.config import Config
from twinboot.events import Emit
from twinboot.faults import JournalError, Stop
from twinboot.journal import Query, newest_id, open_reader, read
from twinboot.peerfacts import Description, Sighting
from twinboot.peerjudge import BEAT_S, Warned, judge
from twinboot.peerlook import Look
from twinboot.peerstory import Digest
from twinboot.services import why_off
from twinboot.services.port import Bound, Ready, give_way, on_stop

__all__ = ["Beat", "Teller", "Told", "bind"]

TELL_S = 2.0
"""At most so much of a boot's story dies with this server."""

LOOK_BACK = 20_000
"""Events of the journal that are gone through at the start."""


def bind(config: Config, emit: Emit) -> Bound:
    """Look at the other servers."""
    if why := why_off(config, "peers"):
        raise Stop(f"peers: {config.dhcpsvc}: {why}")

    def serve(ready: Ready) -> None:
        wake, waker = os.pipe()
        on_stop(lambda: os.write(waker, b"!"))
        give_way()
        ready()
        files, look, due_s = peershare.files_of(config), Look(config), 0.0
        beat, teller = Beat(files, look, emit), Teller(files, config, look.life)
        while not select.select([wake], [], [], 0)[0]:
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + BEAT_S
                beat.once()
            teller.once()
            select.select([wake], [], [], TELL_S)
        teller.once()
        beat.last()

    return Bound("peers", serve)


class Told:
    """Warnings as the journal has them: told when they appear and when they end."""

    def __init__(self, emit: Callable[..., None]) -> None:
        self._emit = emit
        self._standing: dict[tuple[str, str], str] = {}

    def now(self, warnings: Iterable[Warned]) -> None:
        """Tell what is new and what is over."""
        found = {(warned.code, warned.server): warned.text for warned in warnings}
        for key, text in found.items():
            if key not in self._standing:
                self._emit("config.fault", server=key[1], reason=text, state="begun")
                self._standing[key] = text
        for key in self._standing.keys() - found.keys():
            self._emit("config.fault", server=key[1], reason=self._standing.pop(key), state="over")


class Beat:
    """One description after the other, and what comes of comparing it."""

    def __init__(self, files: Files, look: Look, emit: Callable[..., None]) -> None:
        self._files = files
        self._look = look
        self._told = Told(emit)
        self._said: Description | None = None

    def once(self) -> None:
        """Describe this server, read the others, tell what is wrong."""
        warnings: list[Warned] = []
        try:
            twin = self._twin()
            peershare.publish(self._files, self._describe)
            warnings += twin
            warnings += self._judged()
        except (OSError, RecordsError) as error:
            name = self._said.name if self._said else ""
            reason = getattr(error, "strerror", None) or str(error)
            text = f"{self._files.location}: {reason}: this server cannot be seen by the others: see to the share"
            warnings.append(Warned("unwritten", name, text))
        self._told.now(warnings)

    def last(self) -> None:
        """Say that this is an orderly end."""
        if self._said is not None:
            said = dataclasses.replace(self._said, stopped=True)
            peershare.publish(self._files, lambda: dataclasses.replace(said, at_s=time.time()))

    def _describe(self) -> Description:
        self._said = self._look.describe()
        return self._said

    def _judged(self) -> list[Warned]:
        assert self._said is not None
        found = peershare.find(self._files, self._said.name)
        if found.own is None:
            return []
        own = Sighting(self._said, found.own.stamp_s)
        judged = judge(own, found.peers, time.time() - own.offset_s)
        return judged + [Warned("unreadable", one.name, one.reason) for one in found.unreadable]

    def _twin(self) -> list[Warned]:
        """Whether somebody else has written our file since we last did: a server of the same name."""
        if self._said is None:
            return []
        own = peershare.find(self._files, self._said.name).own
        if own is None or own.said.life == self._said.life or own.said.stopped:
            return []
        text = f"another server calls itself {own.said.name} as well: let server.name in twinboot.toml be unique"
        return [Warned("name", own.said.name, text)]


class Teller:
    """Takes from this server's journal what the other servers may be asked about, and puts it on the share."""

    def __init__(self, files: Files, config: Config, life: str) -> None:
        self._files = files
        self._config = config
        self._life = life
        self._digest = Digest()
        self._last_id = 0
        self._is_new = False

    def once(self) -> None:
        """Tell what is new. On a share that takes nothing, or without a journal, it waits for the next time."""
        with contextlib.suppress(JournalError, sqlite3.Error):
            self._look()
        if self._is_new:
            with contextlib.suppress(OSError):  # the beat says so
                peershare.tell(self._files, self._config.server, self._life, self._digest.encode())
                self._is_new = False

    def _look(self) -> None:
        db = open_reader(self._config.journal_path)
        try:
            if newest_id(db) < self._last_id:
                self._last_id = 0  # another file: the old one was corrupt
            news = read(db, Query(after_id=self._last_id), LOOK_BACK)
        finally:
            db.conn.close()
        if news:
            self._last_id = news[-1]["id"]
            self._is_new |= self._digest.take(news)
