"""What a program of `zfssa_script` printed, as values. Pure: any text is read, and what makes no sense is passed over.

Messages of errors are listed in no guide. So programs look themselves whether a name is there, and say so in codes of
ours; only for what is left the appliance's words are searched.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from storage.volumes import zfssa_model
from storage.volumes.names import Project
from storage.volumes.port import Outcome, VolumesError
from storage.volumes.zfssa_model import Facts, Lun, Space

MARK = "twinboot"
END, ERROR = "END", "ERROR"
MOVED = "MOVED"
"""Our code: the pool is not at this head any more."""

ANSWER_LINES_MAX = 1 << 20
WORDS_CHARS_MAX = 300
CODES = {
    "NOT_FOUND": Outcome.NOT_FOUND,
    "EXISTS": Outcome.EXISTS,
    "IN_USE": Outcome.IN_USE,
    "EAKSH_ENTITY_NOTFOUND": Outcome.NOT_FOUND,
}
SAYINGS = (
    (("no space", "out of space", "quota"), Outcome.FULL),
    (("not authorized", "permission", "denied"), Outcome.DENIED),
    (("not found", "no such", "does not exist"), Outcome.NOT_FOUND),
    (("already exists", "name is in use"), Outcome.EXISTS),
    (("in use", "has clones", "dependent", "busy"), Outcome.IN_USE),
    (("invalid", "illegal", "bad value", "bad property"), Outcome.INVALID),
)
"""What a refusal says, in the words of ZFS and of people: nothing here is from a list of the maker's."""


class Answer(NamedTuple):
    """`lines`: words and fields, without ERROR and END. `problem`: code and message of what was thrown."""

    lines: tuple[tuple[str, ...], ...]
    problem: tuple[str, str] | None


def read(printed: str) -> Answer | None:
    """The lines of ours; None if the last is not END."""
    found = [one.split("\t")[1:] for one in printed.splitlines()[:ANSWER_LINES_MAX] if one.startswith(MARK + "\t")]
    rows = [tuple(unquote(field, errors="replace") for field in row) for row in found]
    if not rows or rows[-1] != (END,):
        return None
    problem = next((row for row in rows if row[0] == ERROR), None)
    lines = tuple(row for row in rows if row[0] not in (END, ERROR))
    return Answer(lines, (_field(problem, 1), _field(problem, 2)) if problem else None)


def last_words(text: str, secret: str = "") -> str:
    """What was said, as one line of bounded length without the secret."""
    told = text.replace(secret, "***") if secret else text
    return " ".join(told.split())[-WORDS_CHARS_MAX:]


def refused(where: str, problem: tuple[str, str], secret: str = "") -> VolumesError:
    """What was thrown, in the port's terms."""
    code, message = problem
    said = last_words(message, secret)
    lower = said.lower()
    outcome = CODES.get(code) or next(
        (one for sayings, one in SAYINGS if any(saying in lower for saying in sayings)), Outcome.UNAVAILABLE
    )
    return VolumesError(outcome, f"{where}: {said or code}")


def facts_of(answer: Answer, pool: str) -> Facts:
    """What the program of `facts` printed; lines that are none are passed over."""
    rows = answer.lines
    snapshots = [row for row in rows if row[0] == "SNAPSHOT"]
    luns = {made.volume: made for row in rows if row[0] == "LUN" and (made := _lun(row, snapshots, pool))}
    spaces: dict[Project | None, Space] = {}
    used, free = 0, 0
    for row in rows:
        if row[0] == "PROJECT":
            own, left = zfssa_model.number(_field(row, 2)), zfssa_model.number(_field(row, 3))
            used, free = used + own, max(free, left)
            project = zfssa_model.project_of(_field(row, 1))
            if project:
                mine = sum(one.own_bytes for one in luns.values() if one.volume.parent == project)
                spaces[project] = Space(mine, left)
    targets = [
        zfssa_model.target({"iqn": _field(row, 1), "alias": _field(row, 2), "auth": _field(row, 3)})
        for row in rows
        if row[0] == "TARGET"
    ]
    return Facts(
        {None: Space(used, free), **spaces},
        dict(sorted(luns.items())),
        {one.iqn: one for one in targets},
        dict(_groups(rows, "target")),
        dict(_groups(rows, "initiator")),
        {_field(row, 1): _field(row, 2) for row in rows if row[0] == "INITIATOR"},
    )


def _groups(rows: Sequence[tuple[str, ...]], kind: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for row in rows:
        if row[0] == kind:
            yield _field(row, 1), _names(_field(row, 2))


def _lun(row: tuple[str, ...], taken: Sequence[tuple[str, ...]], pool: str) -> Lun | None:
    _, project, share, size, data, kept, origin, target_group, groups = (*row, *[""] * 9)[:9]
    found: dict[str, Any] = {
        "project": project,
        "name": share,
        "volsize": size,
        "space_data": data,
        "space_snapshots": kept,
        "origin": origin_of(origin),
        "targetgroup": target_group,
        "initiatorgroup": list(_names(groups)),
    }
    made = zfssa_model.lun(found, (), pool)
    if made is None:
        return None
    names = [zfssa_model.snapshot_of(made.volume, _field(one, 3)) for one in taken if one[1:3] == (project, share)]
    return made._replace(snapshots=tuple(sorted(name for name in names if name)))


def origin_of(text: str) -> Mapping[str, str] | None:
    """The end PROJECT/SHARE@SNAPSHOT of what a clone tells of its origin, whatever stands before it."""
    path, at, snapshot_name = text.strip().rpartition("@")
    words_before = re.split(r"[/ ]", path)
    if not at or len(words_before) < 2:
        return None
    return {"project": words_before[-2], "share": words_before[-1], "snapshot": snapshot_name}


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _field(row: tuple[str, ...], number: int) -> str:
    return row[number] if number < len(row) else ""
