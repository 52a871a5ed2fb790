"""Sun's chain through the catalog: loader, menu, kernel and miniroot, JumpStart files; by token and by address."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jumpstart.hostfile import from_toml
from jumpstart.hosts import HostsCache
from jumpstart.targets.nevada_site import FILE, Server, Settings, to_text
from pxe.bootplan import Kind, Plan
from pxe.catalog import Catalog
from pxe.content import FileContent, Refused, TextContent, Why
from pxe.installs import arm
from pxe.pxegrub import local_menu
from pxe.report import parse
from pxe.settings import Settings as ServerSettings
from pxe.tree import BootTree
from storage.records import Install, MemoryRecords
from tests.pxe.conftest import T0_S

HV1 = """
name = "hv1"
segment = "odd"
target = "nevada"
root_mirror = ["c0t0d0s0", "c0t1d0s0"]
[links.be0]
mac = "00:1b:21:a0:b1:c2"
device = "e1000g1"
address = "192.168.78.21"
[links.fe0]
mac = "00:1b:21:a0:b1:c1"
device = "e1000g0"
address = "192.168.76.21"
"""
OWN, OTHER = "192.168.78.21", "192.168.78.22"
MENU = "menu.lst.01001B21A0B1C2"
UNIX = "platform/i86pc/kernel/unix"
ODD = Server("192.168.78.14", "192.168.78.14", "/export/install/nv105", "/jumpstart")
EVEN = ODD._replace(address="192.168.78.16", http="192.168.78.16:8080")
SETTINGS = Settings("I86PC.nv105", "snv_105", ("grub/pxegrub", UNIX, "x86.miniroot"), {"odd": ODD, "even": EVEN})
OK = parse(b"outcome=installed\nhost=hv1\n")

Make = Callable[..., Catalog]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    files = {f"boot/I86PC.nv105/{name}": name for name in SETTINGS.boot_files}
    files |= {"boot/pxegrub.I86PC.nv105": "pxegrub", "hosts/hv1.toml": HV1, f"jumpstart/{FILE}": to_text(SETTINGS)}
    files |= {"jumpstart/rules.ok": "rules", "jumpstart/hosts/hv1/sysidcfg": "root_password=$5$hash"}
    files |= {"jumpstart/hosts/hv2/sysidcfg": "another's"}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def records() -> MemoryRecords:
    store = MemoryRecords()
    store.create("installs")
    return store


@pytest.fixture
def make(site: Path, records: MemoryRecords) -> Make:
    def made(server: str = "192.168.78.14", segment: str = "odd", ended: list[Install] | None = None) -> Catalog:
        return Catalog(
            BootTree(site / "boot"),
            HostsCache(site / "hosts"),
            records,
            ServerSettings(server, segment),
            lambda _kind, **_fields: None,
            clock=lambda: T0_S + 60.0,
            jumpstart=site / "jumpstart",
            after_report=(ended if ended is not None else []).append,
        )

    return made


def text(catalog: Catalog, name: str = MENU) -> str:
    content = catalog.resolve(name, OWN)
    assert isinstance(content, TextContent)
    return content.data.decode()


def fetch(catalog: Catalog, name: str, client: str = OWN) -> str:
    content = catalog.resolve(name, client)
    assert isinstance(content, FileContent)
    with open(content.fd) as file:
        return file.read()


def refusal(catalog: Catalog, name: str, client: str = OWN) -> Refused:
    with pytest.raises(Refused) as caught:
        catalog.resolve(name, client)
    return caught.value


def state(records: MemoryRecords) -> str:
    (row,) = records.read("installs").rows
    assert isinstance(row, Install)
    return row.state


def test_the_whole_chain_of_one_install(make: Make, records: MemoryRecords) -> None:
    ended: list[Install] = []
    odd = make(ended=ended)
    assert "chainloader +1" in text(odd)
    token = arm(records, "hv1", "nevada", T0_S, 1).token
    assert fetch(odd, "/01001B21A0B1C2") == "pxegrub"
    menu = text(odd)
    kernel = f"\tkernel /install/{token}/{UNIX} - install nowin -B install_media=192.168.78.14:/export/install/nv105,"
    assert kernel in menu
    assert f"\tmodule /install/{token}/x86.miniroot\n" in menu
    assert state(records) == "armed"
    assert fetch(odd, f"/install/{token}/{UNIX}") == UNIX
    assert state(records) == "installing"
    assert "chainloader +1" in text(odd)  # a second boot never installs again
    assert fetch(odd, f"install/{token}/x86.miniroot") == "x86.miniroot"
    assert fetch(odd, f"install/{token}/jumpstart/rules.ok") == "rules"
    assert fetch(odd, f"install/{token}/jumpstart/sysidcfg").startswith("root_password")
    assert fetch(odd, "jumpstart/hosts/hv1/sysidcfg").startswith("root_password")
    assert odd.report(token, OK, OWN).state == "installed"
    assert [row.host for row in ended] == ["hv1"]
    for name in (f"install/{token}/jumpstart/sysidcfg", "jumpstart/hosts/hv1/sysidcfg", "jumpstart/rules.ok"):
        assert refusal(odd, name).why is Why.ACCESS
    assert "chainloader +1" in text(odd)


def test_an_install_armed_and_begun_at_one_server_ends_at_the_other(make: Make, records: MemoryRecords) -> None:
    odd, even = make(), make("192.168.78.16", "even")
    token = arm(records, "hv1", "nevada", T0_S, 1).token
    assert "install_config=192.168.78.16:/jumpstart" in text(even)
    fetch(odd, f"install/{token}/{UNIX}")
    assert "did not finish" in text(even)
    assert fetch(even, f"install/{token}/x86.miniroot") == "x86.miniroot"
    assert even.report(token, OK, OWN).state == "installed"
    assert refusal(odd, f"install/{token}/x86.miniroot").why is Why.ACCESS


def test_an_address_opens_its_own_files_only(make: Make, records: MemoryRecords) -> None:
    odd = make()
    assert refusal(odd, "jumpstart/rules.ok").why is Why.ACCESS  # nothing is armed
    token = arm(records, "hv1", "nevada", T0_S, 1).token
    assert refusal(odd, "jumpstart/rules.ok", OTHER).why is Why.ACCESS
    for name in ("jumpstart/hosts/hv2/sysidcfg", "jumpstart/hosts/hv1/../hv2/sysidcfg", "jumpstart/hosts/hv1/x"):
        assert refusal(odd, name).why in (Why.NOT_FOUND, Why.ACCESS)
    assert refusal(odd, f"install/{token}/jumpstart/hosts/hv2/sysidcfg").why is Why.NOT_FOUND
    assert refusal(odd, f"install/{token}/multiboot").why is Why.NOT_FOUND
    assert refusal(odd, f"install/{'0' * 32}/jumpstart/sysidcfg").why is Why.ACCESS
    assert state(records) == "armed"
    content = odd.peek("jumpstart/rules.ok", OWN)
    assert isinstance(content, FileContent)
    os.close(content.fd)
    assert state(records) == "armed"
    assert fetch(odd, "jumpstart/rules.ok") == "rules"
    assert state(records) == "installing"


def test_a_machine_that_may_not_install_starts_its_disk_and_reads_why(
    make: Make, records: MemoryRecords, site: Path
) -> None:
    odd = make()
    arm(records, "hv1", "nevada", T0_S, 1)
    assert "boot from links.be0 (00:1b:21:a0:b1:c2)" in text(odd, "menu.lst.01001B21A0B1C1")
    (site / "jumpstart" / FILE).write_text("image = 1")
    assert re.match(r"# rescue: .*image: must be text in quotes", text(odd))
    assert refusal(odd, "01001B21A0B1C2").why is Why.UNAVAILABLE
    (site / "jumpstart" / FILE).unlink()
    assert "media add nevada" in text(odd)
    arm(records, "hv1", "live-xen", T0_S, 1)
    assert "which pxegrub cannot boot" in text(odd)
    assert "chainloader" in text(odd)
    assert "twinboot host add" in str(refusal(odd, "menu.lst.01DEADBEEF0001"))
    assert refusal(odd, "01DEADBEEF0001").why is Why.NOT_FOUND


def test_grub_2_tells_that_it_is_the_wrong_loader(make: Make, records: MemoryRecords) -> None:
    arm(records, "hv1", "nevada", T0_S, 1)
    menu = text(make(), "grub/grub.cfg-01-00-1b-21-a0-b1-c2")
    assert "rescue" in menu
    assert "pxegrub alone" in menu


def test_no_reason_becomes_a_line_of_the_menu() -> None:
    host = from_toml(HV1, "hv1.toml")
    lines = local_menu(host, Plan(Kind.LOCAL, "x\ntitle evil\r\n\tkernel /evil \u2028$(reboot)")).decode().splitlines()
    assert [line for line in lines if "evil" in line] == ["# local: x?title evil???kernel /evil ?$(reboot)"]
