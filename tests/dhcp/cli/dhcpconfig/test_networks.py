"""-N: a network gets a macro and an empty container."""

import pytest

from dhcp.cli import config_machine
from dhcp.sockets import Interface
from storage.records import ipv4_int
from tests.dhcp.cli.dhcpconfig.conftest import Server


@pytest.mark.parametrize(
    ("line", "macro"),
    [
        ("-N 192.168.76.0", ":Subnet=255.255.255.0:RDiscvyF=1:Broadcst=192.168.76.255:"),
        ("-N 192.168.76.0 -b", ":Subnet=255.255.255.0:RDiscvyF=1:"),
        (
            "-N 10.0.0.0 -m 255.255.254.0 -t 10.0.0.1,10.0.1.2",
            ":Subnet=255.255.254.0:Router=10.0.0.1 10.0.1.2:Broadcst=10.0.1.255:",
        ),
        ("-N 10.0.0.0", ":Subnet=255.0.0.0:RDiscvyF=1:Broadcst=10.255.255.255:"),
        ("-N 172.16.0.0", ":Subnet=255.255.0.0:RDiscvyF=1:Broadcst=172.16.255.255:"),
        ("-N 10.77.0.0", ":Subnet=255.255.0.0:RDiscvyF=1:Broadcst=10.77.255.255:"),
    ],
)
def test_n_makes_a_macro_and_an_empty_container(server: Server, line: str, macro: str) -> None:
    server.configure()
    assert server(line) == 0
    name = line.split()[1]
    assert server.macros()[name] == macro
    assert server.rows(name) == {}
    assert server.refused(f"-N {name}") == f"network {name} is configured already: pntadm and dhtadm change it"


def test_n_takes_the_mask_from_netmasks_or_from_an_interface(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.configure()
    config_machine.NETMASKS.write_text("# number mask\n10.1.0.0 255.255.240.0\n")
    ethernet = Interface("eth1", ipv4_int("10.2.0.9"), ipv4_int("255.255.255.128"), b"", False)
    monkeypatch.setattr(config_machine, "list_interfaces", lambda: [ethernet])
    server.ok("-N 10.1.0.0")
    server.ok("-N 10.2.0.0")
    assert server.macros()["10.1.0.0"].startswith(":Subnet=255.255.240.0:")
    assert server.macros()["10.2.0.0"].startswith(":Subnet=255.255.255.128:")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-N 192.168.76.5", "192.168.76.5 is not a valid network"),
        ("-N 192.168.76.5 -m 255.255.255.0", "is not a network number; it would be 192.168.76.0"),
        ("-N 192.168.76.0 -m 255.0.255.0", "its ones are not together"),
        ("-N 192.168.76.0 -m 255.255.255.255", "is not a netmask of /8 to /30"),
        ("-N blue", "blue is not a valid network"),
        ("-N 192.168.76.0 -m 24 -t 10.0.0.1", "-t: 10.0.0.1: no machine of 192.168.76.0 could reach it"),
        ("-N 192.168.76.0 -m 24 -t 192.168.76.300", "-t: '192.168.76.300' is not a dotted IPv4 address"),
        ("-N 192.168.76.0 -m 24 -y blue", "NIS domain or server information is incomplete"),
    ],
)
def test_n_refuses_what_makes_no_network(server: Server, line: str, reason: str) -> None:
    server.configure()
    assert reason in server.refused(line)


def test_n_refuses_containers_of_another_version(server: Server) -> None:
    server.configure("RESOURCE=SUNWfiles\nPATH=@/dhcp\nCONVER=0\n")
    assert "There is a version mismatch" in server.refused("-N 192.168.76.0")


def test_n_g_tells_the_daemon_and_fails_if_it_cannot(server: Server) -> None:
    server.configure()
    assert server("-N 192.168.76.0 -m 24 -g") == 255
    assert server.err.startswith("dhcpconfig: Unable to signal the daemon to reload the dhcptab: it does not run here")
    assert "192.168.76.0" in server.macros()
