"""One head of an appliance by its REST service, version 1 (software 2013.1 and later).

Facts, of the RESTful API guide: single objects come under a singular key, lists under the plural; a session is a
head's own and ends after some minutes, so every 401 leads to one new login; a head that is busy, or gives its pool
away, says 503; a pool that moved is a 404 like any other, so what seems not to be there is believed only of the head
that has the pool. TLS is verified always. The password is in the body of no message, in no error and no log.
"""

import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from storage.volumes import zfssa_model
from storage.volumes.names import Name, Project, Snapshot, Volume
from storage.volumes.port import Access, Chap, Outcome, VolumesError
from storage.volumes.zfssa_heads import GoneError
from storage.volumes.zfssa_model import Facts, Lun, Space

PORT = 215
TIMEOUT_S = 30.0
ANSWER_BYTES_MAX = 32 << 20
BLOCK = "8k"
UNAUTHORIZED, NOT_FOUND, SERVER_ERROR, BUSY = 401, 404, 500, 503
OUTCOMES = {400: Outcome.INVALID, 403: Outcome.DENIED, 409: Outcome.IN_USE, 413: Outcome.FULL}
EXISTS_SAYING = "ERR_OBJECT_EXISTS"
NO_SPACE_SAYINGS = ("no space", "out of space", "quota")
SAN = "/api/san/v1/iscsi"
GROUPS = {"target": ("target-groups", "targets"), "initiator": ("initiator-groups", "initiators")}
WORDS_CHARS_MAX = 300


