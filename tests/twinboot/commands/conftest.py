"""What the commands left in the datastore of a site."""

from __future__ import annotations

from storage.records import Binding, TabEntry, open_records
from tests.rows import rows_of

MAC = "00:14:4f:00:00:01"
OTHER = "00:14:4f:00:00:02"


def bindings(site) -> dict:
    rows = rows_of(open_records("SUNWfiles", site.share / "dhcp"), "10.77.0.0", Binding)
    return {row.address & 0xFF: row for row in rows}


def macros(site) -> dict:
    rows = rows_of(open_records("SUNWfiles", site.share / "dhcp"), "dhcptab", TabEntry)
    return {row.name: row.value for row in rows}
