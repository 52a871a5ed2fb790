"""Setting a server up: from a checked plan to a share and two configuration files.

Rules of this room:

- The share first, the configuration last: a server whose twinboot.toml exists is a server that was set up.
- Nothing that exists is overwritten without --force, and on the share nothing ever: there a second server joins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from dhcp import svcconf_file
from storage.records import Binding, Records, open_records
from twinboot import sitefiles, stores
from twinboot.answers import Answers, Plan, Wire, check
from twinboot.faults import Stop
from twinboot.machine import SHARE_DIRECTORIES
from twinboot.privileges import account, acting_as

__all__ = ["Done", "perform"]


@dataclass(frozen=True, slots=True)
class Done:
    """What was made or found, for the last words."""

    joined: bool
    added: int
    networks: tuple[str, ...]
    owners: tuple[IPv4Address, ...]
    bare: tuple[str, ...]
    """Networks of ours without one address in their containers."""


def perform(answers: Answers) -> Done:
    """Check the answers and set everything up. Stop, before anything is written, if they cannot be used."""
    plan = check(answers)
    _make_tree(plan.names.share, answers.user)
    with acting_as(answers.user):
        done = _lay_share(plan)
    owned = list(dict.fromkeys([*done.owners, plan.names.address]))
    devices = [wire.device for wire in plan.wires]
    text = sitefiles.toml_text(plan.names, [wire.network for wire in plan.wires])
    for path, content in (
        (answers.dhcpsvc, sitefiles.dhcpsvc_text(plan.names.share, owned, devices, plan.resource)),
        (answers.config, text),
    ):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            svcconf_file.write(path, content)
        except OSError as error:
            raise Stop(f"{path}: {error.strerror}: run this as root, or name another place") from error
    return done


def _make_tree(share: Path, user: str) -> None:
    ids = account(user)
    for path in (share, *(share / name for name in SHARE_DIRECTORIES)):
        try:
            is_ours = path != share or not path.exists()  # a share's own top directory stays as it was mounted
            path.mkdir(parents=True, exist_ok=True)
            if ids and is_ours and path.stat().st_uid == 0:
                os.chown(path, *ids)
        except OSError as error:
            raise Stop(f"--share: {path}: {error.strerror}: make it writable for {user!r}, or mount it") from error
    with acting_as(user):
        closed = [name for name in SHARE_DIRECTORIES if not _writable(share / name)]
    if closed:
        names = ", ".join(closed)
        raise Stop(f"--share: {share}: {user!r} may not write in {names}: chown them, and let it enter {share}")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK, effective_ids=True)


def _lay_share(plan: Plan) -> Done:
    names = plan.names
    dhcp = open_records(plan.resource, names.share / "dhcp")
    apart = names.share / "state"
    state = open_records(stores.STATE_RESOURCE, apart) if plan.resource == stores.STATE_RESOURCE else dhcp
    sitefiles.lay_tables(dhcp, state, apart)
    before = tuple(name for name in dhcp.tables() if name != stores.DHCPTAB)
    owners = tuple(sitefiles.owners(dhcp, before))
    entries = [*sitefiles.firmware_entries(), sitefiles.server_macro(names.server)]
    stores.commit(dhcp, stores.missing_entries(dhcp, entries))
    added = sum(_lay_wire(dhcp, names, wire) for wire in plan.wires)
    tables = [str(wire.network.subnet.network_address) for wire in plan.wires]
    bare = tuple(table for table in tables if not stores.rows(dhcp, table, Binding))
    return Done(bool(owners), added, before, owners, bare)


def _lay_wire(dhcp: Records, names: sitefiles.Names, wire: Wire) -> int:
    """A network's container and macro, unless they are there; how many free addresses it was given."""
    network = wire.network
    taken = {int(wire.address), int(network.router or 0)}
    free = sitefiles.free_rows(*wire.bounds, names.address, names.server) if wire.bounds else []
    rows = [row for row in free if row.address not in taken]
    name_server = wire.address if names.domain else None
    return len(rows) if sitefiles.lay_network(dhcp, network, names.domain, name_server, rows) else 0
