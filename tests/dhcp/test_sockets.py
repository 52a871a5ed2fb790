"""Which interfaces are served, and what people are told when one cannot be."""

import socket
from dataclasses import replace

import pytest

from dhcp import sockets
from dhcp.sockets import Interface, SocketError, choose, list_interfaces, open_sockets
from dhcp.svcconf import ServiceConf
from storage.records import ipv4_int

LO = Interface("lo", ipv4_int("127.0.0.1"), ipv4_int("255.0.0.0"), b"", True)
ETH0 = Interface("eth0", ipv4_int("10.0.0.1"), ipv4_int("255.255.255.0"), bytes(6), False)
ETH1 = Interface("eth1", ipv4_int("10.0.1.1"), ipv4_int("255.255.255.0"), bytes(6), False)


def test_loopback_is_found_without_a_hardware_address() -> None:
    assert LO in list_interfaces()


def test_all_but_loopback_are_served_unless_named() -> None:
    assert choose([], [LO, ETH0, ETH1]) == [ETH0, ETH1]
    assert choose(["lo", "eth1"], [LO, ETH0, ETH1]) == [LO, ETH1]


def test_every_missing_interface_is_named_with_those_that_are_there() -> None:
    with pytest.raises(SocketError, match=r"INTERFACES: eth7, eth8: .* ready are: eth0, lo"):
        choose(["eth7", "eth0", "eth8"], [LO, ETH0])
    with pytest.raises(SocketError, match="no interface is up"):
        choose([], [LO])


def test_a_port_in_use_is_told_and_nothing_stays_open(lab_conf: ServiceConf, port_number: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port_number))
        with pytest.raises(SocketError, match=f"lo: UDP port {port_number}: in use by another DHCP server"):
            open_sockets(lab_conf, ["lo"])
    for port in open_sockets(lab_conf, ["lo"]):
        port.close()


def test_missing_permission_is_told_with_the_way_out(lab_conf: ServiceConf, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(udp: socket.socket) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sockets, "_widen", refuse)
    with pytest.raises(SocketError, match=r"start as root .* or set DEBUG_PORT_OFFSET"):
        open_sockets(lab_conf, ["lo"])


def test_the_configuration_names_the_interfaces(lab_conf: ServiceConf) -> None:
    (port,) = open_sockets(replace(lab_conf, interfaces=("lo",)))
    assert (port.interface.name, port.raw) == ("lo", None)
    assert port.udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 200_000
    port.close()


def test_sockets_opened_before_a_failure_are_closed(lab_conf: ServiceConf, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    kept = sockets._open_raw

    def note(interface: Interface) -> socket.socket | None:
        if opened:
            raise OSError(19, "No such device")
        opened.append(socket.socket())
        return opened[0] if kept(interface) is None else None

    monkeypatch.setattr(sockets, "_open_raw", note)
    monkeypatch.setattr(sockets, "choose", lambda *_: [LO, LO._replace(address=ipv4_int("127.0.0.3"))])
    with pytest.raises(SocketError, match="No such device"):
        open_sockets(lab_conf)
    assert opened[0].fileno() == -1
