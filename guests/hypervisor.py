"""The port of hypervisors: what a keeper of domains must do, and every way in which it may refuse.

Rules for callers and adapters:

1. Every verb is whole or not at all, and may be called again: `define` of a domain that is there with the same uuid
   replaces its definition and keeps its MAC addresses; `start` of one that runs, `stop` of one that is off and
   `undefine` of none are refused by an outcome that a plan can tell from a failure (ALREADY, NOT_FOUND).
2. The hypervisor logs in to the disk when the domain starts and out when it ends. A start that fails leaves no
   session behind.
3. MAC addresses are kept by the hypervisor from `define` on, before the domain ever runs: they are read back with
   `domain`, by link name.
4. A verb never waits longer than its adapter's deadline: a hypervisor that hangs is UNAVAILABLE.
5. A definition is rendered from a template that a site can replace; what the rendering refuses is INVALID.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from guests.domain import DomainInfo, DomainSpec, HostInfo, State


class Outcome(Enum):
    """Why a verb was refused."""

    ALREADY = "already so"
    NOT_FOUND = "not found"
    BUSY = "busy"
    NO_LINK = "link missing"
    NO_MEMORY = "not enough memory"
    NO_DISK = "disk not to be had"
    INCOMPATIBLE = "incompatible"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"
    INVALID = "invalid"
    FAILED = "failed"


class HypervisorError(Exception):
    """A verb was refused or failed; the text is one line that says why and how to put it right."""

    def __init__(self, outcome: Outcome, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome


Progress = Callable[[int, int], None]
"""Told bytes done and bytes in all while a migration goes on."""


class Place(NamedTuple):
    """What an adapter is opened with: one hypervisor of the site, and how to reach it.

    `uri` is the adapter's own (`qemu+tcp://192.168.78.21/system`, `ssh://root@192.168.78.21`); `address` where the
    host is on the network that guests move over. Templates in `templates` stand in for those that are shipped.
    `disk_source` says what the host calls an iSCSI disk, where it does not log in by itself: `{iqn}`, `{address}`,
    `{port}` and `{lun}` are filled in; empty for the adapter's own.
    """

    name: str
    initiator: str
    uri: str
    address: str
    templates: Path
    disk_source: str = ""


class Hypervisor(Protocol):
    """One host that runs domains. Every verb raises HypervisorError."""

    name: str
    """The host's name in the site (`hosts/NAME.toml`)."""

    initiator: str
    """The iSCSI initiator name its guests' disks are logged in with."""

    def host(self) -> HostInfo:
        """What the host has and what is free. UNAVAILABLE."""

    def domains(self) -> list[DomainInfo]:
        """All domains, running or not, sorted by name. UNAVAILABLE."""

    def states(self) -> dict[str, State]:
        """What each domain does, by name, and no more: a list of many guests asks many hosts. UNAVAILABLE."""

    def domain(self, name: str) -> DomainInfo:
        """One domain. NOT_FOUND."""

    def define(self, spec: DomainSpec) -> DomainInfo:
        """Keep a domain's definition; it is off. INVALID, NO_LINK (the bridge is not there), BUSY (it runs)."""

    def undefine(self, name: str) -> None:
        """Forget a domain that is off. NOT_FOUND, BUSY (it runs)."""

    def start(self, name: str) -> None:
        """Run a domain. NOT_FOUND, ALREADY, NO_MEMORY, NO_DISK, NO_LINK."""

    def stop(self, name: str, *, force: bool = False) -> None:
        """Ask the guest to shut down, or with `force` cut its power; returns when asked. NOT_FOUND, ALREADY (off)."""

    def migrate(self, name: str, to: "Hypervisor", *, live: bool, progress: Progress | None = None) -> None:
        """Move a running domain, definition included; afterwards only `to` knows it.

        After a failure it runs on where it was, and `to` knows nothing of it. NOT_FOUND, ALREADY (it is there),
        BUSY, NO_LINK, NO_MEMORY, NO_DISK (the target's initiator is not let in), INCOMPATIBLE, DENIED, UNAVAILABLE.
        """

    def console_argv(self, name: str) -> Sequence[str]:
        """The command that attaches a terminal to the domain's console. NOT_FOUND."""

    def close(self) -> None:
        """Let go of connections."""
