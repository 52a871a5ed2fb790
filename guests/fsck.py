"""What does not fit together: rows, volumes, exports, domains, bindings; each with what puts it right. Pure.

Nothing is repaired here. A finding is told only where every part that could contradict it was seen: what a host that
does not answer may have is not judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import NamedTuple

from guests.addresses import client_id, guest_of
from guests.domain import RUNS, DomainInfo, holders, home
from guests.domain import State as DomainState
from guests.guest import State, Work, nics, read_work
from guests.site import Site
from storage.records import FREE_ID, MANUAL, Binding, Guest
from storage.volumes import BadNameError, VolumeInfo
from storage.volumes.names import parse_domain

GUEST_MACS = (b"\1\x52\x54\x00", b"\1\x00\x16\x3e")
"""Client ids of MACs that hypervisors make up: QEMU's and Xen's."""


class Finding(NamedTuple):
    """One thing that does not fit: of which kind, what, and the command that puts it right."""

    kind: str
    text: str
    command: str


class Whole(NamedTuple):
    """Everything there is. `unseen`: host -> why it did not answer. `bindings`: container -> its rows.

    `alive`: whether a command still runs (None: on another machine). `flaws`: of rows.
    """

    rows: Mapping[str, Guest]
    disks: Sequence[VolumeInfo]
    domains: Mapping[str, Sequence[DomainInfo]]
    unseen: Mapping[str, str]
    bindings: Mapping[str, Sequence[Binding]]
    work_alive: Mapping[str, bool | None]
    flaws: Sequence[str] = ()


def findings(site: Site, whole: Whole) -> list[Finding]:
    """All that does not fit together, by kind and name."""
    found = [
        *(Finding("row", text, "mend or delete that row of the table guests") for text in whole.flaws),
        *_works(whole),
        *_rows(site, whole),
        *_disks(whole),
        *_domains(whole),
        *_bindings(site, whole),
        *_unbound(whole),
    ]
    return sorted(found)


def _works(whole: Whole) -> Iterator[Finding]:
    for name, row in whole.rows.items():
        work = read_work(row.work)
        if work and not whole.work_alive.get(name):
            where = "" if whole.work_alive.get(name) is False else " (on another machine: is it dead?)"
            text = f"{name}: {work.command} by {row.by} did not end{where}"
            yield Finding("work", text, _again(row, work))


def _again(row: Guest, work: Work) -> str:
    volume = row.guest.replace(":", "/")
    if work.command == "domu-clone":
        return f"domu-clone {row.origin} {volume}"
    if work.command == "domu-init" and row.domain_kind:
        links = "-".join(nic.link for nic in nics(row))
        return f"domu-init {row.domain_kind} {links} {row.segment} {row.memory_mib} {row.vcpus} {volume}"
    if work.command == "domu-migrate":
        return f"domu-migrate {row.guest} {row.hypervisor}"
    if work.command in ("domu-start", "domu-stop"):
        return f"{work.command} {row.guest}"
    return f"domu-destroy {row.guest}, or repeat that {work.command}"


def _rows(site: Site, whole: Whole) -> Iterator[Finding]:
    disks = {info.name.domain: info for info in whole.disks}
    for name, row in whole.rows.items():
        if row.work:
            continue
        if name not in disks:
            yield Finding("guest", f"{name}: its volume is gone", f"domu-destroy {name}")
            continue
        if row.state != State.DEFINED:
            continue
        hosts = _states(whole, name)
        runs = holders(hosts)
        if not hosts and row.hypervisor not in whole.unseen:
            yield Finding("guest", f"{name}: {row.hypervisor} has no such domain", f"domu-start {name}")
        elif hosts and row.hypervisor not in hosts and row.hypervisor not in whole.unseen:
            target = home(hosts)
            yield Finding("guest", f"{name} is on {target}, not on {row.hypervisor}", f"domu-migrate {name} {target}")
        if len(runs) > 1:
            text = f"{name} is held by {' and '.join(runs)}: its move broke off"
            yield Finding("domain", text, f"domu-migrate {name} {runs[1]} --live")
        elif len(hosts) > 1:
            target = (runs or [row.hypervisor])[0]
            text = f"{name} is defined on {' and '.join(hosts)}"
            yield Finding("domain", text, f"domu-migrate {name} {target}")
        info = disks[name]
        if hosts and not runs and _lacks(site, row, info):
            yield Finding("target", f"{name}: its export lacks a host of {row.segment}", f"domu-start {name}")


def _states(whole: Whole, name: str) -> dict[str, DomainState]:
    """Host -> what its domain of that name does."""
    return {host: one.state for host, domains in whole.domains.items() for one in domains if one.name == name}


def _lacks(site: Site, row: Guest, info: VolumeInfo) -> bool:
    hosts = {host.place.initiator for host in site.hosts.values() if host.segment == row.segment}
    return info.export is None or not hosts <= set(info.export.initiators)


def _disks(whole: Whole) -> Iterator[Finding]:
    for info in whole.disks:
        row = whole.rows.get(info.name.domain)
        if row is None and info.origin is not None and not info.snapshots:
            text = f"{info.name} is a clone of {info.origin} and no guest is known of it"
            yield Finding("volume", text, f"domu-destroy {info.name.domain}")
        elif row is not None and not row.work and row.state != State.DEFINED and info.export is not None:
            yield Finding("target", f"{info.name} is exported, and has no domain", f"domu-destroy {info.name.domain}")


def _domains(whole: Whole) -> Iterator[Finding]:
    disks = {info.name.domain for info in whole.disks}
    for host, domains in whole.domains.items():
        for domain in domains:
            if domain.name in whole.rows or not domain.iqn.endswith(f":{domain.name}"):
                continue  # not ours: hypervisors run other things as well
            try:
                parse_domain(domain.name)
            except BadNameError:
                continue
            text = f"{domain.name} on {host} is a domain of no guest"
            yield Finding("domain", text if domain.name in disks else f"{text}, without a volume", _end(domain))


def _end(domain: DomainInfo) -> str:
    return f"domu-destroy {domain.name}" + (" --force" if domain.state in RUNS else "")


def _bindings(site: Site, whole: Whole) -> Iterator[Finding]:
    """Bindings of no guest."""
    mine = {client_id(nic.mac): nic.address for row in whole.rows.values() for nic in nics(row) if nic.mac}
    living = {client_id(link.mac) for domains in whole.domains.values() for one in domains for link in one.links}
    reserved = [row for rows in whole.bindings.values() for row in rows if row.flags & MANUAL]
    for row in reserved:
        why = _why_not_bound(row, mine, whole)
        known = row.client_id in mine or row.client_id in living or row.client_id in site.holders
        if not why and row.client_id.startswith(GUEST_MACS) and not known and not whole.unseen:
            why = f"is bound to the MAC of no guest{f' ({row.comment})' if row.comment else ''}"
        if why:
            address = str(IPv4Address(row.address))
            yield Finding("binding", f"{address} {why}", f"twinboot lease release {address} --force")


def _why_not_bound(row: Binding, mine: Mapping[bytes, str], whole: Whole) -> str:
    guest = guest_of(row.client_id) if row.client_id != FREE_ID else ""
    if guest:
        is_made = guest in whole.rows and whole.rows[guest].work
        return "" if is_made else f"waits for a guest {guest} that nobody makes"
    if row.client_id in mine and mine[row.client_id] != str(IPv4Address(row.address)):
        return f"is bound to a guest that has {mine[row.client_id] or 'no address'} on that link"
    return ""


def _unbound(whole: Whole) -> Iterator[Finding]:
    """Addresses that a guest is said to have and has not."""
    bound = {str(IPv4Address(row.address)): row.client_id for rows in whole.bindings.values() for row in rows}
    for row in whole.rows.values():
        for nic in nics(row):
            if row.work or not (nic.address and nic.mac) or bound.get(nic.address) == client_id(nic.mac):
                continue
            command = f"domu-assign-ip {row.guest} {nic.link} {nic.host} {nic.address}"
            yield Finding("binding", f"{row.guest}: {nic.address} is not bound to its {nic.link}", command)
