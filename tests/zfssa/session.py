"""One run on the appliance: the commands that change something, and what is not committed yet."""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.zfssa.looking import BAD, NOT_FOUND, Looking, ShellError, demand
from tests.zfssa.server import Appliance
from tests.zfssa.state import LUN_PROPERTIES, NAME, POOL, SAN, clones, in_use, missing_members, unknown_groups

PIECES = re.compile(r'"([^"]*)"|([^",]+)')
LISTS = {"targets", "initiators", "interfaces"}
NUMBERS = {"volsize", "lunnumber"}


class Session(Looking):
    """One run: what it has not committed are properties of a thing, and how it is made."""

    def __init__(
        self, appliance: Appliance, number: int, runs_left: int | None, *, iscsi_first: bool, offers_pools: bool
    ) -> None:
        super().__init__(appliance, number, iscsi_first=iscsi_first, offers_pools=offers_pools)
        self.takeover = appliance.takeover
        self.runs_left = runs_left
        """Commands until the other head takes the pool."""
        self.make: Callable[[dict[str, Any]], None] = lambda values: None
        self.allowed: set[str] = set()

    def builtin(self, name: str, given: str) -> str:
        try:
            return json.dumps({"value": getattr(self, f"do_{name}")(*json.loads(given))})
        except ShellError as error:
            return json.dumps({"error": {"code": error.code, "message": error.message}})

    def do_run(self, text: str) -> str:
        assert "\n" not in text
        if self.runs_left is not None:
            self.runs_left -= 1
            if self.runs_left == 0:
                self.takeover()
        words = text.split(" ")
        verb = getattr(self, f"run_{words[0]}", None)
        if verb is None:
            raise ShellError(BAD, f'invalid command "{words[0]}"')
        if words[0] == "set":
            words = ["set", text.removeprefix("set ")]
        return verb(*words[1:]) or ""

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
        if self.draft is None:
            raise ShellError(BAD, "nothing to commit")
        self.make(self.draft)
        self.end()

    def run_abort(self) -> None:
        demand(self.draft is not None, "nothing to abort")
        self.end()

    def end(self) -> None:
        """Leave what was being changed or made."""
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
        for name in unknown_groups(self.state, values):
            raise ShellError(BAD, f"no such {name}")
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
        things = self.state.san[kind]

        def make(values: dict[str, Any]) -> None:
            demand(key in values and values[key] not in things, "already exists")
            for member in missing_members(self.state, values):
                raise ShellError(NOT_FOUND, f"{member} is not there")
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
        for name in clones(self.state, project, share, snapshot):
            for inside in self.state.projects.values():
                inside.pop(name, None)
        del self.projects()[project][share]["snapshots"][snapshot]

    def destroy_san(self, kind: str) -> None:
        demand(len(self.at) == 3, "nothing to destroy")
        name = self.selected()[SAN[kind][0]]
        why = in_use(self.state, kind, name)
        demand(not why, why)
        del self.state.san[kind][name]


def typed(name: str, text: str) -> object:
    if name == "sparse":
        demand(text in ("true", "false"), "bad value of sparse")
        return text == "true"
    if name in NUMBERS:
        demand(text.isdigit(), f"bad value of {name}")
        return int(text)
    return text
