"""What the guest programs leave in this server's journal, and how it is read: `twinboot events`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from guests.hypervisor import HypervisorError, Outcome
from guests.memory import MemoryHypervisor
from tests.twinboot.domu.conftest import UP, GuestSite
from twinboot.config import load
from twinboot.events import EVENT_BYTES_MAX, bind_socket, decode
from twinboot.journal import Journal


@pytest.fixture
def keep(guests: GuestSite) -> Iterator[Callable[[], None]]:
    """The journal service's socket; a call stores what has come in, as the service would."""
    config = load(guests.site.config)
    config.state.mkdir(parents=True, exist_ok=True)
    with bind_socket(config.socket_path) as end:
        end.setblocking(False)

        def stored() -> None:
            events = []
            while True:
                try:
                    events.append(decode(end.recv(EVENT_BYTES_MAX)))
                except BlockingIOError:
                    break
            journal = Journal(config.journal_path)
            journal.store([event for event in events if event])
            journal.close()

        yield stored


def shown(guests: GuestSite, *options: str) -> list[str]:
    """The lines of `twinboot events` without their time."""
    return [line.split(" ", 2)[2] for line in guests.site.ok("events", *options).splitlines()]


def test_a_guests_life_is_in_the_journal(guests: GuestSite, keep: Callable[[], None]) -> None:
    guests.ok(f"domu-up {UP}")
    mac = next(link.mac for link in guests.host("hv1").domain("appl-1:vm-1").links if link.name == "fe0")
    guests.ok("domu-migrate appl-1:vm-1 --live")
    guests.ok("domu-destroy --force appl-1:vm-1")
    keep()
    lines = shown(guests, "--host", "appl-1:vm-1")
    kinds = [line.partition(" ")[0] for line in lines]
    assert kinds == [
        *("guests.made", "guests.bound", "guests.bound", "guests.moved"),
        *("guests.destroyed", "guests.freed", "guests.freed"),
    ]
    assert lines == shown(guests, "--kind", "guests")
    assert "hypervisor=hv2 " in lines[3]
    assert "was_on=hv1 " in lines[3]
    assert all("service=command" in line and " by=" in line for line in lines)
    assert [line.partition(" ")[0] for line in shown(guests, "--mac", mac)] == ["guests.bound", "guests.freed"]


def test_a_project_is_in_the_journal_once(guests: GuestSite, keep: Callable[[], None]) -> None:
    guests.ok("domu-project appl-2")
    guests.ok("domu-project appl-2")
    keep()
    (line,) = shown(guests, "--kind", "volumes")
    assert line.startswith("volumes.project volume=appl-2 by=")


def test_what_does_nothing_is_not_in_the_journal(guests: GuestSite, keep: Callable[[], None]) -> None:
    guests.ok(f"domu-up {UP}")
    keep()
    before = shown(guests)
    guests.ok(f"domu-up {UP}")
    guests.ok("domu-destroy --force appl-1:vm-1 --dry-run")
    guests.fails("domu-migrate appl-1:vm-1 hv3")
    keep()
    assert shown(guests) == before


def test_what_breaks_off_says_why(guests: GuestSite, keep: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(host: MemoryHypervisor, name: str) -> None:
        raise HypervisorError(Outcome.FAILED, f"{host.name}: {name} does not start")

    monkeypatch.setattr(MemoryHypervisor, "start", start)
    guests.fails(f"domu-up {UP}")
    keep()
    (line,) = shown(guests)
    assert line.startswith("guests.failed host=appl-1:vm-1 ")
    assert "command=domu-up reason=hv1: appl-1:vm-1 does not start" in line


def test_without_a_journal_a_command_does_its_work(guests: GuestSite) -> None:
    guests.ok(f"domu-up {UP}")
    assert guests.host("hv1").domain("appl-1:vm-1").state.value == "running"
