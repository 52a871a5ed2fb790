"""Following the log: reading numbered files that nobody overwrites, in order, as others add them.

Rules, each with its reason (the other half is `twinlog_commit`):

1. Compaction removes batches at or below the *previous* snapshot. Such a number is free again, and a process that
   slept through two snapshots may take it. So what was read counts only if a listing made after the reading shows
   that its number cannot have been removed before: fewer than two snapshots stand at or above it. Else the newest
   snapshot is loaded.
2. A file that stays unreadable is skipped, kept and named. A batch that is missing is closed by an empty one, so that
   nobody can take its number. If neither mends the order, reading fails and says so: a state that may be wrong would
   give addresses out twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from storage.records.files import Stamp
from storage.records.port import Outcome, RecordsError
from storage.records.twinlog_folder import LogFolder
from storage.records.twinlog_names import FOLDER, NUMBER_DIGITS, Listing, log_name, numbered, snap_name
from storage.records.twinlog_state import State, sections_of
from storage.records.twinlog_text import Batch, Head
from storage.records.twinlog_turns import Growth, Turns

RELOADS_MAX = 8
"""Loads begun anew because the log was compacted meanwhile, before giving up."""

HOLES_MAX = 16
"""Missing batches that are closed by empty ones; more is no accident of a file but a lost store."""

ROW_BYTES = 100
"""Size of a row in a snapshot, about."""

LOOK_S = 0.002
"""What a listing showed is believed for so long: the reads of one batch of packets share it."""

LISTING_S = 0.01
"""What a listing takes at the most; one that took longer was of a process that was stopped, or of a share that hung."""

TICK_S = 0.05
WHOLE_SECOND_TICK_S = 2.0
"""Longest time in which a folder can change without its time stamps, for fine stamps and for whole seconds."""


@dataclass
class Peer:
    """What the log tells of another process: its last batch, by its own clock, and when we read it by ours."""

    number: int
    at_s: float
    heard_s: float


@dataclass
class Log:
    """One process's view of the log in `.twinlog`. Callers lock."""

    folder: LogFolder
    look_s: float = LOOK_S
    state: State = field(default_factory=State)
    turns: Turns = field(default_factory=Turns)
    peers: dict[str, Peer] = field(default_factory=dict)
    """By server name; the others' and our own other processes'."""
    base: int = 0
    """Number of the newest snapshot seen."""
    grown_bytes: int = 0
    latest_bytes: int = 0
    """Size of the last batch of our own."""
    is_doubtful: bool = False
    """Whether a commit of ours failed, so that its name may be there without being on the disk."""
    _listed_s: float = float("-inf")
    _looked_s: float = float("-inf")
    """The last listing of all, and the last one all of whose batches are in `state`."""
    _stamp: Stamp | None = None
    _seen_s: float = 0.0
    _sure: bool = False

    # -- following

    def look(self) -> None:
        """Apply what others have committed, if the folder may have changed; RecordsError.

        Where a stat is current, an unchanged stamp tells that nothing was added, provided that the last listing
        began a tick after the stamp was first seen. Elsewhere only a listing tells.
        """
        now = self.folder.clock.now()
        if now - self._looked_s < self.look_s:
            return
        try:
            sure = False
            if self.folder.files.stat_is_current:
                stamp = self.folder.files.stat(FOLDER)
                if stamp == self._stamp and self._sure:
                    return
                if stamp != self._stamp:
                    self._stamp, self._seen_s = stamp, now
                sure = now - self._seen_s >= (TICK_S if stamp.mtime_ns % 1_000_000_000 else WHOLE_SECOND_TICK_S)
            self._sure = False
            self.follow()
        except FileNotFoundError:
            self._absent()
        except OSError as error:
            raise self.folder.error(error) from error
        else:
            self._looked_s, self._sure = self._listed_s, sure

    def follow(self) -> None:
        """Apply what others have committed; RecordsError, OSError."""
        try:
            if self.is_doubtful:
                self.folder.sync()
                self.is_doubtful = False
            news = self.news()
        except FileNotFoundError:
            self._absent()
            return
        if news is None:
            self.reload()
        else:
            self.apply(news)

    def reload(self, judge: Callable[[], None] | None = None) -> None:
        """Start from the newest readable snapshot; `judge` is called when that is in place. RecordsError, OSError."""
        for _ in range(RELOADS_MAX):
            names = self.folder.names()
            self.grown_bytes = 0
            try:
                self._load(names.snapshots)
            except FileNotFoundError:
                continue  # compacted meanwhile
            if judge is not None:
                judge()
            news = self.news()
            if news is not None:
                self.apply(news)
                return
        named = "; ".join(f"{name} {reason}" for name, reason in sorted(self.folder.damage.items()))
        raise RecordsError(
            Outcome.UNAVAILABLE,
            f"{self.folder.place()}: the log has no beginning that fits its end"
            f"{' (' + named + ')' if named else ''}: `twinboot store check` tells more",
        )

    def _load(self, snapshots: Sequence[str]) -> None:
        for name in reversed(snapshots):
            snapshot = self.folder.snapshot(name)
            if snapshot is None:
                continue
            number = numbered(name)
            assert number is not None
            self.state.load(number[0], sections_of(snapshot))
            return
        self.state.load(0, sections_of(None))

    def news(self) -> list[tuple[int, Batch | None]] | None:
        """The batches after ours, read but not applied; None if they cannot be had or believed: reload.

        RecordsError, OSError.
        """
        for _ in range(HOLES_MAX):
            names = self._list()
            first = self.state.number + 1
            if self._beyond_reach(first, names):
                return None
            wanted = names.logs_from(first)
            read: list[tuple[int, Batch | None]] = []
            try:
                for number, name in enumerate(wanted, first):
                    if name != log_name(number):
                        break
                    read.append((number, self.folder.batch(name)))
            except FileNotFoundError:
                return None
            if not wanted:
                return read
            if self._beyond_reach(first, names, self.folder.names()):
                return None
            if read:
                return read
            if first == 1 or names.has_snapshot(first):
                return None  # a log whose beginning is gone must not begin anew
            self._close_hole(first, wanted[0])
        return None

    def _list(self) -> Listing:
        """List the folder, and note when that was: what is read afterwards may take any time and is no newer for it."""
        asked_s = self.folder.clock.now()
        names = self.folder.names()
        self._listed_s = min(self.folder.clock.now(), asked_s + LISTING_S)
        return names

    def _beyond_reach(self, first: int, *listings: Listing) -> bool:
        """Whether batch `first` may have been removed: two snapshots stand at or above it, or ours is not the log."""
        snapshots = sorted({name for names in listings for name in names.snapshots})
        if snapshots:
            newest = int(snapshots[-1][:NUMBER_DIGITS])
            if newest != self.base:
                self.base, self.grown_bytes = newest, 0
                self.folder.forget_damage(listings)
        if len(snapshots) > 1 and snapshots[-2] >= snap_name(first):
            return True
        previous = log_name(first - 1)
        if first == 1 or any(previous in names for names in listings):
            return False
        # what we came from is gone: the store was put back to an earlier state, or is another one
        return not any(names.has_snapshot(first - 1) for names in listings)

    def apply(self, news: list[tuple[int, Batch | None]]) -> None:
        """Make what `news` gave."""
        for number, batch in news:
            self.state.apply(number, batch)
            if batch is not None:
                self.grown_bytes += batch.size
                self._heard(number, batch.head)

    def _heard(self, number: int, head: Head) -> None:
        if not head.writer.startswith(self.folder.writer + "."):
            self.peers[head.server] = Peer(number, head.at_s, self.folder.clock.today())

    def _close_hole(self, first: int, next_name: str) -> None:
        """Put an empty batch where one is missing although there are later ones.

        Else a sleeper could take the number. If it was only our listing that missed it, the link says so.
        """
        if int(next_name[:NUMBER_DIGITS]) - first > HOLES_MAX:
            raise RecordsError(
                Outcome.UNAVAILABLE,
                f"{self.folder.place()}: the batches from {log_name(first)} to below {next_name} are missing: "
                "restore them, or let `twinboot store repair` go on without",
            )
        tmp, _ = self.folder.write(b"")
        try:
            self.folder.link(tmp, first)
            self.folder.damage[log_name(first)] = "was missing: closed by an empty batch, its changes are lost"
        except FileExistsError:
            pass
        finally:
            self.folder.discard(tmp)

    # -- for those who write

    def committed(self, number: int, size: int, looked_s: float, names: Listing) -> None:
        """A batch of ours has its number; after that, at `looked_s`, these names were there."""
        self.state.number = number
        self.grown_bytes += size
        self.latest_bytes = size
        if not names.logs_from(number + 1):
            self._looked_s = looked_s

    def growth(self) -> Growth:
        """What stands above the newest snapshot seen."""
        rows = sum(len(table.rows) for table in self.state.tables.values())
        return Growth(self.state.number - self.base, self.grown_bytes, rows * ROW_BYTES)

    def _absent(self) -> None:
        """The folder is not there: nothing has been made yet, unless we know better."""
        try:
            self.folder.files.names()
        except OSError as error:
            raise self.folder.error(error) from error
        if self.state.number:
            raise RecordsError(Outcome.UNAVAILABLE, f"{self.folder.place()}: no such directory: mount the share")
