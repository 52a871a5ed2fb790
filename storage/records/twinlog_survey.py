"""Looking a log over from outside, with all servers dead or alive: is it sound, and what does it say? Reads only.

The proof of soundness is a second calculation: starting from the oldest readable snapshot, every batch is applied in
order; each must replace exactly the versions that are there, and the result must be what the newer snapshots hold.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from storage.records.files import Files, again, fetch
from storage.records.judge import key_text
from storage.records.rows import Key, Row
from storage.records.twinlog_copies import EDITED_PREFIX
from storage.records.twinlog_names import DAMAGED_SUFFIX, FOLDER, TMP_PREFIX, log_name, numbered, snap_name
from storage.records.twinlog_publish import read_copy, rows_crc, table_of
from storage.records.twinlog_state import State
from storage.records.twinlog_text import (
    ADDED,
    CREATED,
    DROPPED,
    REMOVED,
    Batch,
    DamagedError,
    ForeignError,
    Head,
    Section,
    Snapshot,
    decode_batch,
    decode_snapshot,
)

FINDINGS_MAX = 200
"""Findings told; one spoilt batch can make every later row strange."""


class Finding(NamedTuple):
    """Something about one file: `harm` if data were or may be lost, else for information."""

    harm: bool
    name: str
    text: str


class Event(NamedTuple):
    """One change of one row, as a batch has it."""

    number: int
    head: Head
    table: str
    sign: str
    line: bytes


@dataclass
class Survey:
    """What a log holds. `state` are the tables as a server would have them, None if none could start."""

    state: State | None = None
    first: int = 0
    """The number from which on every batch is there."""
    snapshots: list[int] = field(default_factory=list)
    batches: dict[int, Batch] = field(default_factory=dict)
    servers: dict[str, tuple[int, Head]] = field(default_factory=dict)
    """By server name: its last batch."""
    spoilt: list[str] = field(default_factory=list)
    """Files that cannot be read."""
    holes: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was or may be lost."""
        return self.state is not None and not any(finding.harm for finding in self.findings)

    def note(self, name: str, text: str, *, harm: bool = False) -> None:
        """Add a finding, up to a bound."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(harm, name, text))

    def history(self, key: str) -> list[Event]:
        """Every change still in the log of rows whose key is written so."""
        return [
            Event(number, batch.head, table, entry.sign.decode(), entry.line)
            for number, batch in sorted(self.batches.items())
            for table, entries in batch.tables
            for entry in entries
            if entry.row is not None and key in (key_text(entry.row.key), _name(entry.row.key))
        ]


def survey(files: Files) -> Survey:
    """Look a log over; OSError (FileNotFoundError: there is none)."""
    found = Survey()
    names = sorted(again(lambda: files.names(FOLDER)))
    snapshots: dict[int, Snapshot] = {}
    for name in names:
        kind = numbered(name)
        if kind is None:
            _note_other(found, name)
            continue
        number, suffix = kind
        try:
            data = _read(files, f"{FOLDER}/{name}")
            if suffix == "snap":
                found.snapshots.append(number)
                snapshots[number] = decode_snapshot(data)
            else:
                found.batches[number] = decode_batch(data)
        except FileNotFoundError:
            continue  # a server tidied it away meanwhile
        except DamagedError as error:
            found.spoilt.append(name)
            found.note(name, f"{error}: what it held is lost unless another file holds it", harm=True)
        except ForeignError as error:
            found.note(name, str(error), harm=True)
            return found
    _replay(found, snapshots, names)
    _note_copies(found, files)
    return found


def _note_other(found: Survey, name: str) -> None:
    if name.startswith(TMP_PREFIX):
        found.note(name, "a write in progress, or what a crash left of one: swept when it is ten minutes old")
    elif name.endswith(DAMAGED_SUFFIX):
        found.note(name, "a damaged file, kept: remove it when you have seen to it")
    elif name.startswith(EDITED_PREFIX):
        found.note(
            name, "an edited copy of which not everything was taken over, kept: remove it when you have seen to it"
        )
    else:
        found.note(name, "is nothing of ours")


def _replay(found: Survey, snapshots: dict[int, Snapshot], names: list[str]) -> None:
    """Apply all batches above the snapshot before the newest one, checking each against what is there."""
    base = sorted(snapshots)[-2:][0] if snapshots else 0
    last = max([base, *found.batches, *snapshots])
    state = State()
    if snapshots:
        state.load(base, _copied(snapshots[base]))
        _note_head(found, base, snapshots[base].head)
    found.first = base + 1
    for number in [number for number in found.batches if number <= base]:
        found.note(log_name(number), f"stands below {snap_name(base)}: superseded, or it never counted")
    believed = True
    for number in range(base + 1, last + 1):
        batch = found.batches.get(number)
        if batch is not None:
            if believed:
                _check(found, number, batch, state)
            _note_head(found, number, batch.head)
        else:
            believed = False
            if log_name(number) not in names:
                found.holes.append(number)
        state.apply(number, batch)
        if number in snapshots:
            if believed and not _agree(state, snapshots[number]):
                found.note(snap_name(number), "differs from what the batches below it make", harm=True)
            state.load(number, _copied(snapshots[number]))
            believed = True
    if found.holes:
        found.note(log_name(found.holes[0]), "is missing although later files are there", harm=True)
    if not snapshots and (found.snapshots or 1 in found.holes):
        found.note(FOLDER, "no readable snapshot, and the first batches are gone: no server can start", harm=True)
    else:
        found.state = state


def _copied(snapshot: Snapshot) -> dict[str, Section]:
    """Tables of their own, for the replay alters them and the snapshot is still to be compared."""
    return {
        name: Section(one.rows.copy(), one.lines.copy(), one.strays.copy()) for name, one in snapshot.tables.items()
    }


def _note_head(found: Survey, number: int, head: Head) -> None:
    if number >= found.servers.get(head.server, (0, head))[0]:
        found.servers[head.server] = (number, head)


def _check(found: Survey, number: int, batch: Batch, state: State) -> None:
    """Each line must replace what is there: the version that it names."""
    for name, entries in batch.tables:
        table = state.tables.get(name)
        seen: dict[Key, int | None] = {}
        for entry in entries:
            if entry.sign in (CREATED, DROPPED):
                if (table is None) != (entry.sign == CREATED):
                    found.note(log_name(number), f"{name} was {entry.sign.decode()} twice", harm=True)
                table = None
                continue
            if entry.row is None:
                found.note(log_name(number), f"holds a line that is no row: it {entry.fault}", harm=True)
                continue
            key = entry.row.key
            stored = table.rows.get(key) if table is not None else None
            there = seen.get(key, stored.signature if stored is not None else None)
            expected = _expected(entry.sign, entry.row)
            if there != expected:
                text = f"changes another version of {key_text(key)} in {name} than there was"
                found.note(log_name(number), text, harm=True)
            seen[key] = None if entry.sign == REMOVED else entry.row.signature


def _expected(sign: bytes, row: Row) -> int | None:
    """The signature that must be there before a line is applied; None for no row."""
    if sign == ADDED:
        return None
    return row.signature if sign == REMOVED else int(sign)


def _agree(state: State, snapshot: Snapshot) -> bool:
    return {name: table.rows for name, table in state.tables.items()} == {
        name: section.rows for name, section in snapshot.tables.items()
    }


def _note_copies(found: Survey, files: Files) -> None:
    state = found.state
    if state is None:
        return
    there = {table: name for name in files.names() if (table := table_of(name))}
    lines = dict(state.frozen().tables)
    for table, name in sorted(there.items()):
        copy = read_copy(table, _read(files, name))
        if copy.is_edited:
            found.note(name, "was edited, or is no copy of ours: taken over at the next rescan")
        elif copy.crc != rows_crc(lines.get(table, ())):
            found.note(name, f"is a copy as of batch {copy.number}, older than the log")
    for table in sorted(state.tables.keys() - there.keys()):
        found.note(table, "has no published copy yet")


def _read(files: Files, name: str) -> bytes:
    return fetch(files, name)


def _name(key: Key) -> str:
    return key[0] if isinstance(key, tuple) else ""
