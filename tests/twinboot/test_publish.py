"""What the DHCP service adds to the dhcptab when it starts, and what it leaves alone."""

from __future__ import annotations

from storage.records import MACRO, Change, TabEntry, open_records
from tests.rows import rows_of
from tests.twinboot.conftest import Site
from twinboot.config import load
from twinboot.services.dhcp import publish

OWN = ':BootFile="pxegrub":'


def test_missing_macros_are_added_and_those_of_the_site_stay(site: Site) -> None:
    site.init()
    store = open_records("SUNWfiles", site.share / "dhcp")
    rows = {row.name: row for row in rows_of(store, "dhcptab", TabEntry)}
    mine = rows["PXEClient:Arch:00000"]
    store.commit([Change("dhcptab", mine, mine._replace(value=OWN)), Change("dhcptab", rows["iPXE"], None)])
    told: list[str] = []
    publish(load(site.config), store, lambda kind, **_: told.append(kind))
    after = {row.key: row.value for row in rows_of(store, "dhcptab", TabEntry)}
    assert after["PXEClient:Arch:00000", MACRO] == OWN
    assert after["iPXE", MACRO] == rows["iPXE"].value
    assert told == []


def test_a_site_that_has_only_its_configuration_gets_its_tables(site: Site) -> None:
    site.init()
    dhcp, state = (open_records("SUNWfiles", site.share / name) for name in ("dhcp", "state"))
    for store in (dhcp, state):
        for table in store.tables():
            store.drop(table)
    publish(load(site.config), dhcp, lambda kind, **fields: None)
    assert (dhcp.tables(), state.tables()) == (["10.77.0.0", "dhcptab"], ["installs"])
