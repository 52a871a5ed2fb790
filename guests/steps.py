"""The steps that several commands are made of, and what each of these refuses before anything is touched. Pure."""

from collections.abc import Sequence

from guests import actions
from guests.faults import Refused
from guests.guest import Nic, State, Wish, is_as_wished, links_text, nics, read_work, wish_differs
from guests.plan import Seen, Step
from storage.records import Guest
from storage.volumes import Snapshot, VolumeInfo
from storage.volumes.names import unknown


def own_row(seen: Seen, command: str) -> Guest | None:
    """The row, unless another command died on it; Refused."""
    work = read_work(seen.row.work) if seen.row else None
    if work and work.command != command:
        raise Refused(
            f"{seen.name}: {work.command} died before it was done: repeat that one, or `domu-destroy {seen.name}`"
        )
    return seen.row


def defined_row(seen: Seen, command: str) -> Guest:
    """The row of a guest that has a domain; Refused."""
    row = own_row(seen, command)
    if row is None:
        raise Refused(unknown(seen.name, seen.guests, "guest"))
    if row.state != State.DEFINED:
        raise Refused(
            f"{seen.name} has no domain yet: `domu-init KIND LINKS SEGMENT MEMORY VCPUS {seen.volume}` makes it"
        )
    return row


def seen_where_it_belongs(seen: Seen, row: Guest, way: str = "") -> None:
    """Refused if the guest's host could not be asked, and no other host has the guest."""
    if row.hypervisor in seen.unseen and not seen.running_on:
        elsewhere = f"`domu-migrate {seen.name} HOST` puts it on another host"
        raise Refused(f"{seen.unseen[row.hypervisor]}; {way or elsewhere}")


def nobody_uses_it(seen: Seen) -> None:
    """Refused if somebody is logged in to the disk although no domain is seen to run."""
    if seen.disk and seen.disk.users and not seen.running_on:
        users = ", ".join(seen.disk.users)
        raise Refused(f"{seen.volume} is in use by {users}, where no domain is seen to run: shut that down first")


def new_row(seen: Seen, origin: str) -> Guest:
    """The row of a guest that has nothing but its volume."""
    return Guest(seen.name, State.CLONED.value, origin, "", "", 0, 0, "", "", 0, "", 0, "", "")


def wished_row(seen: Seen, row: Guest, wish: Wish, host: str, uuid: str) -> Guest:
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


def clone_step(seen: Seen, origin: Snapshot, *, with_project: bool = True) -> Step:
    """The clone; Refused if it cannot be made."""
    if origin not in seen.origins:
        raise Refused(unknown(origin, seen.origins, "snapshot"))
    if with_project and seen.volume.parent not in seen.projects:
        project = seen.volume.parent
        raise Refused(f"{unknown(project, seen.projects, 'project')}; or make it with `domu-project {project}`")
    if seen.disk is not None and seen.row is None:
        raise Refused(f"{seen.volume} is there, but no guest is known of it: see `domu-fsck`, or choose another name")
    text = f"clone {origin} to {seen.volume}"
    return Step("clone", text, actions.Clone(origin, seen.volume), done=seen.disk is not None)


def init_steps(seen: Seen, goal: Guest, wish: Wish, initiators: Sequence[str]) -> tuple[Step, Step]:
    """The export, and the definition on the goal's host; Refused if the name is somebody else's there."""
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
        Step("export", text, export, done=is_exported(seen.disk, wanted)),
        Step("define", f"define {seen.name} on {goal.hypervisor}", define, done=fits),
    )


def is_exported(disk: VolumeInfo | None, initiators: Sequence[str]) -> bool:
    """Whether it is exported to these and no others."""
    return disk is not None and disk.export is not None and disk.export.initiators == tuple(initiators)


def lets_in(disk: VolumeInfo | None, initiator: str) -> bool:
    """Whether this one may log in."""
    return disk is not None and disk.export is not None and initiator in disk.export.initiators


def bind_step(seen: Seen, row: Guest, nic: Nic) -> Step:
    """Bind a link's address; done if the row and the network's container both say so."""
    text = f"bind {nic.address} to {nic.link}, as {nic.host}"
    has = any(one.link == nic.link and (one.address, one.host) == (nic.address, nic.host) for one in nics(row))
    return Step(f"bind:{nic.link}", text, actions.Bind(seen.name, nic), done=has and nic.link in seen.bound)
