"""How each action is done, and how it is undone. Both may be called again, and find their work done."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from guests import actions
from guests.domain import Disk, DomainSpec
from guests.faults import Refused
from guests.guest import Nic, nics, volume_of
from guests.hypervisor import Hypervisor, HypervisorError, Progress
from guests.hypervisor import Outcome as HostOutcome
from guests.world import World
from storage.records import Guest
from storage.volumes import Access, Export, Project, Volume, Volumes, VolumesError
from storage.volumes import Outcome as StoreOutcome

GONE = (HostOutcome.NOT_FOUND, HostOutcome.ALREADY)


class Deeds:
    """What a run's actions work with. `row`: the guest's row as claimed, or as changed since."""

    def __init__(self, world: World, guest: str, row: Guest | None, progress: Progress) -> None:
        self.world = world
        self.guest = guest
        self.row = row
        self.progress = progress

    @property
    def volumes(self) -> Volumes:
        """The store of volumes."""
        return self.world.volumes

    def host(self, name: str) -> Hypervisor:
        """A host's hypervisor."""
        return self.world.hypervisor(name)

    def access(self, initiators: tuple[str, ...]) -> Access:
        """Who may log in."""
        return Access(initiators, self.world.chap)

    def known(self, nic: Nic) -> Nic:
        """A link with the MAC that the row has of it."""
        mac = next((one.mac for one in nics(self.row) if one.link == nic.link), "") if self.row else ""
        return nic._replace(mac=nic.mac or mac)


def _nothing(deeds: Deeds, action: actions.Nothing) -> None:
    del deeds, action


def _make_project(deeds: Deeds, action: actions.MakeProject) -> None:
    with suppress(VolumesError):  # somebody else may have made it just now
        deeds.volumes.make_project(action.project)
        return
    if action.project not in deeds.volumes.projects():
        deeds.volumes.make_project(action.project)


def _clone(deeds: Deeds, action: actions.Clone) -> None:
    deeds.volumes.clone(action.origin, action.volume)


def _export(deeds: Deeds, action: actions.Export) -> Export:
    access = deeds.access(action.initiators)
    try:
        return deeds.volumes.export(action.volume, access)
    except VolumesError as error:
        if error.outcome is not StoreOutcome.EXISTS:
            raise
    deeds.volumes.unexport(action.volume)
    return deeds.volumes.export(action.volume, access)


def _define(deeds: Deeds, action: actions.Define) -> None:
    wish, volume = action.wish, volume_of(deeds.guest)
    found = next((one.export for one in deeds.volumes.volumes(volume.parent) if one.name == volume), None)
    if found is None:
        raise Refused(f"{volume} is not exported: somebody has just ended that: repeat the command")
    disk = Disk(found.iqn, found.portal, found.lun, deeds.world.chap)
    spec = DomainSpec(action.name, action.uuid, wish.kind, wish.memory_mib, wish.vcpus, disk, wish.links, action.macs)
    deeds.host(action.host).define(spec)


def _bind(deeds: Deeds, action: actions.Bind) -> None:
    """Look the MAC up by the link's name, and bind it."""
    row = deeds.row
    assert row is not None
    domain = deeds.host(row.hypervisor).domain(row.guest)
    mac = next((link.mac for link in domain.links if link.name == action.nic.link), "")
    if not mac:
        raise Refused(f"{row.guest} has no interface on {action.nic.link}: its domain was changed by hand")
    deeds.row = deeds.world.book.bind(row, action.nic._replace(mac=mac))


def _start(deeds: Deeds, action: actions.Start) -> None:
    _unless_so(lambda: deeds.host(action.host).start(action.name), HostOutcome.ALREADY)


def _stop(deeds: Deeds, action: actions.Stop) -> None:
    _unless_so(lambda: deeds.host(action.host).stop(action.name, force=action.force), *GONE)


def _migrate(deeds: Deeds, action: actions.Migrate) -> None:
    target = deeds.host(action.target)
    deeds.host(action.source).migrate(action.name, target, live=action.live, progress=deeds.progress)


def _unbind(deeds: Deeds, action: actions.Unbind) -> None:
    deeds.world.book.free(action.name, deeds.known(action.nic))


def _undefine(deeds: Deeds, action: actions.Undefine) -> None:
    _unless_so(lambda: deeds.host(action.host).undefine(action.name), HostOutcome.NOT_FOUND)


def _unexport(deeds: Deeds, action: actions.Unexport) -> None:
    _unless_gone(lambda: deeds.volumes.unexport(action.volume))


def _remove_volume(deeds: Deeds, action: actions.RemoveVolume) -> None:
    _remove(deeds, action.volume)


def _remove(deeds: Deeds, volume: Volume) -> None:
    _unless_gone(lambda: deeds.volumes.destroy(volume))


def _remove_project(deeds: Deeds, project: Project) -> None:
    _unless_gone(lambda: deeds.volumes.destroy(project), StoreOutcome.IN_USE)


def _unless_gone(verb: Callable[[], None], *more: StoreOutcome) -> None:
    try:
        verb()
    except VolumesError as error:
        if error.outcome not in (StoreOutcome.NOT_FOUND, *more):
            raise


def _unless_so(verb: Callable[[], None], *outcomes: HostOutcome) -> None:
    try:
        verb()
    except HypervisorError as error:
        if error.outcome not in outcomes:
            raise


DO: Mapping[type, Callable[[Deeds, Any], object]] = {
    actions.Nothing: _nothing,
    actions.MakeProject: _make_project,
    actions.Clone: _clone,
    actions.Export: _export,
    actions.Define: _define,
    actions.Bind: _bind,
    actions.Start: _start,
    actions.Stop: _stop,
    actions.Migrate: _migrate,
    actions.Unbind: _unbind,
    actions.Undefine: _undefine,
    actions.Unexport: _unexport,
    actions.RemoveVolume: _remove_volume,
}

UNDO: Mapping[type, Callable[[Deeds, Any], object]] = {
    actions.MakeProject: lambda deeds, action: _remove_project(deeds, action.project),
    actions.Clone: lambda deeds, action: _remove(deeds, action.volume),
    actions.Export: lambda deeds, action: _unless_gone(lambda: deeds.volumes.unexport(action.volume)),
    actions.Define: lambda deeds, action: _undefine(deeds, actions.Undefine(action.host, action.name)),
    actions.Bind: lambda deeds, action: deeds.world.book.free(action.name, deeds.known(action.nic)),
    actions.Start: lambda deeds, action: _stop(deeds, actions.Stop(action.host, action.name, force=True)),
}
"""What is not here leaves nothing to undo."""
