"""Which other servers the menus name, as dhcpsvc.conf and the networks say."""

from __future__ import annotations

import pytest

from tests.twinboot.conftest import Site
from twinboot.config import load
from twinboot.services.catalog import OTHERS_MAX, open_catalog

FAR = [f"10.99.0.{number}" for number in range(1, OTHERS_MAX + 3)]


@pytest.mark.parametrize(
    ("owners", "others"),
    [
        (["10.77.0.1"], []),
        (["10.77.0.1", "10.77.0.2"], ["10.77.0.2"]),
        (["10.77.0.3", "127.0.0.1", "10.77.0.1", "10.77.0.2", "10.77.0.3"], ["10.77.0.3", "10.77.0.2"]),
        (["10.77.0.1", "10.99.0.2", "10.77.0.2"], ["10.77.0.2"]),  # one server with two addresses is tried once
        (["10.77.0.1", "10.99.0.2"], ["10.99.0.2"]),
        (["10.77.0.1", *FAR], FAR[:OTHERS_MAX]),
    ],
)
def test_the_others_are_the_owners_that_we_are_not(ready_site: Site, owners: list[str], others: list[str]) -> None:
    lines = [line for line in ready_site.dhcpsvc.read_text().splitlines() if not line.startswith("OWNER_IP=")]
    ready_site.dhcpsvc.write_text("\n".join([*lines, f"OWNER_IP={','.join(owners)}", ""]))
    catalog = open_catalog(load(ready_site.config), lambda _kind, **_fields: None)
    assert list(catalog.settings.others) == others
