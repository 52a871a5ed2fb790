"""dhcpconfig -C: the tables of one datastore into another, of any kind, and dhcpsvc.conf to the new one.

Nothing is lost on the way: a damaged row stops the conversion before it begins, the copy is read back and compared,
and the old datastore is read once more afterwards; if somebody has changed it meanwhile, the old one stays in force.
The service here is stopped meanwhile; those of other servers are for the operator to stop. Comments that people wrote
between the rows of a text container are not rows and stay behind, and a row that some other tool wrote beyond what
commands accept is named and stops the conversion. Signatures are not carried over: they are the new datastore's own,
and whoever still holds a row of the old one collides instead of writing over a newer one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dhcp import svcconf, svcconf_file, svcconf_keys
from dhcp.cli import service
from dhcp.cli.common import CommandError, Options, Place, Session, find_place
from dhcp.cli.config_file import configured, confirm, edit, explained, warn
from dhcp.cli.config_machine import own_by_services
from dhcp.cli.config_tables import DHCPTAB, commit_whole, drop_unchanged, first_lines
from dhcp.cli.edits import fault_lines
from storage.records import ADAPTERS, Change, Records, RecordsError, Row

QUESTION = """
Converting your data stores will result in your DHCP service being
stopped, the data stores converted, and the DHCP service restarted.

Are you SURE you want to convert the DHCP data stores?"""

DATABASE = "postgresql"
"""The one kind of datastore whose PATH is no directory."""

Copy = dict[str, tuple[Row, ...]]


def convert(options: Options, session: Session) -> int:
    """-C: move to the datastore of -r and -p; -k keeps the old tables. CommandError, RecordsError, ConfError."""
    path = configured(options)
    conf_option = {name: value for name, value in options.values.items() if len(name) > 1}
    old = find_place(Options(conf_option))
    new = Place(options.values["r"], options.values["p"])
    _check(session, old, new)
    _read_all(session, old)
    if "f" not in options:
        confirm(QUESTION)
    if _in_directory(new):
        with explained(Path(new.path)):
            if not Path(new.path).is_dir():
                Path(new.path).mkdir(parents=True)
                own_by_services(Path(new.path))
    with _stopped(path) as changes:
        before = _read_all(session, old)
        _copy(session, new, before)
        _compare(session, old, new, before)
        changes |= {"RESOURCE": new.resource, "PATH": new.path}
        changes |= {"CONVER": "1", "RESOURCE_CONFIG": options.get("u")}
    print("Updated DHCP configuration file with new resource and path.")
    if "k" not in options:
        _delete(session, old, before)
    return 0


@contextmanager
def _stopped(path: Path) -> Iterator[dict[str, str | None]]:
    """Keep the service stopped for a while; what the block puts into the dict becomes dhcpsvc.conf before the start."""
    text = svcconf_file.read_text(path)
    changes = {"DAEMON_ENABLED": svcconf.get(text, "DAEMON_ENABLED")}
    edit(path, lambda now: svcconf.set_pairs(now, {"DAEMON_ENABLED": "FALSE"}))
    ran = False
    try:
        ran = service.stop(service.port(text))
        print("DHCP server shutdown." if ran else "DHCP server not running.")
        yield changes
    finally:
        edit(path, lambda now: svcconf.set_pairs(now, changes))
        if ran:
            print("DHCP server started." if service.start(service.port(text)) else "`twinboot serve` starts it again.")


def _in_directory(place: Place) -> bool:
    return place.path.startswith("/")


def _check(session: Session, old: Place, new: Place) -> None:
    for name, value in (("RESOURCE", new.resource), ("PATH", new.path)):
        try:
            svcconf_keys.check_value(name, value)
        except ValueError as error:
            raise CommandError(f"{name}: {error}") from None
        if not value.isprintable():
            raise CommandError(f"{name}: the value holds a control character")
    if new.resource not in ADAPTERS:
        raise CommandError(f"{new.resource} is not a valid resource here: use {', '.join(sorted(ADAPTERS))}")
    if new.resource != DATABASE and not _in_directory(new):
        raise CommandError(f"-p {svcconf_keys.shown(new.path)}: {new.resource} needs an absolute directory")
    if _is_one(session, old, new):
        raise CommandError("the source data store is the same as destination data store: give another -p")
    if svcconf_keys.shown(new.path) != new.path:
        warn("the password in PATH may be read by all users of this host: use passfile=FILE instead")


def _is_one(session: Session, old: Place, new: Place) -> bool:
    """Two directories of one real path, or two connection strings that lead to one database."""
    if _in_directory(old) or _in_directory(new):
        return Path(old.path).resolve() == Path(new.path).resolve()
    with session.records(_options(old)) as source, session.records(_options(new)) as target:
        return source.location == target.location


def _options(place: Place) -> Options:
    return Options({"r": place.resource, "p": place.path})


def _read_all(session: Session, place: Place) -> Copy:
    """Every row of a datastore. CommandError if one of them is damaged, for it would be left behind."""
    with session.records(_options(place)) as records:
        deltas = {table: records.read(table) for table in records.tables()}
    damaged = [line for delta in deltas.values() for line in fault_lines(delta.faults)]
    if damaged:
        raise CommandError("\n".join(first_lines(damaged)))
    return {table: delta.rows for table, delta in deltas.items()}


def _copy(session: Session, place: Place, tables: Mapping[str, Sequence[Row]]) -> None:
    """Make and fill the tables; those made are removed again if one cannot be."""
    with session.records(_options(place)) as records:
        there = sorted(tables.keys() & set(records.tables()))
        if there:
            raise CommandError(f"{records.location} has tables already ({', '.join(there)}): give an empty place")
        made: list[str] = []
        try:
            for table, rows in tables.items():
                records.create(table)
                made.append(table)
                commit_whole(records, table, [Change(table, None, row) for row in rows])
                print(f"Converted {_named(table)}.")
        except (CommandError, RecordsError):
            _drop(records, made)
            raise


def _named(table: str) -> str:
    if table == DHCPTAB:
        return table
    return f"table for network {table}" if table[:1].isdigit() else f"table of {table}"


def _drop(records: Records, tables: Sequence[str]) -> None:
    for table in tables:
        records.drop(table)


def _compare(session: Session, old: Place, new: Place, copied: Copy) -> None:
    """Both datastores must hold what was copied, or the copy is removed. CommandError."""
    reason = ""
    found = _read_all(session, new)
    if any(_unsigned(found.get(table, ())) != _unsigned(rows) for table, rows in copied.items()):
        reason = "the copy does not read back as it was written: nothing was converted"
    elif _read_all(session, old) != copied:
        reason = "the old data store was changed meanwhile: stop the DHCP service on every server and repeat this"
    if reason:
        with session.records(_options(new)) as records:
            _drop(records, list(copied))
        raise CommandError(reason)


def _unsigned(rows: Iterable[Row]) -> set[Row]:
    return {row._replace(signature=0) for row in rows}


def _delete(session: Session, place: Place, tables: Copy) -> None:
    with session.records(_options(place)) as records:
        for table, rows in tables.items():
            drop_unchanged(records, table, rows)
            print("Deleted old dhcptab table." if table == DHCPTAB else f"Deleted old {_named(table)}.")
