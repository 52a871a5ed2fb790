"""A stand-in for a machine with ZFS and a target in its kernel, which no test machine of ours has.

It takes the very words that zfs(8), targetcli(8), stmfadm(8) and itadm(8) document and judges them: an option, order or
name that the manuals do not have is a failed test, not a refusal. Its state is one JSON file, so that it outlives a
process that is killed. What it answers has the form of the manuals' examples.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from storage.volumes.command import Command
from storage.volumes.port import Progress
from storage.volumes.zfs_host import Host

BLOCK_BYTES = 8192
SIZES = {"type", "used", "referenced", "available", "origin", "mounted", "mountpoint"}
IQN = re.compile(r"iqn\.\d{4}-\d\d\.[a-z0-9.:-]+")


class RefusedError(Exception):
    """What the command prints when it fails, and exit code 1."""


class Machine(Host):
    """A host whose commands are played; `poured` keeps what was written to devices."""

    def __init__(self, path: Path, root: str = "tank/guests") -> None:
        super().__init__(path)
        self._file = path / "machine.json"
        self.hide: Callable[[str], bool] = lambda _: False
        """Whether a command is to fail, by its words: a test says so."""
        if not self._file.exists():
            sets: dict[str, Any] = {name: {} for name in ("tank", root)}
            empty: dict[str, Any] = {name: {} for name in ("stores", "iscsi", "units", "targets", "tgs", "hgs")}
            self._save({"sets": sets, "sessions": {}, "initiators": {}, "tpgs": {}, "order": 0, **empty})

    def ask(self, one: Command) -> tuple[int, str, str]:
        state = json.loads(self._file.read_text())
        program, *words = one.argv
        try:
            if self.hide(" ".join(one.argv)):
                raise RefusedError(f"{program}: failed as the test asked")
            printed = PROGRAMS[program](state, words, one.given)
        except RefusedError as error:
            return 1, "", str(error)
        self._save(state)
        return 0, printed, ""

    def pour(self, source: Path, argv: Sequence[str], progress: Progress | None) -> None:
        assert argv[0] == "dd"
        assert argv[1].startswith("of=/dev/zvol/")
        dataset = argv[1].removeprefix("of=/dev/zvol/").removeprefix("rdsk/")
        state = json.loads(self._file.read_text())
        state["sets"][dataset]["poured"] = source.stat().st_size
        self._save(state)
        if progress:
            progress(source.stat().st_size, source.stat().st_size)

    def log_in(self, iqn: str, *initiators: str) -> None:
        state = json.loads(self._file.read_text())
        state["sessions"][iqn] = list(initiators)
        self._save(state)

    def forget_targets(self) -> None:
        """As after a boot without the saved configuration."""
        state = json.loads(self._file.read_text())
        for name in ("stores", "iscsi", "units", "targets", "tgs"):
            state[name] = {}
        self._save(state)

    def state(self) -> Any:
        return json.loads(self._file.read_text())

    def _save(self, state: Any) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.rename(self._file)


def options(words: Sequence[str], takes: str, bare: str = "") -> tuple[dict[str, list[str]], list[str]]:
    """The options and the rest; an option that is not known fails the test."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        assert option[1:] in {*takes.split(), *bare.split()}, f"no such option: {option}"
        found.setdefault(option[1:], []).append(rest.pop(0) if option[1:] in takes.split() else "")
    return found, rest


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


def targetcli(state: Any, words: Sequence[str], given: str) -> str:
    if not words:
        for line in given.splitlines():
            if line != "exit":
                targetcli(state, line.split(" "), "")
        return ""
    if words[0] == "saveconfig":
        return ""
    place, verb, *rest = words
    if match := re.fullmatch(r"/backstores/(block|fileio)(/\S+)?", place):
        return backstore(state, match[1], (match[2] or "")[1:], verb, rest)
    if place == "/iscsi":
        (iqn,) = rest
        assert IQN.fullmatch(iqn)
        if verb == "create":
            if iqn in state["iscsi"]:
                raise RefusedError("This Target already exists in configFS")
            state["iscsi"][iqn] = {"portals": [["0.0.0.0", 3260]], "luns": [], "acls": {}, "attributes": {}}
        else:
            assert verb == "delete"
            if iqn not in state["iscsi"]:
                raise RefusedError("No such Target in configfs")
            del state["iscsi"][iqn]
            state["sessions"].pop(iqn, None)
        return ""
    match = re.fullmatch(r"/iscsi/([^/]+)/tpg1(?:/(portals|luns|acls)(?:/(.+))?)?", place)
    assert match, place
    return portal_group(state, state["iscsi"][match[1]], match[2], match[3], [verb, *rest])


