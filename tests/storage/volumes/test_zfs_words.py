"""What the ZFS store says to a machine, and how it reads the answers."""

import json
import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.volumes import Access, Outcome, VolumesError, zfs_comstar, zfs_datasets, zfs_lio
from storage.volumes.command import Command, command
from storage.volumes.masking import masked
from storage.volumes.zfs_host import Host, ssh_argv
from tests.storage.volumes.conftest import IQN, PORTAL
from tests.storage.volumes.test_zfs import ROOT
from tests.volume_plan import ACCESS, APPL, CHAP, GUEST, HV1, MASTER, SIZE, VERSION
from tests.volume_stores import AUTHORITY


def typed(commands: list[Command]) -> list[str]:
    return [shlex.join(one.argv) + (f" < {one.given!r}" if one.given else "") for one in commands]


def test_what_zfs_is_told():
    told = [
        zfs_datasets.get(ROOT),
        zfs_datasets.make_project(ROOT, APPL, 10**9),
        zfs_datasets.make(ROOT, MASTER, SIZE, file=False, ready=True),
        zfs_datasets.make(ROOT, MASTER, SIZE, file=True, ready=False),
        zfs_datasets.snapshot(ROOT, VERSION),
        zfs_datasets.clone(ROOT, VERSION, GUEST, SIZE),
        zfs_datasets.note(ROOT, GUEST, Access((HV1,))),
        zfs_datasets.note(ROOT, GUEST, None),
        zfs_datasets.destroy(ROOT, VERSION),
    ]
    everything = (
        "type,used,referenced,available,origin,mounted,mountpoint,twinboot:size,twinboot:making,twinboot:access"
    )
    assert typed(told) == [
        f"zfs get -rHp -o name,property,value {everything} tank/guests",
        "zfs create -o quota=1000000000 tank/guests/appl-1",
        "zfs create -s -b 8192 -V 4194304 -o compression=on -o twinboot:size=4194304 tank/guests/masters/osol",
        "zfs create -o compression=on -o twinboot:size=4194304 -o twinboot:making=yes tank/guests/masters/osol",
        "zfs snapshot tank/guests/masters/osol@v1",
        "zfs clone -o refreservation=none -o twinboot:size=4194304 tank/guests/masters/osol@v1 tank/guests/appl-1/vm-1",
        f"zfs set twinboot:access={HV1} tank/guests/appl-1/vm-1",
        "zfs inherit twinboot:access tank/guests/appl-1/vm-1",
        "zfs destroy tank/guests/masters/osol@v1",
    ]


def test_what_targetcli_is_told():
    told = typed(list(zfs_lio.up(IQN, "/dev/zvol/vm", Access((HV1,), CHAP), PORTAL)))
    assert told == [
        "targetcli /backstores/block create name=appl-1_vm-1 dev=/dev/zvol/vm wwn=a2c94ccf-0fbf-a430-0262-208df5ad8404",
        "targetcli /backstores/block/appl-1_vm-1 set attribute emulate_tpu=1",
        f"targetcli /iscsi create {IQN}",
        f"targetcli /iscsi/{IQN}/tpg1 set attribute authentication=1 generate_node_acls=0 demo_mode_write_protect=1",
        f"targetcli /iscsi/{IQN}/tpg1/portals delete 0.0.0.0 3260",
        f"targetcli /iscsi/{IQN}/tpg1/portals create 192.168.78.10 3260",
        f"targetcli /iscsi/{IQN}/tpg1/luns create /backstores/block/appl-1_vm-1 lun0",
        f"targetcli /iscsi/{IQN}/tpg1/acls create {HV1}",
        f"targetcli < '/iscsi/{IQN}/tpg1/acls/{HV1} set auth userid=hv password=secretsecret12\\nexit\\n'",
        "targetcli saveconfig",
    ]


def test_what_stmfadm_and_itadm_are_told():
    nothing = zfs_comstar.parse([""] * len(zfs_comstar.LOOK), {})
    unit = zfs_comstar.guid(IQN)
    assert typed(list(zfs_comstar.up(IQN, "/dev/zvol/rdsk/tank/vm-1", Access((HV1,), CHAP), PORTAL, nothing))) == [
        f"stmfadm create-lu -p guid={unit} -p alias=appl-1/vm-1 /dev/zvol/rdsk/tank/vm-1",
        f"itadm create-tpg twinboot-192-168-78-10-3260 {PORTAL}",
        f"stmfadm create-tg twinboot-{IQN}",
        f"itadm create-target -n {IQN} -l appl-1/vm-1 -a chap -t twinboot-192-168-78-10-3260",
        f"stmfadm offline-target {IQN}",
        f"stmfadm add-tg-member -g twinboot-{IQN} {IQN}",
        f"stmfadm online-target {IQN}",
        f"stmfadm create-hg twinboot-{HV1}",
        f"stmfadm add-hg-member -g twinboot-{HV1} {HV1}",
        f"itadm create-initiator -u hv -S /dev/stdin {HV1} < 'secretsecret12\\n'",
        f"stmfadm add-view -h twinboot-{HV1} -t twinboot-{IQN} -n 0 {unit}",
    ]


