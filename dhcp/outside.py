"""What the service needs of the world: somebody who sends, clocks, and somebody who commits."""

from collections.abc import Sequence
from typing import Protocol

from dhcp.decision import Reply
from dhcp.sockets import Port
from storage.records import Change, Records, Result


class Clock(Protocol):
    """Tells the time; the module `time` is one."""

    def time(self) -> float:
        """Unix seconds."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""


class Wires(Protocol):
    """Sends for the service. Neither method raises for what a network can suffer."""

    def send(self, port: Port, replies: Sequence[Reply]) -> None:
        """Send replies."""

    def ask(self, port: Port, address: int) -> bool:
        """Ask by ICMP echo who has an address; False: nobody can be asked there."""


class Commits(Protocol):
    """Makes commits, one at a time, and may do so beside the loop, which it then wakes up at the end of each."""

    def begin(self, changes: Sequence[Change]) -> None:
        """Begin one. The results of the one before it must have been fetched."""

    def ended(self) -> list[Result] | None:
        """Return the results when it has ended, once; None while it is under way."""

    def wait(self) -> None:
        """Return when it has ended."""


class AtOnce:
    """Commits that have ended when `begin` returns."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._results: list[Result] | None = None

    def begin(self, changes: Sequence[Change]) -> None:
        """Commit."""
        self._results = self._records.commit(changes)

    def ended(self) -> list[Result] | None:
        """Return the results."""
        results, self._results = self._results, None
        return results

    def wait(self) -> None:
        """There is nothing to wait for."""
