"""What has been decided and is not stored yet: the commit under way, what the next one will hold, and who waits.

Rules of the room:

* One commit is under way at a time. What is decided meanwhile gathers for the next one.
* No commit holds two changes of one binding or about one machine, and no packet is decided about while a change of its
  binding or about its machine is not stored: it waits, and so do all later packets of its machine.
* All this is bounded: when it `is_full`, nothing may be added before the commit has ended.
"""

from collections.abc import Container
from typing import Final

from dhcp.decision import Decision
from dhcp.outside import Commits
from dhcp.sockets import Port
from storage.records import Change, Result

FULL = 1024  # packets beside those of the commit under way: as many as two batches of the daemon's
UNDECIDED: Final = Decision("", {})


class Work:
    """One packet on its way: the port it came in at, its bytes, and what to do about it.

    `came` is the monotonic time when it came in, `now_s` the Unix time when it was decided. `lost`: somebody else was
    first at its binding, once.
    """

    __slots__ = ("came", "data", "decision", "lost", "now_s", "port")

    def __init__(
        self, port: Port, data: bytes, came: float, decision: Decision = UNDECIDED, now_s: int = 0, lost: bool = False
    ) -> None:
        self.port = port
        self.data = data
        self.came = came
        self.decision = decision
        self.now_s = now_s
        self.lost = lost


class Underway:
    """The packets between their decision and what becomes of it."""

    def __init__(self, commits: Commits) -> None:
        self.is_busy = False  # a commit is under way
        self.gathered: list[Work] = []  # for the next one
        self._commits = commits
        self._stored: list[Work] = []  # by the commit under way
        self._waiting: list[Work] = []
        # addresses that changes are about, and their machines:
        self._next: set[object] = set()  # of what is gathered
        self._now: set[object] = set()  # of the commit under way; and the machines of who waits for it

    @property
    def is_full(self) -> bool:
        """Tell whether the commit under way must end before anything is added."""
        return self.is_busy and len(self.gathered) + len(self._waiting) >= FULL

    def touches(self, thing: object) -> bool:
        """Tell whether there is a change about an address or a machine that is not stored yet."""
        return thing in self._next or thing in self._now

    def add(self, work: Work, address: object, machine: bytes) -> None:
        """Put a change into the next commit."""
        self.gathered.append(work)
        self._next.add(address)
        self._next.add(machine)

    def leave_out(self, works: Container[Work]) -> None:
        """Take changes out of the next commit. What they touch stays touched until it ends."""
        self.gathered = [work for work in self.gathered if work not in works]

    def hold(self, work: Work, machine: bytes) -> None:
        """Let a packet wait for a commit: for that under way, else for the next one."""
        self._waiting.append(work)
        (self._now if self.is_busy else self._next).add(machine)

    def begin(self) -> None:
        """Begin the commit of what is gathered."""
        self._stored, self.gathered = self.gathered, []
        self._now, self._next = self._next, set()
        self.is_busy = True
        self._commits.begin([work.decision.change for work in self._stored if work.decision.change is not None])

    def ended(self) -> list[tuple[Work, Result]] | None:
        """Return what became of each change, once; None while the commit is under way."""
        results = self._commits.ended()
        if results is None:
            return None
        stored, self._stored = self._stored, []
        self._now = set()
        self.is_busy = False
        return list(zip(stored, results, strict=True))

    def wait(self) -> None:
        """Return when the commit under way has ended."""
        self._commits.wait()

    def waited(self) -> list[Work]:
        """Return who has waited for the commit that ended, in the order in which they came."""
        waiting, self._waiting = self._waiting, []
        return waiting


def address_of(change: Change) -> object:
    """Return what names the binding that a change is about: its address, which is in one network only."""
    return None if change.old is None else change.old[0]
