"""pntadm as typed in Sun's manuals, its listing, its exit codes, and what it says to bad input."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dhcp.cli import hostsfile, pntadm
from dhcp.options import MessageType
from storage.records import (
    BOOTP,
    FOREVER_S,
    FREE_ID,
    MANUAL,
    PERMANENT,
    UNUSABLE,
    Binding,
    Change,
    MemoryRecords,
    TabEntry,
    ipv4_int,
)
from tests.dhcp.cli.conftest import Shell
from tests.dhcp.conftest import Lab, make_binding, make_store

NET = "10.0.0.0"
HEADER = "Client ID\tFlags\tClient IP\tServer IP\tLease Expiration         \tMacro   \tComment\n\n"


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Dates are local: let every test have one zone, and not that of the machine."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def net(shell: Shell, conf: Path) -> Shell:
    """Return a shell with the network 10.0.0.0, and OWNER_IP such that 127.0.0.1 is "this host"."""
    conf.write_text(conf.read_text() + "OWNER_IP=240.0.0.1,127.0.0.1\n")
    shell.ok(f"pntadm -C {NET}")
    return shell


def binding(shell: Shell, address: str, table: str = NET) -> Binding:
    row = shell.rows(table)[ipv4_int(address)]
    assert isinstance(row, Binding)
    return row


def test_networks_are_created_listed_and_removed(shell: Shell) -> None:
    assert shell.ok("pntadm -L") == ""
    shell.ok("pntadm -C 192.168.0.0")
    shell.ok("pntadm -C 10.0.0.0")
    shell.ok("dhtadm -C")
    assert shell.ok("pntadm -L") == "10.0.0.0\n192.168.0.0\n"
    assert json.loads(shell.ok("pntadm -L --json")) == ["10.0.0.0", "192.168.0.0"]
    shell.ok("pntadm -R 10.0.0.0")
    assert shell.ok("pntadm -L") == "192.168.0.0\n"


def test_an_address_has_suns_defaults(net: Shell) -> None:
    net.ok("pntadm -r SUNWfiles -p /var/mydhcp -A 10.0.0.1 -s 192.0.2.9 10.0.0.0")
    row = binding(net, "10.0.0.1")
    assert row._replace(signature=0) == Binding(
        ipv4_int("10.0.0.1"), FREE_ID, 0, ipv4_int("192.0.2.9"), 0, 0, "UNKNOWN", ""
    )
    net.ok("pntadm -A 10.0.0.2 10.0.0.0")
    assert binding(net, "10.0.0.2").owner == ipv4_int("127.0.0.1")  # of OWNER_IP, the one that this host has


def test_the_examples_of_pntadm_1m(net: Shell) -> None:
    net.ok("pntadm -A 10.0.0.1 10.0.0.0")
    net.ok("pntadm -M 10.0.0.1 -m Green -f 'PERMANENT+MANUAL' 10.0.0.0")
    assert binding(net, "10.0.0.1").flags == PERMANENT | MANUAL
    assert "\t03  \t10.0.0.1\t" in net.ok("pntadm -P 10.0.0.0")
    net.ok("pntadm -M 10.0.0.1 -n 10.0.0.2 10.0.0.0")
    net.ok("pntadm -M 10.0.0.2 -i 'aruba.foo.com' -a 10.0.0.0")
    row = binding(net, "10.0.0.2")
    assert (row.client_id.hex().upper(), row.macro) == ("61727562612E666F6F2E636F6D", "Green")
    net.ok("pntadm -D 10.0.0.2 10.0.0.0")
    assert net.rows(NET) == {}


def test_the_reservation_of_a_site_that_wrote_about_it(net: Shell) -> None:
    net.ok("dhtadm -C")
    net.ok("dhtadm -A -m 192.168.0.0 -d ':Subnet=255.255.255.0:Router=192.168.0.1:'")
    net.ok("pntadm -C 192.168.0.0")
    net.ok('pntadm -A 192.168.0.2 -c "Comment" -f MANUAL -i 01001BFC92BC10 -m 192.168.0.0 -y 192.168.0.0')
    row = binding(net, "192.168.0.2", "192.168.0.0")
    assert row.client_id == bytes.fromhex("01001BFC92BC10")
    assert (row.flags, row.macro, row.comment) == (MANUAL, "192.168.0.0", "Comment")


def test_the_listing_has_suns_columns(net: Shell) -> None:
    owner = ipv4_int("10.0.0.250")
    lease_s = 1_300_000_000  # 2011-03-13 07:06:40 UTC
    rows = [
        Binding(ipv4_int("10.0.0.30"), bytes.fromhex("010800201112B7"), PERMANENT, owner, FOREVER_S, 0, "x", "a|b é"),
        Binding(ipv4_int("10.0.0.9"), FREE_ID, UNUSABLE | BOOTP, owner, 0, 0, "UNKNOWN", ""),
        Binding(ipv4_int("10.0.0.100"), bytes.fromhex("01DEADBEEF0001"), MANUAL, owner, lease_s, 0, "m", ""),
    ]
    net.records.commit([Change(NET, None, row) for row in rows])
    assert net.ok("pntadm -P 10.0.0.0") == HEADER + (
        "00      \t12  \t10.0.0.9\t10.0.0.250\tZero                     \tUNKNOWN \t\n"
        "010800201112B7\t01  \t10.0.0.30\t10.0.0.250\tForever                  \tx       \ta|b é\n"
        "01DEADBEEF0001\t02  \t10.0.0.100\t10.0.0.250\t03/13/2011               \tm       \t\n"
    )
    raw = net.ok("pntadm -P -x 10.0.0.0").splitlines()[2:]
    assert [line.split("\t")[4].strip() for line in raw] == ["0", "-1", "1300000000"]
    assert json.loads(net.ok("pntadm -P --json 10.0.0.0"))[1:] == [
        {
            "client_ip": "10.0.0.30",
            "client_id": "010800201112B7",
            "flags": ["PERMANENT"],
            "server_ip": "10.0.0.250",
            "lease": "forever",
            "macro": "x",
            "comment": "a|b é",
        },
        {
            "client_ip": "10.0.0.100",
            "client_id": "01DEADBEEF0001",
            "flags": ["MANUAL"],
            "server_ip": "10.0.0.250",
            "lease": lease_s,
            "macro": "m",
            "comment": "",
        },
    ]


def test_the_verbose_listing_names_hosts_and_tells_times(net: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def names(address: str) -> tuple[str, list[str], list[str]]:
        asked.append(address)
        if address != "10.0.0.1":
            raise socket.herror(1, "Unknown host")
        return "vm-host1", [], [address]

    monkeypatch.setattr(socket, "gethostbyaddr", names)
    net.ok("pntadm -A 10.0.0.1 -e 12/31/2030 -f permanent+manual+unusable+bootp 10.0.0.0")
    net.ok("pntadm -A 10.0.0.2 -e -1 10.0.0.0")
    cells = [line.split("\t") for line in net.ok("pntadm -P -v 10.0.0.0").splitlines()[2:]]
    assert [row[1:4] for row in cells] == [["PMUB", "vm-host1", "127.0.0.1"], ["D   ", "10.0.0.2", "127.0.0.1"]]
    assert "00:00:00 2030" in cells[0][4]
    assert sorted(asked) == ["10.0.0.1", "10.0.0.2", "127.0.0.1"]


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("-f 03", "flags", 3),
        ("-f 15", "flags", 15),
        ("-f Dynamic", "flags", 0),
        ("-f bootp+Manual", "flags", 10),
        ("-e 0", "lease_s", 0),
        ("-e -1", "lease_s", FOREVER_S),
        ("-e 03/13/2011", "lease_s", 1_299_992_400),
        ("-i 0100144F000001", "client_id", bytes.fromhex("0100144F000001")),
        ("-i ''", "client_id", FREE_ID),
        (f"-i {'AB' * 64}", "client_id", b"\xab" * 64),
        ("-c 'rack 4 | é'", "comment", "rack 4 | é"),
        ("-m nowhere", "macro", "nowhere"),
        ("-s 192.168.76.25", "owner", ipv4_int("192.168.76.25")),
        ("-n 10.0.0.7", "address", ipv4_int("10.0.0.7")),
    ],
)
def test_modifying_changes_one_field_and_leaves_the_others_and_the_owner(
    net: Shell, option: str, field: str, value: object
) -> None:
    net.ok("pntadm -A 10.0.0.5 -s 192.0.2.77 -c c -m m -f 01 -i 0100 -e 01/01/2030 10.0.0.0")
    before = binding(net, "10.0.0.5")
    net.ok(f"pntadm -M 10.0.0.5 {option} 10.0.0.0")
    (after,) = net.rows(NET).values()
    assert after == before._replace(**{field: value}, signature=before.signature + 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("-C 10.0.0.0", 1, "it is there already"),
        ("-A 10.0.0.5 10.0.0.0", 1, "10.0.0.0 has 10.0.0.5 already: change it with -M"),
        ("-M 10.0.0.5 -n 10.0.0.6 10.0.0.0", 1, "already has 10.0.0.6"),
        ("-M 10.0.0.77 -f 1 10.0.0.0", 2, "10.0.0.0 has no 10.0.0.77: add it with -A"),
        ("-D 10.0.0.77 10.0.0.0", 2, "10.0.0.0 has no 10.0.0.77"),
        ("-R 10.9.0.0", 2, "there is no network 10.9.0.0: create it with -C; -L lists all"),
        ("-P 10.9.0.0", 2, "there is no network 10.9.0.0"),
        ("-A 10.9.0.1 10.9.0.0", 2, "there is no network 10.9.0.0"),
        ("-C 10.0.0.5", 3, "is an address, not the number of a network"),
        ("-C 0.0.0.0", 3, "not the number of a network"),
        ("-C 10.0.0", 3, "'10.0.0' is not a dotted IPv4 address"),
        ("-C installs", 3, '"installs" is no network'),
        ("-C ''", 3, '"" is no network'),
        ("-A 010.0.0.9 10.0.0.0", 3, "is not"),
        ("-A 10.0.0 10.0.0.0", 3, "'10.0.0' is not a dotted IPv4 address"),
        ("-A '' 10.0.0.0", 3, "is no address, and no host of that name is known"),
        ("-A no-such-host 10.0.0.0", 3, '"no-such-host" is no address, and no host of that name is known'),
        ("-A 192.168.1.1 10.0.0.0", 3, "10.0.0.0: the address cannot lie in a network numbered 10.0.0.0"),
        ("-A 10.1.0.5 10.1.0.0", 3, "10.1.0.5 is no host's address in 10.1.0.0: its last one is 10.1.0.2"),
        ("-A 10.1.0.0 10.1.0.0", 3, "is no host's address"),
        ("-A 10.1.0.3 10.1.0.0", 3, "is no host's address"),
        ("-M 10.0.0.5 -n 192.168.1.1 10.0.0.0", 3, "cannot lie in a network"),
        ("-A 10.0.0.9 -f 16 10.0.0.0", 3, "flags 16: a number from 00 to 15"),
        ("-A 10.0.0.9 -f 0x3 10.0.0.0", 3, 'flags "0x3": write DYNAMIC+PERMANENT'),
        ("-A 10.0.0.9 -f '' 10.0.0.0", 3, 'flags ""'),
        ("-A 10.0.0.9 -f MANUAL+ 10.0.0.0", 3, 'flags "MANUAL+"'),
        ("-A 10.0.0.9 -i 0100144f000001 10.0.0.0", 3, "pairs of 0-9 and A-F in capitals"),
        ("-A 10.0.0.9 -i 010 10.0.0.0", 3, "pairs of 0-9 and A-F in capitals"),
        ("-A 10.0.0.9 -i 0x01 10.0.0.0", 3, "pairs of 0-9 and A-F in capitals"),
        (f"-A 10.0.0.9 -i {'00' * 65} 10.0.0.0", 3, "client id has 65 bytes: at most 64 fit"),
        (f"-A 10.0.0.9 -i {'x' * 65} -a 10.0.0.0", 3, "client id has 65 bytes: at most 64 fit"),
        ("-A 10.0.0.9 -i é -a 10.0.0.0", 3, "with -a give ASCII text"),
        ("-A 10.0.0.9 -e 13/01/2030 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e 02/30/2030 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e 01/01/30 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e 2030-01-01 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e -2 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e 01/01/2107 10.0.0.0", 3, "a day from 1970 to 2106 fits"),
        ("-A 10.0.0.9 -e 12/31/1969 10.0.0.0", 3, "a day from 1970 to 2106 fits"),
        (f"-A 10.0.0.9 -c {'x' * 49} 10.0.0.0", 3, "comment has 49 bytes, at most 48 fit"),
        (f"-A 10.0.0.9 -m {'x' * 129} 10.0.0.0", 3, "macro has 129 bytes, at most 128 fit"),
        ("-A 10.0.0.9 -m 'x\\' 10.0.0.0", 3, "ends in a backslash"),
        ("-A 10.0.0.9 -c 'x\ny' 10.0.0.0", 3, "line feed"),
        ("-A 10.0.0.9 -m none -y 10.0.0.0", 3, "there is no macro none in the dhcptab: add it with dhtadm"),
        ("-A 10.0.0.9 -s no-such-host 10.0.0.0", 3, "no host of that name is known: give its address"),
        ("-A 10.0.0.9 -h 'bad name' 10.0.0.0", 3, '"bad name" is no host name'),
        ("-M 10.0.0.5 -m none -y 10.0.0.0", 3, "there is no macro none"),
        ("", 4, "give one of -C -A -M -D -R -P -L -B"),
        ("-C", 4, "-C takes 1 operand, not 0"),
        ("-L 10.0.0.0", 4, "-L takes no operands, not 1"),
        ("-A 10.0.0.9", 4, "-A takes 1 operand, not 0"),
        ("-A 10.0.0.9 10.0.0.0 x", 4, "-A takes 1 operand, not 2"),
        ("-A 10.0.0.9 -a 10.0.0.0", 4, "give it with -i"),
        ("-A 10.0.0.9 -y 10.0.0.0", 4, "name it with -m"),
        ("-A 10.0.0.9 -n 10.0.0.8 10.0.0.0", 4, "-n does not go with -A"),
        ("-M 10.0.0.5 10.0.0.0", 4, "-M needs something to change"),
        ("-M 10.0.0.5 -f 1 -f 2 10.0.0.0", 4, "-f is given twice"),
        ("-P -v -x 10.0.0.0", 4, "give -v or -x, not both"),
        ("-D 10.0.0.5 -m x 10.0.0.0", 4, "-m does not go with -D"),
        ("-Q", 4, "option -Q not recognized"),
        ("-A", 4, "option -A requires argument"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(net: Shell, line: str, code: int, words: str) -> None:
    net.ok("dhtadm -C")
    net.ok("dhtadm -A -m 10.1.0.0 -d ':Subnet=255.255.255.252:'")
    net.ok("pntadm -C 10.1.0.0")
    for address in ("10.0.0.5", "10.0.0.6"):
        net.ok(f"pntadm -A {address} 10.0.0.0")
    before = net.rows(NET)
    found, text = net.refused(f"pntadm {line}")
    assert found == code
    assert words in text
    assert text.startswith("pntadm: ")
    assert ("\n\npntadm [-r resource]" in net.err) == (code == 4)
    assert net.rows(NET) == before


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


def test_a_damaged_row_is_named_and_the_others_are_listed(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pntadm.main(["-C", NET]) == 0
    with (conf.parent / "dhcp" / "SUNWfiles1_10_0_0_0").open("a") as file:
        file.write("10.0.0.1|0|00|10.0.0.250|0|1|x|\n10.0.0.2|00|00|10.0.0.250|0|1|x|\n")
    assert pntadm.main(["-P", NET]) == 0
    out, err = capsys.readouterr()
    assert out == HEADER + "00      \t00  \t10.0.0.2\t10.0.0.250\tZero                     \tx       \t\n"
    assert err.startswith("pntadm: 10.0.0.0: line 5 is left out: it client id '0'")
    assert err.endswith(": mend or delete it\n")


class Leasing(MemoryRecords):
    """A store in which a server always writes a row just before the command does."""

    def __init__(self, **server: object) -> None:
        super().__init__()
        self.server = server
        self.left = 1

    def commit(self, changes):  # type: ignore[no-untyped-def]
        if self.left and changes[0].old is not None:
            self.left -= 1
            super().commit([changes[0]._replace(new=changes[0].old._replace(**self.server))])
        return super().commit(changes)


@pytest.mark.parametrize(
    ("server", "line", "ends"),
    [
        ({"lease_s": 99}, "-M 10.0.0.5 -m Green", (0, {"lease_s": 99, "macro": "Green"})),
        ({"lease_s": 99}, "-M 10.0.0.5 -e 0", (3, {"lease_s": 99, "macro": "m"})),
        ({"client_id": b"\1\2"}, "-M 10.0.0.5 -i 0100", (3, {"client_id": b"\1\2"})),
        ({"lease_s": 99}, "-D 10.0.0.5", (0, None)),
        ({"client_id": b"\1\2"}, "-D 10.0.0.5", (3, {"client_id": b"\1\2"})),
    ],
)
def test_a_change_beside_a_lease_loses_neither(
    conf: Path,
    capsys: pytest.CaptureFixture[str],
    server: dict[str, object],
    line: str,
    ends: tuple[int, dict[str, object] | None],
) -> None:
    records = Leasing(**server)
    records.load(NET, [make_binding("10.0.0.5", macro="m", lease_s=50)])
    shell = Shell(records, capsys)
    code, fields = ends
    assert shell(f"pntadm {line} {NET}") == code
    assert ("somebody else changed the same entry" in shell.err) == bool(code)
    found = [row._asdict() for row in shell.rows(NET).values()]
    if fields is None:
        assert found == []
    else:
        assert [{name: row[name] for name in fields} for row in found] == [fields]


def test_two_batches_at_once_lose_nothing(conf: Path) -> None:
    program = [sys.executable, "-c", "from dhcp.cli.pntadm import main; raise SystemExit(main())"]
    subprocess.run([*program, "-C", NET], check=True)
    writers = []
    for first in (10, 60):
        text = "".join(f"-A 10.0.0.{host} -s 10.0.0.250 {NET}\n" for host in range(first, first + 40))
        text += "".join(f"pntadm -M 10.0.0.{host} -c x{host} {NET}\n" for host in range(first, first + 40, 4))
        writers.append(subprocess.Popen([*program, "-B"], stdin=subprocess.PIPE, text=True))
        assert writers[-1].stdin is not None
        writers[-1].stdin.write(text)
        writers[-1].stdin.close()
    assert [writer.wait(30) for writer in writers] == [0, 0]
    found = subprocess.run([*program, "-P", "--json", NET], capture_output=True, check=True).stdout
    assert [row["client_ip"] for row in json.loads(found)] == [
        f"10.0.0.{host}" for host in range(10, 100) if host not in range(50, 60)
    ]
    assert sum(row["comment"] != "" for row in json.loads(found)) == 20


def test_a_running_daemon_gives_out_an_address_at_the_next_packet(
    start: Callable[..., Lab], conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = make_store([])
    lab = start(records)
    shell = Shell(records, capsys)
    mac = "00:14:4f:00:00:01"
    lab.relay.send(MessageType.DISCOVER, mac)
    assert lab.relay.is_silent()
    shell.ok("pntadm -A 127.0.0.40 -f MANUAL -i 0100144F000001 -s 127.0.0.1 127.0.0.0")
    assert lab.relay.lease(mac).yiaddr == ipv4_int("127.0.0.40")
    shell.ok("pntadm -M 127.0.0.40 -n 127.0.0.41 127.0.0.0")
    assert lab.relay.lease(mac).yiaddr == ipv4_int("127.0.0.41")


def test_macros_are_read_once_in_a_batch_and_only_where_needed(
    net: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.records.create("dhcptab")
    net.records.commit([Change("dhcptab", None, TabEntry(NET, "m", 0, ":Subnet=255.255.255.0:"))])
    read: list[str] = []
    original = type(net.records).read
    monkeypatch.setattr(
        type(net.records), "read", lambda self, table, since=0: (read.append(table), original(self, table, since))[1]
    )
    batch = tmp_path / "batch"
    batch.write_text("".join(f"-A 10.0.0.{host} 10.0.0.0\n" for host in range(1, 20)))
    net.ok(f"pntadm -B {batch}")
    assert read.count("dhcptab") == 1
    assert len(net.rows(NET)) == 19
