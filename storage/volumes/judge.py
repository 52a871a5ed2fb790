"""What is refused, and why: decided here once for every adapter, on facts that each of them gathers its own way."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from storage.volumes.names import Name, Project, Snapshot, Volume, unknown
from storage.volumes.port import Access, Outcome, VolumesError, in_use


class Disk(NamedTuple):
    """A volume as far as verdicts need it."""

    name: Volume
    origin: Snapshot | None
    snapshots: tuple[Snapshot, ...]
    access: Access | None
    """For whom it is exported; None if it is not."""


Disks = Mapping[Volume, Disk]


def the_project(project: Project, projects: Iterable[Project]) -> None:
    """NOT_FOUND with the nearest name unless the project is there."""
    there = list(projects)
    if project not in there:
        raise VolumesError(Outcome.NOT_FOUND, unknown(project, there, "project"))


def may_create(volume: Volume, projects: Iterable[Project], disks: Disks) -> None:
    """Refuse a volume whose name is taken or whose project is not there."""
    the_project(volume.parent, projects)
    if volume in disks:
        raise VolumesError(Outcome.EXISTS, f"{volume}: it is there already: choose another name or destroy it first")


def the_disk(volume: Volume, disks: Disks) -> Disk:
    """The volume; NOT_FOUND with the nearest name."""
    found = disks.get(volume)
    if found is None:
        raise VolumesError(Outcome.NOT_FOUND, unknown(volume, disks, "volume"))
    return found


def the_origin(snapshot: Snapshot, disks: Disks) -> Disk:
    """The volume that has that snapshot; NOT_FOUND with the nearest name of a snapshot."""
    found = disks.get(snapshot.parent)
    if found is None or snapshot not in found.snapshots:
        there = [one for disk in disks.values() for one in disk.snapshots]
        raise VolumesError(Outcome.NOT_FOUND, unknown(snapshot, there, "snapshot"))
    return found


def may_snapshot(snapshot: Snapshot, disks: Disks, users: Iterable[str]) -> None:
    """Refuse a snapshot whose name is taken or whose volume is in use."""
    if snapshot in the_disk(snapshot.parent, disks).snapshots:
        raise VolumesError(Outcome.EXISTS, f"{snapshot}: it is there already: snapshots are never taken anew")
    not_busy(snapshot.parent, users, "shut the guest down first")


def may_export(volume: Volume, disks: Disks, access: Access) -> None:
    """Refuse to export a second time for others."""
    now = the_disk(volume, disks).access
    if now is not None and now != access:
        others = ", ".join(now.initiators)
        why = f"it is exported already to {others}" + (" with another secret" * (now.initiators == access.initiators))
        raise VolumesError(Outcome.EXISTS, f"{volume}: {why}: unexport it first", now.initiators)


def may_destroy(name: Name, projects: Iterable[Project], disks: Disks) -> None:
    """Refuse to destroy what others stand on, or what is exported."""
    if isinstance(name, Project):
        the_project(name, projects)
        inside = [str(disk) for disk in sorted(disks) if disk.parent == name]
        if inside:
            raise in_use(name, inside, "destroy its volumes first")
    elif isinstance(name, Snapshot):
        the_origin(name, disks)
        clones = [str(disk.name) for disk in disks.values() if disk.origin == name]
        if clones:
            raise in_use(name, sorted(clones), "it has clones, destroy them first")
    else:
        disk = the_disk(name, disks)
        clones = [str(other.name) for other in disks.values() if other.origin and other.origin.parent == name]
        if clones or disk.snapshots:
            raise in_use(name, sorted(clones) + [str(one) for one in disk.snapshots], "destroy what stands on it first")
        if disk.access is not None:
            raise VolumesError(Outcome.BUSY, f"{name}: it is exported: unexport it first", disk.access.initiators)


def not_busy(volume: Volume, users: Iterable[str], way_out: str) -> None:
    """Refuse what cannot be done under an initiator that is logged in."""
    there = tuple(sorted(users))
    if there:
        raise VolumesError(Outcome.BUSY, f"{volume}: {', '.join(there)} is logged in: {way_out}", there)
