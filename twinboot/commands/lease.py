"""`twinboot lease`: who holds which address, until when, and taking one back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click

from jumpstart.hosts import Hosts
from storage.records import FOREVER_S, MANUAL, UNUSABLE, Binding, Change, Records, RecordsError, ipv4_text
from twinboot import leases, stores
from twinboot.cli import App, pass_app
from twinboot.config import Config
from twinboot.faults import Stop
from twinboot.leases import Lease
from twinboot.privileges import acting_as
from twinboot.show import as_json, clean, say, table

__all__ = ["lease"]


@click.group()
def lease() -> None:
    """List, show and release leases and reservations."""


@lease.command("list")
@click.option("--network", default="", metavar="NET", help="Only this network: its name, number or subnet.")
@click.option("--state", type=click.Choice(leases.STATES), help="Only bindings in this state.")
@click.option("--json", "as_document", is_flag=True, help="Print JSON.")
@pass_app
def lease_list(app: App, network: str, state: str | None, as_document: bool) -> None:
    """List every address of the datastore: its state, client, end of lease, macro and comment."""
    config = app.config
    now_s = time.time()
    found = [
        one
        for one in _all(config, stores.dhcp_records(config), network)
        if state is None or leases.state(one.row, now_s) == state
    ]
    hosts = stores.hosts(config)
    if as_document:
        as_json([_facts(one, hosts, now_s) for one in found])
        return
    heads = ("address", "state", "client", "host", "ends", "macro", "comment")
    table(heads, [_cells(one, hosts, now_s) for one in found], "no such bindings: `pntadm -A` adds addresses")


def _all(config: Config, records: Records, network: str = "") -> list[Lease]:
    """Every binding by address, of one network if it is named; a container that cannot be read is told and skipped."""
    found: list[Lease] = []
    for name in _containers(config, records, network):
        try:
            delta = records.read(name)
        except RecordsError as error:
            click.echo(f"twinboot: {clean(error)}", err=True)
            continue
        for fault in delta.faults:
            click.echo(f"twinboot: {name} line {fault.line}: {clean(fault.reason)}", err=True)
        found += [Lease(name, row) for row in delta.rows if isinstance(row, Binding)]
    return sorted(found, key=lambda one: one.row.address)


def _containers(config: Config, records: Records, network: str) -> list[str]:
    names = stores.containers(records)
    if not network:
        return names
    number = next(
        (str(net.subnet.network_address) for net in config.networks if network in (net.name, str(net.subnet))), network
    )
    if number not in names:
        known = ", ".join([*(net.name for net in config.networks), *names])
        raise Stop(f"--network: no network {network!r} in the datastore; there are: {known or 'none'}")
    return [number]


def _ends(row: Binding) -> str:
    if row.lease_s in (0, FOREVER_S):
        return "never" if row.lease_s else "-"
    return datetime.fromtimestamp(row.lease_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _host(row: Binding, hosts: Hosts) -> str:
    one = hosts.by_mac.get(leases.mac_of(row.client_id) or "")
    return one.name if one else ""


def _cells(one: Lease, hosts: Hosts, now_s: float) -> tuple[str, ...]:
    row = one.row
    client, host = leases.client_text(row.client_id), _host(row, hosts) or "-"
    return ipv4_text(row.address), leases.state(row, now_s), client, host, _ends(row), row.macro, row.comment


def _facts(one: Lease, hosts: Hosts, now_s: float) -> dict[str, Any]:
    row = one.row
    return {
        "address": ipv4_text(row.address),
        "network": one.network,
        "state": leases.state(row, now_s),
        "client_id": row.client_id.hex().upper(),
        "mac": leases.mac_of(row.client_id),
        "host": _host(row, hosts) or None,
        "flags": leases.flag_words(row.flags),
        "ends_s": row.lease_s,
        "ends": datetime.fromtimestamp(row.lease_s, UTC).isoformat() if row.lease_s not in (0, FOREVER_S) else None,
        "server": ipv4_text(row.owner),
        "macro": row.macro,
        "comment": clean(row.comment),
    }


@lease.command("show")
@click.argument("what", metavar="ADDRESS|MAC|CLIENTID")
@click.option("--json", "as_document", is_flag=True, help="Print JSON.")
@pass_app
def lease_show(app: App, what: str, as_document: bool) -> None:
    """Show the binding of an address, or all that a client (MAC or client id) holds."""
    config = app.config
    now_s = time.time()
    found = _named(_all(config, stores.dhcp_records(config)), what)
    hosts = stores.hosts(config)
    facts = [_facts(one, hosts, now_s) for one in found]
    if as_document:
        as_json(facts)
        return
    for one, fact in zip(found, facts, strict=True):
        fact["flags"] = "+".join(fact["flags"]) or "DYNAMIC"
        fact["ends"] = _ends(one.row)
        for name in (
            "address",
            "network",
            "state",
            "client_id",
            "mac",
            "host",
            "flags",
            "ends",
            "server",
            "macro",
            "comment",
        ):
            say(f"{name:<10} {fact[name] or '-'}")


def _named(found: list[Lease], what: str) -> list[Lease]:
    try:
        named = leases.matches(found, what)
    except ValueError as error:
        raise Stop(str(error)) from None
    if not named:
        raise Stop(f"{what}: no binding; `twinboot lease list` shows all, `pntadm -A` adds addresses")
    return named


@lease.command("release")
@click.argument("address")
@click.option("--force", is_flag=True, help="Also when the address is reserved (MANUAL): the reservation ends.")
@pass_app
def lease_release(app: App, address: str, force: bool) -> None:
    """Make ADDRESS free again, whoever held it; also one that was marked unusable."""
    config = app.config
    with acting_as(config.user):
        records = stores.dhcp_records(config)
        one, *others = _named(_all(config, records), address)
        row = one.row
        if address != ipv4_text(row.address):
            raise Stop(f"{address}: release takes an address; `twinboot lease show {address}` tells which it is")
        if others:
            names = ", ".join(each.network for each in (one, *others))
            raise Stop(f"{address} is in several networks, {names}: remove the wrong ones by `pntadm -D` first")
        if row.flags & MANUAL and not force:
            raise Stop(
                f"{address} is reserved for {leases.client_text(row.client_id)}: --force ends the reservation, "
                "`twinboot host remove` removes a host with all that is its own"
            )
        new = leases.freed(row)
        if new == row:
            say(f"{address}: is free already")
            return
        stores.commit(records, [Change(one.network, row, new)])
    say(f"{address}: free{_warning(row)}")


def _warning(row: Binding) -> str:
    if row.flags & UNUSABLE:
        return "; it was unusable: see that nobody else bears this address"
    if leases.state(row, time.time()) == "used":
        return f"; {leases.client_text(row.client_id)} may still use it, for its lease ends {_ends(row)}"
    return ""
