"""`twinboot install`: arm one unattended install, or take that back."""

from __future__ import annotations

import time
from ipaddress import IPv4Address

import click

from jumpstart.model import Hypervisor
from jumpstart.targets import TARGETS, ArgumentError, BootContext, load_target
from jumpstart.targets.nevada import NAME as NEVADA
from pxe.installs import LIVE, TABLE, State, arm
from storage.records import Change, Install, Records
from twinboot import nevadabook, stores
from twinboot.cli import App, pass_app
from twinboot.config import Config
from twinboot.events import tell_journal
from twinboot.faults import Stop
from twinboot.privileges import acting_as
from twinboot.show import say

__all__ = ["install"]


@click.command()
@click.argument("name")
@click.option("--target", default="", help="Install this instead of the host file's target.")
@click.option("--disarm", is_flag=True, help="Take an install back that is armed, or that will never report.")
@click.option("--either", is_flag=True, help="nevada: boot from whichever server answers; that of its segment is down.")
@pass_app
def install(app: App, name: str, target: str, disarm: bool, either: bool) -> None:
    """Arm one install of host NAME: it begins at its next network boot, once."""
    config = app.config
    if disarm:
        with acting_as(config.user):
            _disarm(config, name)
        return
    known = stores.hosts(config)
    host = known.by_name.get(name)
    if host is None:
        files = (str(config.hosts_dir), str(config.hosts_dir / f"{name}.toml"))
        own = [str(fault) for fault in known.faults if fault.file in files]
        raise Stop(*(own or [f"no host {name!r}: add it with `twinboot host add {name} --mac fe0=MAC`"]))
    chosen = target or host.install_target
    if chosen not in TARGETS:
        raise Stop(f"--target {chosen}: not an install target: use one of {', '.join(TARGETS)}")
    if either and chosen != NEVADA:
        raise Stop(f"--either: {chosen} boots from whichever server answers anyway: leave the option out")
    _look_ahead(config, host, chosen)
    with acting_as(config.user):
        if chosen == NEVADA:
            _arm_nevada(config, host, either=either)
        else:
            before = _row(stores.state_records(config), name)
            arm(stores.state_records(config), name, chosen, int(time.time()), int(config.address))
            if before and before.target == NEVADA:
                nevadabook.forget(config, host, stores.dhcp_records(config))
    _tell(config, name, State.ARMED, chosen)
    say(f"{name}: {chosen} is armed; it begins when {name} boots from the network")
    say(f"watch: twinboot explain {name}")


def _look_ahead(config: Config, host: Hypervisor, chosen: str) -> None:
    """Stop for a host that the target cannot render; tell of boot files that are still to be built."""
    target = load_target(chosen)
    if not target.files:
        return
    url = f"http://{config.address}"
    try:
        target.entry(host, BootContext(str(config.address), "token", "install/token", (f"{url}/report/token",)))
    except ArgumentError as error:
        raise Stop(str(error)) from error
    for file in target.files.values():
        if not (config.boot_dir / file).is_file():
            hint = f"run `twinboot media build {chosen}` before the machine starts"
            click.echo(f"twinboot: {config.boot_dir / file} is missing: {hint}", err=True)


def _arm_nevada(config: Config, host: Hypervisor, *, either: bool) -> None:
    """Row, files, macros, in this order: until the last is there, the machine is told to start its disk."""
    settings = nevadabook.check(config, host)
    own = settings.servers.get(host.segment)
    server = IPv4Address(own.address) if own and not either else None
    row = arm(stores.state_records(config), host.name, NEVADA, int(time.time()), int(config.address))
    nevadabook.lay(config, host, row)
    nevadabook.tell(stores.dhcp_records(config), host, server)


def _disarm(config: Config, name: str) -> None:
    records = stores.state_records(config)
    row = _row(records, name)
    if row is None or row.state not in LIVE:
        raise Stop(f"{name}: no install is armed{f', it is {row.state}' if row else ''}: nothing to take back")
    stores.commit(records, [Change(TABLE, row, None)])
    if row.target == NEVADA:
        nevadabook.forget(config, stores.hosts(config).by_name.get(name), stores.dhcp_records(config))
    _tell(config, name, "disarmed", row.target)
    say(f"{name}: disarmed, it boots from its local disk")


def _row(records: Records, name: str) -> Install | None:
    return next((row for row in stores.rows(records, TABLE, Install) if row.host == name), None)


def _tell(config: Config, name: str, state: str, target: str) -> None:
    event = ("install.state", {"host": name, "state": state, "target": target})
    tell_journal(config.socket_path, [event])
