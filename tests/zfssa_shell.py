"""A stand-in for the appliance's command line: an `ssh` whose far end runs our programs in a real ECMAScript engine.

No such machine is to be had. The engine is QuickJS without what ECMAScript 3 did not have; the contexts, properties and
commands are as the administration guide documents them, over the same state as the REST stand-in has, so that both
transports see one appliance. It is strict: commands and properties that a context does not have, names that are not
there, leaving what is not committed, and `destroy` without `confirm` are refused; `confirm destroy` takes with it
whatever is inside, as the appliance's does. Numbers of error codes are invented, because no guide lists them.
"""

import json
import os
import re
import socketserver
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import quickjs

from tests.zfssa_server import LUN_PROPERTIES, NAME, NOBODY, POOL, SAN, TOTAL_BYTES, USER, Appliance, clones

NOT_FOUND, BAD = 10004, 10001
PRELUDE = f"""
var EAKSH_ENTITY_NOTFOUND = {NOT_FOUND};
(function (all, parse, dump) {{
  var names = ['run', 'get', 'set', 'list', 'choices', 'printf'];
  for (var i = 0; i < names.length; i++) (function (name) {{
    all[name] = function () {{
      var given = [];
      for (var j = 0; j < arguments.length; j++) given.push(arguments[j]);
      var answer = parse(builtin(name, dump(given)));
      if (answer.error) throw answer.error;
      return answer.value;
    }};
  }})(names[i]);
  var later = ['indexOf', 'forEach', 'map', 'filter', 'some', 'every', 'reduce', 'includes', 'find'];
  for (i = 0; i < later.length; i++) delete Array.prototype[later[i]];
  delete String.prototype.trim; delete String.prototype.includes; delete Object.keys; delete all.JSON;
}})(this, JSON.parse, JSON.stringify);
"""
LATER_SYNTAX = re.compile(r"\b(let|const|class|=>)\b|=>|`")
PIECES = re.compile(r'"([^"]*)"|([^",]+)')
RUNS_BEFORE_A_MOVE = 4
"""Three choose the pool; then a program begins what it is for."""

