"""The ZFS store on a machine that is played: killed or refused at every command, it goes on."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from storage.volumes import Access, Outcome, Project, VolumesError
from storage.volumes.command import command
from storage.volumes.settings import ZfsSettings
from storage.volumes.zfs import ZfsVolumes
from tests.processes import killed_at
from tests.storage.volumes.conftest import IQN, PORTAL
from tests.volume_plan import ACCESS, CHAP, GUEST, HV1, MASTER, NEW, SIZE, VERSION, prepare
from tests.volume_stores import AUTHORITY, Zfs, zfs

STEPS_MAX = 80
ROOT = "tank/guests"
EXPORTERS = ("lio", "comstar")


def test_an_initiator_that_shares_a_host_group_is_refused(tmp_path: Path) -> None:
    kit = prepared(tmp_path, "comstar")
    kit.machine.ask(command("stmfadm", "create-hg", "theirs"))
    for name in (f"{HV1}.a", f"{HV1}.b"):
        kit.machine.ask(command("stmfadm", "add-hg-member", "-g", "theirs", name))
    with pytest.raises(VolumesError, match="remove-hg-member -g theirs") as caught:
        kit.store.export(MASTER, Access((f"{HV1}.a",)))
    assert caught.value.outcome is Outcome.INVALID
    assert {info.name: info.export for info in kit.store.volumes()}[MASTER] is None


def prepared(path: Path, exporter: str) -> Zfs:
    kit = zfs(path, exporter, chap=CHAP)
    prepare(kit.store, ACCESS)
    return kit


VERBS: dict[str, list[Callable[[ZfsVolumes], object]]] = {
    "make_project": [lambda store: store.make_project(Project("appl-2"))],
    "create": [lambda store: store.create(NEW, SIZE)],
    "clone": [lambda store: store.clone(VERSION, NEW)],
    "snapshot of an exported volume": [lambda store: store.snapshot(GUEST.snapshot("v1"))],
    "export": [lambda store: store.export(MASTER, Access((HV1,)))],
    "unexport": [lambda store: store.unexport(GUEST)],
    "destroy": [lambda s: s.unexport(GUEST), lambda s: s.destroy(GUEST), lambda s: s.destroy(VERSION)],
}


def act_all(acts: list[Callable[[ZfsVolumes], object]], path: Path, exporter: str, step: Callable[[str], None]) -> None:
    store = zfs(path, exporter, step=step, chap=CHAP).store
    for act in acts:
        act(store)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_killed_at_any_step_is_completed_or_undone_by_the_same_again(verb, exporter, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    prepared(tmp_path / "before", exporter)
    whole = zfs(shutil.copytree(tmp_path / "before", tmp_path / "whole"), exporter, chap=CHAP)
    for act in VERBS[verb]:
        act(whole.store)
    for number in range(1, STEPS_MAX):
        place = shutil.copytree(tmp_path / "before", tmp_path / str(number))
        if not killed_at(number, partial(act_all, VERBS[verb], place, exporter)):
            break
        again = zfs(place, exporter, chap=CHAP)
        for act in VERBS[verb]:
            try:
                act(again.store)
            except VolumesError as error:
                assert error.outcome in {Outcome.EXISTS, Outcome.NOT_FOUND}, error  # noqa: PT017
        again.store.tend()
        assert zfs(place, exporter, chap=CHAP).store.tend() == ()
        assert comparable(again.machine.state()) == comparable(whole.machine.state()), f"killed at step {number}"
    assert 2 <= number < STEPS_MAX - 1


def comparable(state: dict[str, object]) -> str:
    """All but the order in which things were made."""
    return json.dumps(state, sort_keys=True)


def is_of_the_exporter(word: str, line: str) -> bool:
    return f" {word} " in line and not line.startswith("zfs")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_command_of_an_export_may_fail_and_nothing_is_left_exported(exporter, tmp_path: Path) -> None:
    kit = prepared(tmp_path, exporter)
    before = {info.name: info.export for info in kit.store.volumes()}
    verbs = ("create", "add-view", "set", "create-target", "add-tg-member", "create-lu")
    for word in verbs:
        kit.machine.hide = partial(is_of_the_exporter, word)
        try:
            kit.store.export(MASTER, ACCESS)
        except VolumesError as error:
            assert error.outcome is Outcome.UNAVAILABLE  # noqa: PT017
        else:
            kit.store.unexport(MASTER)
        assert {info.name: info.export for info in kit.store.volumes()} == before
        assert kit.store.tend() == ()
    kit.machine.hide = lambda _: False
    assert kit.store.export(MASTER, ACCESS).lun == 0


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_what_a_boot_lost_is_exported_again_if_the_secret_is_known(exporter, tmp_path: Path) -> None:
    kit = prepared(tmp_path, exporter)
    kit.machine.forget_targets()
    (told,) = zfs(tmp_path, exporter).store.tend() or zfs(tmp_path, exporter).store.tend()
    assert "export it again with it" in told
    assert zfs(tmp_path, exporter, chap=CHAP).store.tend() == ("appl-1/vm-1: exported again",)


def test_a_snapshot_of_an_export_whose_secret_is_unknown_leaves_it_exported(tmp_path: Path) -> None:
    prepared(tmp_path, "lio")
    other = zfs(tmp_path, "lio")
    with pytest.raises(VolumesError, match="secret of CHAP user hv is not known"):
        other.store.snapshot(GUEST.snapshot("a"))
    assert list(other.machine.state()["iscsi"]) == [IQN]


def test_targets_of_others_are_left_alone(tmp_path: Path) -> None:
    kit = prepared(tmp_path, "lio")
    theirs = ("iqn.2003-01.org.linux-iscsi.nas:backup", f"{AUTHORITY}:other:disk")
    for iqn in theirs:
        kit.machine.ask(command("targetcli", "/iscsi", "create", iqn))
    assert zfs(tmp_path, "lio", chap=CHAP).store.tend() == ()
    assert set(kit.machine.state()["iscsi"]) == {IQN, *theirs}


def test_a_damaged_property_hides_its_volume_and_stops_destruction(tmp_path: Path) -> None:
    kit = prepared(tmp_path, "lio")
    for text in ("rubbish", f"{HV1};", "x" * 3000):
        kit.machine.ask(command("zfs", "set", f"twinboot:access={text}", "tank/guests/appl-1/vm-1"))
        assert [info.name for info in kit.store.volumes()] == [MASTER]
        assert "tank/guests/appl-1/vm-1" in kit.store.faults()[0]
        with pytest.raises(VolumesError, match="nothing is destroyed now"):
            kit.store.destroy(VERSION)


def test_an_image_is_poured_and_whole_blocks_are_made(tmp_path: Path) -> None:
    kit = prepared(tmp_path, "lio")
    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * (SIZE + 512))
    kit.store.load(NEW, image)
    assert {info.name: info.size_bytes for info in kit.store.volumes()}[NEW] == SIZE + 8192
    assert kit.machine.state()["sets"]["tank/guests/appl-1/vm-2"]["poured"] == SIZE + 512


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dataset": "/tank"}, "name a dataset"),
        ({"portal": "here"}, "ADDRESS:PORT"),
        ({"exporter": "scst"}, "one of lio, comstar, tgt"),
        ({"ssh": "-oProxyCommand=x"}, "USER@HOST"),
        ({"exporter": "tgt", "ssh": "root@head"}, "this machine only"),
        ({"exporter": "comstar", "files": True}, "leave files out"),
        ({"authority": "example.com"}, "write iqn."),
    ],
)
def test_wrong_settings_are_told_at_once(change, words, tmp_path: Path) -> None:
    settings = ZfsSettings("tank/guests", tmp_path, AUTHORITY, PORTAL)._replace(**change)
    with pytest.raises(VolumesError, match=words):
        ZfsVolumes(settings)
