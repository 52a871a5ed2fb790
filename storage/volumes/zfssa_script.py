r"""The appliance's command line as texts: a verb becomes one program, and an answer becomes values. Pure.

Documented, in the administration guides from 2009 (820-4167) on: a line `script`, ECMAScript 3, a line `.`; `run`
does a command and throws an object with `code` and `message`; `get` and `list` give what the context shows, `choices`
the values that a property may have, `printf` prints; the contexts `shares`, PROJECT, LUN, `snapshots`, and those of
iSCSI, with `create`, `select`, `set`, `commit`, `abort`, `confirm destroy`; `snapshot`, `clone PROJECT SHARE`,
`rename OLD NEW`. Where guides differ or are silent, `zfssa_javascript` says how we read them.

`confirm destroy` asks nothing more, and takes with it what is inside. So the program looks first whether something
is.

A program prints lines `twinboot<TAB>WORD<TAB>...`, every field as encodeURIComponent writes it, so that no value can
make a line or a field; whatever else the appliance prints is passed over. The last line is END: without it the answer
is cut.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from storage.volumes import zfssa_javascript as javascript
from storage.volumes import zfssa_model
from storage.volumes.names import Name, Project, Snapshot, Volume
from storage.volumes.port import Access, Outcome, VolumesError

BLOCK = "8k"
_SAFE = re.compile(r"[A-Za-z0-9_.:/-]{1,255}", re.ASCII)


class Program(NamedTuple):
    """A text for the appliance's standard input; `secret` is what no message may repeat."""

    text: str
    secret: str = ""


def word(text: str) -> str:
    """A literal of the program's language; VolumesError INVALID for what has no business there."""
    if not _SAFE.fullmatch(text):
        raise VolumesError(Outcome.INVALID, f"{text[:40]!r}: an appliance's names are letters, digits and _ . : / -")
    return f'"{text}"'


def words(texts: Sequence[str]) -> str:
    """A list of literals."""
    return f"[{', '.join(map(word, texts))}]"


def program(what: str, pool: str, *body: str, secret: str = "") -> Program:
    """What is done in the pool, as the context `shares` of it."""
    given = "\n".join(body)
    text = javascript.FRAME.format(what=what, pool=word(pool)[1:-1], helpers=javascript.HELPERS, body=given)
    return Program(text, secret)


def owns(pool: str) -> Program:
    """Nothing: it fails where the pool is not."""
    return program("owns", pool)


def facts(pool: str) -> Program:
    """Everything there is."""
    return program("facts", pool, javascript.FACTS)


def leftovers(pool: str, project: Project) -> Program:
    """Names of all shares of a project."""
    show = "var names = list(), i;\nfor (i = 0; i < names.length; i++) line('SHARE', names[i]);"
    return program("leftovers", pool, into(project.project), show)


def make_project(pool: str, project: Project) -> Program:
    """An empty project."""
    return program("make project", pool, *_made("project", project.project), _commit())


def make_lun(pool: str, project: Project, name: str, size_bytes: int) -> Program:
    """A sparse LUN that nobody sees."""
    size = {"volsize": str(size_bytes), "volblocksize": BLOCK, "sparse": "true"}
    steps = (into(project.project), *_made("lun", name), *_puts(size), *_hidden(), _commit())
    return program("make lun", pool, *steps)


def rename_lun(pool: str, project: Project, name: str, volume: Volume) -> Program:
    """Another name for a LUN."""
    old, new = word(name), word(volume.volume)
    look = f"if (!has(list(), {old})) fail('NOT_FOUND', {old} + ': it is not there');"
    rename = f"run('rename ' + {old} + ' ' + {new});"
    return program("rename lun", pool, into(project.project), look, f"fresh({new});", rename)


def show(pool: str, project: Project, name: str, groups: tuple[str, str]) -> Program:
    """A LUN be seen through a target group by an initiator group."""
    number = {} if groups[1] == zfssa_model.NOBODY else {"lunnumber": str(zfssa_model.LUN_NUMBER)}
    changes = _puts({"targetgroup": groups[0], "initiatorgroup": groups[1], **number})
    return program("show", pool, into(project.project), into(name), *changes, _commit())


def snapshot(pool: str, taken: Snapshot) -> Program:
    """A snapshot."""
    steps = (into(taken.project), into(taken.volume), "run('snapshots');", *_made("snapshot", taken.snapshot))
    return program("snapshot", pool, *steps)


