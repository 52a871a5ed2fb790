"""Names become addresses once, and never a loopback owner; networks are numbers."""

import socket
import time
from pathlib import Path

import pytest

from dhcp.cli import hostnames, hostsfile
from dhcp.cli.hostnames import Namer, default_server, network_number
from storage.records import ipv4_int, ipv4_text

LOCAL = ipv4_int("127.0.0.1")
OTHER = ipv4_int("240.0.0.1")  # reserved: no host can have it


def test_the_default_server_is_the_first_owner_that_is_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_server((OTHER, LOCAL), "127.0.0.0") == LOCAL
    assert default_server((OTHER, OTHER + 1), "127.0.0.0") == OTHER  # each server of the list answers for each
    assert default_server((), "127.0.0.0") == LOCAL  # by the routing table

    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    with pytest.raises(ValueError, match="name the server with -s"):
        default_server((), "10.0.0.0")


def test_a_dead_name_server_ends_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(text: str) -> tuple[str, list[str], list[str]]:
        asked.append(text)
        return "name", [], []

    monkeypatch.setattr(socket, "gethostbyaddr", answer)
    namer = Namer()
    assert [namer(1), namer(1), namer(2)] == ["name", "name", "name"]
    monkeypatch.setattr(time, "monotonic", lambda: 1e12)
    assert [namer(2), namer(3)] == ["name", ipv4_text(3)]
    assert len(asked) == 2


def test_networks_file_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hostnames, "NETWORKS_FILE", tmp_path / "none")
    with pytest.raises(ValueError, match='"lab" is no network'):
        network_number("lab")
    assert network_number("192.168.76.0") == "192.168.76.0"


@pytest.mark.parametrize("name", ["a", "vm-host1", "vm-host1.example.com", "1st"])
def test_host_names(name: str) -> None:
    hostsfile.check_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a..b", "a.", "a b", "a\nb", "a#b", "ä", "x" * 64, ".".join(["x" * 60] * 5)]
)
def test_no_host_names(name: str) -> None:
    with pytest.raises(ValueError, match="is no host name"):
        hostsfile.check_name(name)


def test_a_hosts_file_in_another_encoding_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_bytes(b"10.0.0.1 a # caf\xe9\n")
    monkeypatch.setattr(hostsfile, "HOSTS_FILE", file)
    with pytest.raises(ValueError, match="byte 16 is not UTF-8"):
        hostsfile.remove(ipv4_int("10.0.0.1"))
    assert file.read_bytes() == b"10.0.0.1 a # caf\xe9\n"
