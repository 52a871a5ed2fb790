"""The datastore as a log of numbered batches (`RESOURCE=twinlog`): for servers that share a directory, on NFS too.

Who creates batch N+1 first has committed; everybody else reads it and tries the next number. So nothing rests on
locks, clocks or knowing who is alive, and any server may be killed, paused or cut off at any instant. One commit, of
whatever tables, is one durable write: it is there as a whole or not at all.

`twinlog_log` and `twinlog_commit` say why that is safe, `twinlog_text` shows the files, `twinlog_publish` the copies in
Sun's format beside them. Three things want to be called from time to time: `rescan` takes over edits made to
those copies, `tend` brings them up to date when all is quiet. `read` does neither: it tells what the log tells.
"""

import contextlib
import re
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from storage.records.codec import codec_for
from storage.records.durable import records_error
from storage.records.files import Files, LocalFiles
from storage.records.judge import random_generation
from storage.records.port import Change, Delta, Epoch, Fault, Outcome, RecordsError, Rescan, Result, nothing
from storage.records.twinlog_clock import Clock, SystemClock
from storage.records.twinlog_commit import Commit
from storage.records.twinlog_copies import Copies, Edited
from storage.records.twinlog_draft import Draft, Generations, settle, slept
from storage.records.twinlog_epoch import ShareClock
from storage.records.twinlog_folder import LogFolder
from storage.records.twinlog_house import tidy, write_snapshot
from storage.records.twinlog_log import LOOK_S, Log, Peer
from storage.records.twinlog_names import FOLDER, log_name
from storage.records.twinlog_state import Frozen
from storage.records.twinlog_text import Head
from storage.records.twinlog_turns import PUBLISH_EVERY_S, QUIET_S, snapshot_due