def test_no_secret_is_among_the_words_of_a_command():
    nothing = zfs_comstar.parse([""] * len(zfs_comstar.LOOK), {})
    noted = zfs_datasets.note(ROOT, GUEST, masked(ACCESS, AUTHORITY))
    told = [*zfs_lio.up(IQN, "/dev/x", ACCESS, PORTAL), *zfs_comstar.up(IQN, "/dev/x", ACCESS, PORTAL, nothing), noted]
    assert not [one for one in told if CHAP.secret in " ".join(one.argv)]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_a_remote_shell_reads_the_words_that_were_meant(words):
    line = ssh_argv("root@head", Path("/run/x"), words)[-1]
    assert shlex.split(line) == words


def test_ssh_runs_the_words_and_says_when_the_host_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "ssh"
    fake.write_text('#!/bin/sh\nfor line; do :; done\n[ -e "$0.gone" ] && exit 255\nexec sh -c "$line"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    host = Host(tmp_path, "root@head")
    odd = "it's; $(touch /nonexistent) `x` \\ *"
    assert host.run(command("printf", "%s", odd)) == odd
    assert host.run(command("cat", given="secret")) == "secret"
    assert host.run(command("sh", "-c", "echo $LC_ALL")) == "C\n"
    source, told = tmp_path / "image", []
    source.write_bytes(os.urandom(3_000_000))
    host.pour(source, ["dd", f"of={tmp_path}/a copy", "bs=1048576"], lambda done, total: told.append((done, total)))
    assert (tmp_path / "a copy").read_bytes() == source.read_bytes()
    assert told[-1] == (3_000_000, 3_000_000)
    with pytest.raises(VolumesError, match="No such file"):
        host.pour(source, ["dd", f"of={tmp_path}/no/such"], None)
    (tmp_path / "ssh.gone").touch()
    with pytest.raises(VolumesError, match="not to be reached by ssh") as caught:
        host.run(command("true"))
    assert caught.value.outcome is Outcome.UNAVAILABLE


@given(
    st.text(max_size=300)
    | st.from_regex(r"(tank/guests(/[a-z0-9@/]{0,9})?\ttwinboot:[a-z]{4,6}\t[0-9a-z:;,.-]{0,20}\n){0,9}")
)
def test_any_answer_of_zfs_is_a_tree(text):
    tree = zfs_datasets.parse(text, ROOT)
    assert set(tree.projects) | {None} == set(tree.spaces)


@given(st.lists(st.from_regex(r"iqn\.2026-11\.[a-z]{1,9}:[a-z0-9.:-]{1,9}", fullmatch=True), min_size=1, max_size=5))
def test_an_access_is_read_as_it_was_written(names):
    for chap in (None, CHAP):
        access = masked(Access(tuple(names), chap), AUTHORITY)
        assert zfs_datasets.parse_access(zfs_datasets.access_text(access)) == access


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["storage_objects", "targets", "plugin", "name", "fabric", "wwn", "tpgs", "luns"]), inner
        )
    ),
)


@given(JSON)
def test_a_saved_configuration_is_understood_or_refused(found):
    for text in (json.dumps(found), json.dumps({"storage_objects": [], "targets": found})):
        try:
            zfs_lio.parse(text, "")
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


@given(st.lists(st.text(max_size=200), min_size=6, max_size=6), st.text(max_size=200))
def test_any_listing_of_comstar_is_read(listings, views):
    there = zfs_comstar.parse(listings, {zfs_comstar.guid(IQN): views})
    assert zfs_comstar.standing(IQN, there).initiators == ()


def test_listings_of_comstar_as_the_manuals_show_them():
    text = "Target: iqn.a\n    Sessions : 2\n        Initiator: iqn.b\n            Alias: -\n        Initiator: iqn.c\n"
    assert zfs_comstar.blocks(text, "Target")["iqn.a"]["Initiator"] == ["iqn.b", "iqn.c"]
    assert zfs_comstar.blocks("LU Name: 6001\n    Data File : /dev/zvol/rdsk/a: b\n", "LU Name") == {
        "6001": {"Data File": ["/dev/zvol/rdsk/a: b"]}
    }
