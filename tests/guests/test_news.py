"""What commands leave in the journal, over a site in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from guests import news
from guests.faults import Failed
from guests.run import Runner
from storage.volumes import Outcome
from tests.guests.conftest import BE, FE, Lab, assign, clone, destroy, init, migrate, start, stop, up

BY = "alice@odd"


def told(lab: Lab, make: Callable) -> list[tuple[str, dict]]:
    """Do it, and tell what the journal is told; fields that are not there are left out, as the journal does."""
    world = lab.world()
    plan = make(world)
    assert Runner(world, plan).run()
    events = list(news.done(plan, lab.row(), BY))
    assert all((one.fields["host"], one.fields["by"]) == ("appl-1:vm-1", BY) for one in events)
    rest = [{key: value for key, value in one.fields.items() if value and key not in ("host", "by")} for one in events]
    return list(zip([one.kind for one in events], rest, strict=True))


def mac(lab: Lab, link: str) -> str:
    return next(one.mac for one in lab.hosts["hv1"].domain("appl-1:vm-1").links if one.name == link)


def test_a_guest_step_by_step(lab: Lab) -> None:
    lab.project()
    origin = "masters/osol-0811@version-01"
    assert told(lab, clone()) == [("guests.cloned", {"origin": origin})]
    on_hv1 = {"origin": origin, "hypervisor": "hv1"}
    assert told(lab, init()) == [("guests.defined", on_hv1)]
    bound = {"link": "fe0", "mac": mac(lab, "fe0"), "address": FE.address, "name": FE.host}
    assert told(lab, assign()) == [("guests.bound", bound)]
    other = FE._replace(address="192.168.76.72")
    assert told(lab, assign(other)) == [
        ("guests.freed", bound),
        ("guests.bound", bound | {"address": "192.168.76.72"}),
    ]
    assert told(lab, start) == [("guests.started", on_hv1)]
    assert told(lab, migrate("hv3")) == [("guests.moved", {"origin": origin, "hypervisor": "hv3", "was_on": "hv1"})]
    assert told(lab, stop) == [("guests.stopped", {"origin": origin, "hypervisor": "hv3"})]


def test_a_guest_at_once_and_its_end(lab: Lab) -> None:
    lab.project()
    made, *bound = told(lab, up())
    assert made == ("guests.made", {"origin": "masters/osol-0811@version-01", "hypervisor": "hv1"})
    addresses = [(FE.link, mac(lab, "fe0"), FE.address, FE.host), (BE.link, mac(lab, "be0"), BE.address, BE.host)]
    assert [(kind, *fields.values()) for kind, fields in bound] == [("guests.bound", *one) for one in addresses]
    gone, *freed = told(lab, destroy)
    assert gone == ("guests.destroyed", {"hypervisor": "hv1"})
    assert [(kind, *fields.values()) for kind, fields in freed] == [("guests.freed", *one) for one in addresses]


def test_what_broke_off_says_why(lab: Lab) -> None:
    lab.project()
    world = lab.world()
    plan = clone()(world)
    lab.volumes.fail_next(Outcome.FULL)
    with pytest.raises(Failed) as caught:
        Runner(world, plan).run()
    event = news.failed(plan, caught.value.lines, BY)
    assert event.kind == "guests.failed"
    assert event.fields["command"] == "domu-clone"
    assert event.fields["reason"] == "; ".join(caught.value.lines)
