"""What a ZFS store exports: targets made to stand as the datasets' properties say."""

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from storage.volumes import zfs_datasets
from storage.volumes.command import command
from storage.volumes.local_target import Standing, Targets, Tgt
from storage.volumes.masking import masked
from storage.volumes.names import Volume
from storage.volumes.port import NOT_DONE, Access, Chap, Export, Outcome, VolumesError
from storage.volumes.settings import ZfsSettings
from storage.volumes.zfs_datasets import Tree, Zdisk
from storage.volumes.zfs_host import Host
from storage.volumes.zfs_targets import ComstarTargets, LioTargets, Step

DEVICE_WAIT_S = 10
DEVICES = {"comstar": "/dev/zvol/rdsk/", "lio": "/dev/zvol/", "tgt": "/dev/zvol/"}


class Exports:
    """The targets of one store."""

    def __init__(self, settings: ZfsSettings, host: Host, targets: Targets, step: Step) -> None:
        self._set = settings
        self._root = settings.dataset
        self._host = host
        self._targets = targets
        self._step = step
        self._secrets: dict[str, str] = {}
        """Of CHAP users, by digest: the site's own, and those that this process was told."""
        if settings.chap:
            self.learn(settings.chap)

    def tend(self, disks: Iterable[Zdisk]) -> tuple[str, ...]:
        """Make stand what should, end what should not; a line for each that was touched."""
        standing = self._targets.standing()
        wanted = {self.iqn(disk.name): disk for disk in disks if disk.access}
        extra = [iqn for iqn, found in sorted(standing.items()) if iqn not in wanted and self._is_ours(found)]
        lacking = [disk for iqn, disk in wanted.items() if not self.stands(disk, standing.get(iqn))]
        end, stand = self._targets.down, self.stand
        ended = [_tried(f"{iqn}: ended, it is not exported", functools.partial(end, iqn)) for iqn in extra]
        again = [_tried(f"{disk.name}: exported again", functools.partial(stand, disk)) for disk in lacking]
        return (*ended, *again)

    def standing(self, disks: Iterable[Zdisk]) -> Mapping[str, Standing]:
        """The targets that stand, by IQN; nobody is asked if none of these should."""
        return self._targets.standing() if any(disk.access for disk in disks) else {}

    def withdraw(self, disk: Zdisk) -> None:
        """End a target that will be made again: refused if its secret is not known."""
        if disk.access:
            self.told(disk.name, disk.access)
        self.end(disk.name)

    def end(self, volume: Volume) -> None:
        """End a target, if there is one; BUSY."""
        self._targets.down(self.iqn(volume))
        self._step("target down")

    def stand(self, disk: Zdisk) -> None:
        """Let its target stand if it should; what stands otherwise is replaced."""
        iqn = self.iqn(disk.name)
        if disk.access is None or self.stands(disk, found := self._targets.standing().get(iqn)):
            return
        told = self.told(disk.name, disk.access)
        if found:
            self._targets.down(iqn)
        place = self.place(disk.name, self.mounted(disk.name) if self._set.files else "")
        if not self._set.files:
            self.settle(place)
        self._targets.up(iqn, Path(place), told)
        self._step("target up")

    def stands(self, disk: Zdisk, found: Standing | None) -> bool:
        """Whether its target is what was noted."""
        if disk.access is None or found is None or (self._set.files and not disk.mounted):
            return False
        return found.serves(Path(self.place(disk.name, disk.mountpoint)), disk.access)

    def told(self, volume: Volume, access: Access) -> Access:
        """The access with its secret."""
        if access.chap is None:
            return access
        secret = self._secrets.get(access.chap.secret)
        if secret is None:
            text = f"{volume}: the secret of CHAP user {access.chap.user} is not known here: export it again with it"
            raise VolumesError(Outcome.UNAVAILABLE, text)
        return access._replace(chap=Chap(access.chap.user, secret))

    def learn(self, chap: Chap) -> None:
        """Remember a secret for as long as this process lives."""
        known = masked(Access((), chap), self._set.authority).chap
        assert known is not None
        self._secrets[known.secret] = chap.secret

    def mounted(self, volume: Volume) -> str:
        """Where its file system is mounted, mounted if need be."""
        dataset = zfs_datasets.path(self._root, volume)
        asked = self._host.run(command("zfs", "get", "-Hp", "-o", "value", "mounted,mountpoint", dataset))
        mounted, _, mountpoint = asked.strip().partition("\n")
        if not mountpoint.startswith("/"):
            text = f"{dataset}: it has no mountpoint ({mountpoint or 'none'}): zfs set mountpoint=/{dataset} {dataset}"
            raise VolumesError(Outcome.UNAVAILABLE, text)
        if mounted != "yes":
            self._host.run(zfs_datasets.mount(self._root, volume))
        return mountpoint

    def place(self, volume: Volume, mountpoint: str) -> str:
        """The device of a zvol, or the file in a file system."""
        if self._set.files:
            return f"{mountpoint}/{zfs_datasets.FILE}"
        return DEVICES[self._set.exporter] + zfs_datasets.path(self._root, volume)

    def settle(self, place: str) -> None:
        """Wait for udev, which makes a zvol's name in its own time."""
        if self._set.exporter != "comstar":
            self._host.run(command("udevadm", "settle", f"--timeout={DEVICE_WAIT_S}", f"--exit-if-exists={place}"))

    def _is_ours(self, found: Standing) -> bool:
        """Whether a target shows a disk of this store, not of another one with the same authority."""
        return f"/{self._root}/" in found.path or (self._set.exporter == "tgt")

    def users(self, volume: Volume) -> tuple[str, ...]:
        """Who is logged in to it."""
        found = self._targets.standing().get(self.iqn(volume))
        return found.users if found else ()

    def exported(self, volume: Volume, access: Access) -> Export:
        """Where it is to be had."""
        lun = self._targets.lun
        return Export(self.iqn(volume), self._targets.portal, lun, access.initiators, access.chap is not None)

    def iqn(self, volume: Volume) -> str:
        """Name of its target."""
        return volume.iqn(self._set.authority)


def kernel_or_tgt(settings: ZfsSettings, host: Host, step: Step) -> Targets:
    """The exporter that the settings name."""
    if settings.exporter == "tgt":
        return Tgt(settings.run_dir, settings.portal)
    kind = LioTargets if settings.exporter == "lio" else ComstarTargets
    return kind(host, settings.portal, settings.authority, step)


def one_secret(volume: Volume, access: Access, tree: Tree) -> None:
    """A user has one secret; an initiator has one user, because COMSTAR keeps the secret with the initiator."""
    for name, disk in tree.disks.items():
        other = disk.access
        if not (access.chap and other and other.chap) or name == volume or other.chap == access.chap:
            continue
        if other.chap.user == access.chap.user or set(other.initiators) & set(access.initiators):
            text = f"CHAP user {other.chap.user} has another secret at {name}: give both the same, or use another user"
            raise VolumesError(Outcome.INVALID, text, [str(name)])


def _tried(done: str, act: Callable[[], None]) -> str:
    try:
        act()
    except VolumesError as error:
        return f"{done}{NOT_DONE}{error}"
    return done
