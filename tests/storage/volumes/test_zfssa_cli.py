"""The appliance by its command line: lost and cut answers, takeovers, secrets, what `confirm` could take along."""

import contextlib
import logging
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import quickjs
from hypothesis import given
from hypothesis import strategies as st

from storage.volumes import (
    Access,
    Chap,
    Outcome,
    Project,
    Snapshot,
    Volume,
    VolumesError,
    zfssa_answer,
    zfssa_cli,
    zfssa_javascript,
    zfssa_script,
)
from storage.volumes.zfssa import ZfssaVolumes
from storage.volumes.zfssa_cli import CliHead
from storage.volumes.zfssa_heads import GoneError
from tests.volume_stores import AUTHORITY, zfssa
from tests.zfssa.server import USER, Appliance
from tests.zfssa.shell import Shell
from tests.zfssa.state import POOL

SIZE = 4 * 2**20
MASTERS, APPL = Project("masters"), Project("appl-1")
MASTER, GUEST, NEW = Volume("masters", "osol"), Volume("appl-1", "vm-1"), Volume("appl-1", "vm-2")
VERSION = Snapshot("masters", "osol", "v1")
HV1, HV2 = "iqn.1986-03.com.sun:01:hv1", "iqn.1986-03.com.sun:01:hv2"
CHAP = Chap("hv", "secretsecret12")
ACCESS = Access((HV1, HV2), CHAP)

Verb = Callable[[ZfssaVolumes], object]
PLAN: list[Verb] = [
    lambda store: store.make_project(MASTERS),
    lambda store: store.make_project(APPL),
    lambda store: store.create(MASTER, SIZE),
    lambda store: store.snapshot(VERSION),
    lambda store: store.clone(VERSION, GUEST),
    lambda store: store.export(GUEST, ACCESS),
    lambda store: store.unexport(GUEST),
    lambda store: store.export(GUEST, ACCESS),
    lambda store: store.clone(VERSION, NEW),
    lambda store: store.destroy(NEW),
]
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
def test_a_plan_that_meets_a_fault_at_every_verb_ends_as_by_rest_without(kind, pattern, store, appliance, tmp_path):
    for verb in PLAN:
        appliance.faults.clear()
        appliance.fault_once(pattern, kind)
        verb(store)
    assert (appliance.projects, appliance.san) == by_rest(tmp_path / "rest")


def test_a_change_whose_answer_is_lost_every_time_is_made_once_and_told_after_a_minute(store, appliance):
    store.make_project(APPL)
    appliance.fault_once("SSH make lun", "lost", 10_000)
    with pytest.raises(VolumesError, match="did not answer to the end") as caught:
        store.create(GUEST, SIZE)
    assert caught.value.outcome is Outcome.UNAVAILABLE
    assert set(appliance.projects["appl-1"]) == {"vm-1"}


def test_versions_differ_in_the_order_of_words(store, shell, appliance):
    shell.iscsi_first = False
    for verb in PLAN:
        verb(store)
    assert set(appliance.san["targets"]) == {GUEST.iqn(AUTHORITY)}


def test_filesystems_and_projects_of_others_are_passed_over(store, appliance):
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


def test_a_confirmed_destruction_takes_nothing_along(store, head, appliance):
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


def test_a_head_refuses_what_is_there_or_cannot_be(store, head, appliance):
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
def test_the_head_that_has_the_pool_is_found_and_followed(offers_pools, store, shell, appliance):
    shell.offers_pools = offers_pools
    appliance.takeover()
    store.make_project(APPL)
    assert {number for number, _, what in appliance.asked if what == "make project"} == {1}
    appliance.takeover()
    appliance.heads[1].alive = False
    assert store.projects() == [APPL]


def test_a_secret_goes_through_standard_input_only(store, shell, caplog):
    caplog.set_level(logging.DEBUG)
    for verb in PLAN:
        verb(store)
    assert any(CHAP.secret in program for program in shell.programs)
    assert CHAP.secret not in repr(shell.calls) + caplog.text
    said = zfssa_answer.refused("head", ("1", f"bad value {CHAP.secret}"), CHAP.secret)
    assert str(said) == "head: bad value ***"
    assert CHAP.secret not in zfssa_answer.last_words(f"set chapsecret={CHAP.secret}: no", CHAP.secret)


