"""The ZFS store on a real ZFS (zfs-fuse, files on datasets) with a real target daemon and real initiators."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from socket import create_server

import pytest

from storage.volumes import Access, Outcome, Project, Snapshot, Volume, VolumesError
from storage.volumes.local_target import Tgt
from storage.volumes.settings import ZfsSettings
from storage.volumes.zfs import ZfsVolumes
from tests.volume_stores import AUTHORITY, tgt_programs
from tests.zfs_fuse import PROGRAMS, ZfsFuse

pytestmark = [pytest.mark.system, pytest.mark.root]

MIB = 2**20
HV1, STRANGER = "iqn.1986-03.com.sun:01:hv1", "iqn.1986-03.com.sun:01:stranger"
MASTERS, APPL = Project("masters"), Project("appl-1")
MASTER, GUEST = Volume("masters", "osol-0811"), Volume("appl-1", "vm-1")
VERSION = Snapshot("masters", "osol-0811", "version-01")
TOOL_TIMEOUT_S = 60


@pytest.fixture
def store(zfs_fuse: ZfsFuse, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZfsVolumes]:
    """A store whose tgtd is in the pool's mount namespace, as it would be on the storage host."""
    programs = tgt_programs()
    missing = [name for name in ("iscsi-inq", "qemu-io") if not shutil.which(name)]
    if programs is None or missing:
        pytest.skip(f"needs tgt and {missing or 'nothing else'}: packaging/apt-packages-test.txt")
    place = Path(tempfile.mkdtemp(prefix="twinboot-zt."))
    wrapper = place / "tgtd"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(zfs_fuse.inside)} {programs}/tgtd "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{PROGRAMS}:{os.environ['PATH']}:{programs}")
    with create_server(("127.0.0.1", 0)) as probe:
        portal = f"127.0.0.1:{probe.getsockname()[1]}"
    targets = Tgt(place / "run", portal)
    dataset = zfs_fuse.dataset()
    settings = ZfsSettings(dataset, place / "run", AUTHORITY, portal, "tgt", become=zfs_fuse.inside, files=True)
    yield ZfsVolumes(settings, targets=targets)
    targets.stop()
    shutil.rmtree(place)


def qemu_io(portal: str, iqn: str, lun: int, initiator: str, command: str) -> "subprocess.CompletedProcess[str]":
    disk = {"driver": "iscsi", "transport": "tcp", "portal": portal, "target": iqn, "lun": lun}
    disk["initiator-name"] = initiator
    where = "json:" + json.dumps({"driver": "raw", "file": disk})
    argv = ["qemu-io", "-f", "raw", "-c", command, where]
    return subprocess.run(argv, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)


def test_an_initiator_reads_and_writes_a_clone_that_took_no_space(store: ZfsVolumes, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(MIB) + b"\x5a" * MIB + bytes(62 * MIB))
    store.make_project(MASTERS)
    store.make_project(APPL)
    store.load(MASTER, image)
    store.snapshot(VERSION)
    store.clone(VERSION, GUEST)
    master, guest = store.volumes(MASTERS)[0], store.volumes(APPL)[0]
    print(f"zfs-fuse: a clone of {master.size_bytes} bytes takes {guest.own_bytes} bytes")
    assert guest.own_bytes < MIB // 4
    export = store.export(GUEST, Access((HV1,)))
    where = (export.portal, export.iqn, export.lun)
    assert "Pattern verification failed" not in qemu_io(*where, HV1, "read -P 0x5a 1M 1M").stdout
    assert qemu_io(*where, STRANGER, "read 0 512").returncode != 0
    assert qemu_io(*where, HV1, "write -P 0xa5 4M 1M").returncode == 0
    store.snapshot(GUEST.snapshot("later"))
    assert "Pattern verification failed" not in qemu_io(*where, HV1, "read -P 0xa5 4M 1M").stdout
    with pytest.raises(VolumesError) as caught:
        store.destroy(MASTER)
    assert caught.value.dependents == ("appl-1/vm-1", "masters/osol-0811@version-01")
    store.unexport(GUEST)
    assert qemu_io(*where, HV1, "read 0 512").returncode != 0


def test_a_login_keeps_a_clone_from_being_snapshotted_and_a_dead_daemon_comes_back(
    store: ZfsVolumes, zfs_fuse: ZfsFuse
) -> None:
    store.make_project(APPL)
    store.create(GUEST, 8 * MIB)
    export = store.export(GUEST, Access((HV1,)))
    disk = {"driver": "iscsi", "transport": "tcp", "portal": export.portal, "target": export.iqn, "lun": export.lun}
    disk["initiator-name"] = HV1
    with subprocess.Popen(
        ["qemu-io", "-f", "raw", "json:" + json.dumps({"driver": "raw", "file": disk})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as guest:
        assert guest.stdin is not None
        assert guest.stdout is not None
        guest.stdin.write("write -P 1 0 512\n")
        guest.stdin.flush()
        assert "wrote" in guest.stdout.readline()
        with pytest.raises(VolumesError) as caught:
            store.snapshot(GUEST.snapshot("a"))
        assert (caught.value.outcome, caught.value.dependents) == (Outcome.BUSY, (HV1,))
        guest.communicate("quit\n", timeout=TOOL_TIMEOUT_S)
    assert store.tend() == ()
    store.snapshot(GUEST.snapshot("a"))


def test_a_quota_bounds_what_is_free(zfs_fuse: ZfsFuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    settings = ZfsSettings(zfs_fuse.dataset(), tmp_path / "run", AUTHORITY, "127.0.0.1:3260", "tgt")
    store = ZfsVolumes(settings._replace(become=zfs_fuse.inside, files=True, quota_bytes=16 * MIB))
    store.make_project(APPL)
    assert 0 < store.usage(APPL).free_bytes <= 16 * MIB < store.usage().free_bytes
    image = tmp_path / "disk.img"
    image.write_bytes(b"".join(hashlib.sha512(number.to_bytes(8, "big")).digest() for number in range(24 * MIB // 64)))
    with pytest.raises(VolumesError) as caught:
        store.load(GUEST, image)
    assert caught.value.outcome is Outcome.FULL
    assert store.volumes() == []
