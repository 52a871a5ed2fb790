"""`twinboot host`: the hypervisors that both servers know."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

import click

from guests.guest import TABLE as GUESTS
from jumpstart.hostfile import from_table
from jumpstart.hosts import load_host
from jumpstart.model import Hypervisor
from jumpstart.targets import TARGETS
from jumpstart.targets.nevada import NAME as NEVADA
from pxe.installs import LIVE, TABLE
from storage.records import Change, Guest, Install
from twinboot import hostbook, nevadabook, stores
from twinboot.cli import App, pass_app
from twinboot.config import Config
from twinboot.faults import Stop
from twinboot.privileges import acting_as
from twinboot.show import as_json, say, table

__all__ = ["host"]

DEFAULT_LINK = "fe0"
GUESTS_SHOWN_MAX = 6


@click.group()
def host() -> None:
    """Add, list, show, remove and check hosts."""


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """`fe0=VALUE` words, comma-separated and repeated, as a dict; a bare value is for fe0. Stop on a repeat."""
    found: dict[str, str] = {}
    for word in ",".join(given).split(","):
        name, equals, value = word.strip().rpartition("=")
        if not word.strip():
            continue
        link = name if equals else DEFAULT_LINK
        if link in found:
            raise Stop(f"{option}: {link} is given twice: name each link once, as in fe0=...,be0=...")
        found[link] = value
    return found


def _table(config: Config, name: str, macs: dict[str, str], addresses: dict[str, str], rest: dict[str, Any]) -> Any:
    unknown = [link for link in addresses if link not in macs]
    if unknown:
        raise Stop(f"--address: no --mac was given for {', '.join(unknown)}: add --mac {unknown[0]}=MAC")
    links: dict[str, dict[str, str]] = {}
    for link, mac in macs.items():
        links[link] = {"mac": mac}
        if address := addresses.get(link):
            links[link]["address"] = address
            links[link] |= _network(config, address)
    return {"name": name, "links": links} | {key: value for key, value in rest.items() if value}


def _network(config: Config, address: str) -> dict[str, str]:
    try:
        network = config.network_of(IPv4Address(address))
    except ValueError:
        return {}  # the host file's own check says what is wrong with it
    return {"network": network.name} if network else {}


@host.command("add")
@click.argument("name")
@click.option(
    "--mac", "macs", multiple=True, required=True, metavar="fe0=MAC", help="Link and its MAC; repeat or use commas."
)
@click.option("--address", "addresses", multiple=True, metavar="fe0=IP", help="Reserve this address for the link.")
@click.option("--segment", default="", metavar="odd|even", help="Physical segment [default: that of this server].")
@click.option("--target", default="live-xen", show_default=True, help=f"Install target: {', '.join(TARGETS)}.")
@click.option("--dom0-mem", default="", metavar="SIZE", help="Memory of dom0, such as 512M, 2G or 1G,max:2G.")
@click.option("--console", default="", metavar="PORT", help="Serial console, such as com1=115200,8n1.")
@pass_app
def host_add(app: App, /, name: str, macs: Sequence[str], addresses: Sequence[str], **rest: str) -> None:
    """Write hosts/NAME.toml, its macros, and a reservation for each address."""
    config = app.config
    rest["segment"] = rest["segment"] or config.segment
    path = config.hosts_dir / f"{name}.toml"
    made = from_table(_table(config, name, pairs("--mac", macs), pairs("--address", addresses), rest), str(path))
    with acting_as(config.user):
        written = hostbook.add(config, stores.dhcp_records(config), made)
    say(f"{made.name}: added, see {written}")
    say(f"next: twinboot install {made.name}")


@host.command("list")
@click.option("--json", "as_document", is_flag=True, help="Print JSON.")
@pass_app
def host_list(app: App, as_document: bool) -> None:
    """List all hosts with the state of their installs."""
    known = stores.hosts(app.config)
    states = {row.host: row for row in stores.rows(stores.state_records(app.config), TABLE, Install)}
    if as_document:
        as_json([_facts(one, states.get(name)) for name, one in sorted(known.by_name.items())])
    else:
        rows = [_row(one, states.get(name)) for name, one in sorted(known.by_name.items())]
        heads = ("host", "segment", "target", "dom0", "links", "install")
        table(heads, rows, "no hosts yet: twinboot host add NAME --mac fe0=MAC")
    for fault in known.faults:
        click.echo(f"twinboot: {fault}", err=True)


def _row(one: Hypervisor, install: Install | None) -> tuple[str, ...]:
    links = " ".join(f"{link.name}={link.mac}" + (f"/{link.address}" if link.address else "") for link in one.links)
    return one.name, one.segment, one.install_target, str(one.dom0_mem), links, install.state if install else "-"


def _facts(one: Hypervisor, install: Install | None) -> dict[str, Any]:
    return {
        "name": one.name,
        "segment": one.segment,
        "target": one.install_target,
        "dom0_mem": str(one.dom0_mem),
        "console": str(one.console),
        "links": [{"name": link.name, "mac": link.mac, "address": link.address or None} for link in one.links],
        "install": {"state": install.state, "changed_s": install.changed_s, "detail": install.detail}
        if install
        else None,
    }


def _load(config: Config, name: str) -> Hypervisor:
    path = config.hosts_dir / f"{name}.toml"
    if not path.exists():
        raise Stop(
            f"no host {name!r}: `twinboot host list` shows all, `twinboot host add {name} --mac fe0=MAC` adds it"
        )
    return load_host(path)


@host.command("show")
@click.argument("name")
@click.option("--json", "as_document", is_flag=True, help="Print JSON.")
@pass_app
def host_show(app: App, name: str, as_document: bool) -> None:
    """Show one host: its file, its install, its reservations."""
    config = app.config
    one = _load(config, name)
    install = _install_of(config, name)
    if as_document:
        as_json(_facts(one, install))
        return
    for text in (config.hosts_dir / f"{name}.toml").read_text().splitlines():
        say(text)
    say(f"install: {install.state} {install.target} {install.detail}".rstrip() if install else "install: never armed")
    ids = [hostbook.client_id(link.mac) for link in one.links]
    records = stores.dhcp_records(config)
    for network, row in stores.reservations(records, stores.containers(records), ids):
        say(f"reserved: {IPv4Address(row.address)} in {network} for {row.client_id.hex().upper()}")


def _install_of(config: Config, name: str) -> Install | None:
    found = stores.rows(stores.state_records(config), TABLE, Install)
    return next((row for row in found if row.host == name), None)


@host.command("remove")
@click.argument("name")
@click.option("--force", is_flag=True, help="Also when an install of it is armed or running, or guests are on it.")
@pass_app
def host_remove(app: App, name: str, force: bool) -> None:
    """Remove a host: its file, macros, reservations and install."""
    config = app.config
    path = config.hosts_dir / f"{name}.toml"
    one = _load(config, name) if not (force and path.exists()) else _load_or_none(config, name)
    install = _install_of(config, name)
    if install and install.state in LIVE and not force:
        raise Stop(f"{name}: an install is {install.state}: `twinboot install {name} --disarm` first, or --force")
    has = [row.guest for row in stores.rows(stores.state_records(config), GUESTS, Guest) if row.hypervisor == name]
    if has and not force:
        names = ", ".join(has[:GUESTS_SHOWN_MAX])
        raise Stop(f"{name}: {len(has)} guests are on it ({names}): `domu-migrate` or `domu-destroy` them, or --force")
    with acting_as(config.user):
        hostbook.remove(config, stores.dhcp_records(config), name, one)
        if install:
            stores.commit(stores.state_records(config), [Change(TABLE, install, None)])
        if install and install.target == NEVADA:
            nevadabook.forget(config, None, stores.dhcp_records(config))
    say(f"{name}: removed")


def _load_or_none(config: Config, name: str) -> Hypervisor | None:
    return stores.hosts(config).by_name.get(name)


@host.command("check")
@pass_app
def host_check(app: App) -> None:
    """Check every host file and name all faults."""
    known = stores.hosts(app.config)
    if known.faults:
        raise Stop(*(str(fault) for fault in known.faults))
    say(f"{len(known.by_name)} hosts, no faults")
