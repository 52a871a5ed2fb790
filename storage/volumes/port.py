"""The port of volumes: what a keeper of guests' disks must do, and every way in which it may refuse.

Rules for callers and adapters:

1. Every verb is whole or not at all: killed at any instant, an adapter leaves what was before or what was asked for,
   and the same call made again either does the rest or says EXISTS (NOT_FOUND for what was to go). No verb has to
   be undone by hand, and no half-made name is ever listed.
2. Nothing is destroyed that something stands on: a project with volumes, a volume with snapshots, a snapshot with
   clones are refused as IN_USE, and `VolumesError.dependents` names all of them. There is no "recursive".
3. A disk has one user. A volume is exported under one name to one set of initiators: `export` for another set
   is refused until `unexport`. What an initiator is logged in to cannot be unexported, destroyed or snapshotted (a
   snapshot of a running guest's disk is a disk after a power cut): BUSY, with the initiators in `dependents`. The set
   is all the hypervisors between which the guest may move; that only one of them runs it is up to the hypervisors.
4. A clone takes no space until it is written to, if the store is `thin`; a store that is not says so in `caveat`.
5. What is exported stays exported over a restart of any daemon or of the machine: `tend`, called about once a second,
   puts right whatever is missing.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from storage.volumes.names import Name, Project, Snapshot, Volume

SECTOR_BYTES = 512
VOLUME_BYTES_MAX = 64 * 2**40
"""Of one volume; more is a mistyped unit."""

CHAP_SECRET_CHARS = (12, 16)
"""RFC 3720 8.2.1 asks for 96 bits; several initiators (Microsoft's, Sun's) take 12 to 16 characters and no others."""

INITIATORS_MAX = 64
"""Hypervisors of one migration set."""


NOT_DONE = "? No: "
"""Between what `tend` wanted to do and why it could not."""


class Outcome(Enum):
    """Why a verb was refused."""

    EXISTS = "exists"
    NOT_FOUND = "not found"
    IN_USE = "in use"
    BUSY = "busy"
    DENIED = "denied"
    FULL = "full"
    UNAVAILABLE = "unavailable"
    INVALID = "invalid"


class VolumesError(Exception):
    """A verb was refused or failed, and nothing was changed; the text says why and how to put it right.

    `dependents`: what stands in the way, by name.
    """

    def __init__(self, outcome: Outcome, text: str, dependents: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.dependents = tuple(dependents)


class Chap(NamedTuple):
    """What an initiator proves itself by."""

    user: str
    secret: str


class Access(NamedTuple):
    """Who may log in: initiators by their names (sorted, at least one), and with which secret, if any."""

    initiators: tuple[str, ...]
    chap: Chap | None = None


class Export(NamedTuple):
    """Where a volume is to be had: IQN, `address:port`, LUN number, and for whom."""

    iqn: str
    portal: str
    lun: int
    initiators: tuple[str, ...]
    with_chap: bool


class VolumeInfo(NamedTuple):
    """One volume. `own_bytes`: space that only it and its snapshots take. `origin`: the snapshot it was cloned from."""

    name: Volume
    size_bytes: int
    own_bytes: int
    origin: Snapshot | None
    snapshots: tuple[Snapshot, ...]
    export: Export | None
    users: tuple[str, ...]
    """Initiators that are logged in, by name."""


class Usage(NamedTuple):
    """Space of the whole store or of one project.

    `promised_bytes` is what the volumes may still grow by until each is full: more than `free_bytes` means that the
    guests together can fill the store. `full_in_s`: when the store will be full, if it goes on growing as in the last
    month; None if it does not grow, or nobody can tell yet.
    """

    own_bytes: int
    size_bytes: int
    promised_bytes: int
    free_bytes: int
    total_bytes: int
    full_in_s: int | None = None


Progress = Callable[[int, int], None]
"""Told bytes done and bytes in all while long work goes on."""


class Volumes(Protocol):
    """A store of volumes. Every verb raises VolumesError, and may be called from several processes at once."""

    location: str
    """Canonical name of the place; two objects with one location are one store."""

    thin: bool
    """Whether clones take no space of their own at first."""

    caveat: str
    """What this store cannot do here, one line for people; empty if nothing."""

    def make_project(self, project: Project) -> None:
        """Make an empty project. EXISTS."""

    def create(self, volume: Volume, size_bytes: int) -> None:
        """Make an empty volume, all zeros. EXISTS, NOT_FOUND (project), INVALID (size), FULL."""

    def load(self, volume: Volume, image: Path, progress: Progress | None = None) -> None:
        """Make a volume of a disk image (raw, qcow2, vmdk). EXISTS, NOT_FOUND, INVALID (no such image), FULL."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Keep the volume's present contents under a name. EXISTS, NOT_FOUND, BUSY (it is in use)."""

    def clone(self, snapshot: Snapshot, volume: Volume) -> None:
        """Make a volume that begins with a snapshot's contents. EXISTS, NOT_FOUND, FULL."""

    def export(self, volume: Volume, access: Access) -> Export:
        """Let these initiators, and nobody else, log in to the volume.

        The same again is no error. EXISTS (exported for others), NOT_FOUND, INVALID (access), UNAVAILABLE.
        """

    def unexport(self, volume: Volume) -> None:
        """End the export; nothing to do if there is none. NOT_FOUND, BUSY."""

    def destroy(self, name: Name) -> None:
        """Remove a project, volume or snapshot for good. NOT_FOUND, IN_USE (dependents), BUSY (exported or in use)."""

    def usage(self, project: Project | None = None) -> Usage:
        """Space of the store or of a project. NOT_FOUND."""

    def projects(self) -> list[Project]:
        """All projects, sorted."""

    def volumes(self, project: Project | None = None) -> list[VolumeInfo]:
        """All volumes, or a project's, sorted by name. NOT_FOUND."""

    def faults(self) -> tuple[str, ...]:
        """What of the store cannot be read, a line each; while there is any, nothing is destroyed."""

    def tend(self) -> tuple[str, ...]:
        """Put right what is missing of what should be exported; returns what was done, a line each.

        What could not be done has a line with `NOT_DONE` in it, and why.
        """


