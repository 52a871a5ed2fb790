"""Volumes in memory: the port's fake for tests. Same verdicts as the real ones; users and faults on demand."""

from collections import deque
from pathlib import Path

from storage.volumes import judge
from storage.volumes.judge import Disk
from storage.volumes.names import Name, Project, Snapshot, Volume
from storage.volumes.port import (
    Access,
    Export,
    Outcome,
    Progress,
    Usage,
    VolumeInfo,
    VolumesError,
    check_access,
    check_size,
)

PORTAL = "127.0.0.1:3260"
AUTHORITY = "iqn.2026-11.test.memory"
TOTAL_BYTES = 2**40


class MemoryVolumes:
    """A store that lives as long as the object does; its volumes have sizes but no contents."""

    thin = True
    caveat = ""

    def __init__(self) -> None:
        self.location = f"memory:{id(self)}"
        self.users: dict[Volume, set[str]] = {}
        """Initiators that a test says are logged in."""
        self._projects: set[Project] = set()
        self._disks: dict[Volume, Disk] = {}
        self._sizes: dict[Volume, int] = {}
        self._failures: deque[Outcome] = deque()

    def fail_next(self, outcome: Outcome, count: int = 1) -> None:
        """Let the next `count` verbs fail."""
        self._failures.extend([outcome] * count)

    def make_project(self, project: Project) -> None:
        """Make an empty project."""
        self._fail()
        if project in self._projects:
            raise VolumesError(Outcome.EXISTS, f"{project}: it is there already")
        self._projects.add(project)

    def create(self, volume: Volume, size_bytes: int) -> None:
        """Make an empty volume."""
        self._fail()
        judge.may_create(volume, self._projects, self._disks)
        self._sizes[volume] = check_size(size_bytes)
        self._disks[volume] = Disk(volume, None, (), None)

    def load(self, volume: Volume, image: Path, progress: Progress | None = None) -> None:
        """Make a volume as large as the file."""
        if not image.is_file():
            raise VolumesError(Outcome.INVALID, f"{image}: no such image")
        size_bytes = image.stat().st_size
        self.create(volume, size_bytes)
        if progress:
            progress(size_bytes, size_bytes)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Add the name to the volume's."""
        self._fail()
        judge.may_snapshot(snapshot, self._disks, self.users.get(snapshot.parent, ()))
        disk = self._disks[snapshot.parent]
        self._disks[disk.name] = disk._replace(snapshots=(*disk.snapshots, snapshot))

    def clone(self, snapshot: Snapshot, volume: Volume) -> None:
        """Make a volume of the snapshot's size."""
        self._fail()
        judge.the_origin(snapshot, self._disks)
        judge.may_create(volume, self._projects, self._disks)
        self._sizes[volume] = self._sizes[snapshot.parent]
        self._disks[volume] = Disk(volume, snapshot, (), None)

    def export(self, volume: Volume, access: Access) -> Export:
        """Note the access."""
        self._fail()
        wanted = check_access(access)
        judge.may_export(volume, self._disks, wanted)
        self._disks[volume] = self._disks[volume]._replace(access=wanted)
        return _export(volume, wanted)

    def unexport(self, volume: Volume) -> None:
        """Forget the access."""
        self._fail()
        disk = judge.the_disk(volume, self._disks)
        judge.not_busy(volume, self.users.get(volume, ()), "shut the guest down first")
        self._disks[volume] = disk._replace(access=None)

    def destroy(self, name: Name) -> None:
        """Forget it."""
        self._fail()
        judge.may_destroy(name, self._projects, self._disks)
        if isinstance(name, Project):
            self._projects.remove(name)
        elif isinstance(name, Snapshot):
            disk = self._disks[name.parent]
            kept = tuple(one for one in disk.snapshots if one != name)
            self._disks[disk.name] = disk._replace(snapshots=kept)
        else:
            del self._disks[name]

    def faults(self) -> tuple[str, ...]:
        """Memory can be read."""
        return ()

    def usage(self, project: Project | None = None) -> Usage:
        """Nothing is ever written, so all of it is promised."""
        size_bytes = sum(one.size_bytes for one in self.volumes(project))
        return Usage(0, size_bytes, size_bytes, TOTAL_BYTES, TOTAL_BYTES)

    def projects(self) -> list[Project]:
        """All projects."""
        self._fail()
        return sorted(self._projects)

    def volumes(self, project: Project | None = None) -> list[VolumeInfo]:
        """All volumes, or a project's."""
        self._fail()
        if project is not None:
            judge.the_project(project, self._projects)
        return [self._info(disk) for name, disk in sorted(self._disks.items()) if project in (None, name.parent)]

    def tend(self) -> tuple[str, ...]:
        """Nothing is ever missing."""
        return ()

    def _info(self, disk: Disk) -> VolumeInfo:
        export = _export(disk.name, disk.access) if disk.access else None
        users = tuple(sorted(self.users.get(disk.name, ())))
        return VolumeInfo(disk.name, self._sizes[disk.name], 0, disk.origin, disk.snapshots, export, users)

    def _fail(self) -> None:
        if self._failures:
            outcome = self._failures.popleft()
            raise VolumesError(outcome, f"{self.location}: {outcome.value}, as the test asked")


def _export(volume: Volume, access: Access) -> Export:
    return Export(volume.iqn(AUTHORITY), PORTAL, 1, access.initiators, access.chap is not None)
