"""The appliance by its command line: lost and cut answers, takeovers, secrets, what `confirm` could take along."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.volumes import Outcome, Project, Snapshot, Volume, VolumesError, zfssa_answer, zfssa_cli
from storage.volumes.zfssa import ZfssaVolumes
from storage.volumes.zfssa_cli import CliHead
from storage.volumes.zfssa_heads import GoneError
from tests.volume_plan import APPL, CHAP, GUEST, MASTER, MASTERS, PLAN, SIZE, VERSION
from tests.volume_stores import AUTHORITY, zfssa
from tests.zfssa.server import USER, Appliance
from tests.zfssa.shell import Shell
from tests.zfssa.state import POOL

CHANGES = "SSH (?!facts|owns|leftovers).*"


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    made = Appliance(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def shell(appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    made = Shell(appliance, tmp_path)
    monkeypatch.setenv("PATH", made.search_path())
    yield made
    made.stop()
    assert not made.left


@pytest.fixture
def store(shell: Shell, appliance: Appliance, tmp_path: Path) -> ZfssaVolumes:
    return zfssa(tmp_path, appliance, ssh=Shell.names)


@pytest.fixture
def head(shell: Shell, tmp_path: Path) -> CliHead:
    return CliHead(Shell.names[0], POOL, USER, tmp_path)


def chain(store: ZfssaVolumes) -> None:
    for verb in PLAN[:5]:
        verb(store)


def by_rest(path: Path) -> object:
    """What the plan leaves on an appliance that is spoken to by REST, without faults."""
    path.mkdir()
    other = Appliance(path)
    for verb in PLAN:
        verb(zfssa(path, other))
    other.stop()
    return other.projects, other.san


@pytest.mark.parametrize("pattern", [CHANGES, "SSH facts"])
@pytest.mark.parametrize("kind", ["lost", "half", "cut", "away", "during", "takeover"])
def test_a_plan_that_meets_a_fault_at_every_verb_ends_as_by_rest_without(
    kind, pattern, store: ZfssaVolumes, appliance: Appliance, tmp_path: Path
) -> None:
    for verb in PLAN:
        appliance.faults.clear()
        appliance.fault_once(pattern, kind)
        verb(store)
    assert (appliance.projects, appliance.san) == by_rest(tmp_path / "rest")


def test_a_change_whose_answer_is_lost_every_time_is_made_once_and_told_after_a_minute(
    store: ZfssaVolumes, appliance: Appliance
) -> None:
    store.make_project(APPL)
    appliance.fault_once("SSH make lun", "lost", 10_000)
    with pytest.raises(VolumesError, match="did not answer to the end") as caught:
        store.create(GUEST, SIZE)
    assert caught.value.outcome is Outcome.UNAVAILABLE
    assert set(appliance.projects["appl-1"]) == {"vm-1"}


def test_versions_differ_in_the_order_of_words(store: ZfssaVolumes, shell: Shell, appliance: Appliance) -> None:
    shell.iscsi_first = False
    for verb in PLAN:
        verb(store)
    assert set(appliance.san["targets"]) == {GUEST.iqn(AUTHORITY)}


def test_filesystems_and_projects_of_others_are_passed_over(store: ZfssaVolumes, appliance: Appliance) -> None:
    chain(store)
    appliance.projects["default"]["home"] = {"snapshots": {}}
    appliance.projects["appl-1"]["home"] = {"snapshots": {}}
    appliance.projects["masters"]["osol"]["snapshots"][".auto-1"] = {}
    assert [info.name for info in store.volumes()] == [GUEST, MASTER]
    assert store.projects() == [APPL, MASTERS]
    assert next(info for info in store.volumes() if info.name == MASTER).snapshots == (VERSION,)


def refused(outcome: Outcome, verb: Callable[..., object], *given_: object) -> None:
    with pytest.raises(VolumesError) as caught:
        verb(*given_)
    assert caught.value.outcome is outcome, caught.value


def test_a_confirmed_destruction_takes_nothing_along(store: ZfssaVolumes, head: CliHead, appliance: Appliance) -> None:
    chain(store)
    before = repr(appliance.projects)
    refused(Outcome.IN_USE, head.destroy, MASTERS)
    refused(Outcome.IN_USE, head.destroy, MASTER)
    refused(Outcome.IN_USE, head.destroy, VERSION)
    for missing in (Project("x"), Volume("masters", "x"), VERSION.parent.snapshot("x")):
        refused(Outcome.NOT_FOUND, head.destroy, missing)
    assert repr(appliance.projects) == before
    head.make_project(Project("asters"))
    head.make_lun(Project("asters"), "osol", SIZE)
    head.snapshot(Snapshot("asters", "osol", "v1"))
    head.destroy(Snapshot("asters", "osol", "v1"))
    appliance.projects["asters"]["osol"]["snapshots"][".auto-1"] = {}
    head.destroy(Volume("asters", "osol"))
    head.destroy(Project("asters"))
    assert repr(appliance.projects) == before


def test_a_head_refuses_what_is_there_or_cannot_be(store: ZfssaVolumes, head: CliHead, appliance: Appliance) -> None:
    chain(store)
    refused(Outcome.EXISTS, head.make_project, APPL)
    refused(Outcome.EXISTS, head.make_lun, APPL, "vm-1", SIZE)
    refused(Outcome.EXISTS, head.snapshot, VERSION)
    refused(Outcome.EXISTS, head.clone, VERSION, GUEST)
    refused(Outcome.EXISTS, head.rename_lun, APPL, "vm-1", GUEST)
    refused(Outcome.NOT_FOUND, head.drop_target, "iqn.2026-11.x:y")
    refused(Outcome.NOT_FOUND, head.show, APPL, "vm-1", ("no-such", "no-such"))
    refused(Outcome.INVALID, head.make_lun, APPL, "vm-9", 1000)
    refused(Outcome.INVALID, head.make_lun, APPL, "a');run('cd /", SIZE)
    assert set(appliance.projects["appl-1"]) == {"vm-1"}


@pytest.mark.parametrize("offers_pools", [True, False])
def test_the_head_that_has_the_pool_is_found_and_followed(
    offers_pools, store: ZfssaVolumes, shell: Shell, appliance: Appliance
) -> None:
    shell.offers_pools = offers_pools
    appliance.takeover()
    store.make_project(APPL)
    assert {number for number, _, what in appliance.asked if what == "make project"} == {1}
    appliance.takeover()
    appliance.heads[1].alive = False
    assert store.projects() == [APPL]


def test_a_secret_goes_through_standard_input_only(store: ZfssaVolumes, shell: Shell, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    for verb in PLAN:
        verb(store)
    assert any(CHAP.secret in program for program in shell.programs)
    assert CHAP.secret not in repr(shell.calls) + caplog.text
    said = zfssa_answer.refused("head", ("1", f"bad value {CHAP.secret}"), CHAP.secret)
    assert str(said) == "head: bad value ***"
    assert CHAP.secret not in zfssa_answer.last_words(f"set chapsecret={CHAP.secret}: no", CHAP.secret)


def test_a_key_that_is_not_let_in_is_told_at_once(store: ZfssaVolumes, shell: Shell, appliance: Appliance) -> None:
    appliance.fault_once("SSH .*", "unknown", 10_000)
    with pytest.raises(VolumesError, match=r"let this user in by key: .* ssh -- twinboot@head-0") as caught:
        store.projects()
    assert caught.value.outcome is Outcome.DENIED
    assert len(shell.calls) == 1


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Host key verification failed.", "log in once by hand: ssh -p 2222 -- twinboot@head-0"),
        ("Unable to negotiate with 10.0.0.1: no matching host key type found. Their offer: ssh-dss", "~/.ssh/config"),
    ],
)
def test_what_ssh_refuses_comes_with_what_to_do(said, advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(VolumesError) as caught:
        CliHead("head-0:2222", POOL, USER, tmp_path).owns(POOL)
    assert caught.value.outcome is Outcome.DENIED
    assert advice in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("head-0", ["--", "twinboot@head-0"]),
        ("head-0:2222", ["-p", "2222", "--", "twinboot@head-0"]),
        ("[fd00::1]", ["--", "twinboot@fd00::1"]),
        ("[fd00::1]:22", ["-p", "22", "--", "twinboot@fd00::1"]),
    ],
)
def test_where_ssh_goes(name, words, tmp_path: Path) -> None:
    argv = CliHead(name, POOL, USER, tmp_path)._argv()
    assert argv[-len(words) :] == words
    assert "BatchMode=yes" in argv
    assert ("-p" in argv) == ("-p" in words)


def test_a_head_that_hangs_and_a_missing_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(zfssa_cli, "PROGRAM_TIMEOUT_S", 0.1)
    head = CliHead("head-0", POOL, USER, tmp_path)
    with pytest.raises(GoneError, match="does not answer within"):
        head.owns(POOL)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(VolumesError, match="install the package openssh-client"):
        head.owns(POOL)
