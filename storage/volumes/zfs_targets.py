"""Targets in a kernel, LIO's or COMSTAR's: the tables of both, run on the host that has the disks.

Neither program refuses to end a target that is in use, so who is logged in is asked first. Only targets below the
site's authority are seen: a host may export other things.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from storage.volumes import zfs_comstar, zfs_lio
from storage.volumes.command import Command
from storage.volumes.local_target import Standing
from storage.volumes.port import Access, Outcome, VolumesError
from storage.volumes.zfs_host import Host

Step = Callable[[str], None]


class LioTargets:
    """LIO, by targetcli."""

    lun = zfs_lio.LUN

    def __init__(self, host: Host, portal: str, authority: str, step: Step) -> None:
        self.portal = portal
        self._host = host
        self._ours = authority + ":"
        self._step = step

    def standing(self) -> dict[str, Standing]:
        """What `saveconfig` and configfs say."""
        return {iqn: found for iqn, found in self._look().targets.items() if iqn.startswith(self._ours)}

    def up(self, iqn: str, path: Path, access: Access) -> None:
        """Make it; leftovers of an attempt that was cut short go first."""
        _run(self._host, zfs_lio.down(iqn, self._look()), self._step)
        _run(self._host, zfs_lio.up(iqn, str(path), access, self.portal), self._step)
        if access.chap:
            _proven(iqn, access, self.standing().get(iqn))

    def down(self, iqn: str, *, force: bool = False) -> None:
        """Remove target and backstore."""
        there = self._look()
        _unused(iqn, there.targets.get(iqn), force=force)
        _run(self._host, zfs_lio.down(iqn, there), self._step)

    def _look(self) -> zfs_lio.Lio:
        _, saved, sessions = [self._host.run(one) for one in zfs_lio.LOOK]
        try:
            return zfs_lio.parse(saved, sessions)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            text = f"{zfs_lio.SAVED} on {self._host.name}: not as targetcli writes it ({error!r}): see to targetcli"
            raise VolumesError(Outcome.UNAVAILABLE, text) from error


class ComstarTargets:
    """COMSTAR, by stmfadm and itadm."""

    lun = zfs_comstar.LUN

    def __init__(self, host: Host, portal: str, authority: str, step: Step) -> None:
        self.portal = portal
        self._host = host
        self._ours = authority + ":"
        self._step = step

    def standing(self) -> dict[str, Standing]:
        """What the listings say."""
        there = self._look()
        return {iqn: zfs_comstar.standing(iqn, there) for iqn in there.checks if iqn.startswith(self._ours)}

    def up(self, iqn: str, path: Path, access: Access) -> None:
        """Make it; leftovers of an attempt that was cut short go first."""
        _run(self._host, zfs_comstar.down(iqn, self._look(iqn)), self._step)
        try:
            _run(self._host, list(zfs_comstar.up(iqn, str(path), access, self.portal, self._look(iqn))), self._step)
        except ValueError as error:
            raise VolumesError(Outcome.INVALID, str(error)) from error

    def down(self, iqn: str, *, force: bool = False) -> None:
        """Remove views, target, group and unit."""
        there = self._look(iqn)
        _unused(iqn, zfs_comstar.standing(iqn, there), force=force)
        _run(self._host, zfs_comstar.down(iqn, there), self._step)

    def _look(self, iqn: str = "") -> zfs_comstar.Comstar:
        """Everything, with the views of one target, or of all of ours."""
        listings = [self._host.run(one) for one in zfs_comstar.LOOK]
        there = zfs_comstar.parse(listings, {})
        ours = [iqn] if iqn else [name for name in there.checks if name.startswith(self._ours)]
        units = [unit for name in ours if (unit := zfs_comstar.guid(name)) in there.units]
        return zfs_comstar.parse(listings, {unit: self._host.run(zfs_comstar.look_views(unit)) for unit in units})


def _run(host: Host, commands: Iterable[Command], step: Step) -> None:
    for one in commands:
        host.run(one)
        step(" ".join(one.argv[:3]))


def _unused(iqn: str, found: Standing | None, *, force: bool) -> None:
    if found and found.users and not force:
        text = f"{iqn}: {', '.join(found.users)} is logged in: shut the guest down first"
        raise VolumesError(Outcome.BUSY, text, found.users)


def _proven(iqn: str, access: Access, found: Standing | None) -> None:
    """See that the secret was taken: what targetcli reads from its standard input has no exit code."""
    if access.chap and (found is None or found.accounts != (access.chap.user,)):
        raise VolumesError(Outcome.UNAVAILABLE, f"{iqn}: targetcli did not take the CHAP user: see to targetcli")
