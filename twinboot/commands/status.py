"""`twinboot status`: what runs, what is free, what is wrong."""

from __future__ import annotations

from typing import Any

import click

from dhcp import svcconf
from dhcp.svcconf import ConfError
from pxe.installs import LIVE, TABLE
from storage.records import FREE_ID, UNUSABLE, Binding, Install, RecordsError
from twinboot import machine, stores
from twinboot.cli import App, pass_app
from twinboot.config import Config
from twinboot.journal import JournalError, Query, newest_id, open_reader, read
from twinboot.services import wanted
from twinboot.show import as_json, clean, local_time, say, table

__all__ = ["status"]

RECENT_EVENTS = 5_000


@click.command()
@click.option("--json", "as_document", is_flag=True, help="Print JSON.")
@pass_app
def status(app: App, as_document: bool) -> None:
    """Show services, share, free addresses, hosts, armed installs, and every fault; exit 1 if there is a fault."""
    config = app.config
    facts: dict[str, Any] = {"server": config.server, "services": services(config)}
    faults = [str(fault) for fault in config.warnings]
    fault = machine.share_fault(config)
    facts["share"] = {"path": str(config.share), "present": fault is None}
    if fault:
        faults.append(str(fault))
    else:
        faults += _share_facts(config, facts)
    faults += [
        f"{name} is {one['state']}: see `twinboot events --kind service`"
        for name, one in facts["services"].items()
        if one["state"] != "up"
    ]
    facts["faults"] = faults
    if as_document:
        as_json(facts)
    else:
        _print(facts)
    if faults:
        raise SystemExit(1)


def services(config: Config) -> dict[str, dict[str, Any]]:
    """The state of each service by its latest event: up, down, starting or unknown, and since when."""
    found: dict[str, dict[str, Any]] = {name: {"state": "unknown", "since": None} for name in wanted(config)}
    try:
        db = open_reader(config.journal_path)
        newest = newest_id(db)
        events = read(db, Query(kind="service"), RECENT_EVENTS) if newest else []
    except JournalError:
        return found
    states = {
        "service.ready": "up",
        "service.started": "starting",
        "service.stopped": "down",
        "service.crashed": "down",
    }
    for event in sorted(events, key=lambda one: one["at"]):
        name = str(event.get("detail", "")).split(" ")[0]
        if name in found and event["kind"] in states:
            found[name] = {"state": states[event["kind"]], "since": local_time(event["at"])}
    return found


def _share_facts(config: Config, facts: dict[str, Any]) -> list[str]:
    """Fill in what the share says; return its faults."""
    faults: list[str] = []
    known = stores.hosts(config)
    facts["hosts"] = len(known.by_name)
    faults += [str(fault) for fault in known.faults]
    try:
        faults += svcconf.load(config.dhcpsvc).warnings
        rows = stores.rows(stores.state_records(config), TABLE, Install)
        facts["installs"] = {row.host: row.state for row in rows if row.state in LIVE}
        facts["networks"], bad = _networks(config)
        faults += bad
    except ConfError as error:
        faults += [str(fault) for fault in error.faults]
    except RecordsError as error:
        faults.append(str(error))
    return faults


def _networks(config: Config) -> tuple[list[dict[str, Any]], list[str]]:
    records = stores.dhcp_records(config)
    listed: list[dict[str, Any]] = []
    learned = stores.networks(config, records)
    faults = [f"{name}: {reason}" for name, reason in learned.faults]
    labels = {str(net.subnet.network_address): net.name for net in config.networks}
    tables = records.tables()
    for net in learned.networks:
        name, label = net.name, labels.get(net.name, net.name)
        if name not in tables:
            faults.append(f"networks.{label}: no container {name} yet: `twinboot serve` or `pntadm -C {name}` makes it")
            continue
        delta = records.read(name)
        faults += [f"{name} line {fault.line}: {fault.reason}" for fault in delta.faults]
        bound = [row for row in delta.rows if isinstance(row, Binding)]
        free = sum(row.client_id == FREE_ID and not row.flags & UNUSABLE for row in bound)
        unusable = sum(bool(row.flags & UNUSABLE) for row in bound)
        listed.append(
            {"name": label, "subnet": f"{name}/{net.prefix}", "free": free, "used": len(bound) - free - unusable}
            | {"unusable": unusable}
        )
    return listed, faults


def _print(facts: dict[str, Any]) -> None:
    say(f"server {facts['server']}, share {facts['share']['path']}")
    table(
        ("service", "state", "since"),
        [(name, one["state"], one["since"] or "-") for name, one in facts["services"].items()],
        "no services",
    )
    nets = facts.get("networks", [])
    heads = ("name", "subnet", "free", "used", "unusable")
    table(heads, [[net[head] for head in heads] for net in nets], "no networks to show")
    if "hosts" in facts:
        armed = ", ".join(f"{host} ({state})" for host, state in facts.get("installs", {}).items()) or "none"
        say(f"hosts {facts['hosts']}, armed installs: {armed}")
    for fault in facts["faults"]:
        click.echo(f"twinboot: {clean(fault)}", err=True)