class RestHead:
    """A head at `HOST` or `HOST:PORT`."""

    def __init__(self, name: str, pool: str, user: str, password: str, ca_file: Path | None) -> None:
        self.name = name
        self._pool = pool
        self._login = {"X-Auth-User": user, "X-Auth-Key": password}
        self._session = ""
        where = name if ":" in name.rpartition("]")[2] else f"{name}:{PORT}"
        try:
            trust = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise VolumesError(Outcome.INVALID, f"{ca_file}: not a certificate: {error.strerror or error}") from error
        self._http = httpx.Client(base_url=f"https://{where}", verify=trust, timeout=TIMEOUT_S, trust_env=False)

    def forget(self) -> None:
        """Drop the session."""
        self._session = ""

    def owns(self, pool: str) -> bool:
        """Whether it lists the pool under its own serial number; a machine of its own may not tell one."""
        found = self._ask("GET", f"/api/storage/v1/pools/{_part(pool)}", missing=True)
        if found is None:
            return False
        owner = _one(found, "pool").get("asn")
        own = _one(self._ask("GET", "/api/system/v1/version"), "version").get("asn")
        return not owner or not own or owner == own

    def facts(self) -> Facts:
        """Everything, in one round of requests."""
        usage = _one(self._get(self._path()), "pool").get("usage")
        usage = usage if isinstance(usage, Mapping) else {}
        free = zfssa_model.number(usage.get("available"))
        spaces: dict[Project | None, Space] = {None: Space(zfssa_model.number(usage.get("used")), free)}
        luns: dict[Volume, Lun] = {}
        for found in _list(self._get(f"{self._path()}/projects"), "projects"):
            project = zfssa_model.project_of(found.get("name"))
            if project is not None:
                inside = list(self._luns(project))
                luns |= {one.volume: one for one in inside}
                spaces[project] = Space(sum(one.own_bytes for one in inside), free)
        targets = [zfssa_model.target(one) for one in _list(self._get(f"{SAN}/targets"), "targets")]
        initiators = _list(self._get(f"{SAN}/initiators"), "initiators")
        return Facts(
            spaces,
            dict(sorted(luns.items())),
            {one.iqn: one for one in targets},
            self._groups("target"),
            self._groups("initiator"),
            {str(one.get("initiator")): str(one.get("chapuser", "")) for one in initiators},
        )

    def make_project(self, project: Project) -> None:
        """Make an empty project."""
        self._post(f"{self._path()}/projects", {"name": project.project})

    def make_lun(self, project: Project, name: str, size_bytes: int) -> None:
        """Make a sparse LUN that nobody sees."""
        hidden = {"targetgroup": zfssa_model.ALL_TARGETS, "initiatorgroup": zfssa_model.NOBODY}
        size = {"volsize": size_bytes, "volblocksize": BLOCK, "sparse": True}
        self._post(f"{self._path(project)}/luns", {"name": name, **size, **hidden})

    def rename_lun(self, project: Project, name: str, volume: Volume) -> None:
        """Give a LUN its name."""
        self._ask("PUT", f"{self._path(project)}/luns/{_part(name)}", {"name": volume.volume})

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take it."""
        self._post(f"{self._path(snapshot.parent)}/snapshots", {"name": snapshot.snapshot})

    def clone(self, snapshot: Snapshot, volume: Volume) -> None:
        """Make a LUN of it that nobody sees."""
        hidden = {"targetgroup": zfssa_model.ALL_TARGETS, "initiatorgroup": zfssa_model.NOBODY}
        body = {"project": volume.project, "share": volume.volume, **hidden}
        self._ask("PUT", f"{self._path(snapshot)}/clone", body)

    def destroy(self, name: Name) -> None:
        """Remove it; what asks for a confirmation has something in it, and is refused."""
        self._ask("DELETE", self._path(name))

    def drop_lun(self, project: Project, name: str) -> None:
        """Remove a LUN whose name is not one of ours."""
        self._ask("DELETE", f"{self._path(project)}/luns/{_part(name)}")

    def leftovers(self, project: Project) -> list[str]:
        """Names of LUNs that are being made, or were."""
        found = _list(self._get(f"{self._path(project)}/luns"), "luns")
        return [str(one.get("name")) for one in found if str(one.get("name")).startswith("_")]

    def show(self, project: Project, name: str, groups: tuple[str, str]) -> None:
        """Let a LUN be seen through a target group by an initiator group; the LUN number is 0."""
        body: dict[str, Any] = {"targetgroup": groups[0], "initiatorgroup": groups[1]}
        if groups[1] != zfssa_model.NOBODY:
            body["lunnumber"] = zfssa_model.LUN_NUMBER
        self._ask("PUT", f"{self._path(project)}/luns/{_part(name)}", body)

    def make_target(self, iqn: str, alias: str, *, checks: bool, interfaces: Sequence[str]) -> str:
        """Make an iSCSI target; returns the name that it got."""
        links = {"interfaces": list(interfaces)} if interfaces else {}
        body = {"alias": alias, "iqn": iqn, "auth": "chap" if checks else "none", **links}
        return str(_one(self._post(f"{SAN}/targets", body), "target").get("iqn", iqn))

    def drop_target(self, iqn: str) -> None:
        """Remove a target."""
        self._ask("DELETE", f"{SAN}/targets/{_part(iqn)}")

    def make_group(self, kind: str, name: str, members: Sequence[str]) -> None:
        """Make a group of targets or of initiators."""
        path, key = GROUPS[kind]
        self._post(f"{SAN}/{path}", {"name": name, key: list(members)})

    def drop_group(self, kind: str, name: str) -> None:
        """Remove a group."""
        self._ask("DELETE", f"{SAN}/{GROUPS[kind][0]}/{_part(name)}")

    def make_initiator(self, name: str, access: Access, *, there: bool) -> None:
        """Let the appliance know an initiator, and what it proves itself by."""
        chap = access.chap or Chap("", "")
        body = {"chapuser": chap.user, "chapsecret": chap.secret} if access.chap else {}
        if not there:
            self._post(f"{SAN}/initiators", {"initiator": name, "alias": name, **body})
        elif body:
            self._ask("PUT", f"{SAN}/initiators/{_part(name)}", body)

    def _luns(self, project: Project) -> Iterator[Lun]:
        for found in _list(self._get(f"{self._path(project)}/luns"), "luns"):
            made = zfssa_model.lun({"project": project.project, **found}, (), self._pool)
            if made is not None:
                listed = _list(self._get(f"{self._path(made.volume)}/snapshots"), "snapshots")
                names = [zfssa_model.snapshot_of(made.volume, one.get("name")) for one in listed]
                yield made._replace(snapshots=tuple(sorted(name for name in names if name)))

    def _groups(self, kind: str) -> dict[str, tuple[str, ...]]:
        path, key = GROUPS[kind]
        found = _list(self._get(f"{SAN}/{path}"), "groups")
        return {str(one.get("name")): zfssa_model.strings(one.get(key)) for one in found}

    def _path(self, name: Name | None = None) -> str:
        pool = f"/api/storage/v1/pools/{_part(self._pool)}"
        if name is None:
            return pool
        project = f"{pool}/projects/{_part(name.project)}"
        if isinstance(name, Project):
            return project
        volume = f"{project}/luns/{_part(name.volume)}"
        return f"{volume}/snapshots/{_part(name.snapshot)}" if isinstance(name, Snapshot) else volume

    def _get(self, path: str) -> Any:
        return self._ask("GET", path)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, verb: str, path: str, body: Mapping[str, Any] | None = None, *, missing: bool = False) -> Any:
        """The answer's JSON; None for one without, or for what is missing where it may be."""
        answer = self._answer(verb, path, body)
        if answer.status_code in (UNAUTHORIZED, SERVER_ERROR):  # a session that ended, or is another head's
            self._session = ""
            answer = self._answer(verb, path, body)
        if answer.is_success:
            return _json(answer, self.name)
        if answer.status_code == BUSY:
            raise GoneError(f"{self.name} is busy")
        if answer.status_code == NOT_FOUND and missing:
            return None
        if answer.status_code == NOT_FOUND and not self.owns(self._pool):
            raise GoneError(f"{self.name} does not have it any more")
        raise self._refused(answer, path)

    def _answer(self, verb: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        if not self._session:
            login = self._send("POST", "/api/access/v1", None, self._login)
            self._session = login.headers.get("X-Auth-Session", "")
            if login.status_code == BUSY:
                return login
            if not login.is_success or not self._session:
                text = f"{self.name}: it does not let {self._login['X-Auth-User']} in: see to the credentials file"
                raise VolumesError(Outcome.DENIED, text)
        return self._send(verb, path, body, {"X-Auth-Session": self._session})

    def _send(self, verb: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> httpx.Response:
        try:
            return self._http.request(verb, path, json=body, headers={"Accept": "application/json", **headers})
        except httpx.HTTPError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(error):
                text = f"{self.name}: its certificate is not trusted: name the file that it is verified by (ca_file)"
                raise VolumesError(Outcome.DENIED, text) from error
            raise GoneError(f"{self.name} does not answer ({type(error).__name__})") from error

    def _refused(self, answer: httpx.Response, path: str) -> VolumesError:
        words = " ".join(_fault(answer).split())[:WORDS_CHARS_MAX]
        outcome = OUTCOMES.get(answer.status_code, Outcome.UNAVAILABLE)
        if answer.status_code == NOT_FOUND:
            outcome = Outcome.NOT_FOUND
        elif EXISTS_SAYING in words:
            outcome = Outcome.EXISTS
        elif any(saying in words.lower() for saying in NO_SPACE_SAYINGS):
            outcome = Outcome.FULL
        return VolumesError(outcome, f"{self.name}: {path.rpartition('/')[2]}: {words or answer.status_code}")


def _part(name: str) -> str:
    return quote(name, safe="")


def _json(answer: httpx.Response, name: str) -> Any:
    if not answer.content or len(answer.content) > ANSWER_BYTES_MAX:
        return None
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        text = f"{name}: its answer is no JSON: is this an appliance's REST service?"
        raise VolumesError(Outcome.UNAVAILABLE, text) from error


def _one(found: Any, key: str) -> Mapping[str, Any]:
    """The object under its singular key; empty if it is not there."""
    inside = found.get(key) if isinstance(found, Mapping) else None
    return inside if isinstance(inside, Mapping) else {}


def _list(found: Any, key: str) -> list[Mapping[str, Any]]:
    """The objects under their plural key."""
    inside = found.get(key) if isinstance(found, Mapping) else None
    return [one for one in inside if isinstance(one, Mapping)] if isinstance(inside, list) else []


def _fault(answer: httpx.Response) -> str:
    """What a refusal says; its symbol is in `name` or in `message`, by version."""
    try:
        fault = _one(json.loads(answer.content), "fault")
    except (ValueError, RecursionError):
        return ""
    return " ".join(str(fault[key]) for key in ("name", "message", "details") if fault.get(key))
