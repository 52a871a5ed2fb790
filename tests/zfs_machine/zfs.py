"""zfs(8) on a pool that is a table, and udevadm(8), which waits for a device of it."""

import re
from collections.abc import Sequence
from typing import Any

from tests.zfs_machine.words import RefusedError, options

BLOCK_BYTES = 8192
SIZES = {"type", "used", "referenced", "available", "origin", "mounted", "mountpoint"}


def zfs(state: Any, words: Sequence[str], given: str) -> str:
    verb, *rest = words
    return ZFS[verb](state["sets"], rest)


def zfs_get(sets: Any, words: Sequence[str]) -> str:
    found, (asked, root) = options(words, "o", "rHp")
    assert found == {"rHp": [""], "o": ["name,property,value"]}
    lines = []
    names = [name for name in sets if name == root or name.startswith((root + "/", root + "@"))]
    for name in names:
        for key in asked.split(","):
            assert key in SIZES or ":" in key
            lines.append(f"{name}\t{key}\t{value(sets, name, key)}")
    if not names:
        raise RefusedError(f"cannot open '{root}': dataset does not exist")
    return "".join(line + "\n" for line in lines)


def value(sets: Any, name: str, key: str) -> str:
    facts = sets[name]
    is_snapshot, is_volume = "@" in name, "volsize" in facts
    fixed = {
        "type": "snapshot" if is_snapshot else "volume" if is_volume else "filesystem",
        "used": str(facts.get("poured", 0)),
        "referenced": str(facts.get("poured", 0)),
        "available": "-" if is_snapshot else str(2**40),
        "origin": facts.get("origin", "-"),
        "mounted": "-" if is_volume or is_snapshot else "yes",
        "mountpoint": "-" if is_volume or is_snapshot else "/" + name,
    }
    if key in fixed:
        return fixed[key]
    while name and key not in sets.get(name, {}):  # user properties are inherited, by snapshots too
        name = name.rpartition("@" if "@" in name else "/")[0]
    return str(sets[name][key]) if name else "-"


def zfs_create(sets: Any, words: Sequence[str]) -> str:
    found, (name,) = options(words, "b V o", "s")
    free(sets, name)
    facts = dict(one.split("=", 1) for one in found.get("o", ()))
    if "V" in found:
        assert "s" in found, "a volume that is not sparse takes its space at once"
        size = int(found["V"][0])
        if size % BLOCK_BYTES:
            raise RefusedError(f"cannot create '{name}': volume size must be a multiple of volume block size")
        facts["volsize"] = str(size)
    sets[name] = facts
    return ""


def free(sets: Any, name: str) -> None:
    if name in sets:
        raise RefusedError(f"cannot create '{name}': dataset already exists")
    parent = name.rpartition("@" if "@" in name else "/")[0]
    if parent not in sets:
        raise RefusedError(f"cannot create '{name}': parent does not exist")


def zfs_snapshot(sets: Any, words: Sequence[str]) -> str:
    (name,) = words
    free(sets, name)
    sets[name] = {"poured": sets[name.partition("@")[0]].get("poured", 0)}
    return ""


def zfs_clone(sets: Any, words: Sequence[str]) -> str:
    found, (origin, name) = options(words, "o")
    assert "refreservation=none" in found["o"]
    if origin not in sets:
        raise RefusedError(f"cannot open '{origin}': dataset does not exist")
    free(sets, name)
    facts = dict(one.split("=", 1) for one in found["o"])
    volsize = sets[origin.partition("@")[0]].get("volsize")
    sets[name] = {**facts, "origin": origin, **({"volsize": volsize} if volsize else {})}
    return ""


def zfs_inherit(sets: Any, words: Sequence[str]) -> str:
    key, name = words
    sets[name].pop(key, None)
    return ""


def zfs_set(sets: Any, words: Sequence[str]) -> str:
    pair, name = words
    key, _, text = pair.partition("=")
    assert ":" in key
    if len(text) > 8191:
        raise RefusedError(f"cannot set property for '{name}': property value too long")
    sets[name][key] = text
    return ""


def zfs_destroy(sets: Any, words: Sequence[str]) -> str:
    (name,) = words  # no -r, no -R, no -f: ever
    if name not in sets:
        raise RefusedError(f"cannot open '{name}': dataset does not exist")
    if any(facts.get("origin") == name for facts in sets.values()):
        raise RefusedError(f"cannot destroy '{name}': snapshot has dependent clones\nuse '-R' to destroy the following")
    if any(other.startswith((name + "/", name + "@")) for other in sets):
        raise RefusedError(f"cannot destroy '{name}': filesystem has children\nuse '-r' to destroy the following")
    del sets[name]
    return ""


ZFS = {
    "get": zfs_get,
    "create": zfs_create,
    "snapshot": zfs_snapshot,
    "clone": zfs_clone,
    "inherit": zfs_inherit,
    "set": zfs_set,
    "destroy": zfs_destroy,
}


def udevadm(state: Any, words: Sequence[str], given: str) -> str:
    verb, timeout, exists = words
    assert verb == "settle"
    assert re.fullmatch(r"--timeout=\d+", timeout)
    assert exists.removeprefix("--exit-if-exists=/dev/zvol/") in state["sets"]
    return ""
