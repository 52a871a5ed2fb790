"""dhcpconfig -X and -I: tables out of a datastore into a file, and into a datastore from a file.

An export is whole or is not made: a damaged row of a table stops it. An import changes nothing unless every row of
the file can be stored, and each container gets all of its rows or none, also when another program interferes.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dhcp.cli.common import CommandError, Options, Session, UsageError
from dhcp.cli.config_file import configured, explained, warn
from dhcp.cli.config_tables import DHCPTAB, commit_whole, drop_unchanged, first_lines, networks
from dhcp.cli.edits import fault_lines
from dhcp.cli.exchange import FILE_MAX_BYTES, ExchangeError, Tables, parse, render
from dhcp.macros import MacroTable
from storage.records import MACRO, SYMBOL, Change, Key, Outcome, Records, Row, TabEntry, durable
from storage.records.judge import judge, key_text

ALL = "ALL"
KINDS = {"m": MACRO, "o": SYMBOL}
WORDS = {"m": "macro", "o": "option", "a": "network"}


def export_data(options: Options, session: Session) -> int:
    """-X: write macros (-m), options (-o) and networks (-a) into a file. CommandError, RecordsError."""
    configured(options)
    if not any(letter in options for letter in WORDS):
        raise UsageError("-X: say what to export: -m macros, -o options, -a networks, each a list or ALL")
    path = Path(options.values["X"]).resolve()
    if path.exists() and not path.is_file():
        raise CommandError(f"{path} is no regular file: name one that may be written")
    if path.exists() and "f" not in options:
        raise CommandError(f"file already exists and will not be overwritten - {path}: -f overwrites it")
    with session.records(options) as records:
        tables = _chosen(options, records)
    data = render(tables)
    assert _sorted(parse(data)) == _sorted(tables)  # before anything is deleted: the file means what was there
    with explained(path):
        _write(path, data, replace="f" in options)
    if "x" in options:
        with session.records(options) as records:
            _delete(records, tables)
    print(f"Exported {_counts(tables)}.")
    return 0


def _chosen(options: Options, records: Records) -> Tables:
    """The rows that were asked for, with the signatures they had. CommandError names all that is missing."""
    missing: list[str] = []
    tables: Tables = {}
    entries = _rows(records, DHCPTAB)
    for letter, kind in KINDS.items():
        found = {row.name: row for row in entries if isinstance(row, TabEntry) and row.kind == kind}
        for name in _names(options.get(letter), found, letter, missing):
            tables.setdefault(DHCPTAB, []).append(found[name])
    for name in _names(options.get("a"), networks(records), "a", missing):
        tables[name] = _rows(records, name)
    if missing:
        raise CommandError("\n".join(missing))
    return tables


def _names(listed: str | None, there: Iterable[str], letter: str, missing: list[str]) -> list[str]:
    if listed is None:
        return []
    known = list(there)
    if listed == ALL:
        return known
    wanted = list(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
    missing += [f"there is no {WORDS[letter]} {name} to export" for name in wanted if name not in known]
    return [name for name in wanted if name in known]


def _rows(records: Records, table: str) -> list[Row]:
    delta = records.read(table)
    if delta.faults:
        raise CommandError("\n".join(first_lines(fault_lines(delta.faults))))
    return list(delta.rows)


def _sorted(tables: Mapping[str, Sequence[Row]]) -> dict[str, dict[Key, Row]]:
    return {name: {row.key: row._replace(signature=0) for row in rows} for name, rows in tables.items()}


def _write(path: Path, data: bytes, *, replace: bool) -> None:
    """Put the file in its place in one step, durably."""
    put = durable.replace if replace else durable.create
    put(path, data)


def _delete(records: Records, tables: Tables) -> None:
    """Delete what was exported, unless it has changed since. CommandError."""
    for name, rows in tables.items():
        if name != DHCPTAB:
            drop_unchanged(records, name, rows)
        else:
            commit_whole(records, name, [Change(name, row, None) for row in rows])


def _counts(tables: Mapping[str, Sequence[Row]]) -> str:
    entries = tables.get(DHCPTAB, ())
    macros = sum(isinstance(row, TabEntry) and row.kind == MACRO for row in entries)
    nets = [rows for name, rows in tables.items() if name != DHCPTAB]
    return (
        f"{macros} macros, {len(entries) - macros} options, {len(nets)} networks with {sum(map(len, nets))} addresses"
    )


# -- import


def import_data(options: Options, session: Session) -> int:
    """-I: store what a file holds; -f replaces what is there with other data. CommandError, RecordsError."""
    configured(options)
    path = Path(options.values["I"])
    tables = _read(path)
    with session.records(options) as records:
        there = records.tables()
        known = {name: {row.key: row for row in _rows(records, name)} if name in there else {} for name in tables}
        plan = {name: _changes(name, rows, known[name]) for name, rows in tables.items()}
        _refuse(plan, known, force="f" in options)
        for name, changes in plan.items():
            _store(records, name, changes, is_new=name not in there)
        _tell_disabled(records, tables)
    added = sum(change.old is None for changes in plan.values() for change in changes)
    replaced = sum(map(len, plan.values())) - added
    same = sum(map(len, tables.values())) - added - replaced
    print(f"Imported {_counts(tables)}: {added} added, {replaced} replaced, {same} there already.")
    return 0


def _read(path: Path) -> Tables:
    with explained(path), path.open("rb") as file:
        data = file.read(FILE_MAX_BYTES + 1)
    if len(data) > FILE_MAX_BYTES:
        raise CommandError(f"{path}: longer than {FILE_MAX_BYTES >> 20} MiB: give a file that `dhcpconfig -X` wrote")
    try:
        return parse(data)
    except ExchangeError as error:
        raise CommandError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def _changes(table: str, rows: Iterable[Row], known: Mapping[Key, Row]) -> list[Change]:
    """What to store: rows that are there with the same data stay."""
    pairs = [(known.get(row.key), row) for row in rows]
    return [Change(table, old, row) for old, row in pairs if old is None or old._replace(signature=0) != row]


def _refuse(plan: Mapping[str, Sequence[Change]], known: Mapping[str, Mapping[Key, Row]], *, force: bool) -> None:
    """Name every row that is in the way or can never be stored. CommandError."""
    wrong = []
    for table, changes in plan.items():
        for change in changes:
            if change.old is not None and not force:
                wrong.append(f"{table}: {key_text(change.old.key)} is there with other data: -f replaces it")
                continue
            verdict = judge(change, known[table], (), lambda: 0)
            if verdict.outcome is not Outcome.STORED:
                wrong.append(verdict.detail)
    if wrong:
        raise CommandError("\n".join(first_lines(wrong)))


def _store(records: Records, table: str, changes: Sequence[Change], *, is_new: bool) -> None:
    if is_new:
        records.create(table)
    try:
        commit_whole(records, table, changes)
    except CommandError as error:
        if is_new and not records.read(table).rows:
            records.drop(table)
        raise CommandError(f"{error}: nothing was imported into {table}") from None


def _tell_disabled(records: Records, tables: Mapping[str, Sequence[Row]]) -> None:
    """Name the imported macros and symbols that are not in force here."""
    imported = {row.key for row in tables.get(DHCPTAB, ())}
    if not imported:
        return
    entries = [row for row in records.read(DHCPTAB).rows if isinstance(row, TabEntry)]
    for fault in MacroTable.load(entries).faults:
        if (fault.name, fault.kind) in imported:
            warn(f"{fault.name} is disabled: {fault.reason}")
