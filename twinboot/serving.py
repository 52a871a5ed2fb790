"""Running the services: all of them under the supervisor, or one in this process.

One service, in the order that matters: bind, drop root, tell the parent (or the terminal, or systemd), serve.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Collection

import click

from dhcp.svcconf import ConfError
from storage.records import RecordsError
from twinboot import machine
from twinboot.config import Config
from twinboot.events import Emitter
from twinboot.faults import ConfigError, JournalError, Stop
from twinboot.privileges import die_with_parent, drop
from twinboot.services import load, wanted, why_off
from twinboot.supervise import PARENT_VARIABLE, STATUS_VARIABLE, Supervisor

__all__ = ["UNSEEN", "may_start", "notify_systemd", "serve_all", "serve_one"]


UNSEEN = ("journal", "peers")
"""Services that no machine on the network speaks to: left out of the readiness line."""


def notify_systemd(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing without NOTIFY_SOCKET."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if where:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(state.encode(), "\0" + where[1:] if where.startswith("@") else where)


def warn(text: str) -> None:
    """One line on stderr."""
    click.echo(f"twinboot: {text}", err=True)


def _announce(config: Config, whats: list[str]) -> None:
    ports = ", ".join(what for what in whats if what not in UNSEEN) or whats[0]
    click.echo(f"twinboot: ready ({ports}; share {config.share})")
    sys.stdout.flush()
    notify_systemd("READY=1")


def _check(config: Config, service: str = "") -> None:
    faults = machine.check(config, service)
    if faults:
        raise Stop(*faults)
    for fault in config.warnings:
        warn(f"warning: {fault}")


def _is_enabled(config: Config, name: str) -> bool:
    """Tell whether dhcpsvc.conf lets a service run; say so if not."""
    why = why_off(config, name)
    if why and name not in UNSEEN:
        warn(f"{config.dhcpsvc}: {why}")
    return not why


def may_start(configured: Callable[[], Config], name: str) -> bool:
    """Tell whether the configuration wants `name` to run. A faulty one does: the service itself tells its faults."""
    try:
        config = configured()
        return name in wanted(config) and _is_enabled(config, name)
    except (ConfigError, ConfError):
        return True


def serve_all(config: Config, without: Collection[str] = ()) -> None:
    """Supervise every service but `without` until SIGTERM or SIGINT. Stop with all faults if they cannot start."""
    _check(config)
    names = [name for name in wanted(config) if name not in without and _is_enabled(config, name)]
    own = [sys.executable, "-m", "twinboot", "--config", str(config.path)]
    emit = Emitter(config.socket_path, "supervisor")
    commands = {name: [*own, "serve", name] for name in names}
    try:
        Supervisor(commands, emit, lambda whats: _announce(config, whats), warn).run()
    finally:
        notify_systemd("STOPPING=1")
        emit.close()


def serve_one(config: Config, name: str) -> None:
    """Serve `name` in this process. Faults go to the supervisor when there is one, else they are raised."""
    status = os.environ.pop(STATUS_VARIABLE, "")
    parent = int(os.environ.pop(PARENT_VARIABLE, "0"))
    if not status:
        _check(config, name)
        if not _is_enabled(config, name):
            return
        _serve(config, name, 0, lambda what: _announce(config, [what]))
        return
    with os.fdopen(int(status), "w", buffering=1) as pipe:
        os.set_inheritable(pipe.fileno(), False)

        def tell(said: dict[str, object]) -> None:
            pipe.write(json.dumps(said) + "\n")

        die_with_parent(parent)
        try:
            _serve(config, name, parent, lambda what: tell({"ready": what}))
        except Exception as error:
            lines = _fault_lines(name, error)
            tell({"faults": lines})
            if isinstance(error, Stop | ConfError | RecordsError | JournalError | OSError):
                raise SystemExit(1) from None
            raise


def _fault_lines(name: str, error: Exception) -> list[str]:
    if isinstance(error, Stop):
        return list(error.lines)
    if isinstance(error, ConfError):
        return [str(fault) for fault in error.faults]
    return [f"{name}: {error if str(error) else type(error).__name__}"]


def _serve(config: Config, name: str, parent: int, ready: Callable[[str], None]) -> None:
    emit = Emitter(config.socket_path, name)
    bound = load(name)(config, emit)
    if not bound.as_started:
        drop(config.user)
    if parent:
        die_with_parent(parent)  # again: the change of credentials cleared it

    def on_ready() -> None:
        emit("service.ready", detail=bound.what)
        ready(bound.what)

    try:
        bound.serve(on_ready)
    finally:
        emit.close()
