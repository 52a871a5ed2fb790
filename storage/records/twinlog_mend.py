"""Mending a log and getting its contents out, with all servers dead or alive. Nothing is ever deleted.

A damaged batch keeps its number: an empty batch takes its place, and the damaged file a name of its own. A missing one
is closed in the same way. A damaged snapshot is renamed, and the log starts from the one before. Then a fresh snapshot
is written, so that the next start needs none of it.
"""

import contextlib
from collections.abc import Callable

from storage.records.container import container_name, empty_container
from storage.records.files import Files
from storage.records.port import Outcome, RecordsError
from storage.records.twinlog_copies import Copies
from storage.records.twinlog_house import write_snapshot
from storage.records.twinlog_names import DAMAGED_SUFFIX, FOLDER, TMP_PREFIX, log_name
from storage.records.twinlog_state import State
from storage.records.twinlog_survey import Survey
from storage.records.twinlog_text import Head, encode_batch, in_pieces

HOLES_MAX = 100_000
"""Missing batches closed in one go."""


class Mender:
    """Mends one log. `writer` gives unique ids, `today` seconds since 1970."""

    def __init__(self, files: Files, writer: Callable[[], str], today: Callable[[], float]) -> None:
        self._files = files
        self._writer = writer
        self._today = today

    def plan(self, found: Survey) -> list[str]:
        """What `mend` would do, a line each."""
        steps = []
        for name in found.spoilt:
            stand_in = ", with an empty batch in its place" if name.endswith(".log") else ""
            steps.append(f"{name}: keep it as {name}{DAMAGED_SUFFIX}{stand_in}")
        steps += [f"{log_name(number)}: close the gap by an empty batch" for number in found.holes]
        if steps:
            steps.append("write a fresh snapshot and fresh copies")
        return steps

    def mend(self, found: Survey) -> None:
        """Do that; RecordsError if no server could start from what is left, OSError."""
        if found.state is None or len(found.holes) > HOLES_MAX:
            raise RecordsError(
                Outcome.UNAVAILABLE,
                f"{self._files.location}/{FOLDER}: nothing to start from: restore the folder from a backup, or move it "
                "away and let the published copies be taken over as a new log (`twinboot store import`)",
            )
        for name in found.spoilt:
            if name.endswith(".log"):
                self._stand_in(name)
            else:
                self._files.rename(f"{FOLDER}/{name}", f"{FOLDER}/{name}{DAMAGED_SUFFIX}")
        for number in found.holes:
            self._close(number)
        self._files.sync(FOLDER)
        self.refresh(found.state)

    def refresh(self, state: State) -> None:
        """Write a snapshot of these tables, and the copies that are not up to date; OSError."""
        frozen = state.frozen()
        if frozen.number:
            write_snapshot(self._files, Head(self._writer(), self._today()), frozen)
        Copies(self._files, self._writer).publish(frozen, "")

    def _stand_in(self, name: str) -> None:
        with contextlib.suppress(FileExistsError):
            self._files.link(f"{FOLDER}/{name}", f"{FOLDER}/{name}{DAMAGED_SUFFIX}")
        self._files.rename(self._empty(), f"{FOLDER}/{name}")

    def _close(self, number: int) -> None:
        tmp = self._empty()
        with contextlib.suppress(FileExistsError):  # a server was faster
            self._files.link(tmp, f"{FOLDER}/{log_name(number)}")
        self._files.remove(tmp)

    def _empty(self) -> str:
        writer = self._writer()
        tmp = f"{FOLDER}/{TMP_PREFIX}{writer}"
        self._files.write(tmp, [encode_batch(Head(writer, self._today()), b"")])
        return tmp


def export(state: State, to: Files) -> list[str]:
    """Write every table as a container into another directory, never over a file there; names. OSError."""
    written = []
    for table, lines in state.frozen().tables:
        name = container_name(table)
        to.write(name, [empty_container(table), *in_pieces(lines)])
        written.append(name)
    to.sync()
    return written
