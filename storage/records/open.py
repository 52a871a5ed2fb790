"""Which datastores there are: the names that `RESOURCE` in dhcpsvc.conf may have."""

from collections.abc import Callable
from pathlib import Path

from storage.records.port import Outcome, Records, RecordsError
from storage.records.sunwfiles import SunwFiles


def _postgresql(path: str | Path) -> Records:
    """Loaded when it is asked for: its driver is an optional part, and costs more time to load than Sun's commands."""
    try:
        from storage.records.postgresql import PostgresRecords  # noqa: PLC0415
    except ImportError as error:
        raise RecordsError(
            Outcome.UNAVAILABLE,
            f"RESOURCE=postgresql needs psycopg ({error}): install it with pip install 'twinboot[postgresql]'",
        ) from error
    return PostgresRecords(path)


def _twinlog(path: str | Path) -> Records:
    """Loaded when it is asked for: it is the largest part, and commands at sites with Sun's containers need it not."""
    from storage.records.twinlog import open_twinlog  # noqa: PLC0415

    return open_twinlog(path)


ADAPTERS: dict[str, Callable[[str | Path], Records]] = {
    "SUNWfiles": SunwFiles,
    "postgresql": _postgresql,
    "twinlog": _twinlog,
}
"""A new datastore is one module and one line here."""


def open_records(resource: str, path: str | Path) -> Records:
    """The datastore of that kind at that place; RecordsError for an unknown kind or a place that is not there."""
    adapter = ADAPTERS.get(resource)
    if adapter is None:
        raise RecordsError(Outcome.INVALID, f"RESOURCE={resource}: unknown, use one of: {', '.join(sorted(ADAPTERS))}")
    return adapter(path)
