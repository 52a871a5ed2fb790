"""What each command does, as a plan, decided from what was seen. Pure: no clock, no I/O.

What cannot work is refused here, before anything is touched, with what to type instead.
"""

from collections.abc import Callable, Sequence

from guests import actions
from guests.domain import Link
from guests.faults import Refused
from guests.guest import Nic, Wish, links_text, nics, one_of, read_work, wish_of
from guests.plan import Plan, Seen, Step
from guests.steps import (
    bind_step,
    clone_step,
    defined_row,
    init_steps,
    is_exported,
    lets_in,
    new_row,
    nobody_uses_it,
    own_row,
    seen_where_it_belongs,
    wished_row,
)
from storage.records import Guest
from storage.volumes import Snapshot
from storage.volumes.names import unknown


def clone(seen: Seen, origin: Snapshot) -> Plan:
    """`domu-clone`: one volume, and the name is taken."""
    row = own_row(seen, "domu-clone")
    if row is not None and (read_work(row.work) is None or row.origin != str(origin)):
        raise _is_there(row)
    step = clone_step(seen, origin)
    goal = row or new_row(seen, str(origin))
    return Plan("domu-clone", seen.name, (step,), row, goal)


def init(seen: Seen, wish: Wish, host: str, uuid: str, initiators: Sequence[str]) -> Plan:
    """`domu-init`: export the volume to the hosts of the segment, and define the domain on one of them."""
    row = own_row(seen, "domu-init")
    if seen.disk is None:
        what = f"clone it first with `domu-clone MASTER@VERSION {seen.volume}`"
        raise Refused(f"{unknown(seen.name, seen.guests, 'guest')}: {what}" if row is None else f"{seen.name}: {what}")
    adopted = row or new_row(seen, str(seen.disk.origin or ""))
    goal = wished_row(seen, adopted, wish, host, uuid)
    adopt = Step("adopt", f"take {seen.volume} as a guest", actions.Nothing(), done=row is not None)
    return Plan("domu-init", seen.name, (adopt, *init_steps(seen, goal, wish, initiators)), row, goal)


def assign(seen: Seen, nic: Nic) -> Plan:
    """`domu-assign-ip`: bind an address, and a host name, to a link's MAC."""
    row = defined_row(seen, "domu-assign-ip")
    one_of(nic.link, [one.link for one in nics(row)], f"link of {seen.name}")
    return Plan("domu-assign-ip", seen.name, (bind_step(seen, row, nic),), row, row)


def up(
    seen: Seen, origin: Snapshot, wish: Wish, host: str, uuid: str, initiators: Sequence[str], addresses: Sequence[Nic]
) -> Plan:
    """`domu-up`: the whole chain, from the project to a guest that runs with its addresses."""
    row = own_row(seen, "domu-up")
    if row is not None and row.origin != str(origin):
        raise _is_there(row)
    has = {nic.link: nic for nic in nics(row)} if row else {}
    for nic in addresses:
        one_of(nic.link, wish.links, "link of the guest")
        if nic.link in has and has[nic.link].address not in ("", nic.address):
            raise Refused(f"{nic.link} has {has[nic.link].address} already: `domu-assign-ip` gives it another address")
    goal = wished_row(seen, row or new_row(seen, str(origin)), wish, host, uuid)
    goal = goal._replace(links=links_text(_merged(nics(goal), addresses)))
    project = seen.volume.parent
    steps = (
        Step("project", f"make project {project}", actions.MakeProject(project), done=project in seen.projects),
        clone_step(seen, origin, with_project=False),
        *init_steps(seen, goal, wish, initiators),
        *(bind_step(seen, goal, nic) for nic in addresses),
        Step(
            "start", f"start it on {goal.hypervisor}", actions.Start(goal.hypervisor, seen.name), bool(seen.running_on)
        ),
    )
    return Plan("domu-up", seen.name, steps, row, goal, tuple(addresses))


def start(seen: Seen, initiators: Callable[[str], Sequence[str]]) -> Plan:
    """`domu-start`: let in the hosts that the segment has now, define it again if its host has lost it, and start."""
    row = defined_row(seen, "domu-start")
    wish = wish_of(row)
    assert wish is not None
    if seen.disk is None:
        raise Refused(f"{seen.name}: its volume {seen.volume} is gone: `domu-destroy {seen.name}` takes away the rest")
    seen_where_it_belongs(seen, row)
    nobody_uses_it(seen)
    where = seen.running_on or next(iter(seen.domains), row.hypervisor)
    known = tuple(Link(nic.link, nic.mac) for nic in nics(row) if nic.mac)
    define = actions.Define(where, seen.name, row.uuid, wish, known)
    wanted = tuple(initiators(row.segment))
    steps = (
        Step(
            "again:export",
            f"let in the hosts of segment {row.segment}",
            actions.Export(seen.volume, wanted),
            done=bool(seen.running_on) or is_exported(seen.disk, wanted),
        ),
        Step("again:define", f"define it again on {where}", define, done=where in seen.domains),
        Step("again:start", f"start it on {where}", actions.Start(where, seen.name), done=bool(seen.running_on)),
    )
    return Plan("domu-start", seen.name, steps, row, row._replace(hypervisor=where))


def stop(seen: Seen, *, force: bool) -> Plan:
    """`domu-stop`: ask the guest to shut down, or cut its power."""
    row = defined_row(seen, "domu-stop")
    seen_where_it_belongs(seen, row)
    host = seen.running_on
    text = f"cut its power on {host}" if force else f"ask it to shut down on {host}"
    step = Step("again:stop", text, actions.Stop(host, seen.name, force), done=not host)
    return Plan("domu-stop", seen.name, (step,), row, row)


def migrate(seen: Seen, to: str, initiator: str, *, live: bool) -> Plan:
    """`domu-migrate`: running, with its memory; off, by its definition. Copies that are off elsewhere are forgotten."""
    row = defined_row(seen, "domu-migrate")
    wish = wish_of(row)
    assert wish is not None
    source = seen.running_on
    if to in seen.unseen:
        raise Refused(seen.unseen[to])
    if source and source != to and not lets_in(seen.disk, initiator):
        way = f"`domu-stop {seen.name}` and `domu-start {seen.name}` let in all hosts of the segment"
        raise Refused(f"{seen.volume} does not let in {initiator} of {to}: {way}")
    nobody_uses_it(seen)
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
        seen_where_it_belongs(seen, row, f"--force destroys {seen.name} without it")
    if disk and disk.snapshots:
        names = ", ".join(map(str, disk.snapshots))
        raise Refused(f"{seen.volume} is a master, with {names}: `domu-master destroy` removes masters")
    if disk and row is None and disk.origin is None:
        raise Refused(f"{seen.volume} is no clone, and no guest is known of it: `domu-master destroy {seen.volume}`")
    nobody_uses_it(seen)
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


def _merged(links: Sequence[Nic], given: Sequence[Nic]) -> list[Nic]:
    wanted = {nic.link: nic for nic in given}
    return [nic._replace(address=wanted[nic.link].address, host=wanted[nic.link].host) if nic.link in wanted else nic
            for nic in links]  # fmt: skip


def _is_there(row: Guest) -> Refused:
    return Refused(f"{row.guest} is there already, cloned from {row.origin} by {row.by}: choose another name")
