"""What each command does, as a list of steps, decided from what was seen. Pure: no clock, no I/O.

Rules of the room:

* A plan is made anew for every run: what is done already is a step that is `done`, so a rerun after a kill goes on
  where the first run stopped, and a rerun after success has nothing to do.
* What cannot work is refused here, before anything is touched, with what to type instead.
* `goal` is the guest's row once all steps are done (None: the row goes). `reserve` are the addresses that are taken for
  the guest together with its name, before the first step.
* A step's key is what the row's work remembers it by. Keys that begin with `again:` stand for things that were there
  before in some form: they are never undone.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from guests import actions
from guests.actions import Action
from guests.domain import DomainInfo, Link, holders
from guests.faults import Refused
from guests.guest import (
    Nic,
    State,
    Wish,
    is_as_wished,
    links_text,
    nics,
    one_of,
    read_work,
    wish_differs,
    wish_of,
)
from storage.records import Guest
from storage.volumes import Project, Snapshot, Volume, VolumeInfo
from storage.volumes.names import unknown

WISH = "wish"
"""Stands among the steps of the work when the row was first told what the guest is to be."""


class Step(NamedTuple):
    """One thing to do: what the work remembers it by, a line for people, the deed, and whether it is done."""

    key: str
    text: str
    action: Action
    done: bool

    @property
    def undoable(self) -> bool:
        """Whether a failure takes it back."""
        return not self.key.startswith("again:")


class Plan(NamedTuple):
    """A command on one guest. `old` is its row as it was seen; the claim succeeds only if it still is so."""

    command: str
    guest: str
    steps: tuple[Step, ...]
    old: Guest | None
    goal: Guest | None
    reserve: tuple[Nic, ...] = ()

    @property
    def todo(self) -> tuple[Step, ...]:
        """What is not done."""
        return tuple(step for step in self.steps if not step.done)

    @property
    def inherited(self) -> tuple[str, ...]:
        """Keys of the steps that a run before this one had taken upon itself."""
        work = read_work(self.old.work) if self.old else None
        return work.steps if work else ()

    @property
    def own(self) -> tuple[str, ...]:
        """Keys of the steps that this run, or one before that it goes on with, does and may undo."""
        wishes = self.goal is not None and self.goal.domain_kind and not (self.old and self.old.domain_kind)
        keys = (*self.inherited, *([WISH] if wishes else []), *(step.key for step in self.todo))
        return tuple(dict.fromkeys(keys))

    @property
    def undone(self) -> Guest | None:
        """The row as it was before, once all own steps are undone; None: there was none."""
        if self.old is None or not self.old.work:
            return self.old
        return before(self.old, self.own)


class Seen(NamedTuple):
    """What there is of a guest. `domains`: host -> its domain there. `bound`: links whose address is as the row says.

    `origins`: the snapshots of the master that is to be cloned. `unseen`: hosts that could not be asked, and why.
    """

    volume: Volume
    row: Guest | None
    projects: Sequence[Project]
    disk: VolumeInfo | None
    domains: dict[str, DomainInfo]
    bound: frozenset[str] = frozenset()
    origins: Sequence[Snapshot] = ()
    guests: Sequence[str] = ()
    unseen: Mapping[str, str] = MappingProxyType({})

    @property
    def name(self) -> str:
        """The guest's name."""
        return self.volume.domain

    @property
    def running_on(self) -> str:
        """The host that runs it; empty if none does."""
        return next(iter(self.held_by), "")

    @property
    def held_by(self) -> list[str]:
        """The hosts that have it in memory: after a move that broke off it is two."""
        return holders({host: domain.state for host, domain in self.domains.items()})


def clone(seen: Seen, origin: Snapshot) -> Plan:
    """`domu-clone`: one volume, and the name is taken."""
    row = _own(seen, "domu-clone")
    if row is not None and (read_work(row.work) is None or row.origin != str(origin)):
        raise _is_there(row)
    step = _clone_step(seen, origin)
    goal = row or _new(seen, str(origin))
    return Plan("domu-clone", seen.name, (step,), row, goal)


