"""Which datastore a site gets, and where its own tables (installs, guests) lie in it."""

from __future__ import annotations

import pytest

from storage.records import Install, open_records
from tests.rows import rows_of
from tests.twinboot.conftest import Site
from twinboot import stores
from twinboot.config import load
from twinboot.services.dhcp import publish


def resource_of(site: Site) -> str:
    lines = site.dhcpsvc.read_text().splitlines()
    return next(line.removeprefix("RESOURCE=") for line in lines if line.startswith("RESOURCE="))


def quiet(kind: str, **fields: object) -> None:
    raise AssertionError((kind, fields))


def test_a_local_share_gets_suns_containers(ready_site: Site) -> None:
    assert resource_of(ready_site) == "SUNWfiles"
    config = load(ready_site.config)
    assert stores.state_records(config).location != stores.dhcp_records(config).location
    assert {"installs", "dhcptab", "10.77.0.0"} <= set(stores.site_records(config).tables())


def test_a_share_on_nfs_gets_the_log(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinboot.answers.remote_kind", lambda path: "nfs")
    site.init()
    assert resource_of(site) == "twinlog"


def test_installs_lie_with_the_bindings_where_one_commit_can_hold_both(site: Site) -> None:
    site.init(resource="twinlog")
    site.add_host("--target", "live-xen")
    site.ok("install", "hv1")
    assert not list((site.share / "state").glob("SUNWfiles*"))
    (row,) = open_records("twinlog", site.share / "dhcp").read("installs").rows
    assert isinstance(row, Install)
    assert (row.host, row.state) == ("hv1", "armed")


def test_the_second_server_takes_the_datastore_that_it_finds(site: Site) -> None:
    site.init(resource="twinlog")
    second = {"name": "s2", "config": str(site.root / "b" / "twinboot.toml")}
    second["dhcpsvc"] = str(site.root / "b" / "dhcpsvc.conf")
    site.ok(*site.init_args(**second, address="10.77.0.2"))
    text = (site.root / "b" / "dhcpsvc.conf").read_text()
    assert "RESOURCE=twinlog\n" in text
    assert "OWNER_IP=10.77.0.1,10.77.0.2\n" in text
    (refusal,) = site.fails(*site.init_args(**second, resource="SUNWfiles"), "--force")
    assert refusal.startswith("--resource: ")
    assert "has its records in twinlog" in refusal


def test_an_unknown_datastore_is_refused(site: Site) -> None:
    (refusal,) = site.fails(*site.init_args(resource="sqlite"))
    assert "use one of SUNWfiles, twinlog" in refusal


def test_installs_come_along_when_the_datastore_is_converted(ready_site: Site) -> None:
    """dhcpconfig -C converts DHCP's tables; a host that was armed before stays armed."""
    ready_site.add_host("--target", "live-xen")
    ready_site.ok("install", "hv1")
    (armed,) = rows_of(open_records("SUNWfiles", ready_site.share / "state"), "installs", Install)
    text = ready_site.dhcpsvc.read_text().replace("RESOURCE=SUNWfiles", "RESOURCE=twinlog")
    ready_site.dhcpsvc.write_text(text)
    config = load(ready_site.config)
    publish(config, stores.dhcp_records(config), quiet)
    (row,) = stores.rows(stores.state_records(config), "installs", Install)
    assert row.token == armed.token
