"""The log on a share in memory that loses, tears and answers as a test wants it, and servers that use it."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from storage.records import Binding, Change, Outcome, Records, Row, twinlog_turns
from storage.records.files import Stamp
from storage.records.twinlog import TwinLog
from storage.records.twinlog_names import FOLDER
from tests.rows import rows_of

NET = "192.168.76.0"
FIRST_GENERATION = 0x8000  # these and the following have signatures of one length
Make = Callable[..., TwinLog]


class Crash(BaseException):
    """The process is no more: no handler of errors may catch it."""


class FakeFiles:
    """The share in memory: names are lost in a crash unless their folder was synced, half-written data are torn.

    `before` and `after` are called around each operation with its name and arguments; what they raise happens.
    """

    def __init__(self) -> None:
        self.location = "/fake"
        self.stat_is_current = False
        self.folders: dict[str, dict[str, int]] = {"": {}}
        self.synced: dict[str, dict[str, int]] = {"": {}}
        self.data: dict[int, bytes] = {}
        self.before: Callable[..., None] = lambda *_: None
        self.after: Callable[..., None] = lambda *_: None

    def view(self) -> FakeFiles:
        """The same share from another host, with hooks of its own."""
        other = FakeFiles()
        other.folders, other.synced, other.data = self.folders, self.synced, self.data
        return other

    def crashed(self, *, names_survive: bool, torn: Callable[[bytes], bytes]) -> FakeFiles:
        """What a new start finds: names as last synced or as last seen, unfinished data torn."""
        found = FakeFiles()
        source = self.folders if names_survive else self.synced
        found.folders = {folder: dict(names) for folder, names in source.items()}
        found.synced = {folder: dict(names) for folder, names in found.folders.items()}
        found.data = {number: torn(data) if number in self._open else data for number, data in self.data.items()}
        return found

    _open: frozenset[int] = frozenset()

    def _done(self, *call: object) -> None:
        self.after(*call)

    def _at(self, name: str) -> tuple[dict[str, int], str]:
        folder, _, last = name.rpartition("/")
        if folder not in self.folders:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return self.folders[folder], last

    def _inode(self, name: str) -> int:
        names, last = self._at(name)
        if last not in names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return names[last]

    def put(self, name: str, data: bytes) -> None:
        """Replace a file's contents behind everybody's back."""
        folder, _, last = name.rpartition("/")
        self.folders[folder][last] = number = len(self.data) + 1
        self.data[number] = data

    def put_log(self, name: str, data: bytes) -> None:
        """The same for a file of the log."""
        self.put(f"{FOLDER}/{name}", data)

    def spoil(self, name: str) -> None:
        """Cut the end off a file of the log."""
        self.put_log(name, self.read(f"{FOLDER}/{name}")[:-9])

    def names(self, folder: str = "") -> list[str]:
        self.before("names", folder)
        names = list(self._at(f"{folder}/" if folder else "x")[0])
        self._done("names", folder)
        return names + [name for name in self.folders if name] if not folder else names

    def read(self, name: str) -> bytes:
        self.before("read", name)
        data = self.data[self._inode(name)]
        self._done("read", name)
        return data

    def write(self, name: str, pieces: Iterable[bytes], like: str = "") -> None:
        self.before("write", name)
        names, last = self._at(name)
        if last in names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        names[last] = number = len(self.data) + 1
        self.data[number] = b"".join(pieces)
        self._open |= {number}
        self.before("sync-data", name)
        self._open -= {number}
        self._done("write", name)

    def link(self, name: str, new: str) -> None:
        self.before("link", name, new)
        names, last = self._at(new)
        number = self._inode(name)
        if last in names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
        names[last] = number
        self._done("link", name, new)

    def rename(self, name: str, new: str) -> None:
        self.before("rename", name, new)
        names, last = self._at(new)
        names[last] = self._inode(name)
        source, old = self._at(name)
        del source[old]
        self._done("rename", name, new)

    def remove(self, name: str) -> None:
        self.before("remove", name)
        self._inode(name)
        names, last = self._at(name)
        del names[last]
        self._done("remove", name)

    def make(self, folder: str) -> None:
        self.before("make", folder)
        if folder in self.folders:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), folder)
        self.folders[folder] = {}
        self._done("make", folder)

    def sync(self, folder: str = "") -> None:
        self.before("sync", folder)
        self.synced[folder] = dict(self._at(f"{folder}/" if folder else "x")[0])
        if not folder:
            for made in self.folders:
                self.synced.setdefault(made, {})
        self._done("sync", folder)

    def stat(self, name: str) -> Stamp:
        self.before("stat", name)
        number = self._inode(name) if name not in self.folders else 0
        self._done("stat", name)
        return Stamp(1, number, len(self.data.get(number, b"")), number, number)


class FakeClock:
    """Time that passes when somebody waits, and a little with every look."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        self.time += 1e-6
        return self.time

    def today(self) -> float:
        return 1_800_000_000 + self.now()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def crash() -> type[Crash]:
    return Crash


