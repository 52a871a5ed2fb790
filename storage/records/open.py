"""Which datastores there are: the names that `RESOURCE` in dhcpsvc.conf may have."""

from collections.abc import Callable
from pathlib import Path

from storage.records.port import Outcome, Records, RecordsError
from storage.records.sunwfiles import SunwFiles

ADAPTERS: dict[str, Callable[[str | Path], Records]] = {
    "SUNWfiles": SunwFiles,
}
"""A new datastore is one module and one line here."""


def open_records(resource: str, path: str | Path) -> Records:
    """The datastore of that kind at that place; RecordsError for an unknown kind or a place that is not there."""
    adapter = ADAPTERS.get(resource)
    if adapter is None:
        raise RecordsError(Outcome.INVALID, f"RESOURCE={resource}: unknown, use one of: {', '.join(sorted(ADAPTERS))}")
    return adapter(path)
