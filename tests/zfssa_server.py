"""A stand-in for a pair of storage heads: their REST service as the RESTful API guide of the appliance documents it.

No such machine is to be had. Each head is a TLS server of its own; both share one set of pools, LUNs and targets, which
only the owner of a pool shows. It is strict: an unknown property, a missing parent, a wrong status or a name that is
too long are refused as documented. Faults are asked for by tests: 503, sessions that end, a takeover, an answer that
is lost after the work was done, a head that is dead.
"""

import json
import re
import ssl
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

USER, PASSWORD = "twinboot", "a secret of 21 letters"
POOL = "p0"
TOTAL_BYTES = 2**40
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")
LUN_PROPERTIES = {"name", "volsize", "volblocksize", "sparse", "targetgroup", "initiatorgroup", "lunnumber", "status"}
NOBODY = "com.sun.ms.vss.hg.maskAll"


class FaultError(Exception):
    def __init__(self, code: int, symbol: str, details: str = "") -> None:
        super().__init__(symbol)
        self.code, self.symbol, self.details = code, symbol, details


def demand(holds: object, code: int, symbol: str, details: str = "") -> None:
    if not holds:
        raise FaultError(code, symbol, details)


class Appliance:
    """Two heads, `head[0]` and `head[1]`, of one cluster; the first has the pool."""

    def __init__(self, place: Path) -> None:
        certificate(place)
        self.ca_file = place / "cert.pem"
        self.projects: dict[str, dict[str, Any]] = {"default": {}}
        self.san: dict[str, dict[str, dict[str, Any]]] = {
            kind: {} for kind in ("targets", "target-groups", "initiators", "initiator-groups")
        }
        self.owner = 0
        self.faults: list[Callable[[str, str], str]] = []
        """Each is shown a request; `503`, `lost`, `cut` (before anything is done), or empty for no fault."""
        self.asked: list[tuple[int, str, str]] = []
        self.lock = threading.Lock()
        self.heads = [Head(self, number, place) for number in range(2)]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"localhost:{head.port}" for head in self.heads)

    def takeover(self) -> None:
        """The other head takes the pool; all sessions there are new."""
        self.owner = 1 - self.owner
        for head in self.heads:
            head.sessions.clear()

    def fault_once(self, pattern: str, kind: str, count: int = 1) -> None:
        """Let the next `count` requests like `POST .*/luns` meet a fault."""
        left = [count]

        def fault(verb: str, path: str) -> str:
            if left[0] and re.fullmatch(pattern, f"{verb} {path}"):
                left[0] -= 1
                return kind
            return ""

        self.faults.append(fault)

    def stop(self) -> None:
        for head in self.heads:
            head.stop()

    def fault(self, verb: str, path: str) -> str:
        return next((kind for one in self.faults if (kind := one(verb, path))), "")