def backstore(state: Any, kind: str, name: str, verb: str, rest: Sequence[str]) -> str:
    if verb == "set":
        assert (name, rest) == (name, ["attribute", "emulate_tpu=1"])
        assert f"{kind}/{name}" in state["stores"]
    elif verb == "delete":
        (name,) = rest
        if any(f"/backstores/{kind}/{name}" in target["luns"] for target in state["iscsi"].values()):
            raise RefusedError("Cannot delete: in use")
        del state["stores"][f"{kind}/{name}"]
    else:
        assert verb == "create"
        found = dict(one.split("=", 1) for one in rest)
        where = {"block": "dev", "fileio": "file_or_dev"}[kind]
        extra = {"write_back"} if kind == "fileio" else set()
        assert set(found) == {"name", where, "wwn", *extra}
        assert "/" not in found["name"]
        if f"{kind}/{found['name']}" in state["stores"]:
            raise RefusedError(f"Storage object {kind}/{found['name']} exists")
        state["stores"][f"{kind}/{found['name']}"] = found[where]
    return ""


def portal_group(state: Any, target: Any, what: str | None, which: str | None, words: Sequence[str]) -> str:
    verb, *rest = words
    if what is None:
        assert (verb, rest[0]) == ("set", "attribute")
        target["attributes"] = {key: int(number) for key, number in (one.split("=") for one in rest[1:])}
        assert set(target["attributes"]) == {"authentication", "generate_node_acls", "demo_mode_write_protect"}
    elif what == "portals":
        address, port = rest[0], int(rest[1])
        if verb == "delete":
            if [address, port] not in target["portals"]:
                raise RefusedError(f"No such NetworkPortal in configfs: {address}:{port}")
            target["portals"].remove([address, port])
        else:
            target["portals"].append([address, port])
    elif what == "luns":
        store, lun = rest
        assert (verb, lun) == ("create", "lun0")
        assert store.removeprefix("/backstores/") in state["stores"]
        target["luns"].append(store)
    elif which is None:
        assert verb == "create"
        assert target["luns"], "an initiator that is named before the disk is there has nothing mapped"
        assert IQN.fullmatch(rest[0])
        target["acls"][rest[0]] = {}
    else:
        assert (verb, rest[0]) == ("set", "auth")
        target["acls"][which] = dict(one.split("=", 1) for one in rest[1:])
        assert set(target["acls"][which]) == {"userid", "password"}
    return ""


def cat(state: Any, words: Sequence[str], given: str) -> str:
    assert list(words) == ["/run/twinboot-lio.json"]
    stores = [
        {"plugin": name.partition("/")[0], "name": name.partition("/")[2], "dev": dev, "wwn": "x", "attributes": {}}
        for name, dev in state["stores"].items()
    ]
    targets = [{"fabric": "iscsi", "wwn": iqn, "tpgs": [saved(target)]} for iqn, target in state["iscsi"].items()]
    return json.dumps({"fabric_modules": [], "storage_objects": stores, "targets": targets})


def saved(target: Any) -> Any:
    luns = [{"index": 0, "storage_object": store} for store in target["luns"]]
    acls = []
    for name, auth in target["acls"].items():
        acl = {"node_wwn": name, "mapped_luns": [{"index": 0, "tpg_lun": 0}]}
        acls.append(acl | ({"chap_userid": auth["userid"], "chap_password": auth["password"]} if auth else {}))
    portals = [{"ip_address": address, "port": port, "iser": False} for address, port in target["portals"]]
    group = {"tag": 1, "enable": True, "attributes": target["attributes"], "parameters": {}}
    return group | {"luns": luns, "node_acls": acls, "portals": portals}


