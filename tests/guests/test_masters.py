from __future__ import annotations

import pytest

from guests import masters
from storage.volumes import Access, Outcome, Project, Snapshot, Volume, VolumesError
from storage.volumes.memory import MemoryVolumes

MASTER, OTHER = Volume("masters", "osol-0811"), Volume("appl-1", "vm-1")
ONE, TWO = MASTER.snapshot("version-01"), MASTER.snapshot("version-02")


@pytest.fixture
def store() -> MemoryVolumes:
    made = MemoryVolumes()
    for project in ("masters", "appl-1"):
        made.make_project(Project(project))
    made.create(MASTER, 512 * 2048)
    made.snapshot(ONE)
    made.snapshot(TWO)
    for name in ("vm-2", "vm-1"):
        made.clone(ONE, Volume("appl-1", name))
    return made


def refused(outcome: Outcome, verb, *arguments: object) -> VolumesError:
    with pytest.raises(VolumesError) as caught:
        verb(*arguments)
    assert caught.value.outcome is outcome
    return caught.value


def test_masters_are_told_with_their_versions_and_those_who_stand_on_them(store: MemoryVolumes) -> None:
    store.create(Volume("masters", "new"), 512)
    found = masters.masters(store.volumes())
    assert [str(one.volume.name) for one in found] == ["masters/new", "masters/osol-0811"]
    assert found[1].versions == (
        masters.Version(ONE, (OTHER, Volume("appl-1", "vm-2"))),
        masters.Version(TWO, ()),
    )
    assert found[0].versions == ()


def test_a_guests_disk_with_a_snapshot_can_be_cloned_too(store: MemoryVolumes) -> None:
    store.snapshot(OTHER.snapshot("before-upgrade"))
    assert OTHER in [one.volume.name for one in masters.masters(store.volumes())]


def test_an_import_makes_its_project_and_takes_no_name_twice(store: MemoryVolumes) -> None:
    projects, volumes = store.projects(), store.volumes()
    assert masters.plan_import(Volume("masters", "debian-12"), projects, volumes) == []
    assert masters.plan_import(Volume("images", "debian-12"), projects, volumes) == [Project("images")]
    refused(Outcome.EXISTS, masters.plan_import, MASTER, projects, volumes)


def test_what_the_store_would_refuse_is_refused_before(store: MemoryVolumes) -> None:
    refused(Outcome.EXISTS, masters.may_snapshot, ONE, store.volumes())
    error = refused(Outcome.NOT_FOUND, masters.may_snapshot, Snapshot("masters", "osol-811", "v3"), store.volumes())
    assert "did you mean masters/osol-0811?" in str(error)
    store.export(MASTER, Access(("iqn.2026-11.test:hv1",)))
    masters.may_snapshot(MASTER.snapshot("version-03"), store.volumes())
    store.users[MASTER] = {"iqn.2026-11.test:hv1"}
    error = refused(Outcome.BUSY, masters.may_snapshot, MASTER.snapshot("version-03"), store.volumes())
    assert error.dependents == ("iqn.2026-11.test:hv1",)
    for name in (ONE, MASTER, Project("appl-1")):
        error = refused(Outcome.IN_USE, masters.may_destroy, name, store.projects(), store.volumes())
        assert "appl-1/vm-1" in error.dependents
    masters.may_destroy(TWO, store.projects(), store.volumes())
    masters.may_destroy(OTHER, store.projects(), store.volumes())
