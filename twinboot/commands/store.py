"""`twinboot store`: the log behind `RESOURCE=twinlog`, looked at and mended without any server.

Exit codes of `check`: 0 sound, 1 something was or may be lost (or the command failed), 3 no server can start from it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import click

from dhcp import svcconf_file
from storage.records.files import LocalFiles
from storage.records.twinlog import open_twinlog
from storage.records.twinlog_mend import Mender
from storage.records.twinlog_mend import export as export_tables
from storage.records.twinlog_names import FOLDER
from storage.records.twinlog_survey import Survey, survey
from storage.records.twinlog_text import Head
from twinboot.cli import App, pass_app
from twinboot.faults import Stop
from twinboot.privileges import acting_as
from twinboot.show import as_json, clean, local_time, say, table

__all__ = ["store"]

RESOURCE = "twinlog"
EXIT_HARMED = 1
EXIT_DEAD = 3
HISTORY_MAX = 500

path_option = click.option(
    "--path",
    type=click.Path(path_type=Path),
    help=f"Directory that holds {FOLDER} [default: PATH of dhcpsvc.conf].",
)
json_option = click.option("--json", "as_document", is_flag=True, help="Print JSON.")


@click.group()
def store() -> None:
    """Check, show, mend and export the records log, also with all servers dead."""


@contextmanager
def _place(app: App, path: Path | None) -> Iterator[Path]:
    """The log's directory, as the account that keeps it unless a path was given. Stop if it is another datastore's."""
    if path is not None:
        yield path
        return
    config = app.config
    conf = svcconf_file.load(config.dhcpsvc)
    if conf.resource != RESOURCE:
        raise Stop(
            f"{config.dhcpsvc}: RESOURCE={conf.resource}: this command is for {RESOURCE}; --path names another place"
        )
    with acting_as(config.user):
        yield Path(conf.path)


@contextmanager
def _opened(app: App, path: Path | None) -> Iterator[LocalFiles]:
    """The files there. Stop if there is no log."""
    with _place(app, path) as place:
        files = LocalFiles(place)
        if FOLDER not in files.names():
            raise Stop(f"{files.location}: no {FOLDER} in it: nothing was stored yet, or the share is not mounted")
        yield files


@store.command("check")
@path_option
@json_option
@pass_app
def store_check(app: App, path: Path | None, as_document: bool) -> None:
    """Apply the whole log again, compare it with its snapshots, and say whether it is sound.

    Exit code 0: sound. 1: something was or may be lost; 3: no server can start from it.
    """
    with _opened(app, path) as files:
        found = survey(files)
    if as_document:
        as_json(_facts(files, found) | {"findings": [finding._asdict() for finding in found.findings]})
    else:
        for finding in found.findings:
            say(f"{'DAMAGE' if finding.harm else 'note':<6} {finding.name}: {finding.text}")
        say(f"verdict: {_verdict(found)}")
    if not found.is_sound:
        raise SystemExit(EXIT_HARMED if found.state is not None else EXIT_DEAD)


def _verdict(found: Survey) -> str:
    if found.state is None:
        return "no server can start from this log: `twinboot store repair --dry-run` tells what can be done"
    what = f"batches {found.first} to {found.state.number} applied again, {len(found.snapshots)} snapshots compared"
    if found.is_sound:
        return f"sound; {what}"
    return f"served, but damaged: {what}; `twinboot store repair --dry-run` tells what can be done"


def _facts(files: LocalFiles, found: Survey) -> dict[str, Any]:
    state = found.state
    return {
        "path": files.location,
        "sound": found.is_sound,
        "batch": state.number if state is not None else None,
        "snapshots": found.snapshots,
        "batches": len(found.batches),
        "tables": {name: len(one.rows) for name, one in sorted(state.tables.items())} if state is not None else {},
        "servers": {name: _last(number, head) for name, (number, head) in sorted(found.servers.items())},
    }


def _last(number: int, head: Head) -> dict[str, Any]:
    return {"batch": number, "at": datetime.fromtimestamp(head.at_s, UTC).isoformat(timespec="milliseconds")}


@store.command("show")
@click.argument("what", metavar="[ADDRESS|NAME|NUMBER]", default="")
@path_option
@json_option
@pass_app
def store_show(app: App, what: str, path: Path | None, as_document: bool) -> None:
    """Show what the log holds; or who changed the row of an address, macro or host, and when; or one batch.

    The past is told as far as it is still in the log: `twinboot store check` names the oldest batch.
    """
    with _opened(app, path) as files:
        found = survey(files)
    if what.isdigit():
        _show_batch(found, int(what), as_document)
    elif what:
        _show_history(found, what, as_document)
    elif as_document:
        as_json(_facts(files, found))
    else:
        facts = _facts(files, found)
        say(f"{files.location}: batch {facts['batch']}, snapshots {', '.join(map(str, found.snapshots)) or 'none'}")
        table(("table", "rows"), list(facts["tables"].items()), "no tables")
        servers = [(name, number, local_time(head.at_s)) for name, (number, head) in sorted(found.servers.items())]
        table(("server", "last batch", "at, by its clock"), servers, "no batches in the log")


def _show_batch(found: Survey, number: int, as_document: bool) -> None:
    batch = found.batches.get(number)
    if batch is None:
        first, last = min(found.batches, default=0), max(found.batches, default=0)
        raise Stop(f"batch {number}: not in the log, which has {first} to {last}")
    lines = [(name, entry.sign.decode(), clean(_text(entry.line))) for name, all_ in batch.tables for entry in all_]
    if as_document:
        heads = ("table", "sign", "row")
        as_json(_last(number, batch.head) | {"id": batch.head.writer, "changes": [_named(heads, one) for one in lines]})
        return
    say(f"batch {number} by {batch.head.writer} at {local_time(batch.head.at_s)}")
    table(("table", "", "row"), lines, "an empty batch")


def _show_history(found: Survey, key: str, as_document: bool) -> None:
    events = found.history(key)[-HISTORY_MAX:]
    heads = ("batch", "at", "server", "table", "sign", "row")
    rows = [
        (one.number, local_time(one.head.at_s), one.head.server, one.table, one.sign, clean(_text(one.line)))
        for one in events
    ]
    if as_document:
        as_json([_named(heads, row) for row in rows])
    else:
        table(heads, rows, f"{key}: no change in batches {found.first} and above")


def _named(heads: tuple[str, ...], row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(heads, row, strict=True))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


@store.command("repair")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@path_option
@pass_app
def store_repair(app: App, dry_run: bool, path: Path | None) -> None:
    """Put what is damaged aside, close gaps, and write a fresh snapshot. Nothing is deleted; servers may be running."""
    with _opened(app, path) as files:
        found = survey(files)
        process, numbers = secrets.token_hex(4), count(1)
        mender = Mender(files, lambda: f"repair.{process}.{next(numbers)}", time.time)
        steps = mender.plan(found)
        if not dry_run and (steps or found.state is None):
            mender.mend(found)
    for step in steps:
        say(f"{'would do' if dry_run else 'done'}: {step}")
    if not steps:
        say("nothing to repair")
    if dry_run and found.state is None:
        say("it would be refused: no server could start from what is left; restore the folder from a backup")


@store.command("export")
@click.argument("directory", type=click.Path(path_type=Path))
@path_option
@pass_app
def store_export(app: App, directory: Path, path: Path | None) -> None:
    """Write every table as a SUNWfiles container into DIRECTORY, never over a file that is there."""
    with _opened(app, path) as files:
        found = survey(files)
    if found.state is None:
        raise Stop(f"{files.location}: {_verdict(found)}")
    directory.mkdir(parents=True, exist_ok=True)
    for name in export_tables(found.state, LocalFiles(directory)):
        say(directory / name)
    if not found.is_sound:
        click.echo(f"twinboot: {clean(_verdict(found))}", err=True)
        raise SystemExit(EXIT_HARMED)


@store.command("import")
@path_option
@pass_app
def store_import(app: App, path: Path | None) -> None:
    """Take over now what was edited in the published copies, or put there as containers, and publish anew."""
    with _place(app, path) as place:
        done = open_twinlog(place).rescan()
    say(f"{done.taken} rows taken over")
    for line in done.refused:
        click.echo(f"twinboot: {clean(line)}", err=True)
    if done.refused:
        raise SystemExit(EXIT_HARMED)
