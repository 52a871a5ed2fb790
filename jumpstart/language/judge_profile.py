"""Whether a profile is good: each line by its row of the table, and what lines say about one another.

The rules between lines, each with where it comes from: the first line is install_type (`check`); a keyword is legal
with that install type and with a ZFS root (tables of both guides); some stand once only; usedisk and dontuse exclude
one another; with ZFS the root device is the pool's own, members of the pool are slices because a disk to boot from
needs a label with slices, and `any` cannot be told apart inside a mirror or measured against a fixed size.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jumpstart.language import shapes
from jumpstart.language.faults import NOWHERE, Faults, shown, suggestion
from jumpstart.language.grammar import fit
from jumpstart.language.keywords import INITIAL, INSTALL_TYPES, PROFILE, legality
from jumpstart.language.profile import Entry
from jumpstart.language.words import Word

INSTALL_TYPE = "install_type"


class _Profile(NamedTuple):
    """The lines by keyword, and what governs them."""

    by_name: Mapping[str, Sequence[Entry]]
    install: str
    zfs: bool

    def first(self, name: str) -> Entry | None:
        found = self.by_name.get(name)
        return found[0] if found else None


def judge_profile(entries: Sequence[Entry], faults: Faults) -> None:
    """Tell everything that is wrong with a profile."""
    if not entries:
        faults.error(NOWHERE, "the profile is empty", f"begin it with {INSTALL_TYPE} {INITIAL}")
        return
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    whole = _Profile(by_name, _install_type(entries, by_name, faults), "pool" in by_name)
    for entry in entries:
        _judge_line(entry, whole, faults)
    for check in CHECKS:
        check(whole, faults)


def _install_type(entries: Sequence[Entry], by_name: Mapping[str, Sequence[Entry]], faults: Faults) -> str:
    """The install type, empty when it is missing or none."""
    found = by_name.get(INSTALL_TYPE, ())
    if not found:
        first = entries[0].keyword
        faults.error(first.at, f"{INSTALL_TYPE} is missing", f"begin the profile with {INSTALL_TYPE} {INITIAL}")
        return ""
    if found[0] is not entries[0]:
        faults.error(found[0].keyword.at, f"{INSTALL_TYPE} is not the first keyword", "move it to the first line")
    value = found[0].texts[0] if found[0].values else ""
    return value if value in INSTALL_TYPES else ""


def _judge_line(entry: Entry, whole: _Profile, faults: Faults) -> None:
    word = entry.keyword
    row = PROFILE.get(entry.name)
    if row is None:
        faults.error(word.at, f"{shown(word.text)} is no keyword of profiles", suggestion(word.text, PROFILE))
        return
    fit(word, entry.values, row.forms, row.extra, faults)
    first = whole.first(entry.name)
    if row.once and first is not entry and first is not None:
        what = f"{entry.name} stands on line {first.keyword.at.line} already"
        faults.error(word.at, what, "keep one of the two")
    if row.old:
        faults.warning(word.at, f"{entry.name}: {row.old}", "remove the line")
    installs, zfs = legality(entry.name, entry.texts[0] if entry.values else "")
    if whole.install and whole.install not in installs and (entry.name, whole.install) != ("pool", "flash_install"):
        what = f"{entry.name} is not legal with {INSTALL_TYPE} {whole.install}"
        faults.error(word.at, what, f"remove it; it is for {', '.join(installs)}")
    elif whole.zfs and not zfs:
        faults.error(word.at, f"{entry.name} is not legal with a ZFS root", "remove it, or the pool")


def _disks(whole: _Profile, faults: Faults) -> None:
    use, dont = whole.first("usedisk"), whole.first("dontuse")
    if use and dont:
        later = max(use, dont, key=lambda entry: entry.keyword.at)
        faults.error(later.keyword.at, "usedisk and dontuse exclude one another", "keep one kind of them")


def _system(whole: _Profile, faults: Faults) -> None:
    kind = whole.first("system_type")
    if kind is None or not kind.values:
        return
    if kind.texts[0] == "dataless":
        faults.warning(kind.values[0].at, "dataless is of old releases", "write standalone")
    if whole.zfs and kind.texts[0] == "server":
        faults.error(kind.values[0].at, "a server of diskless clients has no ZFS root", "write standalone")


def _flash(whole: _Profile, faults: Faults) -> None:
    if whole.install.startswith("flash") and not whole.first("archive_location"):
        at = whole.by_name[INSTALL_TYPE][0].keyword.at
        faults.error(at, f"{whole.install} lacks its archive", "add archive_location nfs SERVER:/PATH")


def _mounts(whole: _Profile, faults: Faults) -> None:
    """File systems: preserved ones keep their size, no mirror, slice or mount point is laid out twice."""
    seen: dict[str, int] = {}
    for entry in whole.by_name.get("filesys", ()):
        texts = entry.texts
        line = entry.keyword.at.line
        if "preserve" in texts[2:] and len(texts) > 1 and texts[1] in ("auto", "all", "free"):
            what = f"a preserved file system cannot have the size {texts[1]}"
            faults.error(entry.values[1].at, what, "write existing as its size")
        mirror = bool(texts) and texts[0].startswith("mirror")
        for word in entry.values if mirror else entry.values[:1]:
            named = shapes.slice_.takes(word.text) or word.text.startswith("mirror:")
            if named and seen.setdefault(word.text, line) != line:
                told = faults.error if word.text.startswith("mirror") else faults.warning
                told(word.at, f"{word.text} is laid out on line {seen[word.text]} already", "keep one of the two")


def _root_device(whole: _Profile, faults: Faults) -> None:
    root, boot = whole.first("root_device"), whole.first("boot_device")
    if not (root and boot and root.values and boot.values) or boot.texts[0] in ("any", "existing"):
        return
    if _disk(root.texts[0]) != _disk(boot.texts[0]):
        what = f"boot_device {boot.texts[0]} is not on the disk of root_device {root.texts[0]}"
        faults.error(boot.values[0].at, what, "name the same disk, or remove one of the two")


def _pool(whole: _Profile, faults: Faults) -> None:
    """What a ZFS root asks of the other lines, and of the pool's own words."""
    pool = whole.first("pool")
    bootenv, partitioning = whole.first("bootenv"), whole.first("partitioning")
    if pool is None:
        if bootenv and bootenv.texts[:1] == ("installbe",):
            faults.warning(bootenv.keyword.at, "bootenv installbe means nothing without a pool", "add a pool line")
        return
    if whole.install == "flash_install":
        what = "a flash archive on a ZFS root is for Solaris 10 10/09 and later only"
        faults.warning(pool.keyword.at, what, f"write {INSTALL_TYPE} {INITIAL} for Nevada")
    if partitioning:
        faults.warning(partitioning.keyword.at, "partitioning means nothing with a pool", "remove the line")
    members = [word for word in pool.values[4:] if word.text != "mirror"]
    mirrored = len(pool.values) > 4 and pool.texts[4] == "mirror"
    _members(members, mirrored, pool.texts[1:2], faults)
    for name in ("root_device", "boot_device"):
        entry = whole.first(name)
        if entry and entry.values and entry.texts[0] not in ("any", "existing"):
            _of_pool(name, entry.values[0], members, mirrored, faults)


