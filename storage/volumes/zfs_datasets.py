"""Volumes as ZFS datasets: what each verb types, and what `zfs get` answers. Pure.

    tank/guests/appl-1                a project
    tank/guests/appl-1/vm-1           a volume: a zvol, or a file system with the one file disk.raw
    tank/guests/masters/osol@v1       a snapshot
    twinboot:size                     marks a dataset as a volume, and says how large it is, in bytes
    twinboot:making                   it is not ready; nobody sees it, and it goes if its maker has died
    twinboot:access                   for whom it is exported: IQN,IQN... or IQN,IQN...;USER:DIGEST

The properties are the store's whole memory: they live and die with the data, and follow the pool to another head.
Of a CHAP secret only a digest is kept: every user of the machine can read properties. Words are those of zfs(8);
numbers are asked for by `zfs get -p`, because `zfs list` of the first decade has no `-p`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from storage.volumes.command import Command, command
from storage.volumes.judge import Disk
from storage.volumes.names import BadNameError, Name, Project, Snapshot, Volume, initiator, parse_name
from storage.volumes.port import Access, Chap

SIZE, MAKING, ACCESS = "twinboot:size", "twinboot:making", "twinboot:access"
ASKED = ("type", "used", "referenced", "available", "origin", "mounted", "mountpoint", SIZE, MAKING, ACCESS)
NONE = "-"
FILE = "disk.raw"
BLOCK_BYTES = 8192
"""volblocksize; a zvol has whole blocks."""

BUSY_S = 5.0
NUMBER_CHARS_MAX = 20


class Zdisk(NamedTuple):
    """A volume as its dataset tells it. Of `access` the CHAP secret is a digest."""

    name: Volume
    size_bytes: int
    used_bytes: int
    referenced_bytes: int
    origin: Snapshot | None
    snapshots: tuple[Snapshot, ...]
    access: Access | None
    mounted: bool
    mountpoint: str

    @property
    def disk(self) -> Disk:
        """What verdicts need of it."""
        return Disk(self.name, self.origin, self.snapshots, self.access)


class Tree(NamedTuple):
    """All below the store's dataset. `halves`: volumes that are being made. `spaces`: used and available bytes of the
    store (None) and of each project.
    """

    projects: tuple[Project, ...]
    disks: Mapping[Volume, Zdisk]
    halves: tuple[Volume, ...]
    faults: tuple[str, ...]
    spaces: Mapping[Project | None, tuple[int, int]]


def path(root: str, name: Name) -> str:
    """The dataset or snapshot of a name."""
    return f"{root}/{name}"


def get(root: str) -> Command:
    """Ask for everything."""
    return command("zfs", "get", "-rHp", "-o", "name,property,value", ",".join(ASKED), root)


def make_project(root: str, project: Project, quota_bytes: int) -> Command:
    """An empty dataset."""
    quota = ("-o", f"quota={quota_bytes}") if quota_bytes else ()
    return command("zfs", "create", *quota, path(root, project))


def make(root: str, volume: Volume, size_bytes: int, *, file: bool, ready: bool) -> Command:
    """A sparse zvol, or a file system for a file. Compressed, so that zeros take no space."""
    marks = ["-o", "compression=on", "-o", f"{SIZE}={size_bytes}", *([] if ready else ["-o", f"{MAKING}=yes"])]
    form = [] if file else ["-s", "-b", str(BLOCK_BYTES), "-V", str(size_bytes)]
    return command("zfs", "create", *form, *marks, path(root, volume))


def ready(root: str, volume: Volume) -> Command:
    """Let it appear."""
    return command("zfs", "inherit", MAKING, path(root, volume))


def snapshot(root: str, name: Snapshot) -> Command:
    """Keep what is there."""
    return command("zfs", "snapshot", path(root, name))


def clone(root: str, origin: Snapshot, volume: Volume, size_bytes: int) -> Command:
    """At no space: a reservation is not inherited from whoever made the master."""
    marks = ("-o", "refreservation=none", "-o", f"{SIZE}={size_bytes}")
    return command("zfs", "clone", *marks, path(root, origin), path(root, volume))


def note(root: str, volume: Volume, access: Access | None) -> Command:
    """Write for whom it is exported."""
    if access is None:
        return command("zfs", "inherit", ACCESS, path(root, volume))
    return command("zfs", "set", f"{ACCESS}={access_text(access)}", path(root, volume))


def destroy(root: str, name: Name) -> Command:
    """Remove this alone: zfs refuses while anything stands on it, and is never told to remove that as well.

    What was just unmounted, or looked at by udev, is busy for a moment.
    """
    return command("zfs", "destroy", path(root, name))._replace(patience_s=BUSY_S)


def mount(root: str, volume: Volume) -> Command:
    """Mount a volume's file system."""
    return command("zfs", "mount", path(root, volume), unless="already mounted")