def init(seen: Seen, wish: Wish, host: str, uuid: str, initiators: Sequence[str]) -> Plan:
    """`domu-init`: export the volume to the hosts of the segment, and define the domain on one of them."""
    row = _own(seen, "domu-init")
    if seen.disk is None:
        what = f"clone it first with `domu-clone MASTER@VERSION {seen.volume}`"
        raise Refused(f"{unknown(seen.name, seen.guests, 'guest')}: {what}" if row is None else f"{seen.name}: {what}")
    adopted = row or _new(seen, str(seen.disk.origin or ""))
    goal = _wished(seen, adopted, wish, host, uuid)
    adopt = Step("adopt", f"take {seen.volume} as a guest", actions.Nothing(), done=row is not None)
    return Plan("domu-init", seen.name, (adopt, *_init_steps(seen, goal, wish, initiators)), row, goal)


def assign(seen: Seen, nic: Nic) -> Plan:
    """`domu-assign-ip`: bind an address, and a host name, to a link's MAC."""
    row = _defined(seen, "domu-assign-ip")
    one_of(nic.link, [one.link for one in nics(row)], f"link of {seen.name}")
    return Plan("domu-assign-ip", seen.name, (_bind_step(seen, row, nic),), row, row)


def up(
    seen: Seen, origin: Snapshot, wish: Wish, host: str, uuid: str, initiators: Sequence[str], addresses: Sequence[Nic]
) -> Plan:
    """`domu-up`: the whole chain, from the project to a guest that runs with its addresses."""
    row = _own(seen, "domu-up")
    if row is not None and row.origin != str(origin):
        raise _is_there(row)
    has = {nic.link: nic for nic in nics(row)} if row else {}
    for nic in addresses:
        one_of(nic.link, wish.links, "link of the guest")
        if nic.link in has and has[nic.link].address not in ("", nic.address):
            raise Refused(f"{nic.link} has {has[nic.link].address} already: `domu-assign-ip` gives it another address")
    goal = _wished(seen, row or _new(seen, str(origin)), wish, host, uuid)
    goal = goal._replace(links=links_text(_merged(nics(goal), addresses)))
    project = seen.volume.parent
    steps = (
        Step("project", f"make project {project}", actions.MakeProject(project), done=project in seen.projects),
        _clone_step(seen, origin, with_project=False),
        *_init_steps(seen, goal, wish, initiators),
        *(_bind_step(seen, goal, nic) for nic in addresses),
        Step(
            "start", f"start it on {goal.hypervisor}", actions.Start(goal.hypervisor, seen.name), bool(seen.running_on)
        ),
    )
    return Plan("domu-up", seen.name, steps, row, goal, tuple(addresses))


def start(seen: Seen, initiators: Callable[[str], Sequence[str]]) -> Plan:
    """`domu-start`: let in the hosts that the segment has now, define it again if its host has lost it, and start."""
    row = _defined(seen, "domu-start")
    wish = wish_of(row)
    assert wish is not None
    if seen.disk is None:
        raise Refused(f"{seen.name}: its volume {seen.volume} is gone: `domu-destroy {seen.name}` takes away the rest")
    _seen_where_it_belongs(seen, row)
    _nobody_uses_it(seen)
    where = seen.running_on or next(iter(seen.domains), row.hypervisor)
    known = tuple(Link(nic.link, nic.mac) for nic in nics(row) if nic.mac)
    define = actions.Define(where, seen.name, row.uuid, wish, known)
    wanted = tuple(initiators(row.segment))
    steps = (
        Step(
            "again:export",
            f"let in the hosts of segment {row.segment}",
            actions.Export(seen.volume, wanted),
            done=bool(seen.running_on) or _is_exported(seen.disk, wanted),
        ),
        Step("again:define", f"define it again on {where}", define, done=where in seen.domains),
        Step("again:start", f"start it on {where}", actions.Start(where, seen.name), done=bool(seen.running_on)),
    )
    return Plan("domu-start", seen.name, steps, row, row._replace(hypervisor=where))


def stop(seen: Seen, *, force: bool) -> Plan:
    """`domu-stop`: ask the guest to shut down, or cut its power."""
    row = _defined(seen, "domu-stop")
    _seen_where_it_belongs(seen, row)
    host = seen.running_on
    text = f"cut its power on {host}" if force else f"ask it to shut down on {host}"
    step = Step("again:stop", text, actions.Stop(host, seen.name, force), done=not host)
    return Plan("domu-stop", seen.name, (step,), row, row)


