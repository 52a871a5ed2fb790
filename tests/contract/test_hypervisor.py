"""What every hypervisor promises; one suite over all adapters.

An adapter joins by one maker in `MAKERS`. A kit has two hosts with the bridges `fe0` and `be0`, an export that both
may log in to, and one that neither may; what an adapter cannot do here is named in `cannot`.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from guests.domain import Disk, DomainSpec, Kind, Link, State
from guests.hypervisor import Hypervisor, HypervisorError, Outcome
from guests.memory import MemoryHypervisor
from tests import libvirt_hosts, xl_hosts

NAME = "appl-1:vm-1"
UUID, OTHER_UUID = "5f0a5a0e-54fc-4b1c-a8a4-2f2f6f0a7c11", "5f0a5a0e-54fc-4b1c-a8a4-2f2f6f0a7c12"
OPEN, SHUT = "iqn.2026-11.test.twinboot:appl-1:vm-1", "iqn.2026-11.test.twinboot:appl-1:shut"


class Kit(NamedTuple):
    """Two hosts. `memory_mib`: what a small guest gets. `cannot`: of "miss its disk", "migrate"."""

    one: Hypervisor
    two: Hypervisor
    portal: str = "127.0.0.1:3260"
    memory_mib: int = 64
    too_much_mib: int = 2**24
    cannot: frozenset[str] = frozenset()

    def spec(self, **fields: Any) -> DomainSpec:
        disk = Disk(OPEN, self.portal, 1)
        return DomainSpec(NAME, UUID, Kind.PV, self.memory_mib, 1, disk, ("fe0", "be0"))._replace(**fields)

    def needs(self, what: str) -> None:
        if what in self.cannot:
            pytest.skip(f"a domain of {type(self.one).__name__} cannot {what}")


def memory_kit(_: Path) -> Kit:
    one, two = MemoryHypervisor("hv1"), MemoryHypervisor("hv2")
    for host in (one, two):
        host.lets_in = lambda iqn, initiator: iqn == OPEN
    return Kit(one, two)


def memory_file_kit(path: Path) -> Kit:
    one, two = (MemoryHypervisor(name, file=path / name) for name in ("hv1", "hv2"))
    for host in (one, two):
        host.lets_in = lambda iqn, initiator: iqn == OPEN
    return Kit(one, two)


def libvirt_kit(_: Path) -> Kit:
    """libvirt's test driver; tests/system/test_guests.py runs the suite over QEMU."""
    if why := libvirt_hosts.missing():
        pytest.skip(why)
    return Kit(*libvirt_hosts.two_hosts(), cannot=frozenset({"miss its disk", "migrate"}))


def xl_kit(path: Path) -> Kit:
    """Stand-ins for ssh and for what it finds there; `make test-xen` has the real ones."""
    os.environ["PATH"] = xl_hosts.path_with(path)  # taken back by the fixture
    xl_hosts.lay(path)
    (path / "exported").write_text(OPEN)
    return Kit(*xl_hosts.two_hosts(path))


MAKERS: dict[str, Callable[[Path], Kit]] = {
    "memory": memory_kit,
    "memory in a file": memory_file_kit,
    "libvirt's test driver": libvirt_kit,
    "xl": xl_kit,
}