LISTS = {"targets", "initiators", "interfaces"}
NUMBERS = {"volsize", "lunnumber"}
CLIENT = """#!{python} -IS
import json, socket, sys
far = socket.socket(socket.AF_UNIX)
far.connect({path!r})
far.sendall(json.dumps([sys.argv[1:], sys.stdin.read()]).encode() + b"\\n")
out, err, code = json.loads(far.makefile().read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class ShellError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def demand(holds: object, message: str, code: int = BAD) -> None:
    if not holds:
        raise ShellError(code, message)


class Shell:
    """Where the `ssh` of `path` leads to: the heads `head-0` and `head-1` of the appliance."""

    names = ("head-0", "head-1:22")

    def __init__(self, appliance: Appliance, place: Path) -> None:
        self.appliance = appliance
        self.calls: list[list[str]] = []
        self.programs: list[str] = []
        self.left: list[str] = []
        """What was left uncommitted at the end of a run."""
        self.iscsi_first = True
        """The order of words: `san iscsi targets`, else `san targets iscsi`."""
        self.offers_pools = True
        """Whether `choices` answers."""
        self.path = place / "bin"
        self.path.mkdir(exist_ok=True)
        socket = str(place / "appliance.sock")
        (self.path / "ssh").write_text(CLIENT.format(python=sys.executable, path=socket))
        (self.path / "ssh").chmod(0o755)
        self._server = socketserver.ThreadingUnixStreamServer(socket, type("Far", (Far,), {"shell": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def search_path(self) -> str:
        return f"{self.path}:{os.environ['PATH']}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, argv: list[str], text: str) -> tuple[str, str, int]:
        """What ssh prints, complains of and ends with."""
        self.calls.append(argv)
        self.programs.append(text)
        assert argv[0] == "-T"
        assert "BatchMode=yes" in argv
        user, _, host = argv[-1].partition("@")
        number, appliance = int(host.removeprefix("head-")), self.appliance
        what = (re.search(r"/\* (.*?) \*/", text) or [0, ""])[1]
        appliance.asked.append((number, "SSH", what))
        fault = appliance.fault("SSH", what) if appliance.heads[number].alive else "cut"
        if fault == "cut":
            return "", f"ssh: connect to host {host} port 22: Connection refused", 255
        if fault == "unknown" or user != USER:
            return "", f"{argv[-1]}: Permission denied (publickey).", 255
        if fault == "away":
            appliance.takeover()
        printed, complaint = self.session(number, text, moves=fault == "during")
        if fault == "takeover":
            appliance.takeover()
        if fault in ("lost", "takeover"):
            return "", "Connection to head closed by remote host.", 255
        return (printed[: len(printed) // 2], complaint, 0) if fault == "half" else (printed, complaint, 0)

    def session(self, number: int, text: str, *, moves: bool) -> tuple[str, str]:
        lines = text.split("\n")
        assert lines[0] == "script"
        body = "\n".join(lines[1 : lines.index(".")])
        assert lines[lines.index(".") + 1 :] == [""]
        assert not LATER_SYNTAX.search(body)
        session = Session(self, number, runs_left=RUNS_BEFORE_A_MOVE if moves else None)
        engine = quickjs.Context()
        engine.set_memory_limit(64 << 20)
        engine.add_callable("builtin", session.builtin)
        engine.eval(PRELUDE)
        try:
            engine.eval(body)
            complaint = ""
        except quickjs.JSException as error:
            complaint = f"error: {error}"
        if session.draft is not None:
            self.left.append(body)
        return "".join(session.printed), complaint


class Far(socketserver.StreamRequestHandler):
    shell: Shell

    def handle(self) -> None:
        argv, text = json.loads(self.rfile.readline())
        with self.shell.appliance.lock:
            answer = self.shell.answer(argv, text)
        self.wfile.write(json.dumps(answer).encode())


Context = tuple[str, ...]


class Session:
    """One run: where it is, and what it has not committed: properties of a thing, and how it is made."""

    def __init__(self, shell: Shell, number: int, runs_left: int | None) -> None:
        self.shell = shell
        self.appliance = shell.appliance
        self.number = number
        self.at: Context = ()
        self.draft: dict[str, Any] | None = None
        self.make: Callable[[dict[str, Any]], None] | None = None
        self.allowed: set[str] = set()
        self.pool = ""
        self.runs_left = runs_left
        """Commands until the other head takes the pool."""
        self.printed: list[str] = []

    def builtin(self, name: str, given: str) -> str:
        try:
            return json.dumps({"value": getattr(self, f"do_{name}")(*json.loads(given))})
        except ShellError as error:
            return json.dumps({"error": {"code": error.code, "message": error.message}})

    def do_printf(self, form: str, *values: object) -> None:
        self.printed.append(form % values)

    def do_run(self, text: str) -> str:
        assert "\n" not in text
        if self.runs_left is not None:
            self.runs_left -= 1
            if self.runs_left == 0:
                self.appliance.takeover()
        words = text.split(" ")
        verb = getattr(self, f"run_{words[0]}", None)
        demand(verb, f'invalid command "{words[0]}"')
        if words[0] == "set":
            return verb(text.removeprefix("set "))
        return verb(*words[1:]) or ""

    def do_choices(self, name: str) -> list[str]:
        demand(self.shell.offers_pools and self.at == ("shares",) and name == "pool", f'bad property "{name}"')
        return self.pools()

    def pools(self) -> list[str]:
        return ["other", POOL] if self.appliance.owner == self.number else ["other"]

    def do_list(self) -> list[str]:
        return [*self.things()]

    def things(self) -> dict[str, Any]:
        """What can be selected here."""
        demand(self.draft is None, "uncommitted")
        at, projects = self.at, self.projects()
        if at == ("shares",):
            return projects
        if at[:1] == ("shares",) and len(at) == 2:
            return projects[at[1]]
        if at[3:] == ("snapshots",):
            return projects[at[1]][at[2]]["snapshots"]
        if at[:1] == ("san",) and len(at) == 2:
            singular = SAN[at[1]][1]
            things = self.appliance.san[at[1]].values()
            return {f"{singular}-{number:03}": thing for number, thing in enumerate(things)}
        return {}

    def projects(self) -> dict[str, Any]:
        if self.at[:1] != ("shares",):
            return {}
        if self.pool != POOL:
            return {"default": {}}
        demand(self.appliance.owner == self.number, "pool not found", NOT_FOUND)
        return self.appliance.projects

    def do_get(self, name: str) -> object:
        at = self.at
        if at == ("shares",) and name == "pool":
            return self.pool
        if at[:1] == ("shares",) and len(at) == 2 and name in ("space_total", "space_available"):
            return float(TOTAL_BYTES if name == "space_available" else 0)
        if at[:1] == ("shares",) and len(at) == 3 and self.draft is None:
            return self.lun_property(self.projects()[at[1]][at[2]], name)
        demand(at[:1] == ("san",) and len(at) == 3 and self.draft is None, f'bad property "{name}"')
        demand(name in SAN[at[1]][2], f'bad property "{name}"')
        thing = self.selected()
        return "********" if name == "chapsecret" else thing.get(name, "")

    def selected(self) -> Any:
        here, self.at = self.at, self.at[:-1]
        try:
            return self.things()[here[-1]]
        finally:
            self.at = here

    def lun_property(self, lun: dict[str, Any], name: str) -> object:
        shows = {"space_data": 0.0, "space_snapshots": 0.0, "targetgroup": "default", "initiatorgroup": "default"}
        if name == "origin" and "origin" in lun:
            origin = lun["origin"]
            return f"{origin['pool']}/local/{origin['project']}/{origin['share']}@{origin['snapshot']}"
        found = lun.get(name, shows.get(name))
        demand(found is not None, f'bad property "{name}"')
        return float(found) if name == "volsize" else found

    def run_cd(self, where: str) -> None:
        demand(self.draft is None, "uncommitted changes would be discarded")
        demand(where == "/" or (where == ".." and self.at), "bad path")
        up = 2 if len(self.at) == 2 and self.at[0] == "san" else 1
        self.at = () if where == "/" else self.at[:-up]

    def run_shares(self) -> None:
        demand(self.at == (), 'invalid command "shares"')
        self.at, self.pool = ("shares",), self.pools()[0]

    def run_configuration(self, *words: str) -> None:
        demand(self.at == () and len(words) == 3 and words[0] == "san", "bad context")
        iscsi, kind = words[1:] if self.shell.iscsi_first else reversed(words[1:])
        demand(iscsi == "iscsi" and kind in ("targets", "initiators"), f'invalid command "{words[1]}"')
        self.at = ("san", kind)

    def run_groups(self) -> None:
        demand(self.at in (("san", "targets"), ("san", "initiators")), 'invalid command "groups"')
        self.at = ("san", f"{self.at[1].removesuffix('s')}-groups")

    def run_select(self, name: str) -> None:
        demand(name in self.things(), f'entity "{name}" not found', NOT_FOUND)
        self.at = (*self.at, name)

    def run_snapshots(self) -> None:
        demand(self.at[:1] == ("shares",) and len(self.at) == 3 and self.draft is None, "invalid command")
        self.at = (*self.at, "snapshots")

    def run_set(self, text: str) -> str:
        name, _, value = text.partition("=")
        values = [quoted or plain for quoted, plain in PIECES.findall(value)]
        if self.at == ("shares",) and name == "pool":
            demand(values[0] in self.pools(), "bad property value")
            self.pool = values[0]
            return ""
        if self.draft is None:
            self.change()
        assert self.draft is not None
        demand(name in self.allowed and values, f'bad property "{name}"')
        demand(name in LISTS or len(values) == 1, "bad property value")
        self.draft[name] = values if name in LISTS else typed(name, values[0])
        return f"{name} = {value} (uncommitted)"

    def change(self) -> None:
        """Begin to change what is selected."""
        if self.at[:1] == ("shares",) and len(self.at) == 3:
            self.allowed, lun = LUN_PROPERTIES - {"name"}, self.projects()[self.at[1]][self.at[2]]
            self.begin({}, lambda values: self.set_lun(lun, values))
        else:
            demand(self.at[:2] == ("san", "initiators") and len(self.at) == 3, "no properties here")
            self.allowed, thing = {"alias", "chapuser", "chapsecret"}, self.selected()
            self.begin({}, thing.update)

    def begin(self, values: dict[str, Any], make: Callable[[dict[str, Any]], None]) -> None:
        demand(self.draft is None, "uncommitted")
        self.draft, self.make = values, make

    def run_commit(self) -> None:
        demand(self.draft is not None and self.make, "nothing to commit")
        self.make(self.draft)
        self.draft = None
        if self.at[-1] == "+":
            self.at = self.at[:-1]

    def run_abort(self) -> None:
        demand(self.draft is not None, "nothing to abort")
        self.draft = None
        if self.at[-1] == "+":
            self.at = self.at[:-1]

    def run_project(self, name: str) -> None:
        demand(self.at == ("shares",), 'invalid command "project"')
        things = self.new(name)
        self.allowed = {"mountpoint", "quota"}
        self.begin({}, lambda values: things.__setitem__(name, values))
        self.at = (*self.at, "+")

    def run_lun(self, name: str) -> None:
        demand(self.at[:1] == ("shares",) and len(self.at) == 2, 'invalid command "lun"')
        things = self.new(name)

        def make(values: dict[str, Any]) -> None:
            demand(values.get("volsize", 1) % 8192 == 0, "bad value of volsize")
            lun: dict[str, Any] = {}
            self.set_lun(lun, values)
            things[name] = {**lun, "snapshots": {}}

        self.allowed = LUN_PROPERTIES - {"name"}
        self.begin({}, make)
        self.at = (*self.at, "+")

    def run_clone(self, project: str, share: str) -> None:
        demand(self.at[3:4] == ("snapshots",) and len(self.at) == 5, 'invalid command "clone"')
        projects = self.projects()
        demand(project in projects, "project not found", NOT_FOUND)
        demand(NAME.fullmatch(share) and share not in projects[project], "already exists")
        origin = {"pool": POOL, "project": self.at[1], "share": self.at[2], "snapshot": self.at[4]}
        fixed = {"volsize": projects[self.at[1]][self.at[2]]["volsize"], "origin": origin, "snapshots": {}}

        def make(values: dict[str, Any]) -> None:
            lun: dict[str, Any] = {}
            self.set_lun(lun, values)
            projects[project][share] = {**lun, **fixed}

        self.allowed = LUN_PROPERTIES - {"name", "volsize", "volblocksize"}
        self.begin({}, make)
        self.at = (*self.at, "+")

    def set_lun(self, lun: dict[str, Any], values: dict[str, Any]) -> None:
        san = self.appliance.san
        demand(values.get("targetgroup", "default") in {"default", *san["target-groups"]}, "no such target group")
        groups = {"default", NOBODY, *san["initiator-groups"]}
        demand(values.get("initiatorgroup", "default") in groups, "no such initiator group")
        lun.update(values)

    def new(self, name: str) -> dict[str, Any]:
        things = self.things()
        demand(NAME.fullmatch(name), "bad name")
        demand(name not in things, "already exists")
        return things

    def run_snapshot(self, name: str) -> None:
        demand(self.at[3:] == ("snapshots",), 'invalid command "snapshot"')
        self.new(name)[name] = {}

    def run_rename(self, old: str, new: str) -> None:
        demand(self.at[:1] == ("shares",) and len(self.at) == 2, 'invalid command "rename"')
        things = self.new(new)
        demand(old in things, "not found", NOT_FOUND)
        things[new] = things.pop(old)

    def run_create(self) -> None:
        demand(self.at[:1] == ("san",) and len(self.at) == 2, 'invalid command "create"')
        kind = self.at[1]
        key, _, self.allowed = SAN[kind]
        things = self.appliance.san[kind]

        def make(values: dict[str, Any]) -> None:
            demand(key in values and values[key] not in things, "already exists")
            for member in values.get("targets", []):
                demand(member in self.appliance.san["targets"], "no such target", NOT_FOUND)
            for member in values.get("initiators", []):
                demand(member in self.appliance.san["initiators"], "no such initiator", NOT_FOUND)
            things[values[key]] = values

        self.begin({}, make)
        self.at = (*self.at, "+")

    def run_destroy(self, *_: str) -> None:
        raise ShellError(BAD, "are you sure? (Y/N): nobody answers")

    def run_confirm(self, *words: str) -> None:
        demand(words == ("destroy",) and self.draft is None, "invalid command")
        at = self.at
        if at[:1] == ("san",):
            self.destroy_san(at[1])
        elif len(at) == 5:
            self.destroy_snapshot(at[1], at[2], at[4])
        elif len(at) == 3:
            for snapshot in [*self.projects()[at[1]][at[2]]["snapshots"]]:
                self.destroy_snapshot(at[1], at[2], snapshot)
            del self.projects()[at[1]][at[2]]
        else:
            demand(len(at) == 2, "nothing to destroy")
            del self.projects()[at[1]]
        self.at = at[:-1]

    def destroy_snapshot(self, project: str, share: str, snapshot: str) -> None:
        """Confirmed, it takes its clones with it."""
        for name in clones(self.appliance, project, share, snapshot):
            for inside in self.appliance.projects.values():
                inside.pop(name, None)
        del self.projects()[project][share]["snapshots"][snapshot]

    def destroy_san(self, kind: str) -> None:
        demand(len(self.at) == 3, "nothing to destroy")
        key, singular, _ = SAN[kind]
        name = self.selected()[key]
        every = [lun for inside in self.appliance.projects.values() for lun in inside.values()]
        users = {lun.get("targetgroup") for lun in every} | {lun.get("initiatorgroup") for lun in every}
        demand(singular != "group" or name not in users, "LUNs use it")
        members = [one for group in self.appliance.san["target-groups"].values() for one in group["targets"]]
        demand(kind != "targets" or name not in members, "a group has it")
        del self.appliance.san[kind][name]


def typed(name: str, text: str) -> object:
    if name == "sparse":
        demand(text in ("true", "false"), "bad value of sparse")
        return text == "true"
    if name in NUMBERS:
        demand(text.isdigit(), f"bad value of {name}")
        return int(text)
    return text
