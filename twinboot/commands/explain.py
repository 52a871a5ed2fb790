"""`twinboot explain`: why did it (not) boot?"""

from __future__ import annotations

from typing import Any

import click

from pxe.installs import TABLE
from storage.records import Install, RecordsError
from twinboot import peershare, stores
from twinboot.cli import App, pass_app
from twinboot.config import Config
from twinboot.explain import Explanation, Known
from twinboot.explain import explain as judge
from twinboot.faults import Stop
from twinboot.journal import Query, open_reader, read
from twinboot.show import as_json, local_time, say
from twinboot.subject import Subject, find

__all__ = ["explain"]

EVENTS_MAX = 20_000
ADDRESSES_MAX = 8
"""Addresses of a machine that are followed: one a link, and what it had before."""


@click.command()
@click.argument("host")
@click.option("--json", "as_document", is_flag=True, help="Print JSON.")
@pass_app
def explain(app: App, host: str, as_document: bool) -> None:
    """Tell the last boot of HOST (a name or a MAC), as all servers saw it, with the verdict and what to do."""
    config = app.config
    subject = find(config, host)
    told = judge(_events(config, subject), _known(config, subject))
    if not (subject.host or subject.macs or subject.faults or told.timeline):
        raise Stop(f"no host {host!r}: `twinboot host list` shows all; a machine without a host file goes by its MAC")
    if as_document:
        as_json({**told._asdict(), "timeline": [moment._asdict() for moment in told.timeline]})
        return
    if told.timeline:
        say(f"{subject.name}: boot of {local_time(told.began)}")
    servers = {moment.seen_by for moment in told.timeline}
    width = max(map(len, servers), default=0) + 1 if len(servers) > 1 else 0
    for seconds, kind, words, seen_by in told.timeline:
        say(f"  +{seconds:8.3f} s  {seen_by if width else '':<{width}}{kind:<16} {words}")
    _verdict(told)


def _verdict(told: Explanation) -> None:
    say(f"verdict: {told.verdict}")
    if told.fix:
        say(f"fix: {told.fix}")


def _events(config: Config, subject: Subject) -> list[dict[str, object]]:
    """What names the subject, and what names an address that it was given: of this server's journal, and of others'."""
    db, told = open_reader(config.journal_path), _told(config)
    own = read(db, Query(anyone=subject.clauses), EVENTS_MAX)
    about = [event for event in told if any(event.get(column) == value for column, value in subject.clauses)]
    named = sorted([*own, *about], key=lambda event: event["at"])
    given = {str(event["address"]): None for event in reversed(named) if event.get("address")}
    since = named[0]["at"] if named else 0.0
    clauses = tuple(("address", address) for address in list(given)[:ADDRESSES_MAX])
    by_address = read(db, Query(anyone=clauses, since=since), EVENTS_MAX) if clauses else []
    mine = {event["id"]: event for event in [*own, *by_address]}.values()
    return [*told, *({**event, "seen_by": config.server} for event in mine)]


def _told(config: Config) -> list[dict[str, Any]]:
    """What the other servers put on the share of their journals."""
    try:
        stories = peershare.stories(peershare.files_of(config), config.server)
    except OSError as error:
        click.echo(f"what the other servers saw cannot be read: {config.share}: {error.strerror}", err=True)
        return []
    return [{**event, "seen_by": server} for server, events in stories.items() for event in events]


def _known(config: Config, subject: Subject) -> Known:
    known = Known(subject.name, subject.macs, subject.host is not None, faults=subject.faults)
    try:
        rows = stores.rows(stores.state_records(config), TABLE, Install)
    except RecordsError as error:
        return known._replace(faults=(*known.faults, str(error)))
    row = next((row for row in rows if row.host == subject.name), None)
    return known._replace(state=row.state, target=row.target, detail=row.detail) if row else known
