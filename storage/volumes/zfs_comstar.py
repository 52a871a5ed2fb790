"""iSCSI targets by COMSTAR of illumos and Solaris: what stmfadm(8) and itadm(8) are told, and what they tell. Pure.

One logical unit, target and target group for each volume. COMSTAR lets an initiator be in one host group only, so
each initiator has a group of its own, and a volume has a view for each initiator that may use it, LUN 0. The logical
unit's GUID is made of the IQN, so that a disk stays the same disk on another head. Views come last: without one nobody
sees a disk. COMSTAR keeps all of it over a boot by itself.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from storage.volumes.command import Command, command
from storage.volumes.local_target import Standing
from storage.volumes.port import Access

LUN = 0
GUID_HEAD = "600144F0"
"""NAA 6, Sun's company id: as stmfadm makes them."""

GROUP_HEAD = "twinboot-"
SECRET_FILE = "/dev/stdin"  # noqa: S105 - where the secret is read from
MEMBER = "Member"

_FIELD = re.compile(r"^(\s*)([A-Za-z][A-Za-z0-9 /-]*?)\s*:\s*(.*?)\s*$", re.ASCII)
_TARGET_ROW = re.compile(r"^((?:iqn|eui)\.\S+)\s+(\S+)\s+(\d+)\s*$", re.ASCII)
_INITIATOR_ROW = re.compile(r"^((?:iqn|eui)\.\S+)\s+(\S+)\s+(\S+)\s*$", re.ASCII)

Block = Mapping[str, Sequence[str]]
"""One thing in a listing: its fields, each with all of its values."""


class Comstar(NamedTuple):
    """What is configured: logical units by GUID with their data files, targets with who is logged in, whether each
    checks CHAP, target groups and host groups with their members, views of each unit as (host group, target group),
    and CHAP users of initiators.
    """

    units: Mapping[str, str]
    users: Mapping[str, tuple[str, ...]]
    checks: Mapping[str, bool]
    target_groups: Mapping[str, tuple[str, ...]]
    host_groups: Mapping[str, tuple[str, ...]]
    views: Mapping[str, tuple[tuple[str, str], ...]]
    accounts: Mapping[str, str]


LOOK: tuple[Command, ...] = (
    command("stmfadm", "list-lu", "-v"),
    command("stmfadm", "list-target", "-v"),
    command("itadm", "list-target", "-v"),
    command("stmfadm", "list-tg", "-v"),
    command("stmfadm", "list-hg", "-v"),
    command("itadm", "list-initiator"),
)


def look_views(guid: str) -> Command:
    """Ask for a unit's views."""
    return command("stmfadm", "list-view", "-l", guid, unless="no views found")


def parse(listings: Sequence[str], views: Mapping[str, str]) -> Comstar:
    """What stands, of what the commands of `LOOK` and `look_views` printed."""
    units, sessions, targets, target_groups, host_groups, initiators = listings
    return Comstar(
        {guid: one(block, "Data File") for guid, block in blocks(units, "LU Name").items()},
        {iqn: tuple(sorted(set(block.get("Initiator", ())))) for iqn, block in blocks(sessions, "Target").items()},
        parse_checks(targets),
        {name: tuple(block.get(MEMBER, ())) for name, block in blocks(target_groups, "Target Group").items()},
        {name: tuple(block.get(MEMBER, ())) for name, block in blocks(host_groups, "Host Group").items()},
        {guid: parse_views(text) for guid, text in views.items()},
        {match[1]: match[2] for line in initiators.splitlines() if (match := _INITIATOR_ROW.match(line))},
    )


def blocks(text: str, head: str) -> dict[str, Block]:
    """The things of a listing by name: each begins with a line `HEAD: NAME`, the fields of it are indented."""
    found: dict[str, dict[str, list[str]]] = {}
    inside: dict[str, list[str]] | None = None
    for line in text.splitlines():
        match = _FIELD.match(line)
        if match and not match[1]:
            inside = found.setdefault(match[3], {}) if match[2] == head else None
        elif match and inside is not None:
            inside.setdefault(match[2], []).append(match[3])
    return {name: dict(fields) for name, fields in found.items()}


def one(block: Block, field: str) -> str:
    """A field that a thing has once; empty if it has none."""
    return (block.get(field) or [""])[0]


def parse_views(text: str) -> tuple[tuple[str, str], ...]:
    """Host group and target group of each view."""
    found = blocks(text, "View Entry").values()
    return tuple(sorted((one(block, "Host group"), one(block, "Target group")) for block in found))


