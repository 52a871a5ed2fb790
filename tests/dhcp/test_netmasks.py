"""Where the netmask of a container is found, in which order, and what is left out."""

from pathlib import Path

import pytest

from dhcp.macros import MacroTable
from dhcp.netmasks import Learned, find, learn, macro_mask, read_netmasks
from dhcp.networks import network
from dhcp.sockets import Interface
from storage.records import TabEntry, ipv4_int

NET = "192.168.76.0"
ETHERNET = Interface("eth0", ipv4_int("192.168.76.14"), 0xFFFFFF80, b"\2\0\0\0\0\1", False)


def macros(**texts: str) -> MacroTable:
    return MacroTable.load(TabEntry(name.replace("_", "."), "m", 1, text) for name, text in texts.items())


def learned(known: list[str], containers: list[str], table: MacroTable, masks: dict[str, str] | None = None) -> Learned:
    return learn(map(network, known), containers, table, masks or {}, [])


@pytest.mark.parametrize(
    ("mask", "masks", "interfaces", "subnet", "place"),
    [
        ("255.255.252.0", {NET: "255.255.255.192"}, [ETHERNET], f"{NET}/22", "dhcptab"),
        ("", {NET: "255.255.255.192"}, [ETHERNET], f"{NET}/26", "netmasks"),
        ("", {"192.168.0.0": "255.255.0.0"}, [ETHERNET], f"{NET}/25", "interface"),
        ("", {}, [ETHERNET._replace(address=ipv4_int("10.0.0.1"))], f"{NET}/24", "class"),
    ],
)
def test_the_first_place_that_has_a_netmask_decides(mask, masks, interfaces, subnet: str, place: str) -> None:
    assert find(NET, mask, masks, interfaces) == (network(subnet), place)


@pytest.mark.parametrize(
    ("number", "prefix"), [("10.0.0.0", 8), ("10.77.0.0", 16), ("172.16.0.0", 16), ("120.30.171.0", 24)]
)
def test_a_class_is_made_longer_until_the_number_fits(number: str, prefix: int) -> None:
    assert find(number, "", {}, []).network.prefix == prefix


def test_a_netmask_that_does_not_fit_is_not_passed_over() -> None:
    for mask, word in (("255.255.0.0", "not a network number"), ("255.0.255.0", "ones are not together")):
        with pytest.raises(ValueError, match=word):
            find(NET, mask, {NET: "255.255.255.0"}, [ETHERNET])
    with pytest.raises(ValueError, match="give its netmask"):
        find("10.0.0.7", "", {}, [])


def test_subnet_comes_through_includes_but_not_from_a_disabled_macro() -> None:
    table = macros(masks=":Subnet=255.255.254.0:", **{"192_168_76_0": ":Include=masks:", "10_0_0_0": ":Include=none:"})
    assert macro_mask(table, NET) == "255.255.254.0"
    assert macro_mask(table, "10.0.0.0") == ""
    assert macro_mask(table, "10.9.0.0") == ""


def test_what_is_listed_by_hand_stays_and_the_rest_is_learned() -> None:
    table = macros(**{"192_168_76_0": ":Subnet=255.255.255.0:", "192_168_78_0": ":Subnet=255.255.254.0:"})
    found = learned(["192.168.76.0/25"], ["192.168.78.0", NET, "10.9.8.0"], table)
    assert found.faults == ()
    assert found.networks == tuple(map(network, ("10.9.8.0/24", "192.168.76.0/25", "192.168.78.0/23")))


def test_networks_that_share_addresses_are_left_out_the_worse_founded_first() -> None:
    table = macros(**{"10_1_2_0": ":Subnet=255.255.255.0:", "192_168_76_0": ":Subnet=255.255.0.255:"})
    found = learned(["10.2.0.0/16"], ["10.0.0.0", "10.1.2.0", "10.2.3.0", NET], table)
    assert found.networks == (network("10.1.2.0/24"), network("10.2.0.0/16"))
    assert [name for name, _ in found.faults] == [NET, "10.0.0.0", "10.2.3.0"]
    assert found.faults[1][1].startswith("not served: 10.0.0.0/8 (netmask by class) shares addresses with 10.2.0.0/16")
    assert "10.2.0.0/16: set Subnet in the macro 10.2.3.0" in found.faults[2][1]


def test_netmasks_is_read_as_sun_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "netmasks"
    path.write_bytes(b"# net mask\n192.168.76.0\t255.255.255.0 # odd\n\nlonely\n192.168.76.0 255.255.0.0\n\xff x\n")
    assert read_netmasks(path)["192.168.76.0"] == "255.255.255.0"
    assert read_netmasks(tmp_path / "none") == {}
