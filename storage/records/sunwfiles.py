"""The datastore as Sun's own text containers in one directory (`RESOURCE=SUNWfiles`), byte for byte.

Sun's `in.dhcpd`, `pntadm` and `dhtadm` may read and write the same directory at the same time: same files, same
lock files, same update by rename. Ours adds what Sun's leaves out: the data are on the disk before a commit is
reported, a whole batch costs one write, a damaged row harms only itself, and nobody waits for a lock for ever.
`installs` and `guests` are kept in the same form under names that Sun's tools do not take for a network.

Reading takes no lock: a container is only ever replaced as a whole, so a reader sees the old file or the new one.
"""

import contextlib
import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from storage.records import durable
from storage.records.codec import codec_for
from storage.records.container import Container, container_name, empty_container
from storage.records.judge import random_generation
from storage.records.perimeter import perimeter
from storage.records.port import Change, Delta, Outcome, RecordsError, Result, WithoutCopies, nothing
from storage.records.rows import OWN_TABLES, ipv4_int

LOCK_TIMEOUT_S: Final = 5.0
"""A commit holds the lock for milliseconds; after this the holder is stuck and waiting on helps nobody."""

SWEEP_INTERVAL_S: Final = 3600

_NETWORK_NAME: Final = re.compile(r"SUNWfiles1_((?:[0-9]{1,3}_){3}[0-9]{1,3})")


class SunwFiles(WithoutCopies):
    """Records in a directory of Sun's text containers."""

    def __init__(
        self,
        path: str | Path,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        generation: Callable[[], int] = random_generation,
    ) -> None:
        """Use the directory `path`; `generation` gives 16 random bits. RecordsError if it is no directory."""
        self.location = os.path.realpath(path)
        self._lock_timeout_s = lock_timeout_s
        self._generation = generation
        self._containers: dict[str, Container] = {}
        self._guard = threading.Lock()
        self._swept_s = 0.0
        self._listing()

    def tables(self) -> list[str]:
        """Names of the tables that exist, sorted; RecordsError if the directory is gone."""
        names = set(self._listing())
        found = [table for table in ("dhcptab", *OWN_TABLES) if container_name(table) in names]
        found += [table for name in names if (table := _network_of(name)) is not None]
        return sorted(found)

    def create(self, table: str) -> None:
        """Make an empty container; RecordsError EXISTS if it is there."""
        container = self._container(table)
        try:
            durable.create(f"{self.location}/{container.name}", empty_container(table))
        except OSError as error:
            raise durable.records_error(error, container.path) from error

    def drop(self, table: str) -> None:
        """Remove a container. Its lock file stays, for it may be locked."""
        container = self._container(table)
        _require(container)
        with perimeter(container.lock_path, self._lock_timeout_s), container.mutex:
            try:
                durable.remove(self.location, container.name)
            except FileNotFoundError as error:
                raise container.absent() from error
            except OSError as error:
                raise durable.records_error(error, container.path) from error

    def read(self, table: str, since: int = 0) -> Delta:
        """The whole table, or what changed after version `since`."""
        container = self._container(table)
        with container.mutex:
            return container.delta(since)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """Try all changes: one lock, at most one read and one durable write for each table among them.

        The writes of several tables reach the disk together. Locks are taken in the order of the tables' names, so
        that two of ours never wait for one another; Sun's tools hold one at a time.
        """
        tables = sorted({change.table for change in changes})
        if len(tables) == 1:
            parts = [_Part(range(len(changes)), changes)]
        else:
            by_table: dict[str, list[int]] = {table: [] for table in tables}
            for index, change in enumerate(changes):
                by_table[change.table].append(index)
            parts = [_Part(indexes, [changes[index] for index in indexes]) for indexes in by_table.values()]
        with contextlib.ExitStack() as held:
            for part in parts:
                self._begin(part, held)
            staged = [part for part in parts if part.staged is not None]
            waits()
            said = durable.settle([part.staged for part in staged if part.staged is not None])
            for part, identity in zip(staged, said, strict=True):
                part.end(identity)
        self._sweep(max((part.written_s for part in parts), default=0.0))
        if len(parts) == 1:
            return parts[0].results
        results: dict[int, Result] = {}
        for part in parts:
            results.update(zip(part.indexes, part.results, strict=True))
        return [results[index] for index in range(len(changes))]

    def _begin(self, part: "_Part", held: contextlib.ExitStack) -> None:
        """Lock a table for the rest of the commit, judge its changes, and write them beside its file."""
        try:
            part.container = container = self._container(part.changes[0].table)
            _require(container)
            # the lock before the mutex: while another process holds the lock, our readers go on
            held.enter_context(perimeter(container.lock_path, self._lock_timeout_s))
            held.enter_context(container.mutex)
            part.results, altered = container.apply(part.changes, self._generation)
            if altered:
                part.staged = container.stage()
        except RecordsError as error:
            part.fail(error)

    def _container(self, table: str) -> Container:
        with self._guard:
            container = self._containers.get(table)
            if container is None:
                try:
                    codec_for(table)
                except ValueError as error:
                    raise RecordsError(Outcome.INVALID, str(error)) from error
                container = self._containers[table] = Container(self.location, table)
            return container

    def _listing(self) -> list[str]:
        try:
            return os.listdir(self.location)
        except OSError as error:
            raise durable.records_error(error, self.location) from error

    def _sweep(self, now_s: float) -> None:
        if now_s < self._swept_s + SWEEP_INTERVAL_S:
            return
        self._swept_s = now_s
        try:
            durable.sweep(self.location, now_s)
        except OSError:
            return  # tidying only: the commit is done, and the next sweep comes


class _Part:
    """The changes of one table on their way through a commit."""

    def __init__(self, indexes: Sequence[int], changes: Sequence[Change]) -> None:
        self.indexes = indexes
        self.changes = changes
        self.results = [Result(Outcome.STORED, None, "")] * len(changes)
        self.container: Container | None = None
        self.staged: durable.Staged | None = None

    def end(self, identity: tuple[int, int] | OSError) -> None:
        """Take note of how the write went."""
        try:
            if self.container is not None:
                self.container.stored(identity)
        except RecordsError as error:
            self.fail(error)

    def fail(self, error: RecordsError) -> None:
        """Nothing of this part counts as stored."""
        failure = Result(error.outcome, None, str(error))
        self.results = [failure if result.outcome is Outcome.STORED else result for result in self.results]

    @property
    def written_s(self) -> float:
        return self.container.written_s if self.container is not None else 0.0


def _require(container: Container) -> None:
    """Do not leave lock files for tables that are not there."""
    try:
        os.stat(container.path)
    except FileNotFoundError as error:
        raise container.absent() from error
    except OSError as error:
        raise durable.records_error(error, container.path) from error


def _network_of(name: str) -> str | None:
    match = _NETWORK_NAME.fullmatch(name)
    if match is None:
        return None
    table = match[1].replace("_", ".")
    try:
        ipv4_int(table)
    except ValueError:
        return None
    return table
