"""The REST service of a head: what it answers to each verb and path, as the RESTful API guide documents it."""

from typing import Any

from tests.zfssa.state import (
    LUN_PROPERTIES,
    NAME,
    POOL,
    SAN,
    TOTAL_BYTES,
    State,
    clones,
    in_use,
    missing_members,
    unknown_groups,
)


class FaultError(Exception):
    def __init__(self, code: int, symbol: str, details: str = "") -> None:
        super().__init__(symbol)
        self.code, self.symbol, self.details = code, symbol, details


def demand(holds: object, code: int, symbol: str, details: str = "") -> None:
    if not holds:
        raise FaultError(code, symbol, details)


def storage(state: State, verb: str, words: list[str], body: Any) -> tuple[int, Any]:
    projects = state.projects
    if not words:
        demand(verb == "GET", 501, "ERR_NOT_IMPLEMENTED")
        usage = {"available": float(TOTAL_BYTES), "used": 0.0, "total": float(TOTAL_BYTES)}
        return 200, {"pool": {"name": POOL, "status": "online", "asn": f"asn-{state.owner}", "usage": usage}}
    demand(words[0] == "projects", 404, "ERR_NOT_FOUND")
    if len(words) == 1:
        if verb == "POST":
            return 201, {"project": made(projects, body, {"name"}, {})}
        return 200, {"projects": [{"name": name} for name in projects]}
    project = words[1]
    demand(project in projects, 404, "ERR_NOT_FOUND")
    if len(words) == 2:
        if verb == "DELETE":
            demand(not projects[project], 409, "ERR_CONFIRM_REQUIRED")
            del projects[project]
            return 204, None
        return 200, {"project": {"name": project}}
    demand(words[2] == "luns", 404, "ERR_NOT_FOUND")
    return luns(state, verb, project, words[3:], body)


def made(things: dict[str, Any], body: Any, allowed: set[str], facts: dict[str, Any]) -> dict[str, Any]:
    demand(set(body) <= allowed, 400, "ERR_UNKNOWN_ARG", str(set(body) - allowed))
    demand(NAME.fullmatch(body.get("name", "")), 400, "ERR_INVALID_ARG", "name")
    demand(body["name"] not in things, 409, "ERR_OBJECT_EXISTS")
    things[body["name"]] = facts
    return {"name": body["name"], **facts}


def luns(state: State, verb: str, project: str, words: list[str], body: Any) -> tuple[int, Any]:
    inside = state.projects[project]
    if not words:
        if verb == "GET":
            return 200, {"luns": [shown(project, name, lun) for name, lun in inside.items()]}
        demand(body.get("volsize", 0) % 8192 == 0, 400, "ERR_INVALID_ARG", "volsize")
        groups_exist(state, body)
        facts = {key: value for key, value in body.items() if key != "name"}
        made(inside, body, LUN_PROPERTIES, {**facts, "snapshots": {}})
        return 201, {"lun": shown(project, body["name"], inside[body["name"]])}
    name = words[0]
    demand(name in inside, 404, "ERR_NOT_FOUND")
    lun = inside[name]
    if len(words) > 1:
        demand(words[1] == "snapshots", 404, "ERR_NOT_FOUND")
        return snapshots(state, verb, (project, name), words[2:], body)
    if verb == "DELETE":
        demand(not any(clones(state, project, name, one) for one in lun["snapshots"]), 409, "ERR_IN_USE", "clones")
        del inside[name]
        return 204, None
    if verb == "PUT":
        demand(set(body) <= LUN_PROPERTIES, 400, "ERR_UNKNOWN_ARG")
        groups_exist(state, body)
        changes = dict(body)
        new = changes.pop("name", name)
        demand(new == name or new not in inside, 409, "ERR_OBJECT_EXISTS")
        lun.update(changes)
        inside[new] = inside.pop(name)
        return 202, {"lun": shown(project, new, lun)}
    return 200, {"lun": shown(project, name, lun)}


def groups_exist(state: State, body: Any) -> None:
    for name in unknown_groups(state, body):
        raise FaultError(404, "ERR_NOT_FOUND", name)


def shown(project: str, name: str, lun: dict[str, Any]) -> dict[str, Any]:
    """As newer software does: initiator groups are a list, sizes are floats."""
    facts = {key: value for key, value in lun.items() if key != "snapshots"}
    usage = {"available": 1.0, "data": 0.0, "snapshots": 0.0, "total": 0.0}
    groups = [facts.pop("initiatorgroup", "default")]
    volsize = float(facts.pop("volsize"))
    return {"name": name, "project": project, "pool": POOL, **facts, "volsize": volsize, "initiatorgroup": groups} | {
        "usage": usage,
        "lunguid": "600144F0",
    }


def snapshots(state: State, verb: str, where: tuple[str, str], words: list[str], body: Any) -> tuple[int, Any]:
    project, share = where
    lun = state.projects[project][share]
    if not words:
        if verb == "GET":
            return 200, {"snapshots": [{"name": ".auto-1"}, *({"name": name} for name in lun["snapshots"])]}
        return 201, {"snapshot": made(lun["snapshots"], body, {"name"}, {})}
    name = words[0]
    demand(name in lun["snapshots"], 404, "ERR_NOT_FOUND")
    if words[1:] == ["clone"]:
        demand(verb == "PUT", 501, "ERR_NOT_IMPLEMENTED")
        demand({"project", "share"} <= set(body), 400, "ERR_MISSING_ARG")
        demand(body["project"] in state.projects, 404, "ERR_NOT_FOUND", "project")
        origin = {"pool": POOL, "project": project, "share": share, "snapshot": name}
        facts = {key: value for key, value in body.items() if key not in {"project", "share"}}
        groups_exist(state, facts)
        facts |= {"volsize": lun["volsize"], "origin": origin, "snapshots": {}}
        inside = state.projects[body["project"]]
        made(inside, {"name": body["share"]}, {"name"}, facts)
        return 201, {"lun": shown(body["project"], body["share"], facts)}
    if verb == "DELETE":
        demand(not clones(state, project, share, name), 409, "ERR_IN_USE", "clones")
        del lun["snapshots"][name]
        return 204, None
    return 200, {"snapshot": {"name": name, "numclones": len(clones(state, project, share, name))}}


def san(state: State, verb: str, words: list[str], body: Any) -> tuple[int, Any]:
    kind = words[0]
    key, singular, allowed = SAN[kind]
    things = state.san[kind]
    if verb == "GET" and len(words) == 1:
        plural = "groups" if singular == "group" else kind
        hidden = [{**thing, "chapsecret": ""} if "chapsecret" in thing else thing for thing in things.values()]
        return 200, {plural: hidden}
    if verb == "POST":
        demand(set(body) <= allowed, 400, "ERR_UNKNOWN_ARG")
        demand(body[key] not in things, 409, "ERR_OBJECT_EXISTS")
        for member in missing_members(state, body):
            raise FaultError(404, "ERR_NOT_FOUND", member)
        things[body[key]] = body
        return 201, {singular: body}
    name = words[1]
    demand(name in things, 404, "ERR_NOT_FOUND")
    if verb == "DELETE":
        why = in_use(state, kind, name)
        demand(not why, 409, "ERR_IN_USE", why)
        del things[name]
        return 204, None
    demand(verb == "PUT" and set(body) <= allowed, 400, "ERR_UNKNOWN_ARG")
    things[name].update(body)
    return 202, {singular: things[name]}
