"""The folder of a twinlog: its files listed, read and written. What they add up to is the business of `twinlog_log`.

Names are listed, never tried: an NFS client remembers for half a minute that a name was not there. Files are opened
anew, because that makes the client ask the server.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from storage.records.durable import records_error
from storage.records.files import READ_TRIES, Files, again, fetch
from storage.records.port import Fault, Outcome, RecordsError
from storage.records.twinlog_clock import Clock
from storage.records.twinlog_names import FOLDER, TMP_PREFIX, Listing, log_name
from storage.records.twinlog_text import (
    Batch,
    DamagedError,
    ForeignError,
    Head,
    Snapshot,
    decode_batch,
    decode_snapshot,
    encode_batch,
)


@dataclass
class LogFolder:
    """The files in `.twinlog`, as one process reads and writes them."""

    files: Files
    clock: Clock
    writer: str
    """`server.process`, unique: every batch id begins with it."""
    damage: dict[str, str] = field(default_factory=dict)
    """Files that could not be read, and why: kept, skipped and named."""
    _counts: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    # -- reading

    def names(self) -> Listing:
        """Names in the log's folder; OSError."""
        return Listing(again(lambda: self.files.names(FOLDER)))

    def _read(self, name: str) -> bytes:
        return fetch(self.files, f"{FOLDER}/{name}")

    def batch(self, name: str) -> Batch | None:
        """Read a batch; None, and a note, if it is damaged for good. FileNotFoundError, RecordsError."""
        for _ in range(READ_TRIES):
            try:
                return decode_batch(self._read(name))
            except DamagedError as error:
                self.damage[name] = str(error)
            except ForeignError as error:
                raise RecordsError(Outcome.UNAVAILABLE, f"{self.place()}/{name} {error}") from error
        return None

    def snapshot(self, name: str) -> Snapshot | None:
        """Read a snapshot; None, and a note, if it is damaged. FileNotFoundError, RecordsError."""
        try:
            return decode_snapshot(self._read(name))
        except DamagedError as error:
            self.damage[name] = str(error)
            return None
        except ForeignError as error:
            raise RecordsError(Outcome.UNAVAILABLE, f"{self.place()}/{name} {error}") from error

    def forget_damage(self, listings: Sequence[Listing]) -> None:
        """Keep no note of what is in none of these listings any more."""
        self.damage = {name: reason for name, reason in self.damage.items() if any(name in names for names in listings)}

    def faults(self, table: str) -> list[Fault]:
        """What is wrong with the log, as faults of a table."""
        return [Fault(table, 0, f"{FOLDER}/{name}", reason) for name, reason in sorted(self.damage.items())]

    # -- writing

    def next_writer(self) -> str:
        """A fresh unique id. Any thread may ask for one."""
        return f"{self.writer}.{next(self._counts)}"

    def write(self, body: bytes) -> tuple[str, str]:
        """Write a batch under a temporary name; that, and its id."""
        writer = self.next_writer()
        name = f"{TMP_PREFIX}{writer}"
        self.files.write(f"{FOLDER}/{name}", [encode_batch(Head(writer, self.clock.today()), body)])
        return name, writer

    def link(self, tmp: str, number: int) -> None:
        """Give a batch written under a temporary name its number; FileExistsError, OSError."""
        self.files.link(f"{FOLDER}/{tmp}", f"{FOLDER}/{log_name(number)}")

    def sync(self) -> None:
        """Bring the names in the folder to the disk; OSError."""
        self.files.sync(FOLDER)

    def discard(self, tmp: str) -> None:
        """Remove a temporary file, if it can be had."""
        try:
            self.files.remove(f"{FOLDER}/{tmp}")
        except OSError:
            return  # harmless, and swept some day

    # -- for people

    def place(self) -> str:
        """The log's folder, for people."""
        return f"{self.files.location}/{FOLDER}"

    def error(self, error: OSError) -> RecordsError:
        """What a failed operation means to callers."""
        known = records_error(error, self.place())
        if known.outcome in (Outcome.EXISTS, Outcome.NOT_FOUND):
            return RecordsError(Outcome.UNAVAILABLE, str(known))
        return known
