"""Hypervisors in memory: the port's fake for tests. Same verdicts as the real ones; disks and faults on demand.

With a `file` the domains outlive the process (and whoever kills it): every verb reads them there and writes them back
in one step. A stopped domain is off at once; its guest runs nothing.
"""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from guests.domain import RUNS, DomainInfo, DomainSpec, HostInfo, Link, State
from guests.hypervisor import Hypervisor, HypervisorError, Outcome, Place, Progress

MEMORY_MIB = 16_384
DOM0_MIB = 2_048
CPUS = 8
LINKS = ("be0", "fe0")
PORTION_BYTES = 2**20


class MemoryHypervisor:
    """A host whose domains are entries of a dict."""

    def __init__(
        self, name: str, initiator: str = "", *, links: Sequence[str] = LINKS, file: Path | None = None
    ) -> None:
        self.name = name
        self.initiator = initiator or f"iqn.2026-11.test.memory:{name}"
        self.links = tuple(sorted(links))
        self.memory_mib = MEMORY_MIB
        self.lets_in: Callable[[str, str], bool] = lambda _iqn, _initiator: True
        """Whether the target of that IQN is to be had by an initiator: a test may ask a store of volumes."""
        self._file = file
        self._kept: dict[str, DomainInfo] = {}
        self._failures: deque[Outcome] = deque()

    def fail_next(self, outcome: Outcome, count: int = 1) -> None:
        """Let the next `count` verbs fail."""
        self._failures.extend([outcome] * count)

    def host(self) -> HostInfo:
        """As told, less what runs."""
        self._fail()
        taken = sum(one.memory_mib for one in self._domains().values() if one.state in RUNS)
        return HostInfo(self.memory_mib, self.memory_mib - DOM0_MIB - taken, CPUS, self.links, "memory 1")

    def domains(self) -> list[DomainInfo]:
        """All domains."""
        self._fail()
        return [one for _, one in sorted(self._domains().items())]

    def states(self) -> dict[str, State]:
        """What each does."""
        self._fail()
        return {name: one.state for name, one in sorted(self._domains().items())}

    def domain(self, name: str) -> DomainInfo:
        """One domain."""
        self._fail()
        return self._found(name)

    def define(self, spec: DomainSpec) -> DomainInfo:
        """Keep a domain, off; MAC addresses are made of its uuid and the link's name, so they stay the same."""
        self._fail()
        kept = self._domains()
        old = kept.get(spec.name)
        if old and old.state in RUNS:
            raise self._error(Outcome.BUSY, f"{spec.name} is running: stop it first")
        if old and old.uuid != spec.uuid:
            raise self._error(
                Outcome.INVALID, f"{spec.name} is there with another uuid ({old.uuid}): undefine it first"
            )
        if missing := [link for link in spec.links if link not in self.links]:
            raise self._error(Outcome.NO_LINK, f"there is no bridge {', '.join(missing)}")
        known = {link.name: link.mac for link in (*(old.links if old else ()), *spec.macs)}
        links = tuple(Link(link, known.get(link) or _mac(spec.uuid, link)) for link in spec.links)
        size = (spec.memory_mib, spec.vcpus)
        kept[spec.name] = DomainInfo(spec.name, spec.uuid, State.OFF, *size, links, spec.disk.iqn)
        self._keep(kept)
        return kept[spec.name]

    def undefine(self, name: str) -> None:
        """Forget it."""
        self._fail()
        if self._found(name).state in RUNS:
            raise self._error(Outcome.BUSY, f"{name} is running: stop it first")
        kept = self._domains()
        del kept[name]
        self._keep(kept)

    def start(self, name: str) -> None:
        """Mark it as running, if memory and disk are to be had."""
        self._fail()
        found = self._found(name)
        if found.state in RUNS:
            raise self._error(Outcome.ALREADY, f"{name} is running")
        self._room_for(found)
        self._set(found._replace(state=State.RUNNING))

    def stop(self, name: str, *, force: bool = False) -> None:
        """Mark it as off."""
        del force
        self._fail()
        found = self._found(name)
        if found.state not in RUNS:
            raise self._error(Outcome.ALREADY, f"{name} is off")
        self._set(found._replace(state=State.OFF))

    def migrate(self, name: str, to: Hypervisor, *, live: bool, progress: Progress | None = None) -> None:
        """Hand the entry over."""
        del live
        self._fail()
        found = self._found(name)
        assert isinstance(to, MemoryHypervisor), "moves only between its like"
        if to.name == self.name:
            raise self._error(Outcome.ALREADY, f"{name} is here already")
        if found.state not in RUNS:
            raise self._error(Outcome.BUSY, f"{name} is off: only what runs can move")
        to.take(found)
        kept = self._domains()
        del kept[name]
        self._keep(kept)
        if progress:
            progress(PORTION_BYTES, PORTION_BYTES)

    def take(self, moved: DomainInfo) -> None:
        """The other half of `migrate`; refused as `start` is. A half that an earlier move left here is dropped."""
        self._fail()
        there = self._domains().get(moved.name)
        if there and not (there.state is State.PAUSED and moved.state is State.RUNNING):
            raise self._error(Outcome.ALREADY, f"{moved.name} is here already")
        if missing := [link.name for link in moved.links if link.name not in self.links]:
            raise self._error(Outcome.NO_LINK, f"there is no bridge {', '.join(missing)}")
        self._room_for(moved)
        self._set(moved)

    def console_argv(self, name: str) -> Sequence[str]:
        """A command that tells where it is."""
        self._fail()
        return ["echo", f"console of {self._found(name).name} on {self.name}"]

    def close(self) -> None:
        """Nothing is open."""

    def _room_for(self, guest: DomainInfo) -> None:
        free_mib = self.host().free_mib
        if guest.memory_mib > free_mib:
            raise self._error(Outcome.NO_MEMORY, f"{guest.name} needs {guest.memory_mib} MiB, {free_mib} are free")
        if not self.lets_in(guest.iqn, self.initiator):
            raise self._error(Outcome.NO_DISK, f"{guest.iqn} does not let in {self.initiator}")

    def _found(self, name: str) -> DomainInfo:
        found = self._domains().get(name)
        if found is None:
            raise self._error(Outcome.NOT_FOUND, f"there is no domain {name}")
        return found

    def _set(self, one: DomainInfo) -> None:
        self._keep(self._domains() | {one.name: one})

    def _domains(self) -> dict[str, DomainInfo]:
        if self._file is None:
            return self._kept
        rows = json.loads(self._file.read_text()) if self._file.exists() else []
        return {row[0]: _read(row) for row in rows}

    def _keep(self, kept: dict[str, DomainInfo]) -> None:
        self._kept = kept
        if self._file is not None:
            rows = [[*one._replace(state=one.state.value)] for one in kept.values()]  # type: ignore[arg-type]
            beside = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            beside.write_text(json.dumps(rows))
            beside.replace(self._file)

    def _fail(self) -> None:
        if self._failures:
            outcome = self._failures.popleft()
            raise self._error(outcome, f"{outcome.value}, as the test asked")

    def _error(self, outcome: Outcome, text: str) -> HypervisorError:
        return HypervisorError(outcome, f"{self.name}: {text}")


def open_memory(place: Place) -> MemoryHypervisor:
    """A host whose domains are kept in the file that its `uri` names (`memory:/tmp/hv1.json`)."""
    file = place.uri.partition(":")[2]
    return MemoryHypervisor(place.name, place.initiator, file=Path(file) if file else None)


def _mac(uuid: str, link: str) -> str:
    tail = hashlib.sha256(f"{uuid} {link}".encode()).digest()[:3]
    return "52:54:00:" + tail.hex(":")


def _read(row: list[object]) -> DomainInfo:
    name, uuid, state, memory_mib, vcpus, links, iqn = row
    assert isinstance(links, list)
    assert isinstance(memory_mib, int)
    assert isinstance(vcpus, int)
    return DomainInfo(
        str(name), str(uuid), State(state), memory_mib, vcpus, tuple(Link(*one) for one in links), str(iqn)
    )
