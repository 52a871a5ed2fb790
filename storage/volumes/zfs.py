"""A ZFS host as a store: datasets and zvols, exported by LIO, COMSTAR or tgtd, on this machine or another by ssh.

Each verb ends in one command of zfs that appears whole or not at all, and all that the store knows is in the datasets'
own properties. A volume that takes long to make bears a mark until it is ready, and its maker has a lock; a mark
without a lock is what a crash left. What is exported is noted first and made to stand then, so that `tend` knows what
is missing. Targets in a kernel do not go away by themselves, so `tend` looks at those twice a minute, not every second.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from storage.volumes import judge, local_image, zfs_datasets
from storage.volumes.command import command
from storage.volumes.local_target import Standing, Targets
from storage.volumes.locking import held
from storage.volumes.masking import masked
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
from storage.volumes.settings import ZfsSettings, checked_zfs
from storage.volumes.zfs_datasets import Tree, Zdisk
from storage.volumes.zfs_exports import Exports, kernel_or_tgt, one_secret
from storage.volumes.zfs_host import Host
from storage.volumes.zfs_image import raw
from storage.volumes.zfs_targets import Step

TEND_EVERY_S = 30.0
NO_FORECAST = "how fast it fills is not watched: see to the pool's own alarms"


def _nothing(_: str) -> None:
    """Nobody listens."""


class ZfsVolumes:
    """A store below one dataset."""

    thin = True

    def __init__(
        self,
        settings: ZfsSettings,
        *,
        host: Host | None = None,
        targets: Targets | None = None,
        step: Step = _nothing,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = checked_zfs(settings)
        self._set = settings
        self._root = settings.dataset
        self._host = host or Host(settings.run_dir, settings.ssh, settings.become)
        self._exports = Exports(settings, self._host, targets or kernel_or_tgt(settings, self._host, step), step)
        self._step = step
        self._now = now
        self._look_at = now()
        self.location = f"zfs:{settings.ssh or 'localhost'}:{self._root}"
        self.caveat = NO_FORECAST
        settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)

    def make_project(self, project: Project) -> None:
        """Make its dataset."""
        if project in self._tree().projects:
            raise VolumesError(Outcome.EXISTS, f"{project}: it is there already")
        self._host.run(zfs_datasets.make_project(self._root, project, self._set.quota_bytes))
        self._step("project made")

    def create(self, volume: Volume, size_bytes: int) -> None:
        """Make an empty zvol, or a file system with an empty file."""
        size_bytes = zfs_datasets.rounded(check_size(size_bytes), file=self._set.files)
        with self._making(volume, size_bytes):
            pass

    def load(self, volume: Volume, image: Path, progress: Progress | None = None) -> None:
        """Make a volume and pour the image into it."""
        form = local_image.stranger(image.absolute())
        self._may_create(volume)
        with raw(image.absolute(), form) as source:
            size_bytes = zfs_datasets.rounded(check_size(_sectors(source.stat().st_size)), file=self._set.files)
            with self._making(volume, size_bytes) as place:
                sparse = () if self._set.exporter == "comstar" else ("conv=sparse,notrunc,fsync",)
                self._host.pour(source, ["dd", f"of={place}", "bs=1048576", *sparse], progress)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take it while nobody can log in."""
        volume = snapshot.parent
        with self._lock():
            tree = self._tree()
            judge.may_snapshot(snapshot, _disks(tree), self._exports.users(volume))
            disk = tree.disks[volume]
            if disk.access:
                self._exports.withdraw(disk)
            try:
                self._host.run(zfs_datasets.snapshot(self._root, snapshot))
                self._step("snapshot taken")
            finally:
                self._exports.stand(disk)

    def clone(self, snapshot: Snapshot, volume: Volume) -> None:
        """Let zfs clone it."""
        with self._making_lock(volume):
            tree = self._tree()
            judge.the_origin(snapshot, _disks(tree))
            judge.may_create(volume, tree.projects, _disks(tree))
            self._clear(volume, tree)
            size_bytes = tree.disks[snapshot.parent].size_bytes
            self._host.run(zfs_datasets.clone(self._root, snapshot, volume, size_bytes))
            self._step("clone made")

    def export(self, volume: Volume, access: Access) -> Export:
        """Note it, then make it stand; undone if that fails."""
        given = check_access(access)
        wanted = masked(given, self._set.authority)
        if given.chap:
            self._exports.learn(given.chap)
        with self._lock():
            tree = self._tree()
            judge.may_export(volume, _disks(tree), wanted)
            one_secret(volume, wanted, tree)
            before = tree.disks[volume]
            if before.access is None:
                self._host.run(zfs_datasets.note(self._root, volume, wanted))
                self._step("export noted")
            try:
                self._exports.stand(before._replace(access=wanted))
            except VolumesError:
                if before.access is None:
                    with contextlib.suppress(VolumesError):
                        self._exports.end(volume)
                    self._host.run(zfs_datasets.note(self._root, volume, None))
                raise
            return self._exports.exported(volume, wanted)

    def unexport(self, volume: Volume) -> None:
        """End the target, then note it."""
        with self._lock():
            tree = self._tree()
            disk = judge.the_disk(volume, _disks(tree))
            judge.not_busy(volume, self._exports.users(volume), "shut the guest down first")
            self._exports.end(volume)
            if disk.access:
                self._host.run(zfs_datasets.note(self._root, volume, None))
                self._step("unexport noted")

    def destroy(self, name: Name) -> None:
        """Let zfs destroy it, and it alone."""
        with self._lock():
            tree = self._tree()
            if tree.faults:
                raise VolumesError(Outcome.UNAVAILABLE, f"nothing is destroyed now: {tree.faults[0]}")
            judge.may_destroy(name, tree.projects, _disks(tree))
            if isinstance(name, Volume):
                self._exports.end(name)
            if isinstance(name, Project):
                self._sweep([volume for volume in tree.halves if volume.parent == name])
            self._host.run(zfs_datasets.destroy(self._root, name))
            self._step("destroyed")

    def usage(self, project: Project | None = None) -> Usage:
        """What zfs accounts to the volumes; a quota bounds what is free."""
        tree = self._tree()
        if project is not None:
            judge.the_project(project, tree.projects)
        disks = [disk for disk in tree.disks.values() if project in (None, disk.name.parent)]
        used, free = tree.spaces[project]
        return Usage(
            own_bytes=sum(disk.used_bytes for disk in disks),
            size_bytes=sum(disk.size_bytes for disk in disks),
            promised_bytes=sum(max(0, disk.size_bytes - disk.referenced_bytes) for disk in disks),
            free_bytes=free,
            total_bytes=used + free,
        )

    def projects(self) -> list[Project]:
        """All projects."""
        return list(self._tree().projects)

    def volumes(self, project: Project | None = None) -> list[VolumeInfo]:
        """All volumes that are ready and can be read."""
        tree = self._tree()
        if project is not None:
            judge.the_project(project, tree.projects)
        disks = [disk for disk in tree.disks.values() if project in (None, disk.name.parent)]
        standing = self._exports.standing(disks)
        return [self._info(disk, standing.get(self._exports.iqn(disk.name))) for disk in disks]

    def faults(self) -> tuple[str, ...]:
        """Volumes whose properties are damaged, a line each."""
        return self._tree().faults

    def tend(self) -> tuple[str, ...]:
        """Make stand what should, end what should not, and remove what crashed commands left."""
        if self._set.exporter != "tgt" and self._now() < self._look_at:
            return ()
        with self._lock():
            self._look_at = self._now() + TEND_EVERY_S
            tree = self._tree()
            self._sweep(tree.halves)
            return self._exports.tend(tree.disks.values())

    @contextlib.contextmanager
    def _making(self, volume: Volume, size_bytes: int) -> Iterator[str]:
        """The device or file of a volume that nobody sees until the block is left in peace."""
        file = self._set.files
        with self._making_lock(volume):
            self._clear(volume, self._may_create(volume))
            self._host.run(zfs_datasets.make(self._root, volume, size_bytes, file=file, ready=False))
            self._step("dataset made")
            try:
                place = self._exports.place(volume, self._exports.mounted(volume) if file else "")
                if file:
                    self._host.run(command("truncate", "-s", str(size_bytes), place))
                else:
                    self._exports.settle(place)
                yield place
            except BaseException:
                with contextlib.suppress(VolumesError):
                    self._host.run(zfs_datasets.destroy(self._root, volume))
                raise
            self._step("volume filled")
            with self._lock():
                self._host.run(zfs_datasets.ready(self._root, volume))
                self._step("volume ready")

    @contextlib.contextmanager
    def _making_lock(self, volume: Volume) -> Iterator[None]:
        """One maker of a name at a time: the second is told that the first has it."""
        try:
            with held(self._maker(volume), volume, timeout_s=0):
                yield
        except VolumesError as error:
            if error.outcome is Outcome.BUSY and str(error).startswith(f"{volume}: another command"):
                text = f"{volume}: another command is making it: choose another name, or wait for that one"
                raise VolumesError(Outcome.EXISTS, text) from error
            raise

    def _maker(self, volume: Volume) -> Path:
        return self._set.run_dir / f"making-{volume.domain}"

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return held(self._set.run_dir / "zfs.lock", self._root)

    def _may_create(self, volume: Volume) -> Tree:
        tree = self._tree()
        judge.may_create(volume, tree.projects, _disks(tree))
        return tree

    def _clear(self, volume: Volume, tree: Tree) -> None:
        """Remove what a maker left who is gone: we have his lock."""
        if volume in tree.halves:
            self._host.run(zfs_datasets.destroy(self._root, volume))
            self._step("leftover removed")

    def _sweep(self, halves: tuple[Volume, ...] | list[Volume]) -> None:
        for volume in halves:
            with contextlib.suppress(VolumesError), held(self._maker(volume), volume, timeout_s=0):
                if volume in self._tree().halves:
                    self._host.run(zfs_datasets.destroy(self._root, volume))

    def _info(self, disk: Zdisk, found: Standing | None) -> VolumeInfo:
        export = self._exports.exported(disk.name, disk.access) if disk.access else None
        users = found.users if found else ()
        return VolumeInfo(disk.name, disk.size_bytes, disk.used_bytes, disk.origin, disk.snapshots, export, users)

    def _tree(self) -> Tree:
        return zfs_datasets.parse(self._host.run(zfs_datasets.get(self._root)), self._root)


def _disks(tree: Tree) -> dict[Volume, judge.Disk]:
    return {name: disk.disk for name, disk in tree.disks.items()}


def _sectors(size_bytes: int) -> int:
    return -(-size_bytes // local_image.BLOCK_BYTES) * local_image.BLOCK_BYTES