def test_a_key_that_is_not_let_in_is_told_at_once(store, shell, appliance):
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
def test_what_ssh_refuses_comes_with_what_to_do(said, advice, tmp_path, monkeypatch):
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
def test_where_ssh_goes(name, words, tmp_path):
    argv = CliHead(name, POOL, USER, tmp_path)._argv()
    assert argv[-len(words) :] == words
    assert "BatchMode=yes" in argv
    assert ("-p" in argv) == ("-p" in words)


def test_a_head_that_hangs_and_a_missing_ssh(tmp_path, monkeypatch):
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


TEXTS = st.text(max_size=30)
NAMES = st.from_regex(r"[A-Za-z0-9_.:/-]{1,40}", fullmatch=True)


def engine(printed: list[str]) -> quickjs.Context:
    made = quickjs.Context()
    made.add_callable("printf", lambda form, text: printed.append(form % text))
    made.eval(zfssa_javascript.HELPERS)
    return made


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=4))
def test_any_value_comes_back_as_it_is_and_no_value_makes_a_line(values):
    printed: list[str] = []
    context = engine(printed)
    for number, value in enumerate(values):
        context.set(f"v{number}", value)
    fields = "".join(f", v{number}" for number in range(len(values)))
    context.eval(f"line('LUN'{fields}); line('END')")
    answer = zfssa_answer.read("banner\r\n" + "".join(printed))
    assert answer == zfssa_answer.Answer((("LUN", *values),), None)


@given(TEXTS | NAMES)
def test_a_word_is_itself_or_refused(text):
    try:
        literal = zfssa_script.word(text)
    except VolumesError:
        assert not text or not set(text) <= set(f"{string.ascii_letters}{string.digits}_.:/-")
    else:
        assert quickjs.Context().eval(literal) == text


@given(NAMES | TEXTS, NAMES | TEXTS, st.lists(NAMES | TEXTS, min_size=1, max_size=3))
def test_no_program_ends_before_its_end(one, other, more):
    makers: list[Callable[[], zfssa_script.Program]] = [
        lambda: zfssa_script.make_lun(POOL, APPL, one, SIZE),
        lambda: zfssa_script.make_target(POOL, one, other, checks=True, interfaces=more),
        lambda: zfssa_script.make_group(POOL, "target", one, more),
        lambda: zfssa_script.make_initiator(POOL, one, Access((one,), Chap(other, more[0])), there=False),
        lambda: zfssa_script.show(POOL, APPL, one, (other, more[0])),
    ]
    for make in makers:
        with contextlib.suppress(VolumesError):
            lines = make().text.split("\n")
            assert (lines[0], lines.count("."), lines[-2:]) == ("script", 1, [".", ""])
            quickjs.Context().eval("(function () {" + "\n".join(lines[1:-2]) + "})")


ROWS = st.lists(
    st.sampled_from(["LUN", "SNAPSHOT", "PROJECT", "TARGET", "target", "ERROR", "a", "b@c", "p/a/b@c", "7"])
)


@given(st.lists(ROWS | st.lists(TEXTS), max_size=6), st.booleans())
def test_any_answer_is_read(rows, whole):
    printed = "".join("\t".join(["twinboot", *row]) + "\n" for row in rows) + ("twinboot\tEND\n" if whole else "")
    answer = zfssa_answer.read(printed)
    assert answer is not None or not whole
    if answer:
        facts = zfssa_answer.facts_of(answer, POOL)
        assert all(lun.size_bytes >= 0 for lun in facts.luns.values())
        if answer.problem:
            assert "\n" not in str(zfssa_answer.refused("head", answer.problem))


@given(TEXTS)
def test_any_text_is_an_answer_or_none_and_any_origin_is_read(text):
    zfssa_answer.read(text)
    found = zfssa_answer.origin_of(text)
    assert found is None or set(found) == {"project", "share", "snapshot"}