def grep(state: Any, words: Sequence[str], given: str) -> str:
    assert list(words) == ["-rsH", "--include=info", "^InitiatorName:", "/sys/kernel/config/target/iscsi"]
    lines = [
        f"/sys/kernel/config/target/iscsi/{iqn}/tpgt_1/acls/{user}/info:InitiatorName: {user}\n"
        for iqn, users in state["sessions"].items()
        if iqn in state["iscsi"]
        for user in users
    ]
    if not lines:
        raise RefusedError("")
    return "".join(lines)


def stmfadm(state: Any, words: Sequence[str], given: str) -> str:
    verb, *rest = words
    return STMFADM[verb](state, rest)


def create_lu(state: Any, words: Sequence[str]) -> str:
    found, (dev,) = options(words, "p")
    props = dict(one.split("=", 1) for one in found["p"])
    assert set(props) == {"guid", "alias"}
    assert re.fullmatch(r"600144F0[0-9A-F]{24}", props["guid"])
    assert dev.removeprefix("/dev/zvol/rdsk/") in state["sets"]
    if props["guid"] in state["units"]:
        raise RefusedError("stmfadm: guid in use")
    state["units"][props["guid"]] = {"dev": dev, "alias": props["alias"], "views": []}
    return f"Logical unit created: {props['guid']}\n"


def delete_lu(state: Any, words: Sequence[str]) -> str:
    (guid,) = words
    if guid not in state["units"]:
        raise RefusedError(f"stmfadm: {guid}: not found")
    assert not state["units"][guid]["views"], "its views would stay behind"
    del state["units"][guid]
    return ""


def list_lu(state: Any, words: Sequence[str]) -> str:
    assert words == ["-v"]
    return "".join(
        f"LU Name: {guid}\n    Operational Status     : Online\n    Provider Name          : sbd\n"
        f"    Alias                  : {unit['alias']}\n    View Entry Count       : {len(unit['views'])}\n"
        f"    Data File              : {unit['dev']}\n    Meta File              : not set\n"
        for guid, unit in state["units"].items()
    )


def list_stmf_targets(state: Any, words: Sequence[str]) -> str:
    assert words == ["-v"]
    return "".join(
        f"Target: {iqn}\n    Operational Status     : {'Online' if target['online'] else 'Offline'}\n"
        f"    Protocol               : iSCSI\n    Sessions               : {len(state['sessions'].get(iqn, []))}\n"
        + "".join(
            f"        Initiator: {user}\n            Alias: -\n            Logged in since: Thu Nov 26 10:00:00 2026\n"
            for user in state["sessions"].get(iqn, [])
        )
        for iqn, target in state["targets"].items()
    )


def make_group(kind: str) -> Callable[[Any, Sequence[str]], str]:
    def make(state: Any, words: Sequence[str]) -> str:
        (name,) = words
        if name in state[kind]:
            raise RefusedError(f"stmfadm: {name}: already exists")
        state[kind][name] = []
        return ""

    return make


def list_group(kind: str, title: str) -> Callable[[Any, Sequence[str]], str]:
    def listed(state: Any, words: Sequence[str]) -> str:
        assert words == ["-v"]
        return "".join(
            f"{title}: {name}\n" + "".join(f"        Member: {member}\n" for member in members)
            for name, members in state[kind].items()
        )

    return listed


def add_tg_member(state: Any, words: Sequence[str]) -> str:
    found, (iqn,) = options(words, "g")
    if state["targets"][iqn]["online"]:
        raise RefusedError(f"stmfadm: {iqn}: STMF target must be offline")
    state["tgs"][found["g"][0]].append(iqn)
    return ""


def add_hg_member(state: Any, words: Sequence[str]) -> str:
    found, (name,) = options(words, "g")
    if any(name in members for members in state["hgs"].values()):
        raise RefusedError(f"stmfadm: {name}: already exists in a host group")
    state["hgs"][found["g"][0]].append(name)
    return ""


def delete_tg(state: Any, words: Sequence[str]) -> str:
    (name,) = words
    assert not any(view[1] == name for unit in state["units"].values() for view in unit["views"])
    del state["tgs"][name]
    return ""


