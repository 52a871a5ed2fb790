"""Masters: volumes that guests are cloned from. Which there are, who stands on them, what may be done. Pure.

A master is any volume in the project `masters`, and any other with a snapshot: what can be cloned or is meant to be.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from storage.volumes import judge
from storage.volumes.names import Name, Project, Snapshot, Volume
from storage.volumes.port import Access, VolumeInfo

MASTERS = Project("masters")


class Version(NamedTuple):
    """A snapshot of a master, and the volumes that were cloned from it."""

    name: Snapshot
    clones: tuple[Volume, ...]


class Master(NamedTuple):
    """A volume and its versions, oldest first."""

    volume: VolumeInfo
    versions: tuple[Version, ...]


def masters(volumes: Sequence[VolumeInfo]) -> list[Master]:
    """All masters, by name."""
    clones: dict[Snapshot, list[Volume]] = {}
    for one in volumes:
        if one.origin is not None:
            clones.setdefault(one.origin, []).append(one.name)
    return [
        Master(one, tuple(Version(name, tuple(sorted(clones.get(name, ())))) for name in one.snapshots))
        for one in sorted(volumes, key=lambda info: info.name)
        if one.name.parent == MASTERS or one.snapshots
    ]


def plan_import(volume: Volume, projects: Iterable[Project], volumes: Iterable[VolumeInfo]) -> list[Project]:
    """The projects to make before the image is loaded. VolumesError EXISTS if the name is taken."""
    there = set(projects)
    judge.may_create(volume, there | {volume.parent}, _disks(volumes))
    return [] if volume.parent in there else [volume.parent]


def may_snapshot(snapshot: Snapshot, volumes: Sequence[VolumeInfo]) -> None:
    """Refuse what the store would refuse. VolumesError."""
    users = [user for one in volumes if one.name == snapshot.parent for user in one.users]
    judge.may_snapshot(snapshot, _disks(volumes), users)


def may_destroy(name: Name, projects: Iterable[Project], volumes: Iterable[VolumeInfo]) -> None:
    """Refuse what the store would refuse. VolumesError."""
    judge.may_destroy(name, projects, _disks(volumes))


def _disks(volumes: Iterable[VolumeInfo]) -> judge.Disks:
    return {
        one.name: judge.Disk(one.name, one.origin, one.snapshots, one.export and Access(one.export.initiators))
        for one in volumes
    }
