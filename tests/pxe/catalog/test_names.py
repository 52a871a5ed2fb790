"""Every name that the catalog answers: files, menus, hosts and loaders, and names that are refused."""

from collections.abc import Callable

import pytest

from pxe.content import Why
from pxe.installs import arm
from pxe.settings import Settings
from storage.records import FREE_ID, Binding, Change, Outcome, Records, ipv4_int
from tests.pxe.catalog.conftest import CLIENT, arm_hv1, fetch, refusal, state, text
from tests.pxe.conftest import FILES, HOST, HV1, T0_S, Rig


def test_files_are_files(rig: Rig) -> None:
    assert fetch(rig, "/grub/i386-pc/core.0") == FILES["grub/i386-pc/core.0"]
    assert rig.events == []


@pytest.mark.parametrize("name", [HV1, f"/{HV1}", f"//{HV1}", HV1.replace("/", "\\"), HV1.replace("4f", "4F")])
def test_a_host_finds_its_menu_by_mac_however_its_loader_writes_the_name(rig: Rig, name: str) -> None:
    assert "'hv1: local disk'" in text(rig, name)
    (event,) = rig.events
    assert event.kind == "menu.rendered"
    assert event.fields["host"] == "hv1"
    assert event.fields["mac"] == "00:14:4f:00:00:01"
    assert event.fields["plan"] == "local"


@pytest.mark.parametrize(
    "name",
    ["grub/grub.cfg-01-de-ad-be-ef-00-01", "grub/grub.cfg-0A000032", "grub/grub.cfg-0", "grub/grub.cfg-x/y", "nope"],
)
def test_other_search_names_are_quickly_not_found(rig: Rig, name: str) -> None:
    assert refusal(rig, name).why is Why.NOT_FOUND
    assert rig.events == []


def test_an_unknown_mac_is_told_how_to_become_known(rig: Rig) -> None:
    line = "twinboot host add NAME --mac fe0=de:ad:be:ef:00:01 --segment odd --target live-xen"
    assert line in str(refusal(rig, "grub/grub.cfg-01-de-ad-be-ef-00-01"))
    assert "$net_default_mac" in text(rig, "grub/grub.cfg")
    assert rig.events[-1].fields["plan"] == "rescue"


@pytest.mark.parametrize("name", ["../hosts/hv1.toml", "grub/../../hosts/hv1.toml", "a\0b", "", "grub", "install/../x"])
def test_hostile_names_are_refused(rig: Rig, name: str) -> None:
    assert refusal(rig, name).why in (Why.ACCESS, Why.NOT_FOUND)


def bind(records: Records, table: str, address: str, client_id: bytes) -> None:
    row = Binding(ipv4_int(address), client_id, 0, ipv4_int("10.0.0.1"), 0, 0, "m", "")
    assert records.commit([Change(table, None, row)])[0].outcome is Outcome.STORED


def test_a_loader_that_asks_without_a_mac_is_known_by_its_binding(rig: Rig) -> None:
    rig.records.create("10.0.0.0")
    bind(rig.records, "10.0.0.0", CLIENT, bytes.fromhex("0100144f000002"))
    bind(rig.records, "10.0.0.0", "10.0.0.51", FREE_ID)
    bind(rig.records, "10.0.0.0", "10.0.0.52", bytes.fromhex("01deadbeef0001"))
    assert "'hv2: local disk'" in text(rig, "grub/grub.cfg")
    assert "$net_default_mac" in text(rig, "grub/grub.cfg", "10.0.0.51")
    assert "$net_default_mac" in text(rig, "grub/grub.cfg", "not an address")
    assert "$net_default_mac" in text(rig, "grub/grub.cfg", "10.0.0.52")
    assert "fe0=de:ad:be:ef:00:01" in rig.events[-1].fields["reason"]
    rig.records.drop("10.0.0.0")
    assert "$net_default_mac" in text(rig, "grub/grub.cfg")


def test_ipxe_gets_its_script(rig: Rig) -> None:
    assert text(rig, "boot.ipxe").startswith("#!ipxe\n")


def test_ipxe_gets_an_armed_install_of_its_own_host_and_no_other(rig: Rig) -> None:
    name = HV1.replace("grub/grub.cfg", "boot.ipxe")
    assert "kernel install/" not in text(rig, name)
    token = arm(rig.records, "hv1", "live-xen", T0_S, 1).token
    assert f"kernel install/{token}/xen " in text(rig, name)
    assert state(rig.records) == "armed"  # reading a script installs nothing
    assert refusal(rig, "boot.ipxe-01-02-00-00-00-00-99").why is Why.NOT_FOUND


def test_ipxe_knows_the_other_servers_by_their_port(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(port=8080, others=("10.0.0.2", "10.0.0.3"))
    token = arm_hv1(rig.records)
    for server in rig.catalog.settings.others:
        assert f"http://{server}:8080/boot/boot.ipxe-01-" in text(rig, "boot.ipxe")
        script = text(rig, HV1.replace("grub/grub.cfg", "boot.ipxe"))
        assert f"kernel http://{server}:8080/boot/install/{token}/xen " in script
        assert f"twinboot.report=http://{server}:8080/report/{token}" in script


@pytest.mark.parametrize(("transport", "port"), [("tftp", 8080), ("http", 8080)])
def test_a_loader_fetches_by_tftp_where_http_has_another_port(
    make_rig: Callable[..., Rig], transport: str, port: int
) -> None:
    rig = make_rig(transport=transport, port=port)
    token = arm_hv1(rig.records)
    menu = text(rig, HV1)
    assert f"(tftp,10.0.0.1)/install/{token}/xen" in menu
    assert f"http://10.0.0.1:8080/report/{token}" in menu
    assert Settings("10.0.0.1", "odd").http_host("10.0.0.1") == "10.0.0.1"


def test_a_broken_host_file_is_told_once_and_the_others_boot(rig: Rig) -> None:
    (rig.share / "hosts/hv3.toml").write_text("name = ")
    text(rig, HV1)
    text(rig, HV1)
    faults = [event for event in rig.events if event.kind == "host.fault"]
    assert len(faults) == 1
    assert faults[0].fields["file"].endswith("hv3.toml")


def test_a_host_added_while_running_is_known_at_once(rig: Rig) -> None:
    name = "grub/grub.cfg-01-de-ad-be-ef-00-01"
    refusal(rig, name)
    (rig.share / "hosts/hv9.toml").write_text(HOST.format(name="hv9", mac="de:ad:be:ef:00:01", mem="1G"))
    assert "'hv9: local disk'" in text(rig, name)