def switch(*, online: bool) -> Callable[[Any, Sequence[str]], str]:
    def switched(state: Any, words: Sequence[str]) -> str:
        (iqn,) = words
        state["targets"][iqn]["online"] = online
        return ""

    return switched


def add_view(state: Any, words: Sequence[str]) -> str:
    found, (guid,) = options(words, "h t n")
    assert found["n"] == ["0"]
    hosts, targets = found["h"][0], found["t"][0]
    assert hosts in state["hgs"]
    assert targets in state["tgs"]
    state["units"][guid]["views"].append([hosts, targets])
    return ""


def list_view(state: Any, words: Sequence[str]) -> str:
    found, _ = options(words, "l")
    views = state["units"][found["l"][0]]["views"]
    if not views:
        raise RefusedError(f"stmfadm: {found['l'][0]}: no views found")
    return "".join(
        f"View Entry: {number}\n    Host group   : {hosts}\n    Target group : {targets}\n    LUN          : 0\n"
        for number, (hosts, targets) in enumerate(views)
    )


def remove_view(state: Any, words: Sequence[str]) -> str:
    option, guid, everything = words
    assert (option, everything) == ("-l", "-a")
    state["units"][guid]["views"] = []
    return ""


STMFADM = {
    "create-lu": create_lu,
    "delete-lu": delete_lu,
    "list-lu": list_lu,
    "list-target": list_stmf_targets,
    "create-tg": make_group("tgs"),
    "create-hg": make_group("hgs"),
    "list-tg": list_group("tgs", "Target Group"),
    "list-hg": list_group("hgs", "Host Group"),
    "add-tg-member": add_tg_member,
    "add-hg-member": add_hg_member,
    "delete-tg": delete_tg,
    "offline-target": switch(online=False),
    "online-target": switch(online=True),
    "add-view": add_view,
    "list-view": list_view,
    "remove-view": remove_view,
}


def itadm(state: Any, words: Sequence[str], given: str) -> str:
    verb, *rest = words
    if verb == "list-target":
        assert rest == ["-v"]
        head = "TARGET NAME                                                  STATE    SESSIONS \n"
        return head + "".join(
            f"{iqn}  {'online' if target['online'] else 'offline'}   {len(state['sessions'].get(iqn, []))}        \n"
            f"        alias:             \t{target['alias']}\n        auth:              \t{target['auth']}\n"
            f"        targetchapuser:    \t-\n        targetchapsecret:  \tunset\n        tpg-tags:          \tx = 2\n"
            for iqn, target in state["targets"].items()
        )
    if verb == "list-initiator":
        assert rest == []
        rows = [f"{name}  {user}  set\n" for name, user in state["initiators"].items()]
        return "INITIATOR NAME                                     CHAPUSER          SECRET\n" + "".join(rows)
    if verb == "create-tpg":
        name, portal = rest
        assert re.fullmatch(r"[0-9.]+:\d+", portal)
        if name in state["tpgs"]:
            raise RefusedError(f"itadm: tpg {name} already exists")
        state["tpgs"][name] = portal
    elif verb == "create-target":
        found, none = options(rest, "n l a t")
        assert not none
        assert found["t"][0] in state["tpgs"]
        state["targets"][found["n"][0]] = {"alias": found["l"][0], "auth": found["a"][0], "online": True}
    elif verb == "delete-target":
        (iqn,) = rest
        if state["targets"][iqn]["online"]:
            raise RefusedError(f"itadm: target {iqn} is online")
        del state["targets"][iqn]
        state["sessions"].pop(iqn, None)
        for members in state["tgs"].values():
            if iqn in members:
                members.remove(iqn)
    else:
        assert verb in {"create-initiator", "modify-initiator"}
        found, (name,) = options(rest, "u S")
        assert (verb == "modify-initiator") == (name in state["initiators"])
        assert found["S"] == ["/dev/stdin"]
        assert 12 <= len(given.strip()) <= 255
        state["initiators"][name] = found["u"][0]
    return ""


PROGRAMS = {
    "zfs": zfs,
    "udevadm": udevadm,
    "targetcli": targetcli,
    "cat": cat,
    "grep": grep,
    "stmfadm": stmfadm,
    "itadm": itadm,
}
