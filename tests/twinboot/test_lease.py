from __future__ import annotations

import json
import time

import pytest

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
    Outcome,
    Result,
    ipv4_int,
    open_records,
)
from storage.records.port import nothing
from tests.rows import rows_of
from tests.twinboot.conftest import Site
from twinboot import leases, stores
from twinboot.leases import Lease

NOW_S = 1_700_000_000
NET = "10.77.0.0"
ROM = bytes.fromhex("0100144F000001")
OTHER = bytes.fromhex("0100144F000002")
NODE = bytes.fromhex("FF 00000001 0001 0001 12345678 00144F000001".replace(" ", ""))


def row(last: int, client_id: bytes = FREE_ID, flags: int = 0, lease_s: int = 0, comment: str = "") -> Binding:
    return Binding(ipv4_int(f"10.77.0.{last}"), client_id, flags, ipv4_int("10.77.0.1"), lease_s, 0, "s1", comment)


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        (row(50), "free"),
        (row(50, flags=PERMANENT), "free"),
        (row(50, ROM, lease_s=NOW_S + 1), "used"),
        (row(50, ROM, lease_s=FOREVER_S), "used"),
        (row(50, ROM, PERMANENT), "used"),
        (row(50, ROM, BOOTP), "used"),
        (row(50, ROM, lease_s=NOW_S), "expired"),
        (row(50, ROM, lease_s=NOW_S - 1), "expired"),
        (row(50, ROM, MANUAL), "reserved"),
        (row(50, FREE_ID, MANUAL), "reserved"),
        (row(50, ROM, MANUAL | UNUSABLE), "unusable"),
        (row(50, flags=UNUSABLE), "unusable"),
    ],
)
def test_each_binding_has_one_state(binding: Binding, expected: str) -> None:
    assert leases.state(binding, NOW_S) == expected


@pytest.mark.parametrize(
    ("client_id", "mac"),
    [
        (ROM, "00:14:4f:00:00:01"),
        (NODE, "00:14:4f:00:00:01"),
        (bytes.fromhex("FF000000010003000100144F000001"), "00:14:4f:00:00:01"),
        (bytes.fromhex("FF0000000100020000ABCD00144F000001"), None),
        (FREE_ID, None),
        (b"name", None),
    ],
)
def test_the_mac_in_a_client_id(client_id: bytes, mac: str | None) -> None:
    assert leases.mac_of(client_id) == mac


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.77.0.51", [51]),
        ("00:14:4F:00:00:01", [50, 52]),
        ("00144f000001", [50, 52]),
        ("0100144f000002", [51]),
        (NODE.hex(), [52]),
        ("00:14:4f:00:00:09", []),
        ("00", []),
    ],
)
def test_a_lease_is_found_by_what_people_have_at_hand(text: str, found: list[int]) -> None:
    all_leases = [Lease(NET, one) for one in (row(50, ROM), row(51, OTHER), row(52, NODE), row(53))]
    assert [lease.row.address & 0xFF for lease in leases.matches(all_leases, text)] == found


@pytest.fixture
def leased_site(ready_site: Site) -> Site:
    records = open_records("SUNWfiles", ready_site.share / "dhcp")
    stored = {one.address & 0xFF: one for one in rows_of(records, NET, Binding)}
    soon = int(time.time()) + 3600
    changed = [row(50, ROM, lease_s=soon), row(51, OTHER, MANUAL), row(52, NODE, lease_s=5), row(53, flags=UNUSABLE)]
    results = records.commit([Change(NET, stored[one.address & 0xFF], one) for one in changed])
    assert all(result.outcome is Outcome.STORED for result in results)
    return ready_site


def stored(site: Site, last: int) -> Binding:
    rows = rows_of(open_records("SUNWfiles", site.share / "dhcp"), NET, Binding)
    return next(one for one in rows if one.address & 0xFF == last)


def test_list_shows_every_address_in_order(leased_site: Site) -> None:
    lines = leased_site.ok("lease", "list").splitlines()
    assert lines[0].split() == ["address", "state", "client", "host", "ends", "macro", "comment"]
    assert [line.split()[1] for line in lines[1:6]] == ["used", "reserved", "expired", "unusable", "free"]
    assert len(lines) == 11
    assert "00:14:4f:00:00:02" in lines[2]


@pytest.mark.parametrize("word", ["public", NET, "10.77.0.0/24"])
def test_list_takes_a_network_by_any_of_its_names(leased_site: Site, word: str) -> None:
    assert len(leased_site.ok("lease", "list", "--network", word).splitlines()) == 11