def _members(members: Sequence[Word], mirrored: bool, size: Sequence[str], faults: Faults) -> None:
    texts = [word.text for word in members]
    for n, word in enumerate(members):
        if shapes.disk.takes(word.text):
            what = f"{word.text} is a whole disk; a disk to boot from needs slices"
            faults.error(word.at, what, f"write the slice {word.text}s0")
        elif word.text != "any" and word.text in texts[:n]:
            faults.error(word.at, f"{word.text} is in the mirror already", "name a slice of another disk")
    if mirrored and len(members) == 1:
        faults.error(members[0].at, "a mirror has two slices at least", "add a slice of another disk")
    if mirrored and "any" in texts:
        at = members[texts.index("any")].at
        if set(texts) == {"any"}:
            faults.warning(at, "any leaves to the installer which disks are mirrored", "name the slices")
        else:
            faults.error(at, "any cannot stand beside a slice in a mirror", "name every slice")
    elif "any" in texts and size and size[0] not in ("auto", "all", "existing"):
        faults.error(members[0].at, "any disk may be smaller than a fixed pool size", "write auto, or name the slice")


def _of_pool(name: str, device: Word, members: Sequence[Word], mirrored: bool, faults: Faults) -> None:
    if name == "root_device" and mirrored:
        faults.error(device.at, "root_device names one device and the pool is a mirror", "remove root_device")
        return
    disks = {_disk(word.text) for word in members}
    if "any" not in disks and _disk(device.text) not in disks:
        faults.error(device.at, f"{name} {device.text} is not in the pool", "remove it, or name a device of the pool")


def _disk(device: str) -> str:
    """The disk of a slice; other words as they are."""
    return device.rpartition("s")[0] if shapes.slice_.takes(device) else device


CHECKS: tuple[Callable[[_Profile, Faults], None], ...] = (*(_disks, _system, _flash, _mounts, _root_device, _pool),)
