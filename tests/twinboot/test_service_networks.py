"""The networks that services learn: of the configuration, of the containers, and what is told of those left out."""

from __future__ import annotations

from dhcp.networks import network
from storage.records import MACRO, Change, MemoryRecords, Outcome, RecordsError, TabEntry
from tests.twinboot.conftest import Site
from twinboot.config import load
from twinboot.services.networks import Networks

PUBLIC = network("10.77.0.0/24")


class Store(MemoryRecords):
    """A store in memory that can be made to fail."""

    fails = False

    def tables(self) -> list[str]:
        if self.fails:
            raise RecordsError(Outcome.UNAVAILABLE, "the share does not answer")
        return super().tables()


def test_networks_are_looked_up_anew_and_faults_told_once(site: Site) -> None:
    site.init()
    store, told = Store(), []
    store.load("dhcptab", [])
    learn = Networks(load(site.config), store, lambda kind, **fields: told.append((kind, fields["file"])))
    assert tuple(learn) == (PUBLIC,)
    store.load("10.78.0.0", [])
    store.commit([Change("dhcptab", None, TabEntry("10.78.0.0", MACRO, 0, ":Subnet=255.255.254.0:"))])
    store.load("10.77.0.128", [])
    for _ in range(2):
        assert tuple(learn) == (PUBLIC, network("10.78.0.0/23"))
    assert told == [("records.fault", "10.77.0.128")]
    store.fails = True
    for _ in range(2):
        assert tuple(learn) == (PUBLIC, network("10.78.0.0/23"))
    assert told[1:] == [("records.fault", "dhcptab")]


def test_a_store_that_cannot_be_read_leaves_the_configuration(site: Site) -> None:
    site.init()
    store = Store()
    store.fails = True
    assert list(Networks(load(site.config), store, lambda kind, **fields: None)) == [PUBLIC]
