"""Each thing that can be left over, made by hand: it is found, and its command takes it away."""

from __future__ import annotations

from typing import Any

from guests import commands
from guests.addresses import client_id, reserved_id
from guests.domain import Disk, DomainSpec, Kind
from guests.domain import State as DomainState
from guests.guest import State
from guests.hypervisor import Outcome
from storage.records import MANUAL, Change
from storage.volumes import Access
from tests.guests.conftest import (
    FE,
    GUEST,
    ORIGIN,
    PUBLIC,
    UUID,
    Lab,
    clone,
    destroy,
    init,
    initiator,
    migrate,
    start,
    up,
)


def domain(lab: Lab, host: str, name: str = "appl-1:vm-1", **fields: Any) -> None:
    iqn = f"iqn.2026-11.test.memory:{name}"
    spec = DomainSpec(name, UUID, Kind.PV, 64, 1, Disk(iqn, "", 1), ("fe0",))
    lab.hosts[host].define(spec._replace(**fields))


def told(lab: Lab) -> list[tuple[str, str]]:
    return [(one.kind, one.command) for one in lab.fsck()]


def rebind(lab: Lab, address: str, client: bytes) -> None:
    row = lab.binding(address)
    (done,) = lab.records.commit([Change(PUBLIC, row, row._replace(client_id=client, flags=MANUAL))])
    assert done.row


def test_a_clone_of_no_guest(lab: Lab) -> None:
    lab.project()
    lab.volumes.clone(ORIGIN, GUEST)
    assert told(lab) == [("volume", "domu-destroy appl-1:vm-1")]
    lab.do(destroy)
    assert lab.fsck() == []


def test_a_domain_of_no_guest_and_one_that_is_not_ours(lab: Lab) -> None:
    domain(lab, "hv3")
    lab.hosts["hv3"].define(DomainSpec("somebody-elses", UUID[:-1] + "0", Kind.PV, 64, 1, Disk("", "", 0), ("fe0",)))
    assert told(lab) == [("domain", "domu-destroy appl-1:vm-1")]
    lab.do(destroy)
    assert lab.fsck() == []


def test_an_export_without_a_domain(lab: Lab) -> None:
    lab.project()
    lab.do(clone())
    lab.volumes.export(GUEST, Access((initiator("hv1"),)))
    assert told(lab) == [("target", "domu-destroy appl-1:vm-1")]
    lab.do(destroy)
    assert lab.fsck() == []


def test_a_guest_whose_volume_or_domain_is_gone(lab: Lab) -> None:
    lab.do(up())
    host = lab.hosts[lab.guest().hypervisor]
    host.stop("appl-1:vm-1")
    macs = host.domain("appl-1:vm-1").links
    host.undefine("appl-1:vm-1")
    assert told(lab) == [("guest", "domu-start appl-1:vm-1")]
    lab.do(start)
    assert lab.fsck() == []
    assert host.domain("appl-1:vm-1").links == macs
    host.stop("appl-1:vm-1")
    lab.volumes.unexport(GUEST)
    lab.volumes.destroy(GUEST)
    assert told(lab) == [("guest", "domu-destroy appl-1:vm-1")]
    lab.do(destroy)
    assert lab.fsck() == []


def test_a_guest_that_is_elsewhere_or_twice(lab: Lab) -> None:
    lab.project()
    lab.do(clone())
    lab.do(init(host="hv1"))
    row = lab.guest()
    domain(lab, "hv3", uuid=row.uuid, links=("fe0", "be0"), memory_mib=1024)
    assert told(lab) == [("domain", "domu-migrate appl-1:vm-1 hv1")]
    lab.do(migrate("hv1"))
    assert lab.fsck() == []
    lab.hosts["hv1"].undefine("appl-1:vm-1")
    domain(lab, "hv3", uuid=row.uuid, links=("fe0", "be0"), memory_mib=1024)
    assert told(lab) == [("guest", "domu-migrate appl-1:vm-1 hv3")]
    lab.do(migrate("hv3"))
    assert lab.fsck() == []
    assert (lab.guest().hypervisor, lab.guest().state) == ("hv3", State.DEFINED)


def half_at(lab: Lab, host: str) -> None:
    """What a move leaves at its target when it breaks off there: paused, under the name that sorts first."""
    lab.hosts[host]._set(lab.hosts["hv3"].domain("appl-1:vm-1")._replace(state=DomainState.PAUSED))


def test_a_move_that_broke_off_is_told_and_finished_by_the_same_command(lab: Lab) -> None:
    lab.project()
    lab.do(clone())
    lab.do(init(host="hv3"))
    lab.do(start)
    half_at(lab, "hv1")
    assert commands.where(lab.world(), GUEST) == "hv3"
    assert told(lab) == [("domain", "domu-migrate appl-1:vm-1 hv1 --live")]
    lab.do(migrate("hv1"))
    assert lab.hosts["hv1"].domain("appl-1:vm-1").state is DomainState.RUNNING
    assert not lab.hosts["hv3"].domains()
    assert lab.fsck() == []


def test_both_halves_of_a_move_that_broke_off_are_destroyed(lab: Lab) -> None:
    lab.project()
    lab.do(clone())
    lab.do(init(host="hv3"))
    lab.do(start)
    half_at(lab, "hv1")
    lab.do(destroy)
    assert not any(host.domains() for host in lab.hosts.values())
    assert lab.fsck() == []


def test_an_export_that_lacks_a_host(lab: Lab) -> None:
    lab.project()
    lab.do(clone())
    lab.do(init())
    lab.volumes.unexport(GUEST)
    lab.volumes.export(GUEST, Access((initiator("hv1"),)))
    assert told(lab) == [("target", "domu-start appl-1:vm-1")]
    lab.do(start)
    assert lab.fsck() == []


def test_bindings_of_nobody(lab: Lab) -> None:
    rebind(lab, "192.168.76.75", client_id("52:54:00:00:00:01"))
    rebind(lab, "192.168.76.76", reserved_id("appl-1:vm-9"))
    rebind(lab, "192.168.76.77", client_id("00:14:4f:00:00:01"))
    rebind(lab, "192.168.76.78", client_id("08:00:20:00:00:01"))
    commands = [f"twinboot lease release 192.168.76.{last} --force" for last in (75, 76)]
    assert told(lab) == [("binding", command) for command in commands]


def test_an_address_that_is_not_bound_any_more(lab: Lab) -> None:
    lab.do(up())
    rebind(lab, FE.address, client_id("08:00:20:00:00:01"))
    assert told(lab) == [("binding", "domu-assign-ip appl-1:vm-1 fe0 vm-host1 192.168.76.71")]


def test_what_a_silent_host_may_have_is_not_judged(lab: Lab) -> None:
    lab.do(up())
    host = lab.hosts[lab.guest().hypervisor]
    rebind(lab, "192.168.76.75", client_id("52:54:00:00:00:01"))
    host.fail_next(Outcome.UNAVAILABLE)
    assert lab.fsck() == []
