"""`twinboot install`: arm one unattended install, or take that back."""

from __future__ import annotations

import time

import click

from jumpstart.targets import TARGETS
from pxe.installs import TABLE, State, arm
from storage.records import Change, Install
from twinboot import stores
from twinboot.cli import App, pass_app
from twinboot.config import Config
from twinboot.events import Emitter
from twinboot.faults import Stop
from twinboot.privileges import acting_as
from twinboot.show import say

__all__ = ["install"]


@click.command()
@click.argument("name")
@click.option("--target", default="", help="Install this instead of the host file's target.")
@click.option("--disarm", is_flag=True, help="Take an armed install back.")
@pass_app
def install(app: App, name: str, target: str, disarm: bool) -> None:
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
    for file in TARGETS[chosen].files.values():
        if not (config.boot_dir / file).is_file():
            hint = f"run `twinboot media build {chosen}` before the machine starts"
            click.echo(f"twinboot: {config.boot_dir / file} is missing: {hint}", err=True)
    with acting_as(config.user):
        arm(stores.state_records(config), name, chosen, int(time.time()), int(config.address))
    _tell(config, name, State.ARMED, chosen)
    say(f"{name}: {chosen} is armed; it begins when {name} boots from the network")
    say(f"watch: twinboot explain {name}")


def _disarm(config: Config, name: str) -> None:
    records = stores.state_records(config)
    row = next((row for row in stores.rows(records, TABLE, Install) if row.host == name), None)
    if row is None or row.state != State.ARMED:
        raise Stop(f"{name}: no install is armed{f', it is {row.state}' if row else ''}: nothing to take back")
    stores.commit(records, [Change(TABLE, row, None)])
    _tell(config, name, "disarmed", row.target)
    say(f"{name}: disarmed, it boots from its local disk")


def _tell(config: Config, name: str, state: str, target: str) -> None:
    emit = Emitter(config.socket_path, "command")
    emit("install.state", host=name, state=str(state), target=target)
    emit.close()