def migrate(seen: Seen, to: str, initiator: str, *, live: bool) -> Plan:
    """`domu-migrate`: running, with its memory; off, by its definition. Copies that are off elsewhere are forgotten."""
    row = _defined(seen, "domu-migrate")
    wish = wish_of(row)
    assert wish is not None
    source = seen.running_on
    if to in seen.unseen:
        raise Refused(seen.unseen[to])
    if source and source != to and not _lets_in(seen.disk, initiator):
        way = f"`domu-stop {seen.name}` and `domu-start {seen.name}` let in all hosts of the segment"
        raise Refused(f"{seen.volume} does not let in {initiator} of {to}: {way}")
    _nobody_uses_it(seen)
    steps = []
    if source:
        text = f"move it {'live ' if live else ''}from {source} to {to}"
        steps.append(Step("again:migrate", text, actions.Migrate(source, to, seen.name, live), done=source == to))
    else:
        known = tuple(Link(nic.link, nic.mac) for nic in nics(row) if nic.mac)
        define = actions.Define(to, seen.name, row.uuid, wish, known)
        steps.append(Step("again:define", f"define it on {to}", define, done=to in seen.domains))
    steps += [
        Step("again:forget", f"forget it on {host}", actions.Undefine(host, seen.name), done=False)
        for host in sorted(seen.domains)
        if host not in (to, source)
    ]
    steps.append(Step("again:note", f"note that it is on {to}", actions.Nothing(), done=row.hypervisor == to))
    return Plan("domu-migrate", seen.name, tuple(steps), row, row._replace(hypervisor=to))


def destroy(seen: Seen, *, force: bool) -> Plan:
    """`domu-destroy`: everything of a guest, its row last, whatever of it is left. Nothing of it can be undone."""
    row, disk = seen.row, seen.disk
    if row is None and disk is None and not seen.domains:
        raise Refused(f"{unknown(seen.name, seen.guests, 'guest')}")
    if seen.running_on and not force:
        raise Refused(f"{seen.name} is running on {seen.running_on}: `domu-stop {seen.name}` first, or --force")
    if row and not force:
        _seen_where_it_belongs(seen, row, f"--force destroys {seen.name} without it")
    if disk and disk.snapshots:
        names = ", ".join(map(str, disk.snapshots))
        raise Refused(f"{seen.volume} is a master, with {names}: `domu-master destroy` removes masters")
    if disk and row is None and disk.origin is None:
        raise Refused(f"{seen.volume} is no clone, and no guest is known of it: `domu-master destroy {seen.volume}`")
    _nobody_uses_it(seen)
    addressed = [nic for nic in nics(row) if nic.address] if row else []
    steps = [
        *(
            Step("again:stop", f"cut its power on {host}", actions.Stop(host, seen.name, force=True), done=False)
            for host in seen.held_by
        ),
        *(
            Step(f"again:free:{nic.link}", f"free {nic.address}", actions.Unbind(seen.name, nic), done=False)
            for nic in addressed
        ),
        *(
            Step(f"again:forget:{host}", f"forget the domain on {host}", actions.Undefine(host, seen.name), done=False)
            for host in sorted(seen.domains)
        ),
    ]
    if disk:
        end = Step("again:unexport", "end the export", actions.Unexport(seen.volume), done=disk.export is None)
        steps += [end, Step("again:remove", f"destroy {seen.volume}", actions.RemoveVolume(seen.volume), done=False)]
    return Plan("domu-destroy", seen.name, tuple(steps), row, None)


def before(row: Guest, steps: Sequence[str]) -> Guest | None:
    """The guest's row as it was before a command whose own steps these were, all undone; None: there was none."""
    bare = row._replace(work="")
    if "clone" in steps or "adopt" in steps:
        return None
    if WISH in steps:
        told = bare._replace(state=State.CLONED.value, domain_kind="", segment="", memory_mib=0, vcpus=0)
        return told._replace(hypervisor="", uuid="", links="")
    links = [nic._replace(address="", host="") if f"bind:{nic.link}" in steps else nic for nic in nics(bare)]
    return bare._replace(links=links_text(links))


def _own(seen: Seen, command: str) -> Guest | None:
    """The row, unless another command died on it; Refused."""
    work = read_work(seen.row.work) if seen.row else None
    if work and work.command != command:
        raise Refused(
            f"{seen.name}: {work.command} died before it was done: repeat that one, or `domu-destroy {seen.name}`"
        )
    return seen.row


def _defined(seen: Seen, command: str) -> Guest:
    row = _own(seen, command)
    if row is None:
        raise Refused(unknown(seen.name, seen.guests, "guest"))
    if row.state != State.DEFINED:
        raise Refused(
            f"{seen.name} has no domain yet: `domu-init KIND LINKS SEGMENT MEMORY VCPUS {seen.volume}` makes it"
        )
    return row