def test_list_by_state_as_json(leased_site: Site) -> None:
    leased_site.add_host()
    (one,) = json.loads(leased_site.ok("lease", "list", "--state", "used", "--json"))
    assert one["address"] == "10.77.0.50"
    assert one["client_id"] == "0100144F000001"
    assert (one["mac"], one["host"], one["flags"]) == ("00:14:4f:00:00:01", "hv1", [])
    assert one["ends"].endswith("+00:00")
    assert (
        json.loads(leased_site.ok("lease", "list", "--network", "public", "--state", "free", "--json"))[0]["ends"]
        is None
    )


def test_list_of_nothing_says_what_to_do(leased_site: Site) -> None:
    leased_site.ok("lease", "release", "10.77.0.53")
    assert "pntadm -A" in leased_site.ok("lease", "list", "--state", "unusable")


def test_list_names_a_damaged_row_and_shows_the_rest(leased_site: Site) -> None:
    with (leased_site.share / "dhcp" / "SUNWfiles1_10_77_0_0").open("a") as file:
        file.write("10.77.0.200|oops\n")
    result = leased_site.run("lease", "list")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 11
    assert result.stderr.startswith(f"twinboot: {NET} line ")


def test_show_by_mac_finds_all_that_a_machine_holds(leased_site: Site) -> None:
    said = leased_site.ok("lease", "show", "00-14-4f-00-00-01")
    assert [line.split()[1] for line in said.splitlines() if line.startswith("address")] == ["10.77.0.50", "10.77.0.52"]
    assert "flags      DYNAMIC" in said
    said = leased_site.ok("lease", "show", "10.77.0.51")
    assert "flags      MANUAL" in said
    assert "ends       -" in said
    assert json.loads(leased_site.ok("lease", "show", "--json", "10.77.0.51"))[0]["flags"] == ["MANUAL"]


def test_release_frees_a_lease_and_warns_of_the_client(leased_site: Site) -> None:
    before = stored(leased_site, 50)
    said = leased_site.ok("lease", "release", "10.77.0.50")
    assert said.startswith("10.77.0.50: free; 00:14:4f:00:00:01 may still use it, for its lease ends 20")
    after = stored(leased_site, 50)
    assert (after.client_id, after.lease_s, after.macro) == (FREE_ID, 0, "s1")
    assert after.signature == before.signature + 1
    assert leased_site.ok("lease", "release", "10.77.0.50") == "10.77.0.50: is free already\n"
    assert stored(leased_site, 50) == after


def test_release_keeps_a_reservation_unless_forced(leased_site: Site) -> None:
    (line,) = leased_site.fails("lease", "release", "10.77.0.51")
    assert "reserved for 00:14:4f:00:00:02: --force" in line
    assert stored(leased_site, 51).flags == MANUAL
    assert leased_site.ok("lease", "release", "--force", "10.77.0.51") == "10.77.0.51: free\n"
    assert (stored(leased_site, 51).flags, stored(leased_site, 51).client_id) == (0, FREE_ID)


def test_release_makes_an_unusable_address_usable(leased_site: Site) -> None:
    assert "nobody else bears this address" in leased_site.ok("lease", "release", "10.77.0.53")
    assert stored(leased_site, 53).flags == 0


def test_release_never_undoes_what_the_server_did_meanwhile(leased_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Raced(MemoryRecords):
        def commit(self, changes, waits=nothing):
            return [Result(Outcome.COLLISION, None, "10.77.0.50 of 10.77.0.0 was changed by somebody else")]

    raced = Raced()
    raced.load(NET, [row(50, ROM)])
    monkeypatch.setattr(stores, "dhcp_records", lambda config: raced)
    (line,) = leased_site.fails("lease", "release", "10.77.0.50")
    assert "changed by somebody else; look again and repeat the command" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("list", "--network", "nowhere"), "no network 'nowhere' in the datastore; there are: public, 10.77.0.0"),
        (("show", "10.77.0.99"), "10.77.0.99: no binding"),
        (("show", "who?"), "'who?' is no address, MAC or client id"),
        (("show", "00:14:4f:00:00:77"), "no binding"),
        (("release", "10.77.0.99"), "10.77.0.99: no binding"),
        (("release", "00:14:4f:00:00:02"), "release takes an address"),
        (("release", ""), "'' is no address"),
    ],
)
def test_bad_input_gets_one_line(leased_site: Site, words: tuple[str, ...], expected: str) -> None:
    (line,) = leased_site.fails("lease", *words)
    assert expected in line


def test_an_address_in_two_networks_is_not_guessed(leased_site: Site) -> None:
    records = open_records("SUNWfiles", leased_site.share / "dhcp")
    records.create("10.76.0.0")
    (result,) = records.commit([Change("10.76.0.0", None, row(50)._replace(address=ipv4_int("10.77.0.50")))])
    assert result.outcome is Outcome.STORED
    (line,) = leased_site.fails("lease", "release", "10.77.0.50")
    assert "is in several networks, 10.76.0.0, 10.77.0.0" in line
