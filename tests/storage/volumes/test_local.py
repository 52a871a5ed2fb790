"""The local store: exports that fail or are lost, foreign files, spaces and full disks."""

import os
import subprocess
from pathlib import Path

import pytest

from storage.volumes import Chap, Outcome, Project, VolumesError
from storage.volumes.local import LocalVolumes
from storage.volumes.settings import LocalSettings
from tests.storage.volumes.conftest import ACCESS, picture, prepared
from tests.volume_plan import APPL, GUEST, MASTER, MASTERS, NEW, SIZE, VERSION
from tests.volume_stores import AUTHORITY, local


def test_an_export_that_fails_is_undone(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    before = picture(kit)
    kit.targets.fail = True
    with pytest.raises(VolumesError, match="did not start"):
        kit.store.export(MASTER, ACCESS)
    assert picture(kit) == before


def test_what_was_exported_is_exported_again_after_the_daemons_lost_everything(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    kit.targets.forget()
    assert kit.store.tend() == ("appl-1/vm-1: exported again",)
    kit.views.down(GUEST.domain)
    assert kit.store.tend() == ("appl-1/vm-1: exported again",)
    assert kit.store.tend() == ()


def test_targets_that_nobody_asked_for_are_ended(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    kit.targets.up(MASTER.iqn(AUTHORITY), tmp_path, ACCESS)
    assert kit.store.tend() == (f"{MASTER.iqn(AUTHORITY)}: ended, it is not exported",)


def test_trouble_with_one_export_is_told_and_does_not_raise(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    kit.targets.forget()
    kit.targets.fail = True
    (told,) = kit.store.tend()
    assert told.startswith("appl-1/vm-1")
    assert "tgtd did not start" in told


def test_a_damaged_card_hides_its_volume_and_stops_destruction(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    card = Path(kit.store.location) / "appl-1" / "vm-1" / "volume.json"
    for text in ("", "[]", "{}", '{"format": 9}', "\x00", "x" * (2 << 20)):
        card.write_text(text)
        assert [info.name for info in kit.store.volumes()] == [MASTER]
        (fault,) = kit.store.faults()
        assert str(card) in fault
        with pytest.raises(VolumesError, match="nothing is destroyed now"):
            kit.store.destroy(VERSION)
        with pytest.raises(VolumesError):
            kit.store.create(GUEST, SIZE)


def test_a_clone_takes_no_space_and_reads_as_its_master(tmp_path: Path) -> None:
    kit = local(tmp_path)
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(SIZE))
    kit.store.make_project(MASTERS)
    kit.store.make_project(APPL)
    kit.store.load(MASTER, image)
    kit.store.snapshot(VERSION)
    kit.store.clone(VERSION, GUEST)
    master, guest = kit.store.volumes(MASTERS)[0], kit.store.volumes(APPL)[0]
    assert master.own_bytes >= SIZE
    assert guest.own_bytes < SIZE / 4
    head = Path(kit.store.location) / "appl-1" / "vm-1" / "layer-0.qcow2"
    subprocess.run(["qemu-img", "compare", "-q", str(head), str(image)], check=True)


def test_without_fuse_it_copies_and_says_so(tmp_path: Path) -> None:
    kit = prepared(tmp_path, fuse=False)
    assert not kit.store.thin
    assert "full copies" in kit.store.caveat
    assert {path.suffix for path in Path(kit.store.location).rglob("layer-*")} == {".raw"}
    assert kit.store.tend() == ()
    kit.store.unexport(GUEST)
    kit.store.destroy(GUEST)
    kit.store.destroy(VERSION)
    assert [path.name for path in Path(kit.store.location).rglob("layer-*")] == ["layer-0.raw"]


def test_qcow2_volumes_cannot_be_exported_where_fuse_is_lost_but_can_be_copied(tmp_path: Path) -> None:
    prepared(tmp_path)
    kit = local(tmp_path, fuse=False)
    with pytest.raises(VolumesError, match="/dev/fuse"):
        kit.store.export(MASTER, ACCESS)
    kit.store.clone(VERSION, NEW)
    kit.store.export(NEW, ACCESS)


def test_an_image_that_reads_other_files_is_refused(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    (tmp_path / "secret").write_bytes(b"x" * 1024)
    trap = tmp_path / "trap.qcow2"
    make = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(tmp_path / "secret"), "-F", "raw", str(trap)]
    subprocess.run(make, check=True)
    with pytest.raises(VolumesError, match=r"it needs .*secret") as caught:
        kit.store.load(NEW, trap)
    assert caught.value.outcome is Outcome.INVALID


def test_one_chap_user_has_one_secret(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    kit.store.export(MASTER, ACCESS._replace(chap=Chap("hv", "secretsecret12")))
    kit.store.unexport(GUEST)
    with pytest.raises(VolumesError, match="another secret at masters/osol"):
        kit.store.export(GUEST, ACCESS._replace(chap=Chap("hv", "secretsecret34")))


def test_foreign_directories_are_left_alone(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    root = Path(kit.store.location)
    (root / "lost+found").mkdir()
    (root / "appl-1" / "Notes").mkdir()
    kit.store.tend()
    assert (root / "appl-1" / "Notes").is_dir()
    (root / "appl-1" / "vm-1" / "notes.txt").write_text("do not touch")
    kit.store.tend()
    assert (root / "appl-1" / "vm-1" / "notes.txt").exists()
    assert kit.store.projects() == [APPL, Project("empty"), MASTERS]
    (root / "empty" / "Notes").write_text("do not touch")
    with pytest.raises(VolumesError, match="look what is in it") as caught:
        kit.store.destroy(Project("empty"))
    assert caught.value.outcome is Outcome.IN_USE


def test_a_volume_without_its_card_is_named(tmp_path: Path) -> None:
    kit = prepared(tmp_path)
    (Path(kit.store.location) / "appl-1" / "vm-1" / "volume.json").unlink()
    assert "missing: restore it" in kit.store.faults()[0]


def test_a_file_that_is_named_as_an_address_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = prepared(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("nbd:localhost:1").write_bytes(bytes(SIZE))
    kit.store.load(NEW, Path("nbd:localhost:1"))
    assert NEW in [info.name for info in kit.store.volumes()]


def test_wrong_settings_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(VolumesError, match="ADDRESS:PORT"):
        LocalVolumes(LocalSettings(tmp_path, tmp_path, AUTHORITY, "here"))
    with pytest.raises(VolumesError, match="shorter path"):
        LocalVolumes(LocalSettings(tmp_path, tmp_path / ("x" * 120), AUTHORITY))


def test_growth_is_watched_and_the_day_of_the_full_disk_is_told(tmp_path: Path) -> None:
    clock = [1_700_000_000.0]
    kit = local(tmp_path, now=lambda: clock[0])
    kit.store.make_project(APPL)
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(2**20))
    assert kit.store.usage().full_in_s is None
    for day in range(3):
        kit.store.load(APPL.volume(f"vm-{day}"), image)
        kit.store.tend()
        clock[0] += 86400
    kept = Path(kit.store.location) / ".usage"
    taken = [int(line.split()[1]) for line in kept.read_text().splitlines()]
    assert len(taken) == 3
    assert taken[2] - taken[1] >= 2**20
    a_day = kit.store.usage().free_bytes // 10
    kept.write_text(f"0 0\n86400 {a_day}\n")
    told_s = kit.store.usage().full_in_s
    assert told_s is not None
    assert abs(told_s / 86400 - 10) < 0.5
    kept.write_bytes(b"\xff\n1 2 3\n")
    kit.store.tend()
    assert kit.store.usage().full_in_s is None


@pytest.mark.root
def test_a_full_disk_refuses_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(store)], check=True)
    try:
        kit = local(tmp_path)
        kit.store.make_project(APPL)
        image = tmp_path / "disk.img"
        image.write_bytes(os.urandom(SIZE))
        with pytest.raises(VolumesError) as caught:
            kit.store.load(NEW, image)
        assert caught.value.outcome is Outcome.FULL
        assert "free some space" in str(caught.value)
        assert kit.store.volumes() == []
        assert list((store / "appl-1").iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(store)], check=True)
