"""A site with an image of nevada and a host for it, and what then lies on the share and in the dhcptab."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.records import Install, TabEntry, open_records
from tests.rows import rows_of
from tests.twinboot.conftest import Site
from tests.twinboot.nevada.image import complete, make_image

CLASS = "PXEClient:Arch:00000:UNDI:002001"
OWN = "0100144F000001"
GRUB = ':GrubMenu="grub/grub.cfg-01-00-14-4f-00-00-01":'


def macros(site: Site) -> dict[str, str]:
    rows = rows_of(open_records("SUNWfiles", site.share / "dhcp"), "dhcptab", TabEntry)
    return {row.name: row.value for row in rows}


def installs(site: Site) -> list[Install]:
    return rows_of(open_records("SUNWfiles", site.share / "state"), "installs", Install)


def tree(site: Site) -> list[str]:
    top = site.share / "jumpstart"
    return sorted(
        str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and path.name != "nevada.toml"
    )


def add(site: Site, name: str, mac: str, address: str, *more: str) -> None:
    site.ok("host", "add", name, "--mac", f"fe0={mac}", "--address", f"fe0={address}", "--target", "nevada", *more)
    complete(site.share / "hosts" / f"{name}.toml")


@pytest.fixture
def nevada_site(ready_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    # No journal runs here; a command waits half a second for one before it gives its event up.
    monkeypatch.setattr("twinboot.commands.install._tell", lambda *_: None)
    make_image(tmp_path / "nv105")
    ready_site.ok("media", "add", "nevada", str(tmp_path / "nv105"), "--release", "snv_105")
    add(ready_site, "hv1", "00:14:4f:00:00:01", "10.77.0.21")
    return ready_site