_KNOWN_FATES = frozenset({Outcome.STORED, Outcome.INVALID, Outcome.COLLISION, Outcome.EXISTS, Outcome.NOT_FOUND})
"""Outcomes of an edit after which the edited file need not be kept for another try."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")


def in_thread(job: Callable[[], None]) -> None:
    """Do a job beside the caller; the process ends no sooner."""
    threading.Thread(target=job, name="twinlog").start()


class TwinLog:
    """Records in a log of batches."""

    def __init__(
        self,
        files: Files,
        *,
        server: str = "",
        clock: Clock | None = None,
        generation: Callable[[], int] = random_generation,
        background: Callable[[Callable[[], None]], None] = in_thread,
        look_s: float = LOOK_S,
    ) -> None:
        """Use the directory that `files` stands for; RecordsError if it is not there or holds no sound log.

        `server` is this host's name in batches (its first label by default). `background` does long jobs, snapshots
        and copies: nobody waits for them. `look_s` is how long one look at the folder is believed.
        """
        self.location = files.location
        self._files = files
        self._clock: Clock = clock or SystemClock()
        self._generation = generation
        self._background = background
        self._mutex = threading.RLock()
        self._is_busy = False
        self._trouble = ""
        self._published_s = float("-inf")
        self._published = 0
        self._committed_s = float("-inf")
        host = _NOT_IN_NAMES.sub("-", server or socket.gethostname().partition(".")[0])[:64] or "server"
        self._folder = LogFolder(files, self._clock, f"{host}.{secrets.token_hex(4)}")
        self._log = Log(self._folder, look_s)
        self._copies = Copies(files, self._folder.next_writer)
        self._share_clock = ShareClock(files, self._clock)
        try:
            if FOLDER in files.names():
                self._log.reload()
                self._begin_time()
        except OSError as error:
            raise records_error(error, self.location) from error

    def tables(self) -> list[str]:
        """Names of the tables that exist, sorted; RecordsError if the directory is gone."""
        with self._mutex:
            self._log.look()
            return sorted(self._log.state.tables)

    def create(self, table: str) -> None:
        """Make an empty table; RecordsError EXISTS, INVALID, DENIED, FULL, ..."""
        try:
            codec_for(table)
        except ValueError as error:
            raise RecordsError(Outcome.INVALID, str(error)) from error
        with self._mutex:
            self._log.look()
            if not self._log.state.number:
                self._make_folder()
            self._whole(lambda: Draft(self._log.state).create(table))

    def drop(self, table: str) -> None:
        """Remove a table with all its rows; RecordsError NOT_FOUND, INVALID, ..."""
        with self._mutex:
            self._log.look()
            self._whole(lambda: Draft(self._log.state).drop(table))

    def read(self, table: str, since: int = 0) -> Delta:
        """The whole table, or what changed after version `since`; files of the log that are damaged are faults."""
        with self._mutex:
            self._log.look()
            return self._log.state.table(table).delta(table, since, self._faults(table))

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """Try all changes: those that succeed are one batch, whatever their tables."""
        if not changes:
            return []
        with self._mutex:
            generations = Generations(self._generation)
            began = self._clock.now()
            commit = Commit(
                self._log,
                lambda: Draft(self._log.state).change(changes, generations),
                lambda draft: settle(draft, changes),
                waits,
            )
            error = commit.run()
            results = commit.draft.results
            if error is not None:
                failure = Result(error.outcome, None, str(error))
                results = [failure if result.outcome is Outcome.STORED else result for result in results]
            elif commit.done:
                self._committed(began)
        return results

    def rescan(self) -> Rescan:
        """Take over what people and Sun's tools wrote into the published copies; RecordsError.

        Each edited row is a change like any other, committed in one batch with the other edits of its table.
        Where something could not be taken over, the edited file is kept beside the log.
        """
        taken = 0
        refused: list[str] = []
        with self._mutex:
            self._log.look()
            self._see_time()
            try:
                for found in self._copies.edited():
                    try:
                        count, problems = self._take_over(found)
                    except RecordsError as error:
                        count, problems = 0, [str(error)]
                    taken += count
                    refused += problems
            except OSError as error:
                raise records_error(error, self.location) from error
        return Rescan(taken, tuple(refused))

    def tend(self) -> None:
        """Publish what has changed, if nothing was committed here for a while. To be called about every second."""
        now = self._clock.now()
        with self._mutex:
            self._see_time()
            if now - self._committed_s < QUIET_S or now - self._published_s < PUBLISH_EVERY_S:
                return
            self._log.look()
            if self._published != self._log.state.number and self._log.state.number:
                self._start(lambda frozen: self._publish(frozen, ""))

    def epoch(self) -> Epoch | None:
        """The share's clock when our monotonic clock was zero, as last seen."""
        return self._share_clock.epoch

    def publish(self) -> None:
        """Bring the published copies up to date now; RecordsError."""
        with self._mutex:
            self._log.look()
            try:
                self._publish(self._log.state.frozen(), "")
            except OSError as error:
                raise records_error(error, self.location) from error

    def peers(self) -> dict[str, Peer]:
        """By name, what the log told of other servers since this object was made (and its snapshot was written)."""
        with self._mutex:
            return dict(self._log.peers)

    # -- inside

    def _take_over(self, found: Edited) -> tuple[int, list[str]]:
        """Commit the edits of one container; the number of rows and what was not taken. RecordsError, OSError."""
        tables = self._log.state.tables
        table = tables.get(found.table)
        changes, problems = self._copies.changes(found, table.rows if table is not None else {})
        if table is None:
            self.create(found.table)
        results = self.commit(changes)
        problems += [result.detail for result in results if result.outcome is not Outcome.STORED]
        if all(result.outcome in _KNOWN_FATES for result in results):
            self._copies.replace(found, self._log.state.frozen(), keep=bool(problems))
        return sum(result.outcome is Outcome.STORED for result in results), problems

    def _begin_time(self) -> None:
        """Learn how late it is by the share at the least; OSError."""
        if self._log.state.number:
            with contextlib.suppress(FileNotFoundError):  # compacted meanwhile
                self._share_clock.begin(f"{FOLDER}/{log_name(self._log.state.number)}")

    def _see_time(self) -> None:
        """Learn the share's time by a file made for the purpose, where no commit has told it for a while."""
        if not self._log.state.number or not self._share_clock.is_old():
            return
        began = self._clock.now()
        try:
            tmp, _ = self._folder.write(b"")
        except OSError:  # read-only, full: it goes on to be as it was seen last
            return
        self._share_clock.observe(f"{FOLDER}/{tmp}", began)
        self._folder.discard(tmp)

    def _make_folder(self) -> None:
        try:
            with contextlib.suppress(FileExistsError):
                self._files.make(FOLDER)
                self._files.sync()
        except OSError as error:
            raise records_error(error, self.location) from error

    def _whole(self, wish: Callable[[], Draft]) -> None:
        """Commit a draft about a whole table; RecordsError."""
        began = self._clock.now()
        commit = Commit(self._log, wish, lambda draft: draft.results)
        error = commit.run()
        if error is not None:
            raise error
        if not commit.done:
            raise RecordsError(Outcome.UNAVAILABLE, slept("the table"))
        self._committed(began)

    def _committed(self, began: float) -> None:
        self._committed_s = self._clock.now()
        self._share_clock.observe(f"{FOLDER}/{log_name(self._log.state.number)}", began)
        if snapshot_due(self._log.growth(), self._log.latest_bytes):
            self._start(self._keep_house)

    def _start(self, job: Callable[[Frozen], None]) -> None:
        """Do a job on the tables as they are, in the background, one at a time; what goes wrong becomes a fault."""
        if self._is_busy:
            return
        self._is_busy = True
        frozen = self._log.state.frozen()

        def run() -> None:
            try:
                job(frozen)
                self._trouble = ""
            except OSError as error:
                self._trouble = str(records_error(error, self._folder.place()))
            finally:
                self._is_busy = False

        self._background(run)

    def _keep_house(self, frozen: Frozen) -> None:
        head = Head(self._folder.next_writer(), self._clock.today())
        write_snapshot(self._files, head, frozen)
        self._publish(frozen, tidy(self._files, self._folder.damage))

    def _publish(self, frozen: Frozen, kept: str) -> None:
        self._copies.publish(frozen, kept)
        self._published, self._published_s = frozen.number, self._clock.now()

    def _faults(self, table: str) -> list[Fault]:
        found = self._folder.faults(table)
        if self._trouble:
            found.append(Fault(table, 0, FOLDER, f"neither snapshot nor copies could be written: {self._trouble}"))
        return found


def open_twinlog(path: str | Path) -> TwinLog:
    """The twinlog in a directory; RecordsError if the directory is not there or holds no sound log."""
    return TwinLog(LocalFiles(path))
