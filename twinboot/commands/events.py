"""`twinboot events`: the journal as lines."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from operator import itemgetter

import click

from twinboot.cli import App, pass_app
from twinboot.events import Event
from twinboot.faults import Stop
from twinboot.journal import Query, follow, newest_id, open_reader, read
from twinboot.show import clean, local_time
from twinboot.subject import find

__all__ = ["events", "line", "since_time"]

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
AGE = re.compile(r"(\d{1,6})([smhd])")
SHOWN_MAX = 1000
FIRST = ("host", "mac", "address")


def since_time(text: str, now: float) -> float:
    """Unix seconds of `10m`, `2h`, `1d` ago or of an ISO date and time. Stop if it is neither."""
    if found := AGE.fullmatch(text):
        return now - int(found[1]) * UNITS_S[found[2]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise Stop(f"--since {text}: write an age such as 10m, 2h, 1d, or a time such as 2026-01-31T08:00") from None


def line(event: Event) -> str:
    """One event as people read it: local time, kind, who, then the rest."""
    names = [name for name in FIRST if name in event]
    names += [name for name in event if name not in {*FIRST, "id", "at", "kind"}]
    return " ".join([local_time(event["at"]), event["kind"], *(f"{name}={event[name]}" for name in names)])


@click.command()
@click.option("-f", "--follow", "following", is_flag=True, help="Go on showing events as they come.")
@click.option("--host", metavar="NAME", default="", help="Only what concerns this host (its MACs and addresses too).")
@click.option("--mac", metavar="MAC", default="", help="Only this MAC address.")
@click.option("--kind", metavar="KIND", default="", help="Only this kind, or all below it: `dhcp`, `tftp.failed`.")
@click.option("--since", metavar="WHEN", default="", help="Only since an age (10m, 2h, 1d) or a time.")
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line.")
@pass_app
def events(app: App, following: bool, host: str, mac: str, kind: str, since: str, as_lines: bool) -> None:
    """Show what happened: the newest 1000 events of this server's journal."""
    path = app.config.journal_path
    start = since_time(since, time.time()) if since else 0.0
    query = Query(mac=mac.lower().replace("-", ":"), kind=kind, since=start)
    if host:
        query = query._replace(anyone=find(app.config, host).clauses)
    db = open_reader(path)
    newest = newest_id(db)
    found = [event for event in read(db, query, limit=SHOWN_MAX) if event["id"] <= newest]
    for event in sorted(found, key=itemgetter("at")):
        _print(event, as_lines)
    if following:
        for event in follow(path, query._replace(after_id=newest)):
            _print(event, as_lines)


def _print(event: Event, as_lines: bool) -> None:
    click.echo(json.dumps(event) if as_lines else clean(line(event)))