def check_access(access: Access) -> Access:
    """The access as given, initiators sorted and once each; VolumesError INVALID."""
    initiators = tuple(sorted(set(access.initiators)))
    if not 1 <= len(initiators) <= INITIATORS_MAX:
        raise VolumesError(Outcome.INVALID, f"name 1 to {INITIATORS_MAX} initiators that may log in")
    if access.chap:
        low, high = CHAP_SECRET_CHARS
        if not (low <= len(access.chap.secret) <= high and access.chap.secret.isascii()):
            raise VolumesError(Outcome.INVALID, f"a CHAP secret has {low} to {high} ASCII characters: choose another")
        if not (access.chap.secret + access.chap.user).isalnum() or not access.chap.user.isascii():
            raise VolumesError(Outcome.INVALID, "a CHAP user and secret are letters and digits: choose others")
    return Access(initiators, access.chap)


def check_size(size_bytes: int) -> int:
    """The size as given; VolumesError INVALID unless it is whole sectors and within reason."""
    if size_bytes % SECTOR_BYTES or not SECTOR_BYTES <= size_bytes <= VOLUME_BYTES_MAX:
        raise VolumesError(
            Outcome.INVALID,
            f"{size_bytes} bytes: a volume has a multiple of {SECTOR_BYTES}, {VOLUME_BYTES_MAX} at most",
        )
    return size_bytes


def in_use(name: Name, dependents: Sequence[str], way_out: str) -> VolumesError:
    """The refusal to destroy what others stand on."""
    return VolumesError(Outcome.IN_USE, f"{name}: {way_out}: {', '.join(dependents)}", dependents)
