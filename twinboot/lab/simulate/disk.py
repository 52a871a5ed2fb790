"""The file system on the storage server: what is where now, what was where a moment ago, what a power cut leaves.

Contents never change once written (the port of files has no append), so a file is one immutable value and a folder a
map from names to values. Each change of a folder is remembered with its time: that answers a stale look from a
client's cache, and on a local disk it is what a power cut takes back when nobody has synced the folder.
"""

import errno
import os
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

UNDO_S = 120.0  # changes older than this are seen by everybody
UNDO_MAX = 20_000


class Node(NamedTuple):
    """A file: content, number (as an inode has), time of the last change by the share's clock."""

    data: bytes
    number: int
    changed_s: float


class _Step(NamedTuple):
    """One change of a folder: what the name stood for before."""

    at_s: float
    name: str
    before: Node | None


class Folder:
    """Names and files, now and in the recent past."""

    def __init__(self) -> None:
        self.now: dict[str, Node] = {}
        self.changed_s = 0.0
        self.unsynced = 0  # how many of the last steps no sync has made durable
        self._steps: deque[_Step] = deque(maxlen=UNDO_MAX)

    def put(self, name: str, node: Node | None, at_s: float) -> None:
        """Let a name stand for a file, or for nothing."""
        self._steps.append(_Step(at_s, name, self.now.get(name)))
        self.unsynced += 1
        self.changed_s = at_s
        if node is None:
            del self.now[name]
        else:
            self.now[name] = node
        while self._steps[0].at_s < at_s - UNDO_S and len(self._steps) > self.unsynced:
            self._steps.popleft()

    def names(self, as_of_s: float, is_later: Callable[[], bool]) -> list[str]:
        """List the names as they were, or not quite: of what came and went since, some may have done so already.

        A long listing takes several requests and is not one instant; `is_later` decides for each such name.
        """
        if not self._steps or self._steps[-1].at_s <= as_of_s:
            return list(self.now)
        then: dict[str, Node | None] = dict(self.now)
        for step in reversed(self._steps):
            if step.at_s <= as_of_s:
                break
            if is_later():
                continue
            if step.before is None:
                then.pop(step.name, None)
            else:
                then[step.name] = step.before
        return list(then)

    def get(self, name: str, as_of_s: float) -> Node | None:
        """Find a file as it was."""
        found = self.now.get(name)
        for step in reversed(self._steps):
            if step.at_s <= as_of_s:
                break
            if step.name == name:
                found = step.before
        return found

    def cut(self, survivors: int) -> None:
        """Take back all unsynced steps but the first `survivors`: a journal is replayed in order, up to a point."""
        while self.unsynced > survivors:
            step = self._steps.pop()
            self.unsynced -= 1
            if step.before is None:
                self.now.pop(step.name, None)
            else:
                self.now[step.name] = step.before


class Disk:
    """Folders by name; "" is the share itself; `clock_error_s` is what its clock is wrong.

    Every method is one indivisible operation; OSError as POSIX has it.
    """

    def __init__(self) -> None:
        self.folders: dict[str, Folder] = {"": Folder()}
        self.clock_error_s = 0.0
        self._numbers = 0

    def folder(self, name: str) -> Folder:
        """Find a folder. FileNotFoundError if there is none."""
        found = self.folders.get(name)
        if found is None:
            raise problem(errno.ENOENT, name)
        return found

    def make(self, name: str) -> None:
        """Make a folder. FileExistsError."""
        if name in self.folders:
            raise problem(errno.EEXIST, name)
        self.folders[name] = Folder()

    def create(self, path: str, data: bytes, now_s: float) -> None:
        """Make a file that is not there yet (O_EXCL)."""
        folder, name = self._split(path)
        if name in folder.now:
            raise problem(errno.EEXIST, path)
        self._numbers += 1
        folder.put(name, Node(data, self._numbers, now_s + self.clock_error_s), now_s)

    def fill(self, path: str, data: bytes, now_s: float) -> None:
        """Give a file that was just created its content, durably; nothing happens if it was removed meanwhile.

        This is no step of the folder: a power cut may take the name away, but not a synced content from under it.
        """
        folder, name = self._split(path)
        node = folder.now.get(name)
        if node is not None:
            folder.now[name] = Node(data, node.number, now_s + self.clock_error_s)

    def link(self, path: str, new: str, now_s: float) -> None:
        """Give a file a second name, unless that is taken: the put-if-absent of every file system."""
        node = self._now(path)
        folder, name = self._split(new)
        if name in folder.now:
            raise problem(errno.EEXIST, new)
        folder.put(name, node, now_s)

    def rename(self, path: str, new: str, now_s: float) -> None:
        """Move a file to a name, over what is there."""
        node = self._now(path)
        folder, name = self._split(new)
        folder.put(name, node, now_s)
        folder, name = self._split(path)
        folder.put(name, None, now_s)

    def remove(self, path: str, now_s: float) -> None:
        """Take a name away."""
        self._now(path)
        folder, name = self._split(path)
        folder.put(name, None, now_s)

    def look(self, path: str, as_of_s: float) -> Node:
        """Find a file as it was. FileNotFoundError."""
        folder, name = self._split(path)
        node = folder.get(name, as_of_s)
        if node is None:
            raise problem(errno.ENOENT, path)
        return node

    def _now(self, path: str) -> Node:
        folder, name = self._split(path)
        node = folder.now.get(name)
        if node is None:
            raise problem(errno.ENOENT, path)
        return node

    def _split(self, path: str) -> tuple[Folder, str]:
        where, _, name = path.rpartition("/")
        found = self.folders.get(where)
        if found is None:
            raise problem(errno.ENOENT, where)
        return found, name


def problem(number: int, path: str) -> OSError:
    """Return an error as the kernel raises it (OSError picks the subclass)."""
    return OSError(number, os.strerror(number), path)
