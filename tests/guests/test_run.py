"""Commands over stores in memory: done, killed at every write, failed at every step, two at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from guests.addresses import client_id
from guests.domain import State
from guests.faults import Failed, Refused
from guests.guest import nics
from guests.hypervisor import Outcome as HostOutcome
from guests.run import Runner
from storage.records import MANUAL, Binding, Outcome
from storage.volumes import Outcome as StoreOutcome
from storage.volumes import Volume
from tests.guests.conftest import (
    BE,
    FE,
    GUEST,
    ORIGIN,
    Killed,
    Lab,
    assign,
    clone,
    destroy,
    init,
    migrate,
    start,
    stop,
    up,
)
from tests.rows import rows_of


def made(lab: Lab, *makers: Callable) -> Lab:
    lab.project()
    for make in makers:
        assert lab.do(make)
    return lab


COMMANDS = {
    "clone": ((), clone()),
    "init": ((clone(),), init()),
    "init of a bare volume": ((), init()),
    "assign": ((clone(), init()), assign()),
    "assign another": ((clone(), init(), assign()), assign(FE._replace(address="192.168.76.72"))),
    "up": ((), up()),
    "up of a clone": ((clone(),), up()),
    "start": ((clone(), init()), start),
    "stop": ((clone(), init(), start), stop),
    "migrate": ((clone(), init(), start), migrate("hv3")),
    "move what is off": ((clone(), init(), assign()), migrate("hv3")),
    "destroy": ((up(),), destroy),
    "destroy a clone": ((clone(),), destroy),
}


def prepared(name: str) -> tuple[Lab, Callable]:
    before, make = COMMANDS[name]
    lab = Lab()
    made(lab, *before)
    if name == "init of a bare volume":
        lab.volumes.clone(ORIGIN, GUEST)
    return lab, make


def writes(name: str) -> list[str]:
    lab, make = prepared(name)
    told: list[str] = []
    lab.do(make, told.append)
    return told


CASES = [(name, number) for name in COMMANDS for number in range(len(writes(name)))]


def killer(number: int) -> Callable[[str], None]:
    count = iter(range(1000))

    def between(_: str) -> None:
        if next(count) == number:
            raise Killed

    return between


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_leaves_nothing_to_mend_and_nothing_to_do(name):
    lab, make = prepared(name)
    assert lab.do(make)
    assert lab.fsck() == []
    if not name.startswith(("destroy", "clone")):
        before = lab.state()
        assert lab.do(make) is False
        assert lab.state() == before


@pytest.mark.parametrize(("name", "number"), CASES)
def test_killed_before_any_write_a_rerun_completes(name, number):
    want, make = prepared(name)
    want.do(make)
    lab, _ = prepared(name)
    with pytest.raises(Killed):
        lab.do(make, killer(number))
    if number:
        assert name in ("destroy", "destroy a clone") or [one for one in lab.fsck() if one.kind == "work"]
    try:
        lab.do(make)
    except Refused:
        assert name.startswith("destroy")
        assert lab.row() is None
    assert lab.state() == want.state()
    assert lab.fsck() == []


@pytest.mark.parametrize(("name", "number"), CASES)
def test_killed_before_any_write_a_destruction_takes_all_of_it(name, number):
    lab, make = prepared(name)
    with pytest.raises(Killed):
        lab.do(make, killer(number))
    try:
        lab.do(destroy)
    except Refused as error:
        assert "no such guest" in str(error)  # noqa: PT017 - only then
    assert lab.row() is None
    assert lab.fsck() == []
    assert all(not row.flags & MANUAL for row in rows_of(lab.records, "192.168.76.0", Binding))
    assert all(host.domains() == [] for host in lab.hosts.values())
    assert [str(info.name) for info in lab.volumes.volumes()] == ["masters/osol-0811"]


@pytest.mark.parametrize(
    ("name", "number"), [case for case in CASES if not case[0].startswith("destroy") and case[1] > 0]
)
@pytest.mark.parametrize("resumed", [False, True])
def test_what_fails_at_any_step_is_undone(name, number, resumed):
    """Everything fails from a step on, but for what undoes it: as it was, also where a first run had been killed."""
    lab, make = prepared(name)
    before, findings = lab.state(), lab.fsck()
    if resumed:
        with pytest.raises(Killed):
            lab.do(make, killer(number))
    step = writes(name)[number]

    def fail(what: str) -> None:
        if what in (step, "settle"):  # a step that the first run has done does not come again
            raise Refused("the test")

    failed = None
    try:
        lab.do(make, fail)
    except Failed as error:
        failed = error
    assert failed is not None
    assert failed.lines == ("the test",)
    rows = lab.book().guests().values()
    assert all(not row.work for row in rows)
    if name not in ("stop", "migrate", "move what is off", "start", "assign another"):
        assert lab.state() == before
    assert [one for one in lab.fsck() if one.kind in ("work", "volume", "target")] == findings


@pytest.mark.parametrize("outcome", [StoreOutcome.FULL, StoreOutcome.UNAVAILABLE])
def test_a_full_or_lost_store_leaves_nothing_half_made(lab: Lab, outcome) -> None:
    lab.project()
    before = lab.state()
    world = lab.world()
    plan = up()(world)
    lab.volumes.fail_next(outcome)
    with pytest.raises(Failed) as caught:
        Runner(world, plan).run()
    assert outcome.value in caught.value.lines[0]
    assert lab.state() == before


@pytest.mark.parametrize("outcome", [HostOutcome.UNAVAILABLE, HostOutcome.NO_MEMORY, HostOutcome.FAILED])
def test_a_host_that_fails_leaves_nothing_half_made(lab: Lab, outcome) -> None:
    lab.project()
    before = lab.state()
    world = lab.world()
    plan = up()(world)
    assert plan.goal is not None
    lab.hosts[plan.goal.hypervisor].fail_next(outcome)
    with pytest.raises(Failed) as caught:
        Runner(world, plan).run()
    assert outcome.value in caught.value.lines[0]
    assert lab.state() == before


def test_records_that_fail_are_told_and_the_command_made_again_goes_on(lab: Lab) -> None:
    made(lab, clone())

    def fail(what: str) -> None:
        if what == "settle":
            lab.records.fail_next(Outcome.UNAVAILABLE, 2)

    with pytest.raises(Failed) as caught:
        lab.do(init(), fail)
    assert "goes on from here" in caught.value.lines[-1]
    lab.do(init())
    assert lab.fsck() == []
    assert nics(lab.guest())[0].mac


def test_up_ends_with_a_guest_that_runs_and_has_its_addresses(lab: Lab) -> None:
    assert lab.do(up())
    row = lab.guest()
    domain = lab.hosts[row.hypervisor].domain("appl-1:vm-1")
    assert domain.state is State.RUNNING
    macs = {link.name: link.mac for link in domain.links}
    for nic in (FE, BE):
        binding = lab.binding(nic.address)
        assert (binding.client_id, binding.flags, binding.comment) == (client_id(macs[nic.link]), MANUAL, nic.host)
    assert nics(row) == (FE._replace(mac=macs["fe0"]), BE._replace(mac=macs["be0"]))
    assert (row.work, row.by, row.origin) == ("", "alice@odd", "masters/osol-0811@version-01")
    (info,) = lab.volumes.volumes(GUEST.parent)
    assert info.export is not None
    assert info.export.initiators == lab.site.initiators("odd")


def test_the_mac_is_read_back_by_link_name_never_by_order(lab: Lab) -> None:
    made(lab, clone(), init())
    host = lab.hosts[lab.guest().hypervisor]
    domain = host.domain("appl-1:vm-1")
    host._set(domain._replace(links=domain.links[::-1]))
    lab.do(assign(BE))
    macs = {link.name: link.mac for link in domain.links}
    assert lab.binding(BE.address).client_id == client_id(macs["be0"])


def test_of_two_who_clone_to_one_name_one_wins_and_the_other_is_told(lab: Lab) -> None:
    lab.project()
    late = lab.world()
    plan = clone()(late)
    lab.do(clone())
    with pytest.raises(Refused, match="alice@odd was faster"):
        Runner(late, plan).run()
    assert lab.fsck() == []
    with pytest.raises(Refused, match="is there already, cloned from masters/osol-0811@version-01 by alice@odd"):
        lab.do(clone())


def test_of_two_who_take_one_address_one_wins_and_nothing_of_the_other_stays(lab: Lab) -> None:
    lab.project()
    other = Volume("appl-1", "vm-2")
    late = lab.world()
    plan = up(other, addresses=(FE._replace(host="other"), BE._replace(address="192.168.78.72", host="other-be")))(late)
    lab.do(up())
    before = lab.state()
    with pytest.raises(Refused, match=r"192\.168\.76\.71"):
        Runner(late, plan).run()
    assert lab.state() == before
    assert lab.binding("192.168.78.72").client_id == b"\0"


def test_who_comes_while_a_command_is_at_work_is_told_who_that_is(lab: Lab) -> None:
    lab.project()
    with pytest.raises(Killed):
        lab.do(clone(), killer(1))
    lab.alive = True
    with pytest.raises(Refused, match=r"alice@odd is at work on it \(domu-clone, since 0 s\): repeat"):
        lab.do(clone())
    lab.alive = None
    with pytest.raises(Refused, match="--take-over"):
        lab.do(clone())
    lab.alive = False
    assert lab.do(clone())


def test_another_command_does_not_go_on_with_what_one_has_left(lab: Lab) -> None:
    lab.project()
    with pytest.raises(Killed):
        lab.do(up(), killer(4))
    for make in (clone(), init(), start, assign()):
        with pytest.raises(Refused, match="domu-up died before it was done"):
            lab.do(make)
