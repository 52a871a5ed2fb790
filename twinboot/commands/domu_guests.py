"""The programs that make, move and end guests: `domu-project`, `-clone`, `-init`, `-assign-ip`, `-up`, `-start`, ..."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from guests import commands, guest
from guests.addresses import read_address, read_host_name
from guests.guest import Nic, Wish, volume_of
from guests.site import Site
from storage.records import Guest
from storage.volumes.names import parse_project, parse_snapshot, parse_volume
from twinboot import volumenews, volumestore
from twinboot.commands.domu import (
    Common,
    carry_out,
    guest_argument,
    host_complete,
    new_id,
    origin_argument,
    pair,
    program,
    volume_argument,
)
from twinboot.faults import Stop
from twinboot.show import as_json, say

__all__ = [
    "domu_assign_ip",
    "domu_clone",
    "domu_destroy",
    "domu_init",
    "domu_migrate",
    "domu_project",
    "domu_start",
    "domu_stop",
    "domu_up",
]

HOST = click.option("--host", default="", metavar="HOST", shell_complete=host_complete, help="Put it on this host.")


@program("domu-project", takes_over=False)
@click.argument("name", metavar="PROJECT")
def domu_project(common: Common, name: str) -> None:
    """Make a project, a container of guests' volumes.

    One that is there already is left as it is, with exit code 0.
    """
    project, config = parse_project(name), common.config
    store = volumestore.open_volumes(config)
    is_there = project in store.projects()
    if not (is_there or common.dry_run):
        store.make_project(project)
        volumenews.tell(config, volumenews.PROJECT, project)
    if common.as_document:
        as_json({"project": str(project), "changed": not (is_there or common.dry_run), "dry_run": common.dry_run})
    elif is_there:
        say(f"{project}: it is there already")
    else:
        say(f"would make project {project}" if common.dry_run else f"{project}: made")


@program("domu-clone")
@origin_argument
@volume_argument
def domu_clone(common: Common, origin: str, name: str) -> None:
    """Clone a master's version to a new guest's volume; it takes no space until it is written to."""
    master, volume = parse_snapshot(origin), parse_volume(name)
    carry_out(
        common,
        lambda world: commands.clone(world, master, volume, take_over=common.take_over),
        lambda _: [f"next: domu-init KIND LINKS SEGMENT MEMORY_MIB VCPUS {volume}"],
    )


@program("domu-init")
@click.argument("kind", metavar="pv|hvm")
@click.argument("links", metavar="LINKS")
@click.argument("segment", metavar="odd|even")
@click.argument("memory", metavar="MEMORY_MIB")
@click.argument("vcpus", metavar="VCPUS")
@volume_argument
@HOST
def domu_init(
    common: Common, kind: str, links: str, segment: str, memory: str, vcpus: str, name: str, host: str
) -> None:
    """Define a guest on a hypervisor of the segment, and export its volume to all of them.

    LINKS are the prefixes of its links, joined: `fe-be` gives it fe0 and be0. The host is the one with the most room
    (docs/guests.md), unless it is named.
    """
    volume = parse_volume(name)
    carry_out(
        common,
        lambda world: commands.init(
            world,
            volume,
            _wish(world.site, kind, links, segment, memory, vcpus),
            new_id,
            host=host,
            take_over=common.take_over,
        ),
        _defined,
    )


@program("domu-assign-ip")
@guest_argument
@click.argument("link", metavar="LINK")
@click.argument("host_name", metavar="HOST-NAME")
@click.argument("address", metavar="ADDRESS")
def domu_assign_ip(common: Common, name: str, link: str, host_name: str, address: str) -> None:
    """Bind an address and a host name to the MAC of a guest's link; in force with the next DHCP packet."""
    volume = volume_of(name)
    nic = Nic(link.lower(), "", str(read_address(address)), read_host_name(host_name))
    carry_out(
        common,
        lambda world: commands.assign(world, volume, nic, take_over=common.take_over),
        _addressed,
    )


