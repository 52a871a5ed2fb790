"""pntadm as typed in Sun's manuals: what it adds, changes and removes, and its listing."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from dhcp.cli import pntadm
from storage.records import BOOTP, FOREVER_S, FREE_ID, MANUAL, PERMANENT, UNUSABLE, Binding, Change, ipv4_int
from tests.dhcp.cli.conftest import Shell
from tests.dhcp.cli.pntadm.conftest import HEADER, NET, binding


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
    net: Shell, option: str, field: str, value: Any
) -> None:
    net.ok("pntadm -A 10.0.0.5 -s 192.0.2.77 -c c -m m -f 01 -i 0100 -e 01/01/2030 10.0.0.0")
    before = binding(net, "10.0.0.5")
    net.ok(f"pntadm -M 10.0.0.5 {option} 10.0.0.0")
    (after,) = net.rows(NET).values()
    assert after == before._replace(**{field: value}, signature=before.signature + 1)


def test_a_damaged_row_is_named_and_the_others_are_listed(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pntadm.main(["-C", NET]) == 0
    with (conf.parent / "dhcp" / "SUNWfiles1_10_0_0_0").open("a") as file:
        file.write("10.0.0.1|0|00|10.0.0.250|0|1|x|\n10.0.0.2|00|00|10.0.0.250|0|1|x|\n")
    assert pntadm.main(["-P", NET]) == 0
    out, err = capsys.readouterr()
    assert out == HEADER + "00      \t00  \t10.0.0.2\t10.0.0.250\tZero                     \tx       \t\n"
    assert err.startswith("pntadm: 10.0.0.0: line 5 is left out: it client id '0'")
    assert err.endswith(": mend or delete it\n")
