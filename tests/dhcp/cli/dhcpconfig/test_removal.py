"""-U and -R: what goes, what stays, and what is asked before."""

import pytest

from dhcp.cli import hostsfile
from dhcp.cli.service import Daemon
from storage.records import FREE_ID, Binding, Change, SunwFiles, ipv4_int
from tests.dhcp.cli.dhcpconfig.conftest import Server


def bound(server: Server) -> None:
    server.ok("-N 192.168.76.0 -m 24")
    rows = [
        Binding(ipv4_int(f"192.168.76.{last}"), client_id, 0, 1, 0, 0, "install-odd", "")
        for last, client_id in ((10, FREE_ID), (11, b"\1abcdef"))
    ]
    SunwFiles(server.store).commit([Change("192.168.76.0", None, row) for row in rows])


def test_u_asks_and_keeps_the_datastore(server: Server) -> None:
    server.configure()
    assert "nothing was changed" in server.refused("-U", "N\n")
    assert "nothing was changed" in server.refused("-U", "")
    said = server.ok("-U", "Y\n")
    assert said.startswith(
        "Unconfigure will stop the DHCP service and remove the DHCP configuration file.\nAre you SURE"
    )
    assert said.endswith(
        "DHCP server not running.\nDeleted the server macro from dhcptab.\nDeleted the DHCP configuration file.\n"
    )
    assert not server.conf.exists()
    assert list(server.macros()) == ["Locale"]


def test_u_keeps_a_server_macro_that_addresses_bear(server: Server) -> None:
    server.configure()
    bound(server)
    assert server("-U -f") == 0
    assert "the server macro install-odd stays: 2 addresses bear it" in server.err
    assert "install-odd" in server.macros()


def test_u_x_tells_what_goes_and_deletes_it(server: Server) -> None:
    server.configure()
    bound(server)
    assert "-x deletes the dhcptab and 1 networks with 1 bound addresses, for every server." in server.ok(
        "-U -x", "y\n"
    )
    assert server.out.endswith(
        "Deleted table for network 192.168.76.0.\nDeleted the dhcptab.\nDeleted the DHCP configuration file.\n"
    )
    assert SunwFiles(server.store).tables() == []


def test_u_h_deletes_the_names_of_the_addresses(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = server.root / "hosts"
    hosts.write_text("127.0.0.1\tlocalhost\n192.168.76.10\tvm-1 # ours\n192.168.76.12\tother\n")
    monkeypatch.setattr(hostsfile, "HOSTS_FILE", hosts)
    server.ok("-D -r SUNWfiles -p @/dhcp -h files")
    bound(server)
    hosts.write_bytes(hosts.read_bytes() + b"\xff\n")
    assert server("-U -f -x -h") == 255
    assert "@/hosts: byte 66 is not UTF-8 text" in server.err
    hosts.write_bytes(hosts.read_bytes()[:-2])
    assert "Deleted the hosts entries.\nDeleted table for network 192.168.76.0.\n" in server.ok("-U -f -x -h")
    assert hosts.read_text() == "127.0.0.1\tlocalhost\n192.168.76.12\tother\n"


def test_u_h_without_a_place_for_names_warns(server: Server) -> None:
    server.configure()
    assert server("-U -f -h") == 0
    assert "-h: names are deleted in /etc/hosts only, and HOSTS_RESOURCE is not set" in server.err


def test_u_goes_no_further_than_a_service_it_cannot_stop(server: Server) -> None:
    server.configure()
    server.daemon = Daemon(4711, supervised=True)
    assert server.refused("-U -f").startswith("the DHCP server runs under `twinboot serve`")