@pytest.fixture
def share() -> FakeFiles:
    return FakeFiles()


@pytest.fixture
def server() -> Make:
    """A twinlog over a fake share, everything in the caller's thread.

    Generations are not drawn by lot: once in some thousand runs a row would be a few bytes shorter, and the log is
    compacted by size.
    """
    generation = partial(next, itertools.count(FIRST_GENERATION))

    def make(files: FakeFiles, name: str = "odd", **options: Any) -> TwinLog:
        usual: dict[str, Any] = {
            "clock": FakeClock(),
            "generation": generation,
            "look_s": 0.0,
            "background": lambda job: job(),
        }
        return TwinLog(files, server=name, **(usual | options))

    return make


def compact_after(monkeypatch: pytest.MonkeyPatch, batches_min: int, batches_max: int) -> None:
    """Let servers compact the log after so few batches."""
    monkeypatch.setattr(twinlog_turns, "BATCHES_MIN", batches_min)
    monkeypatch.setattr(twinlog_turns, "BATCHES_MAX", batches_max)


@pytest.fixture
def compacting(monkeypatch: pytest.MonkeyPatch) -> None:
    compact_after(monkeypatch, 2, 2)


@pytest.fixture
def odd(share: FakeFiles, server: Make) -> TwinLog:
    """A server on the share that has made the network's table."""
    store = server(share)
    store.create(NET)
    return store


Pair = tuple[TwinLog, TwinLog, FakeFiles, FakeFiles]


@pytest.fixture
def pair(share: FakeFiles, server: Make) -> Pair:
    """Two servers of one share, each through a view with hooks of its own."""
    views = share.view(), share.view()
    odd = server(views[0], "odd")
    odd.create(NET)
    return odd, server(views[1], "even"), *views


def bindings(store: Records) -> list[Binding]:
    """The rows of the network as `store` has them now."""
    return rows_of(store, NET, Binding)


def clock_of(store: TwinLog) -> FakeClock:
    assert isinstance(store._clock, FakeClock)
    return store._clock


def try_to_add(store: TwinLog, *rows: Row) -> list[Outcome]:
    return [result.outcome for result in store.commit([Change(NET, None, row) for row in rows])]


def add(store: Records, *rows: Row) -> list[Any]:
    """Store rows that have to go in; return them as they are stored."""
    results = store.commit([Change(NET, None, row) for row in rows])
    assert [result.outcome for result in results] == [Outcome.STORED] * len(rows)
    return [result.row for result in results]


def once(view: FakeFiles, verb: str, action: Callable[[], object], moment: str = "before") -> None:
    """Let `action` happen at the next such operation on the log."""

    def hook(name: str, *arguments: str) -> None:
        if name == verb and arguments[-1].startswith(FOLDER):
            setattr(view, moment, lambda *_: None)
            action()

    setattr(view, moment, hook)


def failing(number: int) -> Callable[[], None]:
    def action() -> None:
        raise OSError(number, os.strerror(number))

    return action


def logs(share: FakeFiles) -> list[str]:
    return sorted(name for name in share.folders[FOLDER] if name.endswith(".log"))


def tmps(share: FakeFiles) -> list[str]:
    return [name for name in share.folders[FOLDER] if name.startswith("tmp.")]