@program("domu-up")
@origin_argument
@volume_argument
@click.option("--kind", default="pv", show_default=True, metavar="pv|hvm", help="How it is virtualized.")
@click.option("--links", default="fe-be", show_default=True, metavar="LINKS", help="Prefixes of its links, joined.")
@click.option("--segment", metavar="odd|even", help="Physical segment [default: that of this server].")
@click.option("--memory", default="1024", show_default=True, metavar="MIB", help="Memory.")
@click.option("--vcpus", default="1", show_default=True, metavar="N", help="Processors.")
@click.option("--fe", metavar="NAME=IP", help="Host name and address of fe0.")
@click.option("--be", metavar="NAME=IP", help="Host name and address of be0.")
@click.option("--address", "addresses", multiple=True, metavar="LINK=NAME=IP", help="The same for any link; repeat.")
@HOST
def domu_up(common: Common, origin: str, name: str, host: str, **given: Any) -> None:
    """Make a guest from a master's version, whole: project, clone, domain, addresses, and start it.

    One plan: the name and all addresses are reserved before anything is made, and a failure takes all of it back.
    """
    master, volume = parse_snapshot(origin), parse_volume(name)
    nics = _nics(given["fe"], given["be"], given["addresses"])
    words = [given[name] for name in ("kind", "links", "segment", "memory", "vcpus")]
    words[2] = words[2] or common.config.segment
    carry_out(
        common,
        lambda world: commands.up(
            world,
            master,
            volume,
            _wish(world.site, *words),
            nics,
            new_id,
            host=host,
            take_over=common.take_over,
        ),
        lambda row: [*_addressed(row), f"next: domu-console {volume.domain}"],
    )


@program("domu-start")
@guest_argument
def domu_start(common: Common, name: str) -> None:
    """Start a guest; one whose domain was lost is defined again first, with the MACs it had."""
    volume = volume_of(name)
    carry_out(
        common,
        lambda world: commands.start(world, volume, take_over=common.take_over),
        lambda row: [f"{volume.domain}: runs on {row.hypervisor}"] if row else [],
    )


@program("domu-stop")
@guest_argument
@click.option("--force", is_flag=True, help="Cut its power instead of asking it to shut down.")
def domu_stop(common: Common, name: str, force: bool) -> None:
    """Ask a guest to shut down; `domu-show` tells when it is off."""
    volume = volume_of(name)
    carry_out(
        common,
        lambda world: commands.stop(world, volume, force=force, take_over=common.take_over),
    )


@program("domu-migrate")
@guest_argument
@click.argument("host", required=False, default="", metavar="[HOST]", shell_complete=host_complete)
@click.option("--live", is_flag=True, help="Without pausing it for longer than a moment.")
def domu_migrate(common: Common, name: str, host: str, live: bool) -> None:
    """Move a guest to another host of its segment; without HOST, to the one with the most room.

    One that is off is defined there with the MACs it has, also when the host that it was on is lost.
    """
    volume = volume_of(name)
    carry_out(
        common,
        lambda world: commands.migrate(world, volume, host, live=live, take_over=common.take_over),
        lambda row: [f"{volume.domain}: is on {row.hypervisor}"] if row else [],
    )


@program("domu-destroy")
@guest_argument
@click.option("--force", is_flag=True, help="Also one that runs, or whose host does not answer.")
def domu_destroy(common: Common, name: str, force: bool) -> None:
    """End a guest: free its addresses, forget its domain, end its export, destroy its volume. There is no way back."""
    volume = volume_of(name)
    carry_out(
        common,
        lambda world: commands.destroy(world, volume, force=force, take_over=common.take_over),
        lambda _: [f"{volume.domain}: gone"],
    )


def _wish(site: Site, kind: str, links: str, segment: str, memory: str, vcpus: str) -> Wish:
    return Wish(
        guest.read_kind(kind),
        guest.read_links(links, site.prefixes),
        guest.one_of(segment.lower(), {host.segment for host in site.hosts.values()}, "segment with a host"),
        guest.read_count(memory, "memory in MiB", guest.MEMORY_MIB),
        guest.read_count(vcpus, "number of processors", guest.VCPUS),
    )


def _nics(fe: str | None, be: str | None, addresses: Sequence[str]) -> list[Nic]:
    given = [(f"{prefix}0", f"--{prefix}", text) for prefix, text in (("fe", fe), ("be", be)) if text]
    for text in addresses:
        link, _, rest = text.partition("=")
        given.append((link, "--address", rest))
    found: dict[str, Nic] = {}
    for link, option, text in given:
        if link in found:
            raise Stop(f"{option}: {link} is given twice: name each link once")
        name, address = pair(option, text)
        found[link] = Nic(link, "", str(read_address(address)), read_host_name(name))
    return list(found.values())


def _defined(row: Guest | None) -> Iterable[str]:
    if row is None:
        return
    yield f"{row.guest}: defined on {row.hypervisor}"
    for nic in guest.nics(row):
        yield f"  {nic.link}  {nic.mac}" + (f"  {nic.address}  {nic.host}" if nic.address else "")
    yield f"next: domu-assign-ip {row.guest} {guest.nics(row)[0].link} HOST-NAME ADDRESS"


def _addressed(row: Guest | None) -> Iterable[str]:
    for nic in guest.nics(row) if row else ():
        yield f"  {nic.link}  {nic.mac}" + (f"  {nic.address}  {nic.host}" if nic.address else "  no address yet")