def rounded(size_bytes: int, *, file: bool) -> int:
    """The size that it will have."""
    return size_bytes if file else -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def access_text(access: Access) -> str:
    """The value of `twinboot:access`."""
    chap = f";{access.chap.user}:{access.chap.secret}" if access.chap else ""
    return ",".join(access.initiators) + chap


def parse_access(text: str) -> Access | None:
    """For whom it is exported; ValueError."""
    if text == NONE:
        return None
    names, semicolon, chap = text.partition(";")
    user, colon, digest = chap.partition(":")
    if bool(semicolon) != bool(user and colon and digest):
        raise ValueError(f"{ACCESS}: no user and digest after the semicolon")
    return Access(tuple(initiator(name) for name in names.split(",")), Chap(user, digest) if semicolon else None)


def parse(text: str, root: str) -> Tree:
    """What `zfs get` printed: lines of name, property and value."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("\t")
        key, tab, value = rest.partition("\t")
        if tab and key in ASKED and (name == root or name.startswith(root + "/")):
            found.setdefault(name, {})[key] = value
    names = {name: parsed for name in found if (parsed := _name(name, root)) is not None}
    disks: dict[Volume, Zdisk] = {}
    faults = []
    snapshots: dict[Volume, list[Snapshot]] = {}
    for one in sorted(name for name in names.values() if isinstance(name, Snapshot)):
        snapshots.setdefault(one.parent, []).append(one)
    for dataset, volume in sorted(names.items()):
        facts = found[dataset]
        if not isinstance(volume, Volume) or facts.get(SIZE, NONE) == NONE or facts.get(MAKING, NONE) != NONE:
            continue
        try:
            own = tuple(snapshots.get(volume, ()))
            disks[volume] = _disk(volume, facts, own, _name(facts.get("origin", NONE), root))
        except ValueError as error:
            faults.append(f"{dataset}: {error}: see to it with zfs get and zfs set")
    projects = {name: dataset for dataset, name in names.items() if isinstance(name, Project)}
    spaces: dict[Project | None, tuple[int, int]] = {None: _space(found.get(root, {}))}
    spaces.update({project: _space(found[dataset]) for project, dataset in projects.items()})
    halves = sorted(v for d, v in names.items() if isinstance(v, Volume) and found[d].get(MAKING, NONE) != NONE)
    return Tree(tuple(sorted(projects)), dict(sorted(disks.items())), tuple(halves), tuple(faults), spaces)


def _disk(volume: Volume, facts: Mapping[str, str], snapshots: tuple[Snapshot, ...], origin: Name | None) -> Zdisk:
    return Zdisk(
        volume,
        _number(facts, SIZE),
        _number(facts, "used"),
        _number(facts, "referenced"),
        origin if isinstance(origin, Snapshot) else None,
        snapshots,
        parse_access(facts.get(ACCESS, NONE)),
        facts.get("mounted") == "yes",
        facts.get("mountpoint", NONE),
    )


def _space(facts: Mapping[str, str]) -> tuple[int, int]:
    try:
        return _number(facts, "used"), _number(facts, "available")
    except ValueError:
        return 0, 0


def _number(facts: Mapping[str, str], key: str) -> int:
    text = facts.get(key, "")
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_CHARS_MAX):
        raise ValueError(f"{key}: {text[:NUMBER_CHARS_MAX]!a} is no number")
    return int(text)


def _name(dataset: str, root: str) -> Name | None:
    """The name of a dataset below ours; None for the root itself and for what is not ours."""
    if not dataset.startswith(root + "/"):
        return None
    try:
        return parse_name(dataset[len(root) + 1 :])
    except BadNameError:
        return None
