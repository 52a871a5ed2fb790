"""The programs that look at guests: `domu-list`, `domu-show`, `domu-console`, `domu-fsck`."""

from __future__ import annotations

import os
import shlex
import time
from typing import Any

import click

from guests import commands
from guests.fsck import findings
from guests.guest import nics, read_work, volume_of
from guests.process import is_alive
from guests.world import World
from storage.records import Guest
from storage.volumes.names import parse_project, unknown
from storage.volumes.port import VolumeInfo
from twinboot import guestbook
from twinboot.commands.domu import Common, facts, guest_argument, program
from twinboot.faults import Stop
from twinboot.show import as_json, clean, local_time, say, table

__all__ = ["domu_console", "domu_fsck", "domu_list", "domu_show"]

HEADS = ("guest", "state", "host", "segment", "kind", "memory", "cpus", "addresses", "work")


@program("domu-list", acts=False)
@click.argument("project", required=False, default="", metavar="[PROJECT]")
def domu_list(common: Common, project: str) -> None:
    """List guests: what each does, where it is, what it is, and its addresses.

    States: running, paused, off, crashed as its host tells; cloned (no domain yet); lost (its host does not know it);
    unknown (its host does not answer, which is told on stderr).
    """
    name = str(parse_project(project)) if project else ""
    with guestbook.opened(common.config) as world:
        found, troubles = commands.listed(world, name)
        if name and not found and not any(one.startswith(f"{name}:") for one in world.rows):
            projects = {one.partition(":")[0] for one in world.rows}
            if projects and name not in projects:
                raise Stop(unknown(name, projects, "project with guests"))
    if common.as_document:
        as_json([{**facts(one.row), "state": one.state, "hypervisor": one.host or None} for one in found])
    else:
        table(HEADS, [_cells(one) for one in found], "no guests yet: domu-clone MASTER@VERSION PROJECT/GUEST")
    for line in troubles:
        click.echo(f"domu-list: {clean(line)}", err=True)


def _cells(one: commands.Listed) -> tuple[object, ...]:
    row = one.row
    addresses = " ".join(f"{nic.address}({nic.host})" for nic in nics(row) if nic.address)
    work = read_work(row.work)
    return (
        *(row.guest, one.state, one.host or "-", row.segment or "-", row.domain_kind or "-"),
        *(row.memory_mib or "-", row.vcpus or "-", addresses or "-", work.command if work else "-"),
    )


@program("domu-show", acts=False)
@guest_argument
def domu_show(common: Common, name: str) -> None:
    """Show all that is known of a guest: row, domain, volume, export, addresses, and who is at work on it."""
    volume = volume_of(name)
    with guestbook.opened(common.config) as world:
        row = world.rows.get(volume.domain)
        if row is None:
            raise Stop(unknown(volume.domain, world.rows, "guest"))
        state, _ = commands.state_of(world, row)
        projects = world.volumes.projects()
        disks = world.volumes.volumes(volume.parent) if volume.parent in projects else []
        disk = next((one for one in disks if one.name == volume), None)
        bound = {nic.link: world.book.is_bound(nic) for nic in nics(row)}
    if common.as_document:
        document = facts(row) | {"domain": state, "volume": _volume(disk)}
        as_json(document | {"links": [link | {"bound": bound[link["link"]]} for link in document["links"]]})
        return
    for head, value in _shown(row, state, disk):
        say(f"{head:<10} {value}")
    for nic in nics(row):
        address = f"{nic.address}  {nic.host}" + ("" if bound[nic.link] else "  (not bound in DHCP: see domu-fsck)")
        say(f"{nic.link:<10} {nic.mac or 'no MAC yet'}  {address if nic.address else 'no address'}")


def _shown(row: Guest, state: str, disk: VolumeInfo | None) -> list[tuple[str, str]]:
    lines = [("guest", row.guest), ("state", f"{state} on {row.hypervisor}" if row.hypervisor else state)]
    if row.domain_kind:
        lines.append(("is", f"{row.domain_kind}, {row.memory_mib} MiB, {row.vcpus} CPUs, segment {row.segment}"))
        lines.append(("uuid", row.uuid))
    lines.append(("origin", row.origin or "none"))
    if disk is None:
        lines.append(("volume", "gone: see domu-fsck"))
    else:
        lines.append(("volume", f"{disk.name}, {disk.size_bytes} bytes, {disk.own_bytes} of its own"))
        export = disk.export
        lines.append(("export", f"{export.iqn} at {export.portal}, LUN {export.lun}" if export else "none"))
        lines += (
            [("lets in", one + (" (logged in)" if one in disk.users else "")) for one in export.initiators]
            if export
            else []
        )
    lines.append(("changed", f"{local_time(row.changed_s)} by {row.by}"))
    if work := read_work(row.work):
        alive = {True: "at work", False: "dead: repeat it", None: "on another machine"}[is_alive(work)]
        lines.append(("work", f"{work.command}, process {work.pid} on {work.node}: {alive}"))
    return lines


def _volume(disk: VolumeInfo | None) -> dict[str, Any] | None:
    if disk is None:
        return None
    export = disk.export._asdict() if disk.export else None
    return {
        "name": str(disk.name),
        "size_bytes": disk.size_bytes,
        "own_bytes": disk.own_bytes,
        "origin": str(disk.origin) if disk.origin else None,
        "export": export,
        "users": disk.users,
    }


@program("domu-console", acts=False)
@guest_argument
def domu_console(common: Common, name: str) -> None:
    """Attach this terminal to a guest's console, wherever it runs; with --json, only say how."""
    volume = volume_of(name)
    with guestbook.opened(common.config) as world:
        argv = _console(world, commands.where(world, volume), volume.domain)
    if common.as_document:
        as_json({"argv": argv, "command": shlex.join(argv)})
        return
    os.execvp(argv[0], argv)  # noqa: S606 - the terminal is the program's from here on


def _console(world: World, host: str, name: str) -> list[str]:
    return list(world.hypervisor(host).console_argv(name))


@program("domu-fsck", acts=False)
def domu_fsck(common: Common) -> None:
    """Find what does not fit together, each with the command that puts it right; exit code 1 if there is anything.

    Volumes, exports and domains of no guest, guests without them, bindings of nobody, commands that died.
    """
    began_s = time.monotonic()
    with guestbook.opened(common.config) as world:
        whole = commands.whole(world, _alive)
        found = findings(world.site, whole)
    if common.as_document:
        as_json({"findings": [one._asdict() for one in found], "unseen": whole.unseen})
    else:
        for one in found:
            say(f"{one.kind}: {one.text}: {one.command}")
        seen = f"{len(whole.rows)} guests, {len(whole.disks)} volumes, {len(whole.domains)} hosts"
        say(f"{len(found) or 'no'} findings: {seen}, {time.monotonic() - began_s:.1f} s")
    for line in whole.unseen.values():
        click.echo(f"domu-fsck: {clean(line)}", err=True)
    if found or whole.unseen:
        raise SystemExit(1)


def _alive(row: Guest) -> bool | None:
    work = read_work(row.work)
    return is_alive(work) if work else None
