"""Shared by the tests of the records room."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from storage.records import FREE_ID, Binding, SunwFiles, ipv4_int
from storage.records.files import Stamp
from storage.records.twinlog import TwinLog

GOLDEN = Path(__file__).parent / "golden"
"""Containers byte for byte as Sun's own module wrote them (four bindings, six macros and symbols)."""


@pytest.fixture
def golden() -> Path:
    return GOLDEN


@pytest.fixture
def binding() -> Callable[..., Binding]:
    def make(last: int, **fields: Any) -> Binding:
        row = Binding(ipv4_int(f"192.168.76.{last}"), FREE_ID, 0, ipv4_int("192.168.76.1"), 0, 0, "pxe1", "")
        return row._replace(**fields)

    return make


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    """A directory with Sun's golden containers; the network's file."""
    for path in GOLDEN.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / "SUNWfiles1_192_168_76_0"


@pytest.fixture
def records(network_file: Path) -> SunwFiles:
    """The adapter over copies of the golden containers."""
    return SunwFiles(network_file.parent, lock_timeout_s=1.0)


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

    def view(self) -> "FakeFiles":
        """The same share from another host, with hooks of its own."""
        other = FakeFiles()
        other.folders, other.synced, other.data = self.folders, self.synced, self.data
        return other

    def crashed(self, *, names_survive: bool, torn: Callable[[bytes], bytes]) -> "FakeFiles":
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
def crash() -> type[BaseException]:
    return Crash


@pytest.fixture
def share() -> FakeFiles:
    return FakeFiles()


@pytest.fixture
def server() -> Callable[..., TwinLog]:
    """A twinlog over a fake share, everything in the caller's thread."""

    def make(files: FakeFiles, name: str = "odd", **options: Any) -> TwinLog:
        usual: dict[str, Any] = {"clock": FakeClock(), "look_s": 0.0, "background": lambda job: job()}
        return TwinLog(files, server=name, **(usual | options))

    return make
