"""What the stand-in's two heads share, and the rules that hold for it by REST and by the command line."""

import re
from collections.abc import Iterator
from typing import Any

POOL = "p0"
TOTAL_BYTES = 2**40
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")
LUN_PROPERTIES = {"name", "volsize", "volblocksize", "sparse", "targetgroup", "initiatorgroup", "lunnumber", "status"}
NOBODY = "com.sun.ms.vss.hg.maskAll"
SAN = {
    "targets": ("iqn", "target", {"alias", "iqn", "auth", "interfaces"}),
    "target-groups": ("name", "group", {"name", "targets"}),
    "initiators": ("initiator", "initiator", {"initiator", "alias", "chapuser", "chapsecret"}),
    "initiator-groups": ("name", "group", {"name", "initiators"}),
}
"""Kind -> the property that names one, the word for one, the properties."""


class State:
    """The projects of the pool with their LUNs, targets and initiators, and which head has the pool."""

    def __init__(self) -> None:
        self.projects: dict[str, dict[str, Any]] = {"default": {}}
        self.san: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in SAN}
        self.owner = 0


def clones(state: State, project: str, share: str, snapshot: str) -> list[str]:
    origin = {"pool": POOL, "project": project, "share": share, "snapshot": snapshot}
    return [name for inside in state.projects.values() for name, lun in inside.items() if lun.get("origin") == origin]


def unknown_groups(state: State, lun: dict[str, Any]) -> Iterator[str]:
    """The properties of a LUN that name a group which is not there."""
    if lun.get("targetgroup", "default") not in {"default", *state.san["target-groups"]}:
        yield "targetgroup"
    if lun.get("initiatorgroup", "default") not in {"default", NOBODY, *state.san["initiator-groups"]}:
        yield "initiatorgroup"


def missing_members(state: State, group: dict[str, Any]) -> Iterator[str]:
    """The targets and initiators that a new group names and that are not there."""
    for kind in ("targets", "initiators"):
        yield from (member for member in group.get(kind, []) if member not in state.san[kind])


def in_use(state: State, kind: str, name: str) -> str:
    """Why a target, an initiator or a group cannot be destroyed, or nothing."""
    every = [lun for inside in state.projects.values() for lun in inside.values()]
    if SAN[kind][1] == "group" and any(name in (lun.get("targetgroup"), lun.get("initiatorgroup")) for lun in every):
        return "LUNs use it"
    if kind == "targets" and any(name in group["targets"] for group in state.san["target-groups"].values()):
        return "a group has it"
    return ""