def _seen_where_it_belongs(seen: Seen, row: Guest, way: str = "") -> None:
    """Refused if the guest's host could not be asked, and no other host has the guest."""
    if row.hypervisor in seen.unseen and not seen.running_on:
        elsewhere = f"`domu-migrate {seen.name} HOST` puts it on another host"
        raise Refused(f"{seen.unseen[row.hypervisor]}; {way or elsewhere}")


def _nobody_uses_it(seen: Seen) -> None:
    """Refused if somebody is logged in to the disk although no domain is seen to run."""
    if seen.disk and seen.disk.users and not seen.running_on:
        users = ", ".join(seen.disk.users)
        raise Refused(f"{seen.volume} is in use by {users}, where no domain is seen to run: shut that down first")


def _new(seen: Seen, origin: str) -> Guest:
    return Guest(seen.name, State.CLONED.value, origin, "", "", 0, 0, "", "", 0, "", 0, "", "")


def _wished(seen: Seen, row: Guest, wish: Wish, host: str, uuid: str) -> Guest:
    """The row with the wish in it; Refused if it is defined otherwise."""
    if differs := wish_differs(row, wish):
        way = "the same command with what it has, or destroy it first"
        raise Refused(f"{seen.name} is defined already, with {'; '.join(differs)}: {way}")
    if row.domain_kind:
        return row
    return row._replace(
        state=State.DEFINED.value,
        domain_kind=wish.kind.value,
        segment=wish.segment,
        memory_mib=wish.memory_mib,
        vcpus=wish.vcpus,
        hypervisor=host,
        uuid=uuid,
        links=links_text(map(Nic, wish.links)),
    )


def _clone_step(seen: Seen, origin: Snapshot, *, with_project: bool = True) -> Step:
    """Refused if it cannot be cloned."""
    if origin not in seen.origins:
        raise Refused(unknown(origin, seen.origins, "snapshot"))
    if with_project and seen.volume.parent not in seen.projects:
        project = seen.volume.parent
        raise Refused(f"{unknown(project, seen.projects, 'project')}; or make it with `domu-project {project}`")
    if seen.disk is not None and seen.row is None:
        raise Refused(f"{seen.volume} is there, but no guest is known of it: see `domu-fsck`, or choose another name")
    text = f"clone {origin} to {seen.volume}"
    return Step("clone", text, actions.Clone(origin, seen.volume), done=seen.disk is not None)


def _init_steps(seen: Seen, goal: Guest, wish: Wish, initiators: Sequence[str]) -> tuple[Step, Step]:
    wanted = tuple(initiators)
    domain = seen.domains.get(goal.hypervisor)
    fits = domain is not None and domain.uuid == goal.uuid and is_as_wished(domain, wish)
    if domain is not None and domain.uuid != goal.uuid:
        raise Refused(
            f"{seen.name} is a domain of somebody else on {goal.hypervisor} (uuid {domain.uuid}): undefine it"
        )
    export = actions.Export(seen.volume, wanted)
    text = f"export {seen.volume} to the hosts of segment {wish.segment}"
    define = actions.Define(goal.hypervisor, seen.name, goal.uuid, wish, ())
    return (
        Step("export", text, export, done=_is_exported(seen.disk, wanted)),
        Step("define", f"define {seen.name} on {goal.hypervisor}", define, done=fits),
    )


def _is_exported(disk: VolumeInfo | None, initiators: Sequence[str]) -> bool:
    return disk is not None and disk.export is not None and disk.export.initiators == tuple(initiators)


def _lets_in(disk: VolumeInfo | None, initiator: str) -> bool:
    return disk is not None and disk.export is not None and initiator in disk.export.initiators


def _bind_step(seen: Seen, row: Guest, nic: Nic) -> Step:
    text = f"bind {nic.address} to {nic.link}, as {nic.host}"
    has = any(one.link == nic.link and (one.address, one.host) == (nic.address, nic.host) for one in nics(row))
    return Step(f"bind:{nic.link}", text, actions.Bind(seen.name, nic), done=has and nic.link in seen.bound)


def _merged(links: Sequence[Nic], given: Sequence[Nic]) -> list[Nic]:
    wanted = {nic.link: nic for nic in given}
    return [nic._replace(address=wanted[nic.link].address, host=wanted[nic.link].host) if nic.link in wanted else nic
            for nic in links]  # fmt: skip


def _is_there(row: Guest) -> Refused:
    return Refused(f"{row.guest} is there already, cloned from {row.origin} by {row.by}: choose another name")
