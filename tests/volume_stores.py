"""Stores of volumes for tests: the local one with stand-ins for its daemons, and where the daemons themselves are."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from storage.volumes import Access, Chap, Export, Outcome, Progress, Volume, VolumesError
from storage.volumes.local import LocalVolumes
from storage.volumes.local_book import Step
from storage.volumes.local_target import Standing
from storage.volumes.settings import LocalSettings, ZfssaSettings, ZfsSettings
from storage.volumes.zfs import ZfsVolumes
from storage.volumes.zfssa import ZfssaVolumes
from tests.zfs_machine.machine import Machine
from tests.zfssa.server import PASSWORD, USER, Appliance
from tests.zfssa.state import POOL

AUTHORITY = "iqn.2026-11.test.twinboot"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "twinboot" / "tgt"
FETCH_TIMEOUT_S = 60


class FakeViews:
    """Views that are marks in a directory, so that they outlive a process that is killed."""

    def __init__(self, run_dir: Path, *, fuse: bool = True) -> None:
        self._dir = run_dir
        self._fuse = fuse

    def usable(self) -> bool:
        return self._fuse

    def up(self, key: str, layer: Path) -> Path:
        if not self._fuse:
            raise VolumesError(Outcome.UNAVAILABLE, "/dev/fuse is not there")
        (self._dir / key).write_text(str(layer))
        return self._dir / key

    def alive(self, key: str) -> bool:
        return (self._dir / key).exists()

    def down(self, key: str) -> None:
        (self._dir / key).unlink(missing_ok=True)


class FakeTargets:
    """A target daemon of files: one for each target, `users` set by the test."""

    portal = "127.0.0.1:3260"
    lun = 1

    def __init__(self, run_dir: Path) -> None:
        self._dir = run_dir / "targets"
        self._dir.mkdir(exist_ok=True)
        self.users: dict[str, set[str]] = {}
        self.fail = False

    def standing(self) -> dict[str, Standing]:
        return {file.name: self._read(file) for file in self._dir.iterdir()}

    def up(self, iqn: str, path: Path, access: Access) -> None:
        if self.fail:
            raise VolumesError(Outcome.UNAVAILABLE, "tgtd did not start")
        assert iqn not in self.standing()
        user = access.chap.user if access.chap else ""
        (self._dir / iqn).write_text("\n".join([str(path), user, *access.initiators]))

    def down(self, iqn: str, *, force: bool = False) -> None:
        if self.users.get(iqn) and not force:
            raise VolumesError(Outcome.BUSY, f"{iqn}: this target is still active")
        (self._dir / iqn).unlink(missing_ok=True)

    def forget(self) -> None:
        for file in self._dir.iterdir():
            file.unlink()

    def _read(self, file: Path) -> Standing:
        path, user, *initiators = file.read_text().split("\n")
        users = tuple(sorted(self.users.get(file.name, ())))
        return Standing(1, path, tuple(initiators), (user,) if user else (), users)


class Local(NamedTuple):
    """The local store with stand-ins, and a way to log in to a volume."""

    store: LocalVolumes
    views: FakeViews
    targets: FakeTargets

    def log_in(self, volume: Volume, *initiators: str) -> None:
        self.targets.users[volume.iqn(AUTHORITY)] = set(initiators)


def local(
    path: Path, *, fuse: bool = True, step: Step = lambda _: None, now: Callable[[], float] = lambda: 1_700_000_000.0
) -> Local:
    """The store in `path`/store; opened again, it finds what was there."""
    run_dir = path / "run"
    run_dir.mkdir(exist_ok=True)
    views, targets = FakeViews(run_dir, fuse=fuse), FakeTargets(run_dir)
    settings = LocalSettings(path / "store", run_dir, AUTHORITY)
    return Local(LocalVolumes(settings, views=views, targets=targets, step=step, now=now), views, targets)


class Zfs(NamedTuple):
    """The ZFS store on a machine that is played, and a way to log in to a volume."""

    store: ZfsVolumes
    machine: Machine

    def log_in(self, volume: Volume, *initiators: str) -> None:
        self.machine.log_in(volume.iqn(AUTHORITY), *initiators)


def zfs(path: Path, exporter: str, *, step: Step = lambda _: None, chap: Chap | None = None) -> Zfs:
    """The store of the machine in `path`; opened again, it finds what was there."""
    machine = Machine(path)
    settings = ZfsSettings("tank/guests", path / "run", AUTHORITY, "192.168.78.10:3260", exporter, chap=chap)
    return Zfs(ZfsVolumes(settings, host=machine, step=step), machine)


class PatientClock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds


def zfssa_settings(path: Path, appliance: Appliance) -> ZfssaSettings:
    credentials = path / "credentials"
    credentials.write_text(f"{USER}\n{PASSWORD}\n")
    credentials.chmod(0o600)
    portal = "192.168.78.10:3260"
    return ZfssaSettings(appliance.names, POOL, path / "run", AUTHORITY, portal, credentials, ca_file=appliance.ca_file)


def zfssa(path: Path, appliance: Appliance, *, step: Step = lambda _: None, ssh: tuple[str, ...] = ()) -> ZfssaVolumes:
    """The store of an appliance that is played, by REST or by `ssh` to these heads; an image is copied by nobody."""

    def copied(image: Path, form: str, export: Export, initiator: str, progress: Progress | None) -> None:
        assert export.initiators == (initiator,)
        if progress:
            progress(image.stat().st_size, image.stat().st_size)

    settings = zfssa_settings(path, appliance)
    if ssh:
        settings = settings._replace(heads=ssh, transport="ssh", ca_file=None)
    return ZfssaVolumes(settings, clock=PatientClock(), copier=copied, step=step)


def tgt_programs() -> Path | None:
    """Directory of tgtd and tgtadm: installed, or unpacked from Debian's package (installing it starts a service)."""
    found = shutil.which("tgtd", path=os.environ["PATH"] + ":/usr/sbin")
    if found:
        return Path(found).parent
    return unpacked("tgt", CACHE, CACHE / "usr" / "sbin" / "tgtd")


def unpacked(package: str, place: Path, program: Path) -> Path | None:
    """Directory of a program of a Debian package that is unpacked in `place`; None if it is not to be had."""
    if not program.exists() and shutil.which("apt-get"):
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as work:
            subprocess.run(
                ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package],
                cwd=work,
                capture_output=True,
                timeout=FETCH_TIMEOUT_S,
                check=False,
            )
            for deb in Path(work).glob(f"{package}_*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(deb), str(place)], check=True, timeout=FETCH_TIMEOUT_S)
    return program.parent if program.exists() else None