def parse_checks(text: str) -> dict[str, bool]:
    """Whether each target of `itadm list-target -v` checks CHAP."""
    found: dict[str, bool] = {}
    iqn = ""
    for line in text.splitlines():
        if match := _TARGET_ROW.match(line):
            iqn = match[1]
            found[iqn] = False
        elif iqn and (field := _FIELD.match(line)) and field[2] == "auth":
            found[iqn] = field[3].startswith("chap")
    return found


def guid(iqn: str) -> str:
    """The logical unit of a target."""
    return GUID_HEAD + hashlib.sha256(iqn.encode()).hexdigest()[:24].upper()


def group(name: str) -> str:
    """The target group of a target, the host group of an initiator."""
    return GROUP_HEAD + name


def portal_group(portal: str) -> str:
    """The target portal group of an address."""
    return GROUP_HEAD + re.sub(r"[^0-9a-f]", "-", portal)


def host_group(initiator: str, there: Comstar) -> str:
    """The host group that has this initiator alone, whoever made it; ValueError if it shares one with others."""
    for name, members in there.host_groups.items():
        if initiator in members:
            if len(members) > 1:
                raise ValueError(
                    f"{initiator} is in the host group {name} with others, and COMSTAR lets it be in one only: "
                    f"stmfadm remove-hg-member -g {name} {initiator}"
                )
            return name
    return group(initiator)


def standing(iqn: str, there: Comstar) -> Standing:
    """A target as it stands; half-made in any way, it serves nothing: its path is empty."""
    unit = guid(iqn)
    members = {name: list(found) for name, found in there.host_groups.items()}
    views = there.views.get(unit, ())
    ours = [host for host, targets in views if targets == group(iqn)]
    initiators = tuple(sorted({name for host in ours for name in members.get(host, ())}))
    whole = len(ours) == len(views) and iqn in there.target_groups.get(group(iqn), ())
    accounts = {there.accounts.get(name, "") for name in initiators} if there.checks.get(iqn) else set()
    path = there.units.get(unit, "") if whole else ""
    return Standing(0, path, initiators, tuple(sorted(accounts)), there.users.get(iqn, ()))


def up(iqn: str, path: str, access: Access, portal: str, there: Comstar) -> Iterator[Command]:
    """Make unit, target, groups and views, of which only host groups may be there. ValueError."""
    unit, alias, targets = guid(iqn), "/".join(iqn.split(":")[-2:]), group(iqn)
    hosts = {name: host_group(name, there) for name in access.initiators}
    yield command("stmfadm", "create-lu", "-p", f"guid={unit}", "-p", f"alias={alias}", path)
    yield command("itadm", "create-tpg", portal_group(portal), portal, unless="already exists")
    yield command("stmfadm", "create-tg", targets)
    checks = "chap" if access.chap else "none"
    yield command("itadm", "create-target", "-n", iqn, "-l", alias, "-a", checks, "-t", portal_group(portal))
    yield command("stmfadm", "offline-target", iqn)
    yield command("stmfadm", "add-tg-member", "-g", targets, iqn)
    yield command("stmfadm", "online-target", iqn)
    for name, hosts_group in hosts.items():
        if hosts_group not in there.host_groups:
            yield command("stmfadm", "create-hg", hosts_group)
        if name not in there.host_groups.get(hosts_group, ()):
            yield command("stmfadm", "add-hg-member", "-g", hosts_group, name)
        if access.chap:
            verb = "modify-initiator" if name in there.accounts else "create-initiator"
            chap = ("-u", access.chap.user, "-S", SECRET_FILE)
            yield command("itadm", verb, *chap, name, given=access.chap.secret + "\n")
    for hosts_group in hosts.values():
        yield command("stmfadm", "add-view", "-h", hosts_group, "-t", targets, "-n", str(LUN), unit)


def down(iqn: str, there: Comstar) -> Iterator[Command]:
    """Remove whatever there is of a target; host groups stay, others may use them."""
    unit = guid(iqn)
    if there.views.get(unit):
        yield command("stmfadm", "remove-view", "-l", unit, "-a")
    if iqn in there.checks:
        yield command("stmfadm", "offline-target", iqn, unless="already offline")
        yield command("itadm", "delete-target", iqn)
    if group(iqn) in there.target_groups:
        yield command("stmfadm", "delete-tg", group(iqn))
    if unit in there.units:
        yield command("stmfadm", "delete-lu", unit)
