"""Names of hosts, networks and servers in pntadm, and the hosts file that it keeps."""

import socket
from pathlib import Path

import pytest

from dhcp.cli import hostsfile
from storage.records import ipv4_int
from tests.dhcp.cli.conftest import Shell
from tests.dhcp.cli.pntadm.conftest import NET, binding


def test_without_routes_or_owner_ip_the_server_must_be_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    shell.ok("pntadm -C 10.0.0.0")
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert shell.refused("pntadm -A 10.0.0.5 10.0.0.0") == (
        3,
        "pntadm: this host has no address that reaches 10.0.0.0: name the server with -s",
    )
    shell.ok("pntadm -A 10.0.0.5 -s 10.0.0.250 10.0.0.0")


def test_a_server_name_that_is_loopback_here_is_no_owner(net: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostbyname", {"me": "127.0.1.1", "odd": "192.168.78.14"}.__getitem__)
    code, text = net.refused("pntadm -A 10.0.0.5 -s me 10.0.0.0")
    assert (code, text) == (
        3,
        'pntadm: "me" is 127.0.1.1 on this host, which no other host reaches: give its address',
    )
    net.ok("pntadm -A 10.0.0.5 -s odd 10.0.0.0")
    assert binding(net, "10.0.0.5").owner == ipv4_int("192.168.78.14")


def test_networks_and_hosts_may_be_named(net: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    networks = tmp_path / "networks"
    networks.write_text("# names\nloopback 127.0.0.0\nlab 10 testing # a short number\n")
    monkeypatch.setattr("dhcp.cli.hostnames.NETWORKS_FILE", networks)
    monkeypatch.setattr(socket, "gethostbyname", {"vm-host1": "10.0.0.71"}.__getitem__)
    net.ok("pntadm -A vm-host1 testing")
    assert binding(net, "10.0.0.71").address == ipv4_int("10.0.0.71")


def test_host_names_are_kept_where_the_configuration_says_so(net: Shell, conf: Path) -> None:
    conf.write_text(conf.read_text() + "HOSTS_RESOURCE=files\n")
    hosts = hostsfile.HOSTS_FILE
    hosts.write_text("127.0.0.1 localhost\n10.0.0.3\told alias # rack 4\n")
    net.ok("pntadm -A 10.0.0.5 -h myclient 10.0.0.0")
    net.ok("pntadm -A 10.0.0.3 -h new 10.0.0.0")
    text = "127.0.0.1 localhost\n10.0.0.3\tnew alias\t# rack 4\n10.0.0.5\tmyclient\n"
    assert hosts.read_text() == text
    code, line = net.refused("pntadm -A 10.0.0.6 -h ALIAS 10.0.0.0")
    assert (code, line.startswith("pntadm: ALIAS is the name of 10.0.0.3 in ")) == (1, True)
    assert ipv4_int("10.0.0.6") not in net.rows(NET)
    net.ok("pntadm -M 10.0.0.5 -n 10.0.0.6 -h myclient 10.0.0.0")
    assert hosts.read_text() == text.replace("10.0.0.5", "10.0.0.6")
    net.ok("pntadm -D 10.0.0.6 -y 10.0.0.0")
    net.ok("pntadm -D 10.0.0.3 10.0.0.0")
    assert hosts.read_text() == text.replace("10.0.0.5\tmyclient\n", "")


def test_without_a_hosts_resource_the_binding_is_changed_all_the_same(net: Shell) -> None:
    for line in ("-A 10.0.0.5 -h myclient", "-M 10.0.0.5 -h myclient -f 2", "-D 10.0.0.5 -y"):
        code, text = net.refused(f"pntadm {line} 10.0.0.0")
        assert code == 3
        assert text.startswith("pntadm: Warning - No hosts resource value found in DHCP configuration file")
        assert (binding(net, "10.0.0.5").flags if "-D" not in line else len(net.rows(NET))) == 2 * ("-M" in line)
    assert not hostsfile.HOSTS_FILE.exists()


def test_a_hosts_file_that_cannot_be_written_is_named(net: Shell, conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf.write_text(conf.read_text() + "HOSTS_RESOURCE=files\n")
    monkeypatch.setattr(hostsfile, "HOSTS_FILE", Path("/proc/1/nowhere/hosts"))
    code, text = net.refused("pntadm -A 10.0.0.5 -h myclient 10.0.0.0")
    assert (code, text.endswith("the binding is changed, host names are not: edit the file")) == (3, True)
    assert ipv4_int("10.0.0.5") in net.rows(NET)
