"""The port of the datastore: what a keeper of shared rows must do, and every way in which it may fail.

Rules for callers and adapters:

1. A row is changed by a `Change` that shows the row as last seen. It succeeds only if the stored row still bears
   that row's signature; otherwise it is a *collision*: somebody else was first. A collision is a normal outcome.
2. A `Result` of STORED is durable: it has reached the disk before `commit` returns. Any other outcome but
   UNAVAILABLE means that nothing was written; after UNAVAILABLE the row must be read again to know.
3. A row that cannot be read is quarantined: kept in its place, skipped, and named as a `Fault`. The others serve.
4. Nobody needs a clock: who wins is decided by the store alone. Where the store has one of its own, it tells it, so
   that those who use the store can compare theirs.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol

from storage.records.rows import Key, Row


class Outcome(Enum):
    """What became of a change or a call."""

    STORED = "stored"
    EXISTS = "exists"
    NOT_FOUND = "not found"
    COLLISION = "collision"
    BUSY = "busy"
    DENIED = "denied"
    FULL = "full"
    UNAVAILABLE = "unavailable"
    INVALID = "invalid"


_STORED: Final = Outcome.STORED  # a member is looked up in its class's class, which takes longer than all else here


class Fault(NamedTuple):
    """A quarantined row: its table, its line in the file (from 1), its text, and why it cannot be read."""

    table: str
    line: int
    text: str
    reason: str


class Delta(NamedTuple):
    """What `read` found.

    `version` is to be given to the next `read`. `rows` are the rows added or changed and `gone` the keys removed
    since; with `whole` set, `rows` is the entire table instead (forget what you had). `faults` are always all the
    faults that the table has now.
    """

    version: int
    rows: tuple[Row, ...]
    gone: tuple[Key, ...]
    whole: bool
    faults: tuple[Fault, ...]


class Change(NamedTuple):
    """One wish: `old` None adds `new`; `new` None deletes `old`; both replace `old` by `new`, key included.

    The signature of `new` is ignored: the store chooses it.
    """

    table: str
    old: Row | None
    new: Row | None


class Result(NamedTuple):
    """What became of one change: `row` as now stored (with its new signature), or None after a delete or failure.

    `detail` is one line for people, empty on success.
    """

    outcome: Outcome
    row: Row | None
    detail: str


def stored(row: Row) -> Result:
    """The result of a change that is made; one for each packet, so not by `Result`'s own function: it is a slow one."""
    return tuple.__new__(Result, (_STORED, row, ""))


class Rescan(NamedTuple):
    """What became of hand edits to published copies: how many rows were taken over, and what was not, a line each."""

    taken: int
    refused: tuple[str, ...]


class RecordsError(Exception):
    """A call on a whole table or store failed; the text says what is wrong and how to put it right."""

    def __init__(self, outcome: Outcome, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class Epoch(NamedTuple):
    """A measurement of a store's clock: it showed `unix_s` then, or more, but no more than `behind_s` seconds more.

    `behind_s` is 0 for a measurement, `inf` where nothing but a lower bound is known.
    """

    unix_s: float
    behind_s: float = 0.0


def nothing() -> None:
    """Do nothing: for those whom it does not concern when a commit `waits`."""


class Records(Protocol):
    """A datastore. Table names: "dhcptab", "installs", "guests", or the number of a network ("192.168.76.0").

    Every method may be called from any thread.
    """

    location: str
    """Canonical name of the place (a real path); two objects with one location are one store."""

    def tables(self) -> list[str]:
        """Names of the tables that exist, sorted. RecordsError if the place itself is not there."""

    def create(self, table: str) -> None:
        """Make an empty table. RecordsError: EXISTS, INVALID (no such kind of name), DENIED, FULL, ..."""

    def drop(self, table: str) -> None:
        """Remove a table with all its rows. RecordsError: NOT_FOUND, BUSY, DENIED, ..."""

    def read(self, table: str, since: int = 0) -> Delta:
        """The whole table (`since` 0), or what changed after version `since` of an earlier delta.

        Changes count whoever made them: this object, another process, or a person with an editor. If the version
        is too old to tell, the delta is whole. Reading an unchanged table costs next to nothing.
        RecordsError: NOT_FOUND (no such table), INVALID (not a container), DENIED, UNAVAILABLE.
        """

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        """Try all changes; one result each, in their order. Never raises for what a store can suffer.

        Changes of one table are one durable write, judged in order, each on its own: a refused change does not
        hold up its neighbours. Different tables are different writes.

        `waits` is called when most of what is left is waiting (for the disk, a share, a database), so that who commits
        in one thread can go on in another. It must bear to be called again; it need not be called at all.
        """

    def rescan(self) -> Rescan:
        """Take over what people wrote into copies that the store publishes; RecordsError.

        Nothing to do for a store whose readers look at the originals themselves.
        """

    def tend(self) -> None:
        """Do what can wait, such as publishing copies: to be called about once a second. RecordsError."""

    def epoch(self) -> Epoch | None:
        """What the store's clock showed when our monotonic clock was zero, as last measured.

        None where the store has no clock that all its users have in common, or it was not seen yet. Asks nobody, so it
        may be called for each packet.
        """


class WithoutCopies:
    """For stores whose readers look at the originals: nothing to take over, nothing to publish. And without a clock."""

    def rescan(self) -> Rescan:
        """Nothing to take over."""
        return Rescan(0, ())

    def tend(self) -> None:
        """Nothing can wait."""

    def epoch(self) -> Epoch | None:
        """No clock."""
        return None
