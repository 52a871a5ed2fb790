"""What commands act upon: the store of volumes, the records, the hypervisors; opened when first needed. And seen.

Hosts are asked at the same time, because one that is down answers only at its deadline.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple, TypeVar

from guests.addresses import client_id, reserved_id
from guests.book import Book
from guests.domain import RUNS, DomainInfo, HostInfo, State
from guests.guest import Nic, Wish, nics, with_known_macs
from guests.hypervisor import Hypervisor, HypervisorError, Outcome
from guests.placement import Candidate, place
from guests.plan import Seen
from guests.site import Host, Site
from storage.records import Guest
from storage.volumes import Chap, Project, Snapshot, Volume, VolumeInfo, Volumes

ASKED_AT_ONCE_MAX = 16

R = TypeVar("R")


class Look(NamedTuple):
    """What a host answered: its facts and domains, or why it did not."""

    facts: HostInfo | None
    domains: tuple[DomainInfo, ...]
    trouble: str


class World:
    """One command's view of everything."""

    def __init__(
        self,
        site: Site,
        book: Book,
        open_volumes: Callable[[], Volumes],
        open_host: Callable[[Host], Hypervisor],
        read_chap: Callable[[], Chap | None] = lambda: None,
    ) -> None:
        self.site = site
        self.book = book
        self._read_chap = read_chap
        self._open_volumes = open_volumes
        self._open_host = open_host
        self._hosts: dict[str, Hypervisor] = {}

    @cached_property
    def volumes(self) -> Volumes:
        """The store of volumes."""
        return self._open_volumes()

    @cached_property
    def chap(self) -> Chap | None:
        """What hypervisors prove themselves by."""
        return self._read_chap()

    @cached_property
    def rows(self) -> dict[str, Guest]:
        """The guests' rows as first read."""
        return self.book.guests()

    def hypervisor(self, name: str) -> Hypervisor:
        """A host's hypervisor; Refused if there is no such host, HypervisorError."""
        if name not in self._hosts:
            self._hosts[name] = self._open_host(self.site.host(name))
        return self._hosts[name]

    def close(self) -> None:
        """Let go of the hosts."""
        for host in self._hosts.values():
            host.close()

    def look(self, names: Iterable[str], *, with_facts: bool = False) -> dict[str, Look]:
        """Ask hosts for their domains, and for what is free."""
        return self._each(names, lambda name: self._look(name, with_facts=with_facts))

    def states(self, names: Iterable[str]) -> dict[str, Mapping[str, State] | str]:
        """Ask hosts what their domains do, by name; or why a host did not answer."""
        return self._each(names, self._states)

    def _each(self, names: Iterable[str], ask: Callable[[str], R]) -> dict[str, R]:
        wanted = list(dict.fromkeys(names))
        if len(wanted) <= 1:
            return {name: ask(name) for name in wanted}
        with ThreadPoolExecutor(max_workers=min(ASKED_AT_ONCE_MAX, len(wanted))) as pool:
            return dict(zip(wanted, pool.map(ask, wanted), strict=True))

    def _states(self, name: str) -> Mapping[str, State] | str:
        try:
            return self.hypervisor(name).states()
        except HypervisorError as error:
            return str(error)

    def _look(self, name: str, *, with_facts: bool) -> Look:
        try:
            host = self.hypervisor(name)
            facts = host.host() if with_facts else None
            return Look(facts, tuple(host.domains()), "")
        except HypervisorError as error:
            return Look(None, (), str(error))

    def seen(self, volume: Volume, *, origin: Snapshot | None = None, hosts: Iterable[str] = ()) -> Seen:
        """What there is of a guest, on its own host and on `hosts`. VolumesError, RecordsError, Refused."""
        row = self.rows.get(volume.domain)
        projects = self.volumes.projects()
        names = dict.fromkeys([*([row.hypervisor] if row and row.hypervisor in self.site.hosts else []), *hosts])
        looks = self._each(names, lambda name: self._domain(name, volume.domain))
        return Seen(
            volume=volume,
            row=row,
            projects=projects,
            disk=self._disk(volume, projects),
            domains={name: found for name, found in looks.items() if isinstance(found, DomainInfo)},
            bound=frozenset(nic.link for nic in nics(row) if self.book.is_bound(nic)) if row else frozenset(),
            origins=self._snapshots(origin, projects) if origin else (),
            guests=list(self.rows),
            unseen={name: found for name, found in looks.items() if isinstance(found, str)},
        )

    def _domain(self, host: str, name: str) -> DomainInfo | str | None:
        try:
            return self.hypervisor(host).domain(name)
        except HypervisorError as error:
            return None if error.outcome is Outcome.NOT_FOUND else str(error)

    def _disk(self, volume: Volume, projects: Sequence[Project]) -> VolumeInfo | None:
        found = self.volumes.volumes(volume.parent) if volume.parent in projects else []
        return next((info for info in found if info.name == volume), None)

    def _snapshots(self, origin: Snapshot, projects: Sequence[Project]) -> list[Snapshot]:
        project = origin.parent.parent
        if project not in projects:
            return [snapshot for info in self.volumes.volumes() for snapshot in info.snapshots]
        return [snapshot for info in self.volumes.volumes(project) for snapshot in info.snapshots]

    def place(self, wish: Wish, *, named: str = "", but: str = "") -> Host:
        """The host for a guest; `named`: this one, if it can. `but`: not the one it is on. Refused says why of each."""
        hosts = [self.site.host(named)] if named else self.site.of_segment(wish.segment)
        looks = self.look([host.name for host in hosts if host.name != but], with_facts=True)
        candidates = [self._candidate(host, looks[host.name]) for host in hosts if host.name in looks]
        return place(candidates, wish, self.site.few, self.site.most, named=bool(named))

    def _candidate(self, host: Host, look: Look) -> Candidate:
        running = {domain.name for domain in look.domains if domain.state in RUNS}
        ours = {row.guest: row.memory_mib for row in self.rows.values() if row.hypervisor == host.name}
        promised = sum(memory for name, memory in ours.items() if name not in running)
        return Candidate(host, look.facts, look.trouble, len(ours.keys() | running - {"Domain-0"}), promised)

    def holders(self) -> dict[bytes, str]:
        """Client id -> whose it is: hosts and guests."""
        found = dict(self.site.holders)
        for row in self.rows.values():
            found[reserved_id(row.guest)] = row.guest
            found |= {client_id(nic.mac): row.guest for nic in nics(row) if nic.mac}
        return found

    def judge_addresses(self, guest: str, wanted: Sequence[Nic]) -> None:
        """Refused unless the guest may have all of these."""
        holders = self.holders()
        for nic in with_known_macs(self.rows.get(guest), wanted):
            self.book.judge(guest, nic, holders)
