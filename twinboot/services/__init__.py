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

from twinboot.config import Config
from twinboot.events import Emitter
from twinboot.services.port import Bound

__all__ = ["SERVICES", "Bound", "load", "wanted"]

SERVICES: dict[str, str] = {
    "journal": "twinboot.services.journal",
    "dhcp": "twinboot.services.dhcp",
    "tftp": "twinboot.services.tftp",
    "http": "twinboot.services.http",
    "dns": "twinboot.services.dns",
}
"""In order of start: the journal first and, as stopping goes backwards, last to go."""


def wanted(config: Config) -> list[str]:
    """The services that this server's twinboot.toml asks for, in order of start."""
    return [name for name in SERVICES if name != "dns" or config.names]


def load(name: str) -> Callable[[Config, Emitter], Bound]:
    """The `bind` of a service."""
    found: Callable[[Config, Emitter], Bound] = importlib.import_module(SERVICES[name]).bind
    return found
