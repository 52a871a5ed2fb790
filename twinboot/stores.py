"""The shared records as the commands use them: opened as the configuration says, changed or refused in one line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from typing import TypeVar

from dhcp import svcconf, svcconf_file
from jumpstart.hosts import Hosts, load_hosts
from storage.records import (
    FREE_ID,
    MANUAL,
    Binding,
    Change,
    Outcome,
    Records,
    RecordsError,
    Row,
    TabEntry,
    open_records,
)
from storage.records.remote import remote_kind
from twinboot.config import Config
from twinboot.faults import Stop
from twinboot.joined import JoinedRecords

__all__ = [
    "DHCPTAB",
    "commit",
    "containers",
    "daemon_records",
    "dhcp_records",
    "entry_changes",
    "hosts",
    "missing_entries",
    "reservations",
    "rows",
    "site_records",
    "state_beside",
    "state_records",
]

DHCPTAB = "dhcptab"
STATE_RESOURCE = "SUNWfiles"
WORKER_VARIABLE = "TWINBOOT_SHARE_WORKER"
WORKER_CHOICES = ("auto", "always", "never")
R = TypeVar("R", bound=Row)


def dhcp_records(config: Config) -> Records:
    """Bindings and macros, where dhcpsvc.conf says. ConfError, RecordsError; Stop where only a relay runs."""
    conf = svcconf_file.load(config.dhcpsvc)
    if not conf.resource:
        raise Stop(f"{config.dhcpsvc}: RUN_MODE=relay: bindings and macros are on the servers; use the command there")
    return open_records(conf.resource, conf.path)


@contextlib.contextmanager
def daemon_records(
    conf: svcconf.ServiceConf, emit: Callable[..., None]
) -> Iterator[tuple[Records, Callable[[], None]]]:
    """Bindings and macros for a daemon that has to answer while the share hangs; and what to call when it begins to.

    On a network file system a worker process keeps them, whose calls have a deadline once the daemon has begun. In a
    local directory it would only cost. RecordsError.
    """
    if not _wants_worker(conf):
        yield open_records(conf.resource, conf.path), lambda: None
        return
    from storage.records.worker import WorkerRecords  # noqa: PLC0415 - a large part, and no command needs it

    worker = WorkerRecords(lambda: open_records(conf.resource, conf.path), conf.path, emit)
    with contextlib.closing(worker):
        yield worker, worker.hurry


def _wants_worker(conf: svcconf.ServiceConf) -> bool:
    choice = os.environ.get(WORKER_VARIABLE, "auto")
    if choice not in WORKER_CHOICES:
        raise Stop(f"{WORKER_VARIABLE}={choice}: set it to one of {', '.join(WORKER_CHOICES)}, or not at all")
    if choice != "auto":
        return choice == "always"
    try:
        return remote_kind(conf.path) != ""
    except OSError:
        return False  # no directory: a database, or a mistake that opening it tells


def state_records(config: Config) -> Records:
    """Where the tables of our own are (installs, guests): with the bindings, so that one commit can hold both.

    Only Sun's containers stay by themselves in their directory, and ours are beside it in `state`; also where there
    are no bindings, because this server relays. ConfError; RecordsError when the share is not there.
    """
    conf = svcconf_file.load(config.dhcpsvc)
    if conf.resource in ("", STATE_RESOURCE):
        return open_records(STATE_RESOURCE, config.share / "state")
    return open_records(conf.resource, conf.path)


def state_beside(config: Config, dhcp: Records) -> Records:
    """The same as `state_records`, where the bindings are open already as `dhcp`."""
    is_apart = svcconf_file.load(config.dhcpsvc).resource == STATE_RESOURCE
    return open_records(STATE_RESOURCE, config.share / "state") if is_apart else dhcp


def site_records(config: Config) -> Records:
    """All that the servers share, as one store, whose commit may span tables. As `dhcp_records`."""
    dhcp = dhcp_records(config)
    state = state_beside(config, dhcp)
    return dhcp if state is dhcp else JoinedRecords(state, dhcp)


def hosts(config: Config) -> Hosts:
    """The host files of the share; whatever is wrong with them is in `faults`."""
    return load_hosts(config.hosts_dir)


def containers(records: Records) -> list[str]:
    """Names of the network containers. RecordsError."""
    return [table for table in records.tables() if table[:1].isdigit()]


def rows(records: Records, table: str, kind: type[R]) -> list[R]:
    """All rows of a table; none if there is no such table. RecordsError for anything else."""
    try:
        return [row for row in records.read(table).rows if isinstance(row, kind)]
    except RecordsError as error:
        if error.outcome is Outcome.NOT_FOUND:
            return []
        raise


def commit(records: Records, changes: Sequence[Change]) -> None:
    """Store all changes. Stop names every one that was refused, and why."""
    if not changes:
        return
    results = records.commit(changes)
    refused = [
        f"{change.table} {_key(change)}: {result.detail or result.outcome.value}; look again and repeat the command"
        for change, result in zip(changes, results, strict=True)
        if result.outcome is not Outcome.STORED
    ]
    if refused:
        raise Stop(*refused)


def _key(change: Change) -> str:
    row = change.new or change.old
    if isinstance(row, Binding):
        return str(IPv4Address(row.address))
    return row.name if isinstance(row, TabEntry) else str(row.key) if row else ""


def entry_changes(records: Records, wanted: Sequence[TabEntry]) -> list[Change]:
    """What to change in the dhcptab so that it holds `wanted`: only what is missing or differs."""
    stored = {row.key: row for row in rows(records, DHCPTAB, TabEntry)}
    return [
        Change(DHCPTAB, stored.get(entry.key), entry)
        for entry in wanted
        if entry.key not in stored or stored[entry.key].value != entry.value
    ]


def missing_entries(records: Records, wanted: Sequence[TabEntry]) -> list[Change]:
    """What to add to the dhcptab so that it has an entry of each of these names; those that are there stay."""
    stored = {row.key for row in rows(records, DHCPTAB, TabEntry)}
    return [Change(DHCPTAB, None, entry) for entry in wanted if entry.key not in stored]


def reservations(records: Records, tables: Sequence[str], client_ids: Sequence[bytes]) -> list[tuple[str, Binding]]:
    """(container, binding) of every MANUAL binding of these clients."""
    assert FREE_ID not in client_ids
    return [
        (table, row)
        for table in tables
        for row in rows(records, table, Binding)
        if row.flags & MANUAL and row.client_id in client_ids
    ]
