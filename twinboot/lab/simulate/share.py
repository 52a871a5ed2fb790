"""One server's mount of the share: the port `Files` as a network file system really behaves.

Modelled after measurements of Linux clients on NFSv3 and v4.1 with default mount options:

* Each operation travels to the server and back; it takes effect at one moment in between, and a process that is
  killed meanwhile may leave it under way. `link` and exclusive creation are decided by the server: one wins.
* A listing may be some 30 ms old and not of one instant, a file replaced by rename now and then seconds old; a name
  once looked up and not found may stay unfound for 30 s; `stat` of a folder may be old by a minute. One's own changes
  are always seen.
* A reply may be lost: the operation is done, and the caller hears EIO or ETIMEDOUT, or, after a repetition, that the
  name is there already or gone already.
* A full disk takes what is written and fails the sync, once, leaving a torn file. An export may turn read-only.
* The share may hang: a hard mount waits; behind a deadline the caller gets ETIMEDOUT, from then on at once, and what it
  asked for may still happen when the share comes back.

On a local disk nothing is old, but names are durable only after `sync`, and times tick every few milliseconds.
"""

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from storage.records.files import Stamp
from twinboot.lab.simulate.clockwork import EPOCH_S, Clockwork, Killed, Task
from twinboot.lab.simulate.disk import Disk, Node, problem

LISTING_AGE_MAX_S = 0.03
REPLACED_AGE_MAX_S = 4.0
NEGATIVE_MAX_S = 30.0
STAT_AGE_MAX_S = 60.0
TICK_NS = 4_000_000  # of a local file system's times

T = TypeVar("T")


@dataclass
class Weather:
    """How the share is to one server; the faults change it."""

    is_local: bool = False  # a local disk: no caches, durable only when synced
    travel_s: float = 0.0005  # typical time to the server, and back
    deadline_s: float = 0.0  # 0: operations wait for ever (a hard mount)
    hung_until_s: float = 0.0
    failing: float = 0.0  # the part of operations that fail without having been done
    lost: float = 0.0  # the part of changes that are done but reported as failed
    stale: float = 0.2  # the part of looks that may be old
    is_full: bool = False
    is_read_only: bool = False


