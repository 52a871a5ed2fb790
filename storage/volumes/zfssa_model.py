"""What an Oracle ZFS Storage Appliance keeps, as values, and how our names stand in it. Pure.

A project is a project, a volume a LUN, and an export three things of the same name PROJECT:VOLUME: a target, a target
group and an initiator group. What is exported is said by the LUN alone: by which groups it names. Everything else is
made before it and removed after it, so that a LUN never shows anything half-made. Unexported it is hidden from all.

The digest of a CHAP secret stands in the target's alias, because the appliance never shows a secret again.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from storage.volumes.judge import Disk
from storage.volumes.names import BadNameError, Project, Snapshot, Volume
from storage.volumes.port import Access, Chap

NOBODY = "com.sun.ms.vss.hg.maskAll"
"""The appliance's own initiator group without members: a LUN of it is hidden."""

ALL_TARGETS = "default"
OWN_PROJECT = "default"
LUN_NUMBER = 0


class Lun(NamedTuple):
    """A LUN. `groups`: its target group and initiator groups."""

    volume: Volume
    size_bytes: int
    own_bytes: int
    origin: Snapshot | None
    snapshots: tuple[Snapshot, ...]
    groups: tuple[str, tuple[str, ...]]
    foreign_origin: bool = False


class Target(NamedTuple):
    """An iSCSI target."""

    iqn: str
    alias: str
    checks: bool


class Space(NamedTuple):
    """Of a pool or project, in bytes."""

    used_bytes: int
    free_bytes: int


class Facts(NamedTuple):
    """All that verdicts need of an appliance. `targets` by IQN, groups by name with their members."""

    spaces: Mapping[Project | None, Space]
    luns: Mapping[Volume, Lun]
    targets: Mapping[str, Target]
    target_groups: Mapping[str, tuple[str, ...]]
    initiator_groups: Mapping[str, tuple[str, ...]]
    initiators: Mapping[str, str]
    """CHAP users by initiator."""

    def target(self, volume: Volume) -> Target | None:
        """The target of a volume: the one member of its target group, or one with its alias."""
        for iqn in self.target_groups.get(volume.domain, ()):
            if iqn in self.targets:
                return self.targets[iqn]
        return next((one for one in self.targets.values() if one.alias.partition("/")[0] == volume.domain), None)

    def access(self, volume: Volume) -> Access | None:
        """For whom it is exported; of a CHAP secret the digest."""
        lun, target = self.luns.get(volume), self.target(volume)
        if lun is None or target is None or lun.groups != (volume.domain, (volume.domain,)):
            return None
        chap = parse_alias(target.alias) if target.checks else None
        return Access(tuple(sorted(self.initiator_groups.get(volume.domain, ()))), chap)

    def disks(self) -> dict[Volume, Disk]:
        """As verdicts want them."""
        return {
            name: Disk(name, lun.origin, lun.snapshots, self.access(name)) for name, lun in sorted(self.luns.items())
        }


def alias(volume: Volume, access: Access) -> str:
    """`appl-1:vm-1`, or `appl-1:vm-1/USER/DIGEST` of a masked access."""
    return "/".join([volume.domain, *(access.chap or ())])


def parse_alias(text: str) -> Chap | None:
    """The user and digest in an alias, if there are any."""
    words = text.split("/")
    return Chap(words[1], words[2]) if len(words) == 3 else None


def project_of(name: object) -> Project | None:
    """Ours, or None: a person may have other projects, and the appliance has one of its own."""
    if name == OWN_PROJECT:
        return None
    try:
        return Project(str(name))
    except BadNameError:
        return None


def volume_of(project: object, name: object) -> Volume | None:
    """Ours, or None."""
    try:
        return Volume(str(project), str(name))
    except BadNameError:
        return None


def snapshot_of(volume: Volume, name: object) -> Snapshot | None:
    """Ours, or None: the appliance makes snapshots of its own, with names such as `.auto-1`."""
    try:
        return volume.snapshot(str(name))
    except BadNameError:
        return None


def strings(value: object) -> tuple[str, ...]:
    """A property that is one name in one version and a list of them in the next."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def number(value: object) -> int:
    """A size; versions differ in whether it is a number, a float or a text of digits."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return int(value) if abs(value) < 2**70 else 0
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0


def lun(found: Mapping[str, Any], snapshots: tuple[Snapshot, ...], pool: str) -> Lun | None:
    """A LUN of the JSON of one; None if its name is not of ours."""
    volume = volume_of(found.get("project"), found.get("name"))
    if volume is None:
        return None
    usage, origin = found.get("usage"), found.get("origin")
    own = (number(usage.get("data")) + number(usage.get("snapshots"))) if isinstance(usage, Mapping) else 0
    if not own:
        own = number(found.get("space_data")) + number(found.get("space_snapshots"))
    start, is_foreign = None, False
    if isinstance(origin, Mapping) and origin.get("snapshot"):
        parent = volume_of(origin.get("project"), origin.get("share"))
        start = snapshot_of(parent, origin["snapshot"]) if parent and origin.get("pool", pool) == pool else None
        is_foreign = start is None
    groups = (str(found.get("targetgroup", ALL_TARGETS)), strings(found.get("initiatorgroup")))
    return Lun(volume, number(found.get("volsize")), own, start, snapshots, groups, is_foreign)


def target(found: Mapping[str, Any]) -> Target:
    """A target of the JSON of one."""
    return Target(str(found.get("iqn", "")), str(found.get("alias", "")), found.get("auth") == "chap")
