"""The appliance's store: lost answers, sessions that end, busy heads, takeovers in the middle of a plan."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.volumes import Access, Chap, Outcome, Project, VolumesError, zfssa_model
from storage.volumes.masking import masked
from storage.volumes.zfssa import ZfssaVolumes, credentials
from tests.processes import killed_at
from tests.volume_plan import ACCESS, APPL, CHAP, GUEST, HV1, HV2, MASTER, MASTERS, PLAN, SIZE
from tests.volume_stores import AUTHORITY, PatientClock, zfssa, zfssa_settings
from tests.zfssa.server import PASSWORD, Appliance
from tests.zfssa.state import NOBODY

STEPS_MAX = 24


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    made = Appliance(tmp_path)
    yield made
    made.stop()


def done(appliance: Appliance) -> object:
    return appliance.projects, appliance.san


def whole(tmp_path: Path) -> object:
    """What the plan leaves on an appliance without faults."""
    (tmp_path / "whole").mkdir()
    other = Appliance(tmp_path / "whole")
    store = zfssa(tmp_path / "whole", other)
    for verb in PLAN:
        verb(store)
    other.stop()
    return done(other)


@pytest.mark.parametrize("kind", ["lost", "cut", "503", "takeover"])
@pytest.mark.parametrize("pattern", ["POST .*", "PUT .*", "DELETE .*", "GET .*"])
def test_a_plan_meets_a_fault_at_every_kind_of_request_and_ends_as_without(
    kind, pattern, appliance: Appliance, tmp_path: Path
) -> None:
    wanted = whole(tmp_path)
    store = zfssa(tmp_path, appliance)
    for verb in PLAN:
        appliance.faults.clear()
        appliance.fault_once(pattern.replace(".*", "(?!/api/access).*"), kind)
        verb(store)
    assert done(appliance) == wanted


def test_a_session_that_ends_is_renewed(appliance: Appliance, tmp_path: Path) -> None:
    store = zfssa(tmp_path, appliance)
    for verb in PLAN:
        for head in appliance.heads:
            head.sessions.clear()
        verb(store)
    logins = [path for _, verb, path in appliance.asked if (verb, path) == ("POST", "/api/access/v1")]
    assert len(logins) >= len(PLAN)


def test_the_head_that_has_the_pool_is_found_and_followed(appliance: Appliance, tmp_path: Path) -> None:
    appliance.takeover()
    store = zfssa(tmp_path, appliance)
    store.make_project(APPL)
    assert {head for head, verb, path in appliance.asked if path.endswith("/projects")} == {1}
    appliance.takeover()
    appliance.heads[1].alive = False
    store.make_project(MASTERS)
    assert store.projects() == [APPL, MASTERS]


def test_a_pool_that_nobody_has_is_waited_for_and_then_told(appliance: Appliance, tmp_path: Path) -> None:
    clock = PatientClock()
    store = ZfssaVolumes(zfssa_settings(tmp_path, appliance), clock=clock)
    appliance.heads[0].alive = False
    with pytest.raises(
        VolumesError, match=r"pool p0: localhost:\d+ does not answer .*; localhost:\d+ does not have it"
    ):
        store.projects()
    assert 60 <= clock.time_s < 70
    appliance.owner = 1
    assert store.projects() == []


def test_busy_for_a_while_is_waited_for(appliance: Appliance, tmp_path: Path) -> None:
    store = zfssa(tmp_path, appliance)
    appliance.fault_once(".*", "503", 6)
    store.make_project(APPL)
    appliance.fault_once(".*", "503", 10_000)
    with pytest.raises(VolumesError, match="is busy") as caught:
        store.make_project(MASTERS)
    assert caught.value.outcome is Outcome.UNAVAILABLE


def test_what_somebody_else_made_is_not_taken_for_our_own(appliance: Appliance, tmp_path: Path) -> None:
    store = zfssa(tmp_path, appliance)
    store.make_project(APPL)
    appliance.projects["appl-1"]["vm-1"] = {"volsize": SIZE, "snapshots": {}}
    with pytest.raises(VolumesError) as caught:
        store.create(GUEST, SIZE)
    assert caught.value.outcome is Outcome.EXISTS
    with pytest.raises(VolumesError) as caught:
        store.make_project(Project("default"))
    assert caught.value.outcome is Outcome.EXISTS


def test_what_is_exported_is_seen_through_its_own_groups_only(appliance: Appliance, tmp_path: Path) -> None:
    store = zfssa(tmp_path, appliance)
    for verb in PLAN:
        verb(store)
    lun = appliance.projects["appl-1"]["vm-1"]
    assert (lun["targetgroup"], lun["initiatorgroup"], lun["lunnumber"]) == ("appl-1:vm-1", "appl-1:vm-1", 0)
    assert appliance.san["initiator-groups"]["appl-1:vm-1"]["initiators"] == [HV1, HV2]
    assert appliance.san["targets"][GUEST.iqn(AUTHORITY)]["auth"] == "chap"
    assert appliance.san["initiators"][HV1]["chapsecret"] == CHAP.secret
    assert appliance.projects["masters"]["osol"]["initiatorgroup"] == NOBODY
    store.unexport(GUEST)
    assert lun["initiatorgroup"] == NOBODY
    assert appliance.san["targets"] == appliance.san["target-groups"] == appliance.san["initiator-groups"] == {}


def test_one_initiator_has_one_secret(appliance: Appliance, tmp_path: Path) -> None:
    store = zfssa(tmp_path, appliance)
    for verb in PLAN:
        verb(store)
    with pytest.raises(VolumesError, match="another secret at appl-1/vm-1"):
        store.export(MASTER, Access((HV1,), Chap("hv", "secretsecret99")))


@pytest.mark.parametrize("number", range(1, STEPS_MAX))
def test_an_export_killed_at_any_step_is_completed_by_the_same_again_or_tidied(
    number, appliance: Appliance, tmp_path: Path
) -> None:
    store = zfssa(tmp_path, appliance)
    for verb in PLAN[:5]:
        verb(store)
    before = {kind: dict(things) for kind, things in appliance.san.items()}

    def act(step: Callable[[str], None]) -> None:
        killed = zfssa(tmp_path, appliance, step=step)
        killed.export(GUEST, ACCESS)
        killed.unexport(GUEST)

    was_killed = killed_at(number, act)
    again = zfssa(tmp_path, appliance)
    again.tend()
    if number % 2:
        again.export(GUEST, ACCESS)
        export = {info.name: info.export for info in again.volumes()}[GUEST]
        assert export is not None
        assert export.initiators == (HV1, HV2)
    again.unexport(GUEST)
    del before["initiators"]
    assert {kind: appliance.san[kind] for kind in before} == before
    assert was_killed or number > 10


def test_an_image_appears_when_it_is_whole_and_leftovers_go(appliance: Appliance, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * SIZE)
    seen: list[list[str]] = []
    store = zfssa(tmp_path, appliance)
    store.make_project(APPL)
    store.load(GUEST, image, lambda done, total: seen.append([str(info.name) for info in store.volumes()]))
    assert seen == [[]]
    assert [info.name for info in store.volumes()] == [GUEST]
    assert set(appliance.projects["appl-1"]) == {"vm-1"}
    assert appliance.san["targets"] == appliance.san["initiator-groups"] == {}
    appliance.projects["appl-1"]["_vm-9"] = {"volsize": SIZE, "snapshots": {}}
    zfssa(tmp_path, appliance).tend()
    assert set(appliance.projects["appl-1"]) == {"vm-1"}


def test_a_copy_that_fails_leaves_nothing(appliance: Appliance, tmp_path: Path) -> None:
    def broken(*_: object) -> None:
        raise VolumesError(Outcome.UNAVAILABLE, "the portal does not answer")

    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * SIZE)
    store = ZfssaVolumes(zfssa_settings(tmp_path, appliance), clock=PatientClock(), copier=broken)
    store.make_project(APPL)
    with pytest.raises(VolumesError, match="portal does not answer"):
        store.load(GUEST, image)
    assert appliance.projects["appl-1"] == {}
    assert appliance.san["targets"] == {}


def test_a_certificate_that_nobody_vouches_for_is_refused(appliance: Appliance, tmp_path: Path) -> None:
    store = ZfssaVolumes(zfssa_settings(tmp_path, appliance)._replace(ca_file=None), clock=PatientClock())
    with pytest.raises(VolumesError, match="not trusted") as caught:
        store.projects()
    assert caught.value.outcome is Outcome.DENIED


def test_a_wrong_password_is_told_and_never_shown(appliance: Appliance, tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    zfssa(tmp_path, appliance).projects()
    (tmp_path / "credentials").write_text(f"twinboot\nwrong {PASSWORD}\n")
    settings = zfssa_settings(tmp_path, appliance)
    (tmp_path / "credentials").write_text(f"twinboot\nwrong {PASSWORD}\n")
    with pytest.raises(VolumesError, match="does not let twinboot in") as caught:
        ZfssaVolumes(settings, clock=PatientClock()).projects()
    assert PASSWORD not in str(caught.value) + caplog.text


@pytest.mark.parametrize(
    ("mode", "text", "words"),
    [
        (0o640, "a\nb\n", "chmod 600"),
        (0o600, "", "a line each"),
        (0o600, "\nb", "a line each"),
        (0o600, "ü\nb", "ASCII"),
    ],
)
def test_credentials_that_cannot_be_are_refused(mode, text, words, tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(VolumesError, match=words):
        credentials(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"heads": ()}, "1 to 2 heads"), ({"heads": ("a/b",)}, "HOST"), ({"pool": ""}, "pool"), ({"portal": "x"}, "PORT")],
)
def test_wrong_settings_are_told_at_once(change, words, appliance: Appliance, tmp_path: Path) -> None:
    with pytest.raises(VolumesError, match=words):
        ZfssaVolumes(zfssa_settings(tmp_path, appliance)._replace(**change))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = ("name", "project", "volsize", "usage", "origin", "initiatorgroup", "targetgroup", "space_data")


@given(st.dictionaries(st.sampled_from(FIELDS), JSON | st.just("a")))
def test_any_lun_that_a_head_tells_of_is_read(found):
    lun = zfssa_model.lun(found, (), "p0")
    assert lun is None or lun.size_bytes >= 0 or found["volsize"] < 0


@given(st.lists(st.sampled_from([HV1, HV2]), min_size=1))
def test_an_alias_keeps_user_and_digest(names):
    access = masked(Access(tuple(names), CHAP), AUTHORITY)
    text = zfssa_model.alias(GUEST, access)
    assert zfssa_model.parse_alias(text) == access.chap
    assert CHAP.secret not in text
