"""The services: what each binds while it may be root, and what it does afterwards.

A service is one file with one function `bind`: it binds its sockets and returns `Bound`; then root is dropped; then
`Bound.serve` opens the records and serves until SIGTERM or SIGINT, calling `ready` when it answers. Adding a service is
one file and one line in `SERVICES`. A process loads only the service that it runs.

What a service loads late it must load in `bind` or before: the account it becomes need not be able to read the place
where twinboot is installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from dhcp import svcconf_file
from twinboot.config import Config
from twinboot.events import Emit
from twinboot.services.port import Bound

__all__ = ["SERVICES", "Bound", "load", "wanted", "why_off"]

SERVICES: dict[str, str] = {
    "journal": "twinboot.services.journal",
    "dhcp": "twinboot.services.dhcp",
    "tftp": "twinboot.services.tftp",
    "http": "twinboot.services.http",
    "dns": "twinboot.services.dns",
    "peers": "twinboot.services.peers",
    "volumes": "twinboot.services.volumes",
}
"""In order of start: the journal first and, as stopping goes backwards, last to go."""


def wanted(config: Config) -> list[str]:
    """The services that this server's twinboot.toml asks for, in order of start."""
    off = {"dns": not config.names, "volumes": config.storage is None}
    return [name for name in SERVICES if not off.get(name)]


def why_off(config: Config, name: str) -> str:
    """Why dhcpsvc.conf keeps a service from running, in one line; empty if it does not. ConfError."""
    if name not in ("dhcp", "dns", "peers"):
        return ""
    conf = svcconf_file.load(config.dhcpsvc)
    if name == "dhcp" and not conf.daemon_enabled:
        return "DAEMON_ENABLED=FALSE: DHCP is not served; `dhcpconfig -S -e` enables it"
    if name == "dns" and conf.relay_destinations:
        return "RUN_MODE=relay: names are not served; they are where the bindings are, on the servers"
    if name == "peers" and conf.relay_destinations:
        return "RUN_MODE=relay: a relay shares nothing with other servers"
    return ""


def load(name: str) -> Callable[[Config, Emit], Bound]:
    """The `bind` of a service."""
    found: Callable[[Config, Emit], Bound] = importlib.import_module(SERVICES[name]).bind
    return found
