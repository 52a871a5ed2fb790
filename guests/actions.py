"""The deeds that plans are made of, as values. `guests.run` knows how each is done and undone."""

from typing import NamedTuple

from guests.domain import Link
from guests.guest import Nic, Wish
from storage.volumes import Project, Snapshot, Volume


class Nothing(NamedTuple):
    """Only the guest's row changes."""


class MakeProject(NamedTuple):
    """Undone: the project is destroyed, unless somebody has put a volume into it."""

    project: Project


class Clone(NamedTuple):
    """Undone: the volume is destroyed."""

    origin: Snapshot
    volume: Volume


class Export(NamedTuple):
    """Export to these initiators and no others. Undone: the export ends."""

    volume: Volume
    initiators: tuple[str, ...]


class Define(NamedTuple):
    """Define the domain on a host, on the volume's export. Undone: it is forgotten."""

    host: str
    name: str
    uuid: str
    wish: Wish
    macs: tuple[Link, ...]


class Bind(NamedTuple):
    """Bind an address to a link's MAC, and free the one that the link had. Undone: it is freed."""

    name: str
    nic: Nic


class Start(NamedTuple):
    """Undone: its power is cut."""

    host: str
    name: str


class Stop(NamedTuple):
    """Never undone."""

    host: str
    name: str
    force: bool


class Migrate(NamedTuple):
    """Never undone: a migration that fails leaves the guest where it was."""

    source: str
    target: str
    name: str
    live: bool


class Unbind(NamedTuple):
    """Never undone."""

    name: str
    nic: Nic


class Undefine(NamedTuple):
    """Never undone."""

    host: str
    name: str


class Unexport(NamedTuple):
    """Never undone."""

    volume: Volume


class RemoveVolume(NamedTuple):
    """Never undone."""

    volume: Volume


Action = (
    Nothing | MakeProject | Clone | Export | Define | Bind | Start | Stop | Migrate | Unbind | Undefine | Unexport
    | RemoveVolume
)  # fmt: skip