class Head:
    def __init__(self, appliance: Appliance, number: int, place: Path) -> None:
        self.appliance = appliance
        self.number = number
        self.sessions: set[str] = set()
        self.alive = True
        handler = type("Handler", (Handler,), {"head": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place / "cert.pem", place / "key.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    head: Head
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as http.server calls them

    def serve(self) -> None:
        appliance = self.head.appliance
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        with appliance.lock:
            appliance.asked.append((self.head.number, self.command, self.path))
            fault = appliance.fault(self.command, self.path) if self.head.alive else "cut"
            if fault == "cut":
                self.close_connection = True
                return
            try:
                if fault == "503":
                    raise FaultError(503, "ERR_BUSY")
                status, answer = self.answer(body)
            except FaultError as error:
                status = error.code
                answer = {"fault": {"message": error.symbol, "details": error.details, "code": error.code}}
            if fault == "lost":
                self.close_connection = True
                return
            if fault == "takeover":
                appliance.takeover()
                self.close_connection = True
                return
            data = json.dumps(answer).encode() if answer is not None else b""
            self.send_response(status)
            if status == 201 and self.path == "/api/access/v1":
                session = f"session-{self.head.number}-{len(appliance.asked)}"
                self.head.sessions.add(session)
                self.send_header("X-Auth-Session", session)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def answer(self, body: Any) -> tuple[int, Any]:
        if self.path == "/api/access/v1":
            known = (self.headers.get("X-Auth-User"), self.headers.get("X-Auth-Key")) == (USER, PASSWORD)
            demand(self.command == "POST" and known, 401, "ERR_UNAUTHORIZED")
            return 201, {"access": {"services": []}}
        demand(self.headers.get("X-Auth-Session") in self.head.sessions, 401, "ERR_UNAUTHORIZED")
        words = [unquote(word) for word in self.path.removeprefix("/api/").split("/")]
        if words == ["system", "v1", "version"]:
            return 200, {"version": {"nodename": f"head{self.head.number}", "asn": f"asn-{self.head.number}"}}
        if words[:3] == ["san", "v1", "iscsi"]:
            return san(self.head.appliance, self.command, words[3:], body)
        demand(words[:3] == ["storage", "v1", "pools"], 404, "ERR_NOT_FOUND")
        is_owner = self.head.appliance.owner == self.head.number
        demand(words[3:4] == [POOL] and is_owner, 404, "ERR_NOT_FOUND", "pool")
        return storage(self.head.appliance, self.command, words[4:], body)


def storage(appliance: Appliance, verb: str, words: list[str], body: Any) -> tuple[int, Any]:
    projects = appliance.projects
    if not words:
        demand(verb == "GET", 501, "ERR_NOT_IMPLEMENTED")
        usage = {"available": float(TOTAL_BYTES), "used": 0.0, "total": float(TOTAL_BYTES)}
        return 200, {"pool": {"name": POOL, "status": "online", "asn": f"asn-{appliance.owner}", "usage": usage}}
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
    return luns(appliance, verb, project, words[3:], body)


def made(things: dict[str, Any], body: Any, allowed: set[str], facts: dict[str, Any]) -> dict[str, Any]:
    demand(set(body) <= allowed, 400, "ERR_UNKNOWN_ARG", str(set(body) - allowed))
    demand(NAME.fullmatch(body.get("name", "")), 400, "ERR_INVALID_ARG", "name")
    demand(body["name"] not in things, 409, "ERR_OBJECT_EXISTS")
    things[body["name"]] = facts
    return {"name": body["name"], **facts}


def luns(appliance: Appliance, verb: str, project: str, words: list[str], body: Any) -> tuple[int, Any]:
    inside = appliance.projects[project]
    if not words:
        if verb == "GET":
            return 200, {"luns": [shown(project, name, lun) for name, lun in inside.items()]}
        demand(body.get("volsize", 0) % 8192 == 0, 400, "ERR_INVALID_ARG", "volsize")
        groups_exist(appliance, body)
        facts = {key: value for key, value in body.items() if key != "name"}
        made(inside, body, LUN_PROPERTIES, {**facts, "snapshots": {}})
        return 201, {"lun": shown(project, body["name"], inside[body["name"]])}
    name = words[0]
    demand(name in inside, 404, "ERR_NOT_FOUND")
    lun = inside[name]
    if len(words) > 1:
        demand(words[1] == "snapshots", 404, "ERR_NOT_FOUND")
        return snapshots(appliance, verb, (project, name), words[2:], body)
    if verb == "DELETE":
        demand(not any(clones(appliance, project, name, one) for one in lun["snapshots"]), 409, "ERR_IN_USE", "clones")
        del inside[name]
        return 204, None
    if verb == "PUT":
        demand(set(body) <= LUN_PROPERTIES, 400, "ERR_UNKNOWN_ARG")
        groups_exist(appliance, body)
        changes = dict(body)
        new = changes.pop("name", name)
        demand(new == name or new not in inside, 409, "ERR_OBJECT_EXISTS")
        lun.update(changes)
        inside[new] = inside.pop(name)
        return 202, {"lun": shown(project, new, lun)}
    return 200, {"lun": shown(project, name, lun)}


def groups_exist(appliance: Appliance, body: Any) -> None:
    target, initiator = body.get("targetgroup", "default"), body.get("initiatorgroup", "default")
    known = {"default", *appliance.san["target-groups"]}
    demand(target in known, 404, "ERR_NOT_FOUND", "targetgroup")
    demand(initiator in {"default", NOBODY, *appliance.san["initiator-groups"]}, 404, "ERR_NOT_FOUND", "initiatorgroup")


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


def clones(appliance: Appliance, project: str, share: str, snapshot: str) -> list[str]:
    origin = {"pool": POOL, "project": project, "share": share, "snapshot": snapshot}
    return [
        name for inside in appliance.projects.values() for name, lun in inside.items() if lun.get("origin") == origin
    ]


def snapshots(appliance: Appliance, verb: str, where: tuple[str, str], words: list[str], body: Any) -> tuple[int, Any]:
    project, share = where
    lun = appliance.projects[project][share]
    if not words:
        if verb == "GET":
            return 200, {"snapshots": [{"name": ".auto-1"}, *({"name": name} for name in lun["snapshots"])]}
        return 201, {"snapshot": made(lun["snapshots"], body, {"name"}, {})}
    name = words[0]
    demand(name in lun["snapshots"], 404, "ERR_NOT_FOUND")
    if words[1:] == ["clone"]:
        demand(verb == "PUT", 501, "ERR_NOT_IMPLEMENTED")
        demand({"project", "share"} <= set(body), 400, "ERR_MISSING_ARG")
        demand(body["project"] in appliance.projects, 404, "ERR_NOT_FOUND", "project")
        origin = {"pool": POOL, "project": project, "share": share, "snapshot": name}
        facts = {key: value for key, value in body.items() if key not in {"project", "share"}}
        groups_exist(appliance, facts)
        facts |= {"volsize": lun["volsize"], "origin": origin, "snapshots": {}}
        inside = appliance.projects[body["project"]]
        made(inside, {"name": body["share"]}, {"name"}, facts)
        return 201, {"lun": shown(body["project"], body["share"], facts)}
    if verb == "DELETE":
        demand(not clones(appliance, project, share, name), 409, "ERR_IN_USE", "clones")
        del lun["snapshots"][name]
        return 204, None
    return 200, {"snapshot": {"name": name, "numclones": len(clones(appliance, project, share, name))}}


SAN = {
    "targets": ("iqn", "target", {"alias", "iqn", "auth", "interfaces"}),
    "target-groups": ("name", "group", {"name", "targets"}),
    "initiators": ("initiator", "initiator", {"initiator", "alias", "chapuser", "chapsecret"}),
    "initiator-groups": ("name", "group", {"name", "initiators"}),
}


def san(appliance: Appliance, verb: str, words: list[str], body: Any) -> tuple[int, Any]:
    kind = words[0]
    key, singular, allowed = SAN[kind]
    things = appliance.san[kind]
    if verb == "GET" and len(words) == 1:
        plural = "groups" if singular == "group" else kind
        hidden = [{**thing, "chapsecret": ""} if "chapsecret" in thing else thing for thing in things.values()]
        return 200, {plural: hidden}
    if verb == "POST":
        demand(set(body) <= allowed, 400, "ERR_UNKNOWN_ARG")
        demand(body[key] not in things, 409, "ERR_OBJECT_EXISTS")
        for member in body.get("targets", []):
            demand(member in appliance.san["targets"], 404, "ERR_NOT_FOUND", member)
        for member in body.get("initiators", []):
            demand(member in appliance.san["initiators"], 404, "ERR_NOT_FOUND", member)
        things[body[key]] = body
        return 201, {singular: body}
    name = words[1]
    demand(name in things, 404, "ERR_NOT_FOUND")
    if verb == "DELETE":
        every = [lun for inside in appliance.projects.values() for lun in inside.values()]
        users = {lun.get("targetgroup") for lun in every} | {lun.get("initiatorgroup") for lun in every}
        demand(singular != "group" or name not in users, 409, "ERR_IN_USE", "LUNs use it")
        members = [one for group in appliance.san["target-groups"].values() for one in group["targets"]]
        demand(kind != "targets" or name not in members, 409, "ERR_IN_USE", "a group has it")
        del things[name]
        return 204, None
    demand(verb == "PUT" and set(body) <= allowed, 400, "ERR_UNKNOWN_ARG")
    things[name].update(body)
    return 202, {singular: things[name]}


def certificate(place: Path) -> None:
    """A certificate for localhost that vouches for itself."""
    if not (place / "cert.pem").exists():
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(place / "key.pem")]
        argv = ["openssl", "req", "-x509", *key, "-out", str(place / "cert.pem"), "-days", "2", *subject]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
