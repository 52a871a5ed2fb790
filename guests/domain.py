"""What a domain is before any hypervisor renders it: frozen values, no I/O.

Rules of the room:

* A link is known by its *name* (`fe0`, `be0`), which is the name of the bridge (datalink on Solaris) on every
  hypervisor; the order of interfaces means nothing. Live migration needs the same names on both sides.
* MAC addresses are canonical (`00:16:3e:..`, lower case, two digits each) from the edge on.
* Names of domains are those of their volumes: `storage.volumes.names` parses both.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from storage.volumes import Chap


class Kind(Enum):
    """How a guest is virtualized."""

    PV = "pv"
    HVM = "hvm"


class State(Enum):
    """What a domain is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    OFF = "off"
    CRASHED = "crashed"
    OTHER = "other"


RUNS: Final = (State.RUNNING, State.PAUSED)
"""States in which a host holds the domain in its memory."""


def holders(states: Mapping[str, State]) -> list[str]:
    """The hosts that hold a domain in memory, of host -> its state there; the one where it runs is the first.

    Two do while it moves, and after a move that broke off: the target's half is paused and has never run.
    """
    held = [host for host, state in states.items() if state in RUNS]
    return sorted(held, key=lambda host: (RUNS.index(states[host]), host))


def home(states: Mapping[str, State]) -> str:
    """The host where a domain is at home, of host -> its state there: it runs there, or one knows it at least."""
    return (holders(states) or list(states))[0]


class Disk(NamedTuple):
    """The guest's disk: a LUN that the hypervisor itself attaches when the domain starts, and detaches when it ends.

    `portal` is `address:port`. The initiator's name is the hypervisor's own, on each side of a migration its own.
    """

    iqn: str
    portal: str
    lun: int
    chap: Chap | None = None


class DomainSpec(NamedTuple):
    """A domain to be defined. `links` are bridge names in the order the guest is to see them.

    A link of `macs` gets that MAC address (the guest was defined elsewhere before, and DHCP knows it by it); for the
    others the hypervisor keeps what it has, or invents one.
    """

    name: str
    uuid: str
    kind: Kind
    memory_mib: int
    vcpus: int
    disk: Disk
    links: tuple[str, ...]
    macs: tuple["Link", ...] = ()


class Link(NamedTuple):
    """One interface of a defined domain: the bridge it is on, and the MAC address that the hypervisor keeps for it."""

    name: str
    mac: str


class DomainInfo(NamedTuple):
    """A domain as a hypervisor knows it."""

    name: str
    uuid: str
    state: State
    memory_mib: int
    vcpus: int
    links: tuple[Link, ...]
    iqn: str


class HostInfo(NamedTuple):
    """A hypervisor as it is now. `links`: the bridges that guests can be put on."""

    memory_mib: int
    free_mib: int
    cpus: int
    links: tuple[str, ...]
    version: str