def clone(pool: str, taken: Snapshot, volume: Volume) -> Program:
    """A LUN of a snapshot, that nobody sees."""
    look = (into(volume.project), f"fresh({word(volume.volume)});", "run('cd ..');")
    way = (into(taken.project), into(taken.volume), "run('snapshots');", into(taken.snapshot))
    make = f"run('clone ' + {word(volume.project)} + ' ' + {word(volume.volume)});"
    return program("clone", pool, *look, *way, make, *_hidden(), _commit())


def destroy(pool: str, name: Name) -> Program:
    """A thing with nothing in it and nothing that stands on it."""
    if isinstance(name, Project):
        return program("destroy", pool, into(name.project), _empty("list()"), "run('confirm destroy');")
    if isinstance(name, Volume):
        return drop_lun(pool, name.parent, name.volume)
    way = (into(name.project), into(name.volume), "run('snapshots');", into(name.snapshot))
    origin = word(f"{name.project}/{name.volume}") + " + '@' + " + word(name.snapshot)
    return program("destroy", pool, javascript.NO_CLONES.format(origin=origin), *way, "run('confirm destroy');")


def drop_lun(pool: str, project: Project, name: str) -> Program:
    """A LUN without snapshots but the appliance's own, whose names begin with a dot."""
    return program("destroy", pool, into(project.project), into(name), _empty("snapshots()"), "run('confirm destroy');")


def make_target(pool: str, iqn: str, alias: str, *, checks: bool, interfaces: Sequence[str]) -> Program:
    """An iSCSI target; it tells the name that it got."""
    values = {"alias": alias, "iqn": iqn, "auth": "chap" if checks else "none"}
    links = [f"put('interfaces', {words(interfaces)});"] if interfaces else []
    look = f"san('targets');\nonce('iqn', {word(iqn)});\nonce('alias', {word(alias)});\nrun('create');"
    tell = f"san('targets');\nif (pick('alias', {word(alias)})) line('IQN', get('iqn'));"
    return program("make target", pool, look, *_puts(values), *links, _commit(), tell)


def drop_target(pool: str, iqn: str) -> Program:
    """Without a target."""
    return program("drop target", pool, f"san('targets');\ndrop('iqn', {word(iqn)});")


def make_group(pool: str, kind: str, name: str, members: Sequence[str]) -> Program:
    """A group, `kind` target or initiator."""
    way = f"san('{kind}s', 'groups');\nonce('name', {word(name)});\nrun('create');"
    return program("make group", pool, way, *_puts({"name": name}), f"put('{kind}s', {words(members)});", _commit())


def drop_group(pool: str, kind: str, name: str) -> Program:
    """Without a group."""
    return program("drop group", pool, f"san('{kind}s', 'groups');\ndrop('name', {word(name)});")


def make_initiator(pool: str, name: str, access: Access, *, there: bool) -> Program:
    """An initiator and what it proves itself by."""
    chap = access.chap
    values = {"chapuser": chap.user, "chapsecret": chap.secret} if chap else {}
    if there:
        way = f"if (!pick('initiator', {word(name)})) fail('NOT_FOUND', {word(name)} + ': it is not there');"
    else:
        way = f"once('initiator', {word(name)});\nrun('create');"
        values = {"initiator": name, "alias": name, **values}
    secret = chap.secret if chap else ""
    return program("make initiator", pool, "san('initiators');", way, *_puts(values), _commit(), secret=secret)


def into(name: str) -> str:
    """The step into what has this name."""
    return f"into({word(name)});"


def _made(kind: str, name: str) -> tuple[str, str]:
    return f"fresh({word(name)});", f"run('{kind} ' + {word(name)});"


def _puts(values: Mapping[str, str]) -> list[str]:
    return [f"put('{key}', {words([value])});" for key, value in values.items()]


def _hidden() -> list[str]:
    return _puts({"targetgroup": zfssa_model.ALL_TARGETS, "initiatorgroup": zfssa_model.NOBODY})


def _commit() -> str:
    return "run('commit');"


def _empty(names: str) -> str:
    return (
        f"var inside = {names}, i;\n"
        "for (i = 0; i < inside.length; i++) if (inside[i].charAt(0) != '.') fail('IN_USE', inside[i] + ' is in it');"
    )
