"""Linux' target: targetcli(8), what it saves, and what the kernel shows of its sessions."""

import json
import re
from collections.abc import Sequence
from typing import Any

from tests.zfs_machine.words import IQN, RefusedError


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
