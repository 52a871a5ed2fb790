"""The commands: what each looks at before it plans. The shells (`domu-*`) read words, call these, and run the plan."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from guests import plans
from guests.domain import DomainInfo, State, home
from guests.faults import Refused
from guests.fsck import Whole
from guests.guest import Nic, Wish, read_work, wish_differs, wish_of
from guests.plan import Plan
from guests.world import World
from storage.records import Binding, Guest
from storage.volumes import Snapshot, Volume
from storage.volumes.names import unknown

NewId = Callable[[], str]
"""Makes a uuid."""


def clone(world: World, origin: Snapshot, volume: Volume, *, take_over: bool = False) -> Plan:
    """`domu-clone MASTER@VERSION PROJECT/GUEST`."""
    _free(world, volume, take_over=take_over)
    return plans.clone(world.seen(volume, origin=origin), origin)


def init(world: World, volume: Volume, wish: Wish, new_id: NewId, *, host: str = "", take_over: bool = False) -> Plan:
    """`domu-init KIND LINKS SEGMENT MEMORY_MIB VCPUS PROJECT/GUEST`."""
    row = _free(world, volume, take_over=take_over)
    seen = world.seen(volume)
    if seen.disk is None or (row and wish_differs(row, wish)):
        return plans.init(seen, wish, "", "", ())  # says why not
    where, uuid = _placed(world, row, wish, new_id, host)
    return plans.init(world.seen(volume, hosts=[where]), wish, where, uuid, world.site.initiators(wish.segment))


def assign(world: World, volume: Volume, nic: Nic, *, take_over: bool = False) -> Plan:
    """`domu-assign-ip PROJECT:GUEST LINK HOST-NAME ADDRESS`."""
    _free(world, volume, take_over=take_over)
    plan = plans.assign(world.seen(volume), nic)
    world.judge_addresses(volume.domain, [nic])
    return plan


def up(
    world: World,
    origin: Snapshot,
    volume: Volume,
    wish: Wish,
    addresses: Sequence[Nic],
    new_id: NewId,
    *,
    host: str = "",
    take_over: bool = False,
) -> Plan:
    """`domu-up`: the whole chain in one plan."""
    row = _free(world, volume, take_over=take_over)
    where, uuid = _placed(world, row, wish, new_id, host)
    seen = world.seen(volume, origin=origin, hosts=[where])
    plan = plans.up(seen, origin, wish, where, uuid, world.site.initiators(wish.segment), addresses)
    if not plan.steps[-1].done:
        world.judge_addresses(volume.domain, addresses)
    return plan


def start(world: World, volume: Volume, *, take_over: bool = False) -> Plan:
    """`domu-start PROJECT:GUEST`."""
    row = _free(world, volume, take_over=take_over)
    return plans.start(world.seen(volume, hosts=_segment(world, row)), world.site.initiators)


def stop(world: World, volume: Volume, *, force: bool = False, take_over: bool = False) -> Plan:
    """`domu-stop PROJECT:GUEST`."""
    row = _free(world, volume, take_over=take_over)
    return plans.stop(world.seen(volume, hosts=_segment(world, row)), force=force)


def migrate(world: World, volume: Volume, to: str, *, live: bool, take_over: bool = False) -> Plan:
    """`domu-migrate PROJECT:GUEST [HOST]`; without a host, the one with the most room that it is not on."""
    row = _free(world, volume, take_over=take_over)
    wish = wish_of(row) if row else None
    if row is None or wish is None:
        return plans.migrate(world.seen(volume), to, "", live=live)  # says why not
    seen = world.seen(volume, hosts=_segment(world, row))
    at = seen.running_on or (row.hypervisor if row.hypervisor in seen.domains else next(iter(seen.domains), ""))
    if not to or to != at:
        to = world.place(wish, named=to, but=at or row.hypervisor).name
    return plans.migrate(seen, to, world.site.host(to).place.initiator, live=live)


def destroy(world: World, volume: Volume, *, force: bool = False, take_over: bool = False) -> Plan:
    """`domu-destroy PROJECT:GUEST`, whatever of it is left."""
    _free(world, volume, take_over=take_over)
    return plans.destroy(world.seen(volume, hosts=world.site.hosts), force=force)


def where(world: World, volume: Volume) -> str:
    """The host that a guest runs on, or is defined on; Refused."""
    row = _known(world, volume)
    seen = world.look(_segment(world, row))
    found = {name: one.state for name, look in seen.items() for one in look.domains if one.name == volume.domain}
    if found:
        return home(found)
    if row.hypervisor in seen and seen[row.hypervisor].trouble:
        raise Refused(seen[row.hypervisor].trouble)
    raise Refused(f"{volume.domain} has no domain: `domu-start {volume.domain}` defines it again, if it had one")


class Listed(NamedTuple):
    """A guest in a list: its row, the host it was found on, what it does there ("unknown": its host is silent)."""

    row: Guest
    host: str
    state: str


def listed(world: World, project: str = "") -> tuple[list[Listed], list[str]]:
    """All guests, or a project's, by name; and a line for each host that did not answer."""
    rows = [row for name, row in sorted(world.rows.items()) if not project or name.startswith(f"{project}:")]
    names = {row.hypervisor for row in rows if row.hypervisor in world.site.hosts}
    told = world.states(sorted(names))
    found: dict[str, dict[str, State]] = {}
    for host, states in told.items():
        for guest, state in states.items() if not isinstance(states, str) else ():
            found.setdefault(guest, {})[host] = state
    silent = {host: states for host, states in told.items() if isinstance(states, str)}
    return [_listed(row, found, silent) for row in rows], [silent[host] for host in sorted(silent)]


