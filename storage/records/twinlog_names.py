"""The names of a twinlog's files: `000000000124.log` is a batch, `000000000124.snap` a snapshot. Pure.

Numbers have leading zeros, so that names in order are numbers in order.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

FOLDER: Final = ".twinlog"
TMP_PREFIX: Final = "tmp."
SNAP_TMP_PREFIX: Final = "tmp.~"
"""Of snapshots: no server's name begins so, and it comes after those that do."""
DAMAGED_SUFFIX: Final = ".damaged"
NUMBER_DIGITS: Final = 12
"""A thousand batches a second for thirty years."""

_LOG, _SNAP = ".log", ".snap"
_AFTER: Final = ":"  # follows the digits: all that is numbered comes before it
_NAME: Final = re.compile(rf"([0-9]{{{NUMBER_DIGITS}}})\.(log|snap)")


def log_name(number: int) -> str:
    """File name of a batch."""
    return f"{number:0{NUMBER_DIGITS}d}{_LOG}"


def snap_name(number: int) -> str:
    """File name of a snapshot."""
    return f"{number:0{NUMBER_DIGITS}d}{_SNAP}"


class Listing:
    """The names in the log's folder, in order: batches and snapshots by number, and then all else.

    Looked at for every batch of packets, so nothing here goes through the names one by one but C does.
    """

    __slots__ = ("_names", "snapshots")

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names)
        self.snapshots: list[str] = []
        """Names of the snapshots, oldest first."""
        text = "\n".join(self._names)
        end = text.find(_SNAP)
        while end >= 0:
            name = text[text.rfind("\n", 0, end) + 1 : end + len(_SNAP)]
            if _NAME.fullmatch(name):
                self.snapshots.append(name)
            end = text.find(_SNAP, end + 1)

    def __contains__(self, name: str) -> bool:
        at = bisect_left(self._names, name)
        return at < len(self._names) and self._names[at] == name

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def logs_from(self, number: int) -> list[str]:
        """Names of the batches from a number on, in order."""
        first, end = bisect_left(self._names, log_name(number)), bisect_left(self._names, _AFTER)
        return [name for name in self._names[first:end] if name.endswith(_LOG)]

    def waiting(self, writer: str) -> list[str]:
        """Temporary names of batches that others than this process have written, and that have no number yet."""
        first, end = bisect_left(self._names, TMP_PREFIX), bisect_left(self._names, SNAP_TMP_PREFIX)
        own = f"{TMP_PREFIX}{writer}."
        return [name for name in self._names[first:end] if not name.startswith(own)]

    def has_snapshot(self, number: int) -> bool:
        """Whether a snapshot stands at or above a number."""
        return bool(self.snapshots) and self.snapshots[-1] >= snap_name(number)


def numbered(name: str) -> tuple[int, str] | None:
    """Number and kind ("log", "snap") that a file name tells; None for any other name."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), match[2]) if match else None
