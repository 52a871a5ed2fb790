"""`twinboot status`: what runs here and on the other servers, what is free, what is wrong."""

from __future__ import annotations

import time
from typing import Any

import click

from dhcp import svcconf_file
from dhcp.svcconf import ConfError
from pxe.installs import LIVE, TABLE
from storage.records import Binding, Install, Records, RecordsError
from twinboot import leases, machine, networks, peershare, peerstatus, stores, volumestatus
from twinboot.cli import App, pass_app
from twinboot.config import Config
from twinboot.faults import Stop
from twinboot.journal import JournalError, Query, newest_id, open_reader, read
from twinboot.privileges import acting_as
from twinboot.services import wanted, why_off
from twinboot.show import as_json, clean, local_time, say, table
from twinboot.volumestatus import Looked

__all__ = ["status"]

RECENT_EVENTS = 5_000


@click.command()
@click.option("--json", "as_document", is_flag=True, help="Print JSON.")
@click.option("--forget", metavar="NAME", default="", help="Remove what a server that is gone for good said of itself.")
@pass_app
def status(app: App, as_document: bool, forget: str) -> None:
    """Show services, share, addresses, volumes, the other servers, hosts, armed installs, and every fault.

    Exit code 1 if there is a fault. A fault is one line that says what to do.
    """
    config = app.config
    if forget:
        _forget(config, forget)
        return
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
        if one["state"] not in ("up", "off")
    ]
    volumes = volumestatus.look(config)
    if volumes:
        facts["volumes"] = volumes.facts
        faults += volumes.faults
    facts["faults"] = faults
    if as_document:
        as_json(facts)
    else:
        _print(facts, volumes)
    if faults:
        raise SystemExit(1)


def services(config: Config) -> dict[str, dict[str, Any]]:
    """Each service by its latest event: up, down, starting, unknown, or off as dhcpsvc.conf has it; and since when."""
    found: dict[str, dict[str, Any]] = {
        name: {"state": _expected(config, name), "since": None} for name in wanted(config)
    }
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
        if name in found and found[name]["state"] != "off" and event["kind"] in states:
            found[name] = {"state": states[event["kind"]], "since": local_time(event["at"])}
    return found


def _expected(config: Config, name: str) -> str:
    try:
        return "off" if why_off(config, name) else "unknown"
    except ConfError:
        return "unknown"


def _forget(config: Config, name: str) -> None:
    if fault := machine.share_fault(config):
        raise Stop(str(fault))
    if name == config.server:
        raise Stop(f"{name} is this server: stop it with `systemctl disable --now twinboot`, and forget it elsewhere")
    try:
        with acting_as(config.user):
            peershare.forget(config.share, name)
    except FileNotFoundError:
        raise Stop(f"no server {name} is known: `twinboot status` lists them") from None
    say(f"{name} is forgotten; if it serves again, it is back within seconds")


def _share_facts(config: Config, facts: dict[str, Any]) -> list[str]:
    """Fill in what the share says; return its faults."""
    faults: list[str] = []
    known = stores.hosts(config)
    facts["hosts"] = len(known.by_name)
    faults += [str(fault) for fault in known.faults]
    try:
        conf = svcconf_file.load(config.dhcpsvc)
        faults += conf.warnings
        rows = stores.rows(stores.state_records(config), TABLE, Install)
        facts["installs"] = {row.host: row.state for row in rows if row.state in LIVE}
        if not conf.relay_destinations:  # bindings and macros of a relay are on its servers
            faults += _records_facts(config, facts)
    except ConfError as error:
        faults += [str(fault) for fault in error.faults]
    except RecordsError as error:
        faults.append(str(error))
    except OSError as error:
        faults.append(f"{config.share}: {error.strerror}: see to the share")
    return faults


def _records_facts(config: Config, facts: dict[str, Any]) -> list[str]:
    """Fill in what the records and the other servers say; return what is wrong with them. RecordsError, OSError."""
    records = stores.dhcp_records(config)
    facts["networks"], faults = _networks(config, records)
    servers = peerstatus.look(config, records)
    facts |= {"commit": servers.own.commit, "peers": servers.peers, "advice": servers.advice}
    return faults + servers.faults


def _networks(config: Config, records: Records) -> tuple[list[dict[str, Any]], list[str]]:
    listed: list[dict[str, Any]] = []
    learned = networks.learned(config, records)
    faults = [f"{name}: {reason}" for name, reason in learned.faults]
    labels = {str(net.subnet.network_address): net.name for net in config.networks}
    tables = records.tables()
    now_s = time.time()
    for net in learned.networks:
        name, label = net.name, labels.get(net.name, net.name)
        if name not in tables:
            faults.append(f"networks.{label}: no container {name} yet: `twinboot serve` or `pntadm -C {name}` makes it")
            continue
        delta = records.read(name)
        faults += [f"{name} line {fault.line}: {fault.reason}" for fault in delta.faults]
        counts = dict.fromkeys(leases.STATES, 0)
        for row in delta.rows:
            if isinstance(row, Binding):
                counts[leases.state(row, now_s)] += 1
        listed.append({"name": label, "subnet": f"{name}/{net.prefix}", **counts})
    return listed, faults


def _print(facts: dict[str, Any], volumes: Looked | None) -> None:
    commit = f", last commit {facts['commit']}" if facts.get("commit") else ""
    say(f"server {facts['server']}, share {facts['share']['path']}{commit}")
    table(
        ("service", "state", "since"),
        [(name, one["state"], one["since"] or "-") for name, one in facts["services"].items()],
        "no services",
    )
    nets = facts.get("networks", [])
    heads = ("name", "subnet", *leases.STATES)
    table(heads, [[net[head] for head in heads] for net in nets], "no networks to show")
    if "hosts" in facts:
        armed = ", ".join(f"{host} ({state})" for host, state in facts.get("installs", {}).items()) or "none"
        say(f"hosts {facts['hosts']}, armed installs: {armed}")
    for line in volumes.lines if volumes else ():
        say(line)
    if facts.get("peers"):
        _print_peers(facts)
    for hint in [*facts.get("advice", []), *(volumes.notes if volumes else ())]:
        say(f"note: {hint}")
    for fault in facts["faults"]:
        click.echo(f"twinboot: {clean(fault)}", err=True)


def _print_peers(facts: dict[str, Any]) -> None:
    heads = ("peer", "state", "last seen", "address", "version", "clock", "last commit")
    table(
        heads,
        [
            (
                *(peer["name"], peer["state"], f"{peer['last_seen_s']:.0f} s ago", peer["address"], peer["version"]),
                "-" if peer["clock_difference_s"] is None else f"{peer['clock_difference_s']:+.1f} s",
                peer["commit"] or "-",
            )
            for peer in facts["peers"]
        ],
        "no other server",
    )
    seen = [
        (peer["name"], name, *(counts[state] for state in leases.STATES))
        for peer in facts["peers"]
        for name, counts in peer["networks"].items()
    ]
    table(("seen by", "network", *leases.STATES), seen, "no networks are seen by other servers")