@pytest.fixture(params=list(MAKERS))
def kit(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    made = MAKERS[request.param](tmp_path)
    yield made
    made.one.close()
    made.two.close()


def refused(outcome: Outcome, verb: Callable[..., object], *arguments: object, **named: object) -> HypervisorError:
    with pytest.raises(HypervisorError) as caught:
        verb(*arguments, **named)
    assert caught.value.outcome is outcome, caught.value
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_host_tells_what_it_has(kit: Kit) -> None:
    facts = kit.one.host()
    assert facts.memory_mib >= facts.free_mib > 0
    assert facts.cpus > 0
    assert {"fe0", "be0"} <= set(facts.links)


def test_a_defined_domain_is_off_and_keeps_its_addresses(kit: Kit) -> None:
    made = kit.one.define(kit.spec())
    assert (made.name, made.uuid, made.state, made.vcpus, made.iqn) == (NAME, UUID, State.OFF, 1, OPEN)
    assert made.memory_mib == kit.memory_mib
    assert {link.name for link in made.links} == {"fe0", "be0"}
    macs = {link.mac for link in made.links}
    assert len(macs) == 2
    assert all(mac == mac.lower() and len(mac) == 17 for mac in macs)
    assert kit.one.domain(NAME) == made
    assert NAME in [one.name for one in kit.one.domains()]


def test_domains_are_listed_by_name(kit: Kit) -> None:
    for name, uuid in ((NAME, UUID), ("appl-1:a", OTHER_UUID)):
        kit.one.define(kit.spec(name=name, uuid=uuid))
    names = [one.name for one in kit.one.domains()]
    assert names == sorted(names)
    assert {name: kit.one.states()[name] for name in (NAME, "appl-1:a")} == {NAME: State.OFF, "appl-1:a": State.OFF}
    assert {NAME, "appl-1:a"} <= set(names)


def test_defining_again_replaces_and_keeps_the_addresses(kit: Kit) -> None:
    first = kit.one.define(kit.spec())
    again = kit.one.define(kit.spec(vcpus=2))
    assert again == first._replace(vcpus=2)


def test_a_guest_that_comes_from_elsewhere_keeps_its_addresses(kit: Kit) -> None:
    macs = (Link("fe0", "52:54:00:12:34:56"),)
    made = kit.two.define(kit.spec(macs=macs))
    assert {link.name: link.mac for link in made.links}["fe0"] == "52:54:00:12:34:56"
    assert len({link.mac for link in made.links}) == 2


def test_a_name_belongs_to_one_uuid(kit: Kit) -> None:
    kit.one.define(kit.spec())
    refused(Outcome.INVALID, kit.one.define, kit.spec(uuid=OTHER_UUID))


def test_a_link_that_is_not_there_is_refused(kit: Kit) -> None:
    error = refused(Outcome.NO_LINK, kit.one.define, kit.spec(links=("fe0", "zz9")))
    assert "zz9" in str(error)
    refused(Outcome.NOT_FOUND, kit.one.domain, NAME)


def test_what_is_not_there_is_not_found(kit: Kit) -> None:
    for verb in (kit.one.domain, kit.one.undefine, kit.one.start, kit.one.stop, kit.one.console_argv):
        refused(Outcome.NOT_FOUND, verb, NAME)
    refused(Outcome.NOT_FOUND, kit.one.migrate, NAME, kit.two, live=True)


def test_an_undefined_domain_is_gone(kit: Kit) -> None:
    kit.one.define(kit.spec())
    kit.one.undefine(NAME)
    refused(Outcome.NOT_FOUND, kit.one.domain, NAME)
    refused(Outcome.NOT_FOUND, kit.one.undefine, NAME)


def test_a_domain_runs_and_is_stopped(kit: Kit) -> None:
    kit.one.define(kit.spec())
    refused(Outcome.ALREADY, kit.one.stop, NAME)
    kit.one.start(NAME)
    assert kit.one.domain(NAME).state is State.RUNNING
    assert kit.one.console_argv(NAME)
    refused(Outcome.ALREADY, kit.one.start, NAME)
    refused(Outcome.BUSY, kit.one.undefine, NAME)
    refused(Outcome.BUSY, kit.one.define, kit.spec())
    kit.one.stop(NAME, force=True)
    assert kit.one.domain(NAME).state is State.OFF
    kit.one.undefine(NAME)


def test_a_start_without_its_disk_fails(kit: Kit) -> None:
    kit.needs("miss its disk")
    kit.one.define(kit.spec(disk=Disk(SHUT, kit.portal, 1)))
    refused(Outcome.NO_DISK, kit.one.start, NAME)
    assert kit.one.domain(NAME).state is State.OFF


def test_a_start_without_memory_fails(kit: Kit) -> None:
    kit.one.define(kit.spec(memory_mib=kit.too_much_mib))
    refused(Outcome.NO_MEMORY, kit.one.start, NAME)
    assert kit.one.domain(NAME).state is State.OFF


def test_a_domain_moves_with_its_definition(kit: Kit) -> None:
    kit.needs("migrate")
    made = kit.one.define(kit.spec())
    refused(Outcome.BUSY, kit.one.migrate, NAME, kit.two, live=True)
    kit.one.start(NAME)
    refused(Outcome.ALREADY, kit.one.migrate, NAME, kit.one, live=True)
    told: list[tuple[int, int]] = []
    kit.one.migrate(NAME, kit.two, live=True, progress=lambda done, total: told.append((done, total)))
    assert kit.two.domain(NAME) == made._replace(state=State.RUNNING)
    refused(Outcome.NOT_FOUND, kit.one.domain, NAME)
    assert all(done <= total for done, total in told)
    kit.two.stop(NAME, force=True)
    assert kit.two.domain(NAME).links == made.links
    kit.two.undefine(NAME)
