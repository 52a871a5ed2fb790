"""How the share is mounted, and what of that cannot work for servers that share it. Pure.

`OPTIONS` is the one table: option, what it does to a pair of servers, what to mount instead. The reasons are those of
nfs(5), and what was measured with two real clients: a listing and a file opened anew are current whatever the attribute
cache does, but an attribute that is merely looked at is as old as that cache allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from twinboot.peerfacts import Mount

__all__ = ["OPTIONS", "RECOMMENDED", "Rule", "advice", "find_mount", "is_network", "objections"]

RECOMMENDED = "vers=4.1,hard,actimeo=1,lookupcache=none"
CACHE_MAX_S = 60
"""acregmax and acdirmax of Linux by default."""

NFS = frozenset({"nfs", "nfs4"})
UNFIT = re.compile(r"cifs|smb3|9p|fuse(blk|\..*)?|vboxsf|prl_fs|afs|davfs")
"""Network and user-space file systems of which nobody has shown that one of two hosts wins a `link`."""

OCTAL = re.compile(r"\\([0-7]{3})")


class Rule(NamedTuple):
    """An option of an NFS mount. `is_met` judges its value ("" if it has none)."""

    option: str
    is_met: Callable[[str], bool]
    reason: str
    only_for: str = ""
    """Kind of datastore that it matters to; empty: to all."""


def _given(_value: str) -> bool:
    return True


def _too_long(value: str) -> bool:
    return value.isdigit() and int(value) > CACHE_MAX_S


def _locks_stay_here(value: str) -> bool:
    return value in ("all", "posix")


_OLD = f"the other server's edits of host files and boot files are seen minutes late: mount with {RECOMMENDED}"
_LOCKS = (
    "SUNWfiles rests on locks, and these are seen on this host only: two servers would overwrite one another: "
    "mount without it, or change to twinlog with `dhcpconfig -C -r twinlog -p DIR`"
)
OPTIONS: tuple[Rule, ...] = (
    Rule("soft", _given, "a write may be reported as failed and happen all the same: mount with hard"),
    Rule("softerr", _given, "a write may be reported as failed and happen all the same: mount with hard"),
    Rule("softreval", _given, "old names and attributes are served while the share is away: mount without it"),
    Rule("nocto", _given, "a file opened anew is not the one that the other server wrote: mount without nocto"),
    Rule("nolock", _given, _LOCKS, "SUNWfiles"),
    Rule("local_lock", _locks_stay_here, _LOCKS, "SUNWfiles"),
    Rule("acregmax", _too_long, _OLD),
    Rule("acdirmax", _too_long, _OLD),
    Rule("acregmin", _too_long, _OLD),
    Rule("acdirmin", _too_long, _OLD),
    Rule("actimeo", _too_long, _OLD),
    Rule("proto", lambda value: value == "udp", "NFS over UDP can corrupt data, nfs(5): mount with proto=tcp"),
    Rule("vers", lambda value: value == "2", "NFS 2 cannot say when a write is on the disk: mount with vers=4.1 or 3"),
)
ADVICE: tuple[Rule, ...] = (
    Rule("noac", _given, "is needless and makes every write wait: actimeo=1,lookupcache=none does what is wanted"),
)


def find_mount(mountinfo: str, path: str) -> Mount:
    """The mount that holds `path` (a real path), from the text of proc_pid_mountinfo(5). An empty one if none does."""
    found, length = Mount("", ()), -1
    for line in mountinfo.splitlines():
        place, _, device = line.partition(" - ")
        places, devices = place.split(" "), device.split(" ")
        if len(places) < 6 or len(devices) < 3:
            continue
        point = OCTAL.sub(lambda code: chr(int(code[1], 8)), places[4]).rstrip("/") + "/"
        if len(point) >= length and f"{path}/".startswith(point):  # of two on one place the later one is seen
            options = dict.fromkeys([*places[5].split(","), *devices[2].split(",")])
            if "ro" in options:
                options.pop("rw", None)
            found, length = Mount(devices[0], tuple(options)), len(point)
    return found


def is_network(mount: Mount) -> bool:
    """Tell whether other hosts may have the same files by NFS."""
    return mount.kind in NFS


def objections(mount: Mount, resource: str) -> Iterator[tuple[str, str]]:
    """(option, why it cannot work and what to do) for a directory that several servers share."""
    if UNFIT.fullmatch(mount.kind):
        why = f"a share by {mount.kind} does not promise that one of two servers wins a race: mount it by NFS"
        yield mount.kind, f"{why}, {RECOMMENDED}"
    if is_network(mount):
        yield from _met(OPTIONS, mount, resource)


def advice(mount: Mount) -> Iterator[tuple[str, str]]:
    """(option, why it is not worth having): nothing is wrong with these."""
    if is_network(mount):
        yield from _met(ADVICE, mount, "")


def _met(rules: tuple[Rule, ...], mount: Mount, resource: str) -> Iterator[tuple[str, str]]:
    given = {name: (option, value) for option in mount.options for name, _, value in [option.partition("=")]}
    told = set()  # an option that implies another one, as nolock does, is one objection
    for rule in rules:
        option, value = given.get(rule.option, ("", ""))
        if option and rule.reason not in told and rule.is_met(value) and rule.only_for in ("", resource):
            told.add(rule.reason)
            yield option, rule.reason
