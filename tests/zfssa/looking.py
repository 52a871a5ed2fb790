"""Where a run on the appliance is, and what it sees there."""

from typing import Any

from tests.zfssa.state import POOL, SAN, TOTAL_BYTES, State

NOT_FOUND, BAD = 10004, 10001
Context = tuple[str, ...]


class ShellError(Exception):
    """What the appliance throws into a program: a number and a sentence."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def demand(holds: object, message: str, code: int = BAD) -> None:
    if not holds:
        raise ShellError(code, message)


class Looking:
    """The head `number`, a context of it, and what can be read or selected from there."""

    def __init__(self, state: State, number: int, *, iscsi_first: bool, offers_pools: bool) -> None:
        self.state = state
        self.number = number
        self.iscsi_first = iscsi_first
        self.offers_pools = offers_pools
        self.at: Context = ()
        self.pool = ""
        self.draft: dict[str, Any] | None = None
        """What is not committed."""
        self.printed: list[str] = []

    def do_printf(self, form: str, *values: object) -> None:
        self.printed.append(form % values)

    def do_choices(self, name: str) -> list[str]:
        demand(self.offers_pools and self.at == ("shares",) and name == "pool", f'bad property "{name}"')
        return self.pools()

    def pools(self) -> list[str]:
        return ["other", POOL] if self.state.owner == self.number else ["other"]

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
            things = self.state.san[at[1]].values()
            return {f"{singular}-{number:03}": thing for number, thing in enumerate(things)}
        return {}

    def projects(self) -> dict[str, Any]:
        if self.at[:1] != ("shares",):
            return {}
        if self.pool != POOL:
            return {"default": {}}
        demand(self.state.owner == self.number, "pool not found", NOT_FOUND)
        return self.state.projects

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
        iscsi, kind = words[1:] if self.iscsi_first else reversed(words[1:])
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
