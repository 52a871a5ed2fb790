"""An Oracle ZFS Storage Appliance as a store, by its REST service or its command line.

The appliance keeps all that the store knows (`zfssa_model` says how), so nothing has to be restored after a boot or a
takeover. A request whose answer is lost is asked again of whoever has the pool then; that it may have been carried
out is remembered, so that its own work is no obstacle: under the store's lock nobody else does the same.

What an appliance does not tell is who is logged in. So a volume that is exported counts as in use for a snapshot.
"""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from storage.volumes import judge, local_image, zfssa_model
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
from storage.volumes.settings import ZfssaSettings, checked_zfssa
from storage.volumes.zfssa_cli import CliHead
from storage.volumes.zfssa_exports import Exports, one_secret
from storage.volumes.zfssa_heads import Clock, Heads
from storage.volumes.zfssa_model import Facts, Lun
from storage.volumes.zfssa_port import Appliance

TEND_EVERY_S = 30.0
BLOCK_BYTES = 8192
CREDENTIALS_BYTES_MAX = 4096
NO_SESSIONS = "the appliance does not tell who is logged in: what is exported counts as in use for snapshots"
Copier = Callable[[Path, str, Export, str, Progress | None], None]


def _nothing(_: str) -> None:
    """Nobody listens."""


class ZfssaVolumes:
    """A store in one pool of an appliance."""

    thin = True
    caveat = NO_SESSIONS

    def __init__(
        self,
        settings: ZfssaSettings,
        *,
        clock: Clock | None = None,
        copier: Copier | None = None,
        step: Callable[[str], None] = _nothing,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = checked_zfssa(settings)
        self._set = settings
        self._heads: Heads[Appliance] = Heads(_appliances(settings), settings.pool, clock)
        self._copier = copier or local_image.to_iscsi
        self._exports = Exports(settings, self._heads, step)
        self._now = now
        self._look_at = now()
        self.location = f"zfssa:{settings.heads[0]}:{settings.pool}"
        settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)

    def make_project(self, project: Project) -> None:
        """Make a project."""
        with self._lock():
            if project in self._facts().spaces:
                raise VolumesError(Outcome.EXISTS, f"{project}: it is there already")
            self._exports.do(lambda head: head.make_project(project), Outcome.EXISTS)

    def create(self, volume: Volume, size_bytes: int) -> None:
        """Make a sparse LUN that nobody sees."""
        size_bytes = _blocks(check_size(size_bytes))
        with self._lock():
            self._may_create(volume)
            self._exports.do(lambda head: head.make_lun(volume.parent, volume.volume, size_bytes), Outcome.EXISTS)

    def load(self, volume: Volume, image: Path, progress: Progress | None = None) -> None:
        """Make a LUN under a name of its own, write to it as an initiator does, and then give it its name."""
        image = image.absolute()
        form = local_image.stranger(image)
        size_bytes = _blocks(check_size(_blocks(int(local_image.inspect(image, form)["virtual-size"]))))
        name, us = f"_{volume.volume}", f"{self._set.authority}:importer"
        with self._making(volume):
            with self._lock():
                self._may_create(volume)
                self._clear(volume.parent, name)
                self._exports.do(lambda head: head.make_lun(volume.parent, name, size_bytes), Outcome.EXISTS)
            try:
                with self._lock():
                    iqn = self._exports.open(volume, name, Access((us,)), self._facts())
                self._copier(image, form, self._exports.export(iqn, Access((us,))), us, progress)
                with self._lock():
                    self._exports.close(volume, name)
                    self._may_create(volume)
                    self._exports.do(lambda head: head.rename_lun(volume.parent, name, volume), Outcome.NOT_FOUND)
            except BaseException:
                with contextlib.suppress(VolumesError), self._lock():
                    self._exports.close(volume, name)
                    self._clear(volume.parent, name)
                raise

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take it, unless the volume is exported."""
        with self._lock():
            disks = self._facts().disks()
            disk = disks.get(snapshot.parent)
            if disk and disk.access and snapshot not in disk.snapshots:
                who = disk.access.initiators
                text = f"{snapshot.parent}: it is exported to {', '.join(who)}, and {NO_SESSIONS}: unexport it first"
                raise VolumesError(Outcome.BUSY, text, who)
            judge.may_snapshot(snapshot, disks, ())
            self._exports.do(lambda head: head.snapshot(snapshot), Outcome.EXISTS)

    def clone(self, snapshot: Snapshot, volume: Volume) -> None:
        """Make a clone that nobody sees."""
        with self._lock():
            facts = self._facts()
            judge.the_origin(snapshot, facts.disks())
            judge.may_create(volume, _projects(facts), facts.disks())
            self._exports.do(lambda head: head.clone(snapshot, volume), Outcome.EXISTS)

    def export(self, volume: Volume, access: Access) -> Export:
        """Make target and groups, and then let the LUN name them; undone if that fails."""
        given = check_access(access)
        wanted = masked(given, self._set.authority)
        with self._lock():
            facts = self._facts()
            judge.may_export(volume, facts.disks(), wanted)
            target = facts.target(volume)
            if facts.access(volume) == wanted and target:
                return self._exports.export(target.iqn, wanted)
            one_secret(volume, wanted, facts)
            try:
                return self._exports.export(self._exports.open(volume, volume.volume, given, facts), wanted)
            except VolumesError:
                with contextlib.suppress(VolumesError):
                    self._exports.close(volume, volume.volume)
                raise

    def unexport(self, volume: Volume) -> None:
        """Hide the LUN, then remove target and groups."""
        with self._lock():
            judge.the_disk(volume, self._facts().disks())
            self._exports.close(volume, volume.volume)

    def destroy(self, name: Name) -> None:
        """Remove it, and it alone."""
        with self._lock():
            facts = self._facts()
            judge.may_destroy(name, _projects(facts), facts.disks())
            if isinstance(name, Volume):
                self._exports.close(name, name.volume)
            self._exports.do(lambda head: head.destroy(name), Outcome.NOT_FOUND)

    def usage(self, project: Project | None = None) -> Usage:
        """What the appliance accounts to the LUNs."""
        facts = self._facts()
        luns = _inside(facts, project)
        space = facts.spaces[project]
        own, size = sum(lun.own_bytes for lun in luns), sum(lun.size_bytes for lun in luns)
        promised = sum(max(0, lun.size_bytes - lun.own_bytes) for lun in luns)
        return Usage(own, size, promised, space.free_bytes, space.used_bytes + space.free_bytes)

    def projects(self) -> list[Project]:
        """All projects whose names are of ours."""
        return _projects(self._facts())

    def volumes(self, project: Project | None = None) -> list[VolumeInfo]:
        """All LUNs whose names are of ours."""
        facts = self._facts()
        return [self._info(lun, facts) for lun in _inside(facts, project)]

    def faults(self) -> tuple[str, ...]:
        """An appliance answers whole or not at all."""
        return ()

    def tend(self) -> tuple[str, ...]:
        """Remove what crashed commands left; the appliance itself keeps exported what is."""
        if self._now() < self._look_at:
            return ()
        with self._lock():
            self._look_at = self._now() + TEND_EVERY_S
            facts = self._facts()
            for project in _projects(facts):
                for name in self._leftovers(project):
                    volume = zfssa_model.volume_of(project, name[1:])
                    if volume:
                        self._abandon(volume, name)
            for volume in self._exports.strays(facts):
                with contextlib.suppress(VolumesError), self._making(volume):
                    self._exports.close(volume, volume.volume)
            return ()

    def _clear(self, project: Project, name: str) -> None:
        if name in self._leftovers(project):
            self._exports.do(lambda head: head.drop_lun(project, name), Outcome.NOT_FOUND)

    def _leftovers(self, project: Project) -> list[str]:
        return self._heads.ask(lambda head, _: head.leftovers(project))

    def _abandon(self, volume: Volume, name: str) -> None:
        """Remove a LUN that was being made, if its maker is gone."""
        with contextlib.suppress(VolumesError), self._making(volume):
            self._exports.close(volume, name)
            self._clear(volume.parent, name)

    def _facts(self) -> Facts:
        return self._exports.facts()

    def _may_create(self, volume: Volume) -> None:
        facts = self._facts()
        judge.may_create(volume, _projects(facts), facts.disks())

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return held(self._set.run_dir / "zfssa.lock", self.location)

    @contextlib.contextmanager
    def _making(self, volume: Volume) -> Iterator[None]:
        path = self._set.run_dir / f"making-{volume.domain}"
        try:
            with held(path, volume, timeout_s=0):
                yield
        except VolumesError as error:
            if error.outcome is Outcome.BUSY and str(error).startswith(f"{volume}: another command"):
                text = f"{volume}: another command is making it: choose another name, or wait for that one"
                raise VolumesError(Outcome.EXISTS, text) from error
            raise

    def _info(self, lun: Lun, facts: Facts) -> VolumeInfo:
        access, target = facts.access(lun.volume), facts.target(lun.volume)
        export = self._exports.export(target.iqn, access) if access and target else None
        return VolumeInfo(lun.volume, lun.size_bytes, lun.own_bytes, lun.origin, lun.snapshots, export, ())


def credentials(path: Path) -> tuple[str, str]:
    """User and password of a file with a line for each; VolumesError if others can read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            user, _, password = file.read(CREDENTIALS_BYTES_MAX).decode().rstrip("\n").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text"
        raise VolumesError(Outcome.INVALID, f"{path}: {why}: write the user and the password, a line each") from error
    if mode & 0o077:
        text = f"{path}: others can read it: chmod 600 {path}, and choose a new password"
        raise VolumesError(Outcome.DENIED, text)
    if not (user.isascii() and user.isprintable() and user and password.isascii() and password.isprintable()):
        raise VolumesError(Outcome.INVALID, f"{path}: write the user and the password, a line each, in ASCII")
    return user, password


def _appliances(settings: ZfssaSettings) -> list[Appliance]:
    user, password = credentials(settings.credentials)
    if settings.transport == "ssh":
        return [CliHead(head, settings.pool, user, settings.run_dir) for head in settings.heads]
    from storage.volumes.zfssa_rest import RestHead  # noqa: PLC0415 - its HTTP client takes long to load

    return [RestHead(head, settings.pool, user, password, settings.ca_file) for head in settings.heads]


def _projects(facts: Facts) -> list[Project]:
    return sorted(project for project in facts.spaces if project is not None)


def _inside(facts: Facts, project: Project | None) -> list[Lun]:
    if project is not None:
        judge.the_project(project, _projects(facts))
    return [lun for name, lun in facts.luns.items() if project in (None, name.parent)]


def _blocks(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES
