"""illumos' target: stmfadm(8) and itadm(8)."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.zfs_machine.words import RefusedError, options


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
