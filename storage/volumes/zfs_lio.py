"""iSCSI targets by LIO, the target of the Linux kernel: what targetcli is told, and what it tells. Pure.

One backstore and one target for each volume, LUN 0. The backstore is called PROJECT_VOLUME, because it may have no `/`
and our words have no `_`. Its unit serial number is made of the IQN, so that a disk stays the same disk on another head
of a pool. Initiators come last: a target without them lets nobody in. What is configured is kept by `saveconfig`, and
comes back after a boot by the distribution's own service; what is missing even so is put right by `tend`.

What stands is read from `saveconfig` into a file of ours (JSON, saveconfig.json(5)), who is logged in from the kernel's
configfs: an initiator's file `info` has a line `InitiatorName` only while there is a session.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from storage.volumes.command import Command, command
from storage.volumes.local_target import Standing
from storage.volumes.port import Access

LUN = 0
SAVED = "/run/twinboot-lio.json"
SESSIONS = "/sys/kernel/config/target/iscsi"
NOBODY = 1
"""grep's exit code when no line was found."""

MISSING = 2
"""And when the directory is not there: no target was ever made."""

_SESSION = re.compile(re.escape(SESSIONS) + r"/([^/]+)/tpgt_\d+/acls/([^/]+)/info:InitiatorName: (\S+)", re.ASCII)


class Lio(NamedTuple):
    """What is configured: backstores as `plugin/name`, and targets."""

    stores: frozenset[str]
    targets: dict[str, Standing]


LOOK: tuple[Command, ...] = (
    command("targetcli", "saveconfig", SAVED),
    command("cat", SAVED),
    command("grep", "-rsH", "--include=info", "^InitiatorName:", SESSIONS, codes=(0, NOBODY, MISSING)),
)
"""The second and third are answered by what `parse` takes."""


def parse(saved: str, sessions: str) -> Lio:
    """What stands; ValueError, TypeError, KeyError or AttributeError when it is no such JSON."""
    found: dict[str, Any] = json.loads(saved)
    stores = {f"{one['plugin']}/{one['name']}": str(one.get("dev", "")) for one in found["storage_objects"]}
    users = parse_sessions(sessions)
    targets = {}
    for target in found["targets"]:
        if target["fabric"] == "iscsi":
            targets[str(target["wwn"])] = _standing(target, stores, users.get(str(target["wwn"]), ()))
    return Lio(frozenset(stores), targets)


def parse_sessions(text: str) -> dict[str, tuple[str, ...]]:
    """Who is logged in, by target."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if match := _SESSION.fullmatch(line):
            found.setdefault(match[1], set()).add(match[3])
    return {iqn: tuple(sorted(users)) for iqn, users in found.items()}


def _standing(target: dict[str, Any], stores: dict[str, str], users: tuple[str, ...]) -> Standing:
    """As it stands; half-made in any way, it serves nothing: its path is empty."""
    paths: list[str] = []
    initiators, accounts = set(), set()
    enabled = bool(target["tpgs"])
    for group in target["tpgs"]:
        enabled = enabled and bool(group.get("enable")) and bool(group.get("portals"))
        behind = [str(lun["storage_object"]).removeprefix("/backstores/") for lun in group.get("luns", ())]
        paths += [stores.get(store, "") for store in behind]
        checks = group.get("attributes", {}).get("authentication") == 1
        for acl in group.get("node_acls", ()):
            initiators.add(str(acl["node_wwn"]))
            if checks:
                accounts.add(str(acl.get("chap_userid", "")))
            if not acl.get("mapped_luns"):
                enabled = False
    path = paths[0] if enabled and len(paths) == 1 else ""
    return Standing(0, path, tuple(sorted(initiators)), tuple(sorted(accounts)), users)


def plugin(path: str) -> str:
    """The kind of backstore for a device or a file."""
    return "block" if path.startswith("/dev/") else "fileio"


def store_name(iqn: str) -> str:
    """The backstore of a target: `appl-1_vm-1`."""
    return "_".join(iqn.split(":")[-2:])


def up(iqn: str, path: str, access: Access, portal: str) -> Iterator[Command]:
    """Make the backstore and the target, which are not there."""
    kind, name = plugin(path), store_name(iqn)
    address, _, port = portal.rpartition(":")
    group = f"/iscsi/{iqn}/tpg1"
    serial = str(uuid.UUID(bytes=hashlib.sha256(iqn.encode()).digest()[:16]))
    where = f"dev={path}" if kind == "block" else f"file_or_dev={path}"
    kept = () if kind == "block" else ("write_back=false",)
    yield command("targetcli", f"/backstores/{kind}", "create", f"name={name}", where, *kept, f"wwn={serial}")
    yield command("targetcli", f"/backstores/{kind}/{name}", "set", "attribute", "emulate_tpu=1")
    yield command("targetcli", "/iscsi", "create", iqn)
    checks = f"authentication={int(access.chap is not None)}"
    rules = (checks, "generate_node_acls=0", "demo_mode_write_protect=1")
    yield command("targetcli", group, "set", "attribute", *rules)
    if portal != "0.0.0.0:3260":
        yield command("targetcli", f"{group}/portals", "delete", "0.0.0.0", "3260", unless="No such NetworkPortal")
        yield command("targetcli", f"{group}/portals", "create", address.strip("[]"), port)
    yield command("targetcli", f"{group}/luns", "create", f"/backstores/{kind}/{name}", f"lun{LUN}")
    for initiator in access.initiators:
        yield command("targetcli", f"{group}/acls", "create", initiator)
        if access.chap:
            user, secret = access.chap
            words = f"{group}/acls/{initiator} set auth userid={user} password={secret}\nexit\n"
            yield command("targetcli", given=words)
    yield command("targetcli", "saveconfig")


def down(iqn: str, there: Lio) -> Sequence[Command]:
    """Remove whatever there is of a target and its backstore."""
    name = store_name(iqn)
    found = [command("targetcli", "/iscsi", "delete", iqn)] if iqn in there.targets else []
    found += [
        command("targetcli", f"/backstores/{kind}", "delete", name)
        for kind in ("block", "fileio")
        if f"{kind}/{name}" in there.stores
    ]
    return [*found, command("targetcli", "saveconfig")] if found else []
