"""Keeping the log's folder small: snapshots, and the removal of what they make superfluous.

Any process may do this at any time, also several at once: a snapshot is linked to its number and never overwritten,
and two of one number say the same. The two newest readable ones stay, with all batches above the older one, so that
one unreadable file never costs anything. Damaged files are renamed, not removed.
"""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass

from storage.records.files import Files, again, fetch
from storage.records.twinlog_names import (
    DAMAGED_SUFFIX,
    FOLDER,
    SNAP_TMP_PREFIX,
    TMP_PREFIX,
    log_name,
    numbered,
    snap_name,
)
from storage.records.twinlog_state import Frozen
from storage.records.twinlog_text import DamagedError, Head, check_end, encode_snapshot

TMP_KEPT_S = 600
"""Age from which a temporary file cannot be a write in progress (if it is one, its writer writes it again)."""


def write_snapshot(files: Files, head: Head, frozen: Frozen) -> None:
    """Put a snapshot of these tables on the disk, unless one of its number is there; OSError."""
    tmp = f"{FOLDER}/{SNAP_TMP_PREFIX}{head.writer}"
    try:
        files.write(tmp, encode_snapshot(head, frozen.tables))
        with contextlib.suppress(FileExistsError):
            files.link(tmp, f"{FOLDER}/{snap_name(frozen.number)}")
    finally:
        with contextlib.suppress(OSError):  # the first error counts, and tidying gets what stays
            files.remove(tmp)
    files.sync(FOLDER)


@dataclass
class _Standing:
    """Names in the folder, by what they are."""

    snapshots: list[str]
    logs: list[str]
    temporary: list[str]


def tidy(files: Files, damaged: Collection[str]) -> str:
    """Remove what is below the snapshot before the newest one; OSError. Returns that snapshot's name, or ""."""
    standing = _standing(files)
    if not standing.snapshots:
        return ""
    _sweep(files, standing)
    newest, *older = reversed(standing.snapshots)
    kept = next((name for name in older if name not in damaged and _is_whole(files, name)), "")
    if not kept or not _is_whole(files, newest):
        return kept
    found = numbered(kept)
    assert found is not None
    last = log_name(found[0])
    for name in [one for one in standing.snapshots if one < kept] + [one for one in standing.logs if one <= last]:
        with contextlib.suppress(FileNotFoundError):  # others tidy, too
            if name in damaged or (name.endswith(".snap") and not _is_whole(files, name)):
                files.rename(f"{FOLDER}/{name}", f"{FOLDER}/{name}{DAMAGED_SUFFIX}")
            else:
                files.remove(f"{FOLDER}/{name}")
    return kept


def _standing(files: Files) -> _Standing:
    names = again(lambda: files.names(FOLDER))
    kinds = [(name, numbered(name)) for name in sorted(names)]
    return _Standing(
        [name for name, found in kinds if found is not None and found[1] == "snap"],
        [name for name, found in kinds if found is not None and found[1] == "log"],
        [name for name in names if name.startswith(TMP_PREFIX)],
    )


def _is_whole(files: Files, name: str) -> bool:
    try:
        check_end(fetch(files, f"{FOLDER}/{name}"))
    except DamagedError:
        return False
    return True


def _sweep(files: Files, standing: _Standing) -> None:
    """Remove temporary files that are old by the clock of the share: that of the newest snapshot."""
    now_ns = again(lambda: files.stat(f"{FOLDER}/{standing.snapshots[-1]}")).mtime_ns
    for name in standing.temporary:
        with contextlib.suppress(FileNotFoundError):
            if files.stat(f"{FOLDER}/{name}").mtime_ns < now_ns - TMP_KEPT_S * 1_000_000_000:
                files.remove(f"{FOLDER}/{name}")