class Mount:
    """The share as one host's processes see it."""

    def __init__(self, disk: Disk, clockwork: Clockwork, rng: Random, weather: Weather) -> None:
        self.weather = weather
        self.operations = 0
        self._given_up_s = 0.0  # the hang that has cost a deadline already
        self._ambush: tuple[int, Callable[[], object]] = (0, lambda: None)
        self._disk = disk
        self._clockwork = clockwork
        self._random = rng.random
        self._uniform = rng.uniform
        self._own: dict[str, float] = {}  # folder -> when this mount last changed it
        self._unfound: dict[str, float] = {}  # path -> until when it stays unfound
        self._seen: set[str] = set()  # files read before: only what was seen can be remembered wrongly
        self._stats: dict[str, tuple[float, Stamp]] = {}  # folder -> its attributes, and until when they are believed
        self.location = "/simulated"
        self.stat_is_current = weather.is_local

    def ambush(self, ahead: int, action: Callable[[], object] = lambda: None) -> None:
        """Let something happen in the middle of the operation that is so many from now (0: let it not happen)."""
        self._ambush = (ahead, action)

    def abandon(self, task: Task) -> None:
        """Decide what becomes of the change that a killed process had under way."""
        if task.flying is not None and self._random() < 0.5:
            self._land(task.flying, self._uniform(0.0, 0.01))

    # -- the port

    def names(self, folder: str = "") -> list[str]:
        """List a folder's names."""
        return self._look(folder, lambda: self._listing(folder))

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return self._look(name, lambda: self._found(name).data)

    def stat(self, name: str) -> Stamp:
        """Return the stamp of a file, or of a folder."""
        if name and name not in self._disk.folders:
            return self._look(name, lambda: self._stamp(self._found(name)))
        return self._look(name, lambda: self._folder_stamp(name))

    def write(self, name: str, pieces: Iterable[bytes], like: str = "") -> None:  # noqa: ARG002 - nobody has modes here
        """Create a file, write and sync it."""
        data = b"".join(pieces)
        self._change(name, lambda: self._disk.create(name, b"", self._clockwork.now_s))
        try:
            self._fill(name, data)
        except Killed:
            self._tear(name, data)
            raise

    def link(self, name: str, new: str) -> None:
        """Give a file a second name."""
        self._change(new, lambda: self._disk.link(name, new, self._clockwork.now_s), errno.EEXIST)

    def rename(self, name: str, new: str) -> None:
        """Move a file over a name."""
        self._change(new, lambda: self._disk.rename(name, new, self._clockwork.now_s), errno.ENOENT)

    def remove(self, name: str) -> None:
        """Take a name away."""
        self._change(name, lambda: self._disk.remove(name, self._clockwork.now_s), errno.ENOENT)

    def make(self, folder: str) -> None:
        """Make a folder."""
        self._change(folder, lambda: self._disk.make(folder), errno.EEXIST)

    def sync(self, folder: str = "") -> None:
        """Make a folder's names durable."""

        def apply() -> None:
            self._disk.folder(folder).unsynced = 0

        self._change(folder, apply)

    # -- looking

    def _look(self, path: str, apply: Callable[[], T]) -> T:
        self._travel(path)
        if self.weather.failing and self._random() < self.weather.failing:
            raise problem(errno.ESTALE if self._random() < 0.3 else errno.EIO, path)
        result = apply()
        self._back()
        return result

    def _as_of(self, folder: str, age_max_s: float) -> float:
        """Say how old a look at a folder is this time: never older than one's own last change."""
        now_s, weather = self._clockwork.now_s, self.weather
        if weather.is_local or self._random() >= weather.stale:
            return now_s
        return max(now_s - age_max_s * self._random(), self._own.get(folder, 0.0))

    def _listing(self, folder: str) -> list[str]:
        draw = self._random
        self._unfound.clear()
        files = self._disk.folder(folder).names(self._as_of(folder, LISTING_AGE_MAX_S), lambda: draw() < 0.5)
        return files if folder else [*files, *filter(None, self._disk.folders)]

    def _found(self, path: str) -> Node:
        now_s = self._clockwork.now_s
        if not self.weather.is_local and self._unfound.get(path, 0.0) > now_s:
            raise problem(errno.ENOENT, path)
        folder = path.rpartition("/")[0]
        age_max_s = REPLACED_AGE_MAX_S if path in self._seen and self._random() < 0.02 else 0.0
        try:
            node = self._disk.look(path, self._as_of(folder, age_max_s))
        except FileNotFoundError:
            self._unfound[path] = now_s + self._uniform(0.0, NEGATIVE_MAX_S)
            raise
        self._seen.add(path)
        return node

    def _folder_stamp(self, folder: str) -> Stamp:
        now_s = self._clockwork.now_s
        until_s, stamp = self._stats.get(folder, (0.0, None))
        if self.weather.is_local or stamp is None or until_s <= now_s:
            stamp = self._stamp(Node(b"", 0, self._disk.folder(folder).changed_s))
            self._stats[folder] = (now_s + self._uniform(0.0, STAT_AGE_MAX_S), stamp)
        return stamp

    def _stamp(self, node: Node) -> Stamp:
        at_ns = int((EPOCH_S + node.changed_s) * 1e9)
        if self.weather.is_local:
            at_ns -= at_ns % TICK_NS
        return Stamp(1, node.number, len(node.data), at_ns, at_ns)

    # -- changing

    def _change(self, path: str, apply: Callable[[], object], repeated: int = errno.EIO) -> None:
        """Do something to the share; `repeated` is what a repetition of it would hear."""
        task, weather = self._clockwork.current(), self.weather
        task.flying = apply
        self._travel(path)
        task.flying = None
        if weather.is_read_only:
            raise problem(errno.EROFS, path)
        if weather.failing and self._random() < weather.failing:
            raise problem(errno.EIO, path)
        apply()
        folder = path.rpartition("/")[0]
        self._own[folder] = self._clockwork.now_s
        self._unfound.clear()
        self._stats.pop(folder, None)
        if weather.lost and self._random() < weather.lost:
            self._back()
            raise problem(repeated if self._random() < 0.6 else errno.EIO, path)
        self._back()

    def _fill(self, name: str, data: bytes) -> None:
        """Write and sync what was just created."""
        weather = self.weather
        if weather.is_full and self._random() < 0.8:
            self._travel(name)
            self._tear(name, data)
            raise problem(errno.ENOSPC, name)
        self._change(name, lambda: self._disk.fill(name, data, self._clockwork.now_s))

    def _tear(self, name: str, data: bytes) -> None:
        """Leave what an unsynced file may be after a failure: nothing, a part, zeros at its end, or all of it."""
        kept = data[: int(len(data) * self._random())]
        whole = (b"", kept, kept.ljust(len(data), b"\0"), data)[int(self._random() * 4)]
        self._disk.fill(name, whole, self._clockwork.now_s)

    # -- the way there and back

    def _travel(self, path: str) -> None:
        task, weather = self._clockwork.current(), self.weather
        if not task.alive:
            raise Killed
        self.operations += 1
        if self._ambush[0]:
            ahead, action = self._ambush
            self._ambush = (ahead - 1, action)
            if ahead == 1:
                self._clockwork.after(0, action)
        task.sleep(weather.travel_s * (0.5 + self._random()))
        while weather.hung_until_s > self._clockwork.now_s:
            if not weather.deadline_s:
                task.sleep(weather.hung_until_s - self._clockwork.now_s + 0.01 * self._random())
                continue
            if self._given_up_s == weather.hung_until_s:
                raise problem(errno.ETIMEDOUT, path)
            task.sleep(weather.deadline_s)
            self._given_up_s = weather.hung_until_s
            flying, task.flying = task.flying, None
            if flying is not None and self._random() < 0.7:
                self._land(flying, weather.hung_until_s - self._clockwork.now_s + self._uniform(0.0, 2.0))
            raise problem(errno.ETIMEDOUT, path)

    def _back(self) -> None:
        self._clockwork.current().sleep(self.weather.travel_s * (0.5 + self._random()))

    def _land(self, flying: Callable[[], object], in_s: float) -> None:
        """Let a change whose caller has given up, or is dead, happen after all."""

        def arrive() -> None:
            try:
                flying()
            except OSError:
                return  # nobody is left to hear of it

        self._clockwork.after(max(in_s, 0.0), arrive)