def _listed(row: Guest, found: Mapping[str, Mapping[str, State]], silent: Mapping[str, str]) -> Listed:
    if row.guest in found:
        states = found[row.guest]
        host = home(states)
        return Listed(row, host, states[host].value)
    if row.hypervisor in silent:
        return Listed(row, row.hypervisor, "unknown")
    return Listed(row, row.hypervisor, "lost" if row.hypervisor else row.state)


def whole(world: World, work_alive: Callable[[Guest], bool | None]) -> Whole:
    """All there is, for `domu-fsck`."""
    looks = world.look(world.site.hosts)
    bindings: dict[str, list[Binding]] = {}
    for net in world.site.nets:
        try:
            bindings[net.container] = list(world.book.bindings(net).values())
        except Refused:
            continue  # no container, no bindings
    return Whole(
        rows=world.rows,
        disks=world.volumes.volumes(),
        domains={name: look.domains for name, look in looks.items() if not look.trouble},
        unseen={name: look.trouble for name, look in looks.items() if look.trouble},
        bindings=bindings,
        work_alive={name: work_alive(row) for name, row in world.rows.items() if read_work(row.work)},
        flaws=world.book.flaws(),
    )


def state_of(world: World, row: Guest) -> tuple[str, DomainInfo | None]:
    """What a guest does on its host, and its domain there."""
    look = world.look([row.hypervisor])[row.hypervisor] if row.hypervisor in world.site.hosts else None
    if look is None:
        return row.state, None
    domain = next((one for one in look.domains if one.name == row.guest), None)
    return (look.trouble or "lost", None) if domain is None else (domain.state.value, domain)


def _free(world: World, volume: Volume, *, take_over: bool) -> Guest | None:
    """The guest's row; Refused while a command is at work on it."""
    row = world.rows.get(volume.domain)
    world.book.at_work(row, take_over=take_over)
    return row


def _known(world: World, volume: Volume) -> Guest:
    row = world.rows.get(volume.domain)
    if row is None:
        raise Refused(unknown(volume.domain, world.rows, "guest"))
    return row


def _segment(world: World, row: Guest | None) -> Iterable[str]:
    """Hosts that may have the guest."""
    if row is None or not row.segment:
        return ()
    return [name for name, host in sorted(world.site.hosts.items()) if host.segment == row.segment]


def _placed(world: World, row: Guest | None, wish: Wish, new_id: NewId, host: str) -> tuple[str, str]:
    """The host and the uuid that the guest has, or gets."""
    if row and row.hypervisor:
        if host and host != row.hypervisor:
            raise Refused(f"{row.guest} is on {row.hypervisor}: `domu-migrate {row.guest} {host}` moves it")
        return row.hypervisor, row.uuid
    return world.place(wish, named=host).name, new_id()
