"""What every store of volumes promises; one suite over all adapters."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from storage.volumes import Access, Chap, Outcome, Project, Snapshot, Volume, VolumeInfo, Volumes, VolumesError
from storage.volumes.memory import MemoryVolumes
from storage.volumes.settings import ZfsSettings
from storage.volumes.zfs import ZfsVolumes
from tests.volume_stores import AUTHORITY, FakeTargets, local, zfs, zfssa
from tests.zfs_fuse import PROGRAMS, ZfsFuse
from tests.zfssa.server import Appliance
from tests.zfssa.shell import Shell

SIZE = 4 * 2**20
MASTERS, APPL = Project("masters"), Project("appl-1")
MASTER, GUEST = Volume("masters", "osol-0811"), Volume("appl-1", "vm-1")
VERSION = Snapshot("masters", "osol-0811", "version-01")
HV1, HV2 = "iqn.1986-03.com.sun:01:hv1", "iqn.1986-03.com.sun:01:hv2"


class Kit(NamedTuple):
    volumes: Volumes
    log_in: Callable[..., None] | None
    """None where a store cannot tell who is logged in: then what is exported counts as in use."""


def memory_kit() -> Kit:
    volumes = MemoryVolumes()
    return Kit(volumes, lambda volume, *who: volumes.users.update({volume: set(who)}))


def zfs_fuse_kit(path: Path, pool: ZfsFuse) -> Kit:
    """The real zfs, with a stand-in for the target daemon: who is logged in is up to the test."""
    targets = FakeTargets(path)
    settings = ZfsSettings(
        pool.dataset(), path / "run", AUTHORITY, targets.portal, "tgt", become=pool.inside, files=True
    )
    volumes = ZfsVolumes(settings, targets=targets)
    return Kit(volumes, lambda volume, *who: targets.users.update({volume.iqn(AUTHORITY): set(who)}))


FUSE = pytest.param("zfs-fuse", marks=[pytest.mark.system, pytest.mark.root])


@pytest.fixture(
    params=["memory", "local", "local without fuse", "zfs lio", "zfs comstar", "zfssa rest", "zfssa cli", FUSE]
)
def kit(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    if request.param == "memory":
        yield memory_kit()
    elif request.param.startswith("zfs "):
        machine = zfs(tmp_path, request.param.partition(" ")[2])
        yield Kit(machine.store, machine.log_in)
    elif request.param == "zfssa rest":
        appliance = Appliance(tmp_path)
        yield Kit(zfssa(tmp_path, appliance), None)
        appliance.stop()
    elif request.param == "zfssa cli":
        appliance = Appliance(tmp_path)
        shell = Shell(appliance, tmp_path)
        monkeypatch.setenv("PATH", shell.search_path())
        yield Kit(zfssa(tmp_path, appliance, ssh=Shell.names), None)
        shell.stop()
        appliance.stop()
        assert not shell.left
    elif request.param == "zfs-fuse":
        pool = request.getfixturevalue("zfs_fuse")
        monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
        yield zfs_fuse_kit(tmp_path, pool)
    else:
        made = local(tmp_path, fuse=request.param == "local")
        yield Kit(made.store, made.log_in)


@pytest.fixture
def chain(kit: Kit) -> Kit:
    """A master with a snapshot and one clone of it."""
    kit.volumes.make_project(MASTERS)
    kit.volumes.make_project(APPL)
    kit.volumes.create(MASTER, SIZE)
    kit.volumes.snapshot(VERSION)
    kit.volumes.clone(VERSION, GUEST)
    return kit


def refused(outcome: Outcome, verb: Callable[..., object], *arguments: object) -> VolumesError:
    with pytest.raises(VolumesError) as caught:
        verb(*arguments)
    assert caught.value.outcome is outcome, caught.value
    assert "\n" not in str(caught.value)
    return caught.value


def infos(kit: Kit, project: Project | None = None) -> dict[Volume, VolumeInfo]:
    return {info.name: info for info in kit.volumes.volumes(project)}


def test_a_chain_from_project_to_clone_is_listed(chain: Kit) -> None:
    assert chain.volumes.projects() == [APPL, MASTERS]
    master, guest = infos(chain)[MASTER], infos(chain)[GUEST]
    assert (master.size_bytes, master.origin, master.snapshots) == (SIZE, None, (VERSION,))
    assert (guest.size_bytes, guest.origin, guest.snapshots, guest.export) == (SIZE, VERSION, (), None)
    assert list(infos(chain, APPL)) == [GUEST]


def test_names_that_are_taken_are_refused(chain: Kit) -> None:
    refused(Outcome.EXISTS, chain.volumes.make_project, APPL)
    refused(Outcome.EXISTS, chain.volumes.create, GUEST, SIZE)
    refused(Outcome.EXISTS, chain.volumes.clone, VERSION, GUEST)
    refused(Outcome.EXISTS, chain.volumes.snapshot, VERSION)


def test_names_that_are_not_there_are_answered_by_the_nearest(chain: Kit) -> None:
    typo = Snapshot("masters", "osol-0811", "version-10")
    assert "did you mean masters/osol-0811@version-01?" in str(
        refused(Outcome.NOT_FOUND, chain.volumes.clone, typo, APPL.volume("vm-2"))
    )
    assert "did you mean appl-1?" in str(refused(Outcome.NOT_FOUND, chain.volumes.create, Volume("apl-1", "x"), SIZE))
    assert "did you mean appl-1/vm-1?" in str(
        refused(Outcome.NOT_FOUND, chain.volumes.export, Volume("appl-1", "vm-11"), Access((HV1,)))
    )
    for verb in (chain.volumes.volumes, chain.volumes.usage, chain.volumes.destroy):
        refused(Outcome.NOT_FOUND, verb, Project("appl-2"))
    refused(Outcome.NOT_FOUND, chain.volumes.unexport, Volume("appl-1", "vm-2"))
    refused(Outcome.NOT_FOUND, chain.volumes.snapshot, Snapshot("appl-1", "vm-2", "a"))


def test_nothing_is_destroyed_that_something_stands_on(chain: Kit) -> None:
    volumes = chain.volumes
    assert refused(Outcome.IN_USE, volumes.destroy, VERSION).dependents == ("appl-1/vm-1",)
    stands_on_it = refused(Outcome.IN_USE, volumes.destroy, MASTER)
    assert stands_on_it.dependents == ("appl-1/vm-1", "masters/osol-0811@version-01")
    assert "appl-1/vm-1" in str(stands_on_it)
    assert refused(Outcome.IN_USE, volumes.destroy, APPL).dependents == ("appl-1/vm-1",)
    for name in (GUEST, VERSION, MASTER, APPL, MASTERS):
        volumes.destroy(name)
        refused(Outcome.NOT_FOUND, volumes.destroy, name)
    assert (volumes.projects(), volumes.volumes()) == ([], [])


def test_an_export_is_for_those_who_are_named_and_for_no_others(chain: Kit) -> None:
    access = Access((HV2, HV1, HV1), Chap("hv", "secretsecret12"))
    export = chain.volumes.export(GUEST, access)
    assert export.iqn.endswith(":appl-1:vm-1")
    assert (export.initiators, export.with_chap) == ((HV1, HV2), True)
    assert infos(chain)[GUEST].export == export == chain.volumes.export(GUEST, access)
    assert refused(Outcome.EXISTS, chain.volumes.export, GUEST, Access((HV1,))).dependents == (HV1, HV2)
    other_secret = access._replace(chap=Chap("hv", "anothersecret1"))
    refused(Outcome.EXISTS, chain.volumes.export, GUEST, other_secret)
    chain.volumes.unexport(GUEST)
    chain.volumes.unexport(GUEST)
    assert infos(chain)[GUEST].export is None
    assert chain.volumes.export(GUEST, Access((HV1,))).with_chap is False


@pytest.mark.parametrize(
    "access", [Access(()), Access((HV1,), Chap("u", "short")), Access((HV1,), Chap("u ser", "secretsecret12"))]
)
def test_an_access_that_cannot_be_is_refused(chain: Kit, access) -> None:
    refused(Outcome.INVALID, chain.volumes.export, GUEST, access)
    assert infos(chain)[GUEST].export is None


def test_what_is_in_use_stays_as_it_is(chain: Kit) -> None:
    volumes = chain.volumes
    volumes.export(GUEST, Access((HV1, HV2)))
    refused(Outcome.BUSY, volumes.destroy, GUEST)
    if chain.log_in is None:
        assert refused(Outcome.BUSY, volumes.snapshot, GUEST.snapshot("a")).dependents == (HV1, HV2)
        assert "who is logged in" in volumes.caveat
        volumes.unexport(GUEST)
        volumes.snapshot(GUEST.snapshot("a"))
        return
    chain.log_in(GUEST, HV1)
    assert infos(chain)[GUEST].users == (HV1,)
    assert refused(Outcome.BUSY, volumes.snapshot, GUEST.snapshot("a")).dependents == (HV1,)
    assert refused(Outcome.BUSY, volumes.unexport, GUEST).dependents == (HV1,)
    chain.log_in(GUEST)
    volumes.snapshot(GUEST.snapshot("a"))
    assert infos(chain)[GUEST].export is not None
    volumes.unexport(GUEST)
    volumes.destroy(GUEST.snapshot("a"))
    volumes.destroy(GUEST)


def test_snapshots_of_clones_can_be_cloned_in_turn(chain: Kit) -> None:
    second = GUEST.snapshot("golden")
    chain.volumes.snapshot(second)
    chain.volumes.clone(second, APPL.volume("vm-2"))
    assert refused(Outcome.IN_USE, chain.volumes.destroy, GUEST).dependents == ("appl-1/vm-2", "appl-1/vm-1@golden")


@pytest.mark.parametrize("size", [0, -512, 1000, 2**60])
def test_a_size_that_no_disk_has_is_refused(chain: Kit, size) -> None:
    refused(Outcome.INVALID, chain.volumes.create, APPL.volume("vm-9"), size)


def test_an_image_becomes_a_volume_and_tells_its_progress(chain: Kit, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * SIZE)
    told = []
    chain.volumes.load(APPL.volume("vm-3"), image, lambda done, total: told.append((done, total)))
    assert infos(chain)[APPL.volume("vm-3")].size_bytes == SIZE
    assert told[-1] == (SIZE, SIZE)
    refused(Outcome.INVALID, chain.volumes.load, APPL.volume("vm-4"), tmp_path / "missing.img")


def test_space_is_accounted_for(chain: Kit) -> None:
    usage = chain.volumes.usage()
    assert usage.size_bytes == 2 * SIZE
    assert 0 < usage.promised_bytes <= usage.size_bytes
    assert usage.own_bytes < usage.total_bytes
    assert chain.volumes.usage(APPL).size_bytes == SIZE


def test_a_store_that_is_in_order_has_nothing_to_tend(chain: Kit) -> None:
    chain.volumes.export(GUEST, Access((HV1,)))
    assert chain.volumes.tend() == ()
