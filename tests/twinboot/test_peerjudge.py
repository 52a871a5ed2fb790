from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from twinboot.peerfacts import Description, Mount, Sighting, decode, encode
from twinboot.peerjudge import CLOCKS_S, LATE_S, SETTLE_S, clock_difference_s, judge, state

NOW_S = 1_800_000_000.0
LOCAL = Mount("ext4", ("rw",))
NFS = Mount("nfs4", ("rw", "vers=4.1", "hard"))


def server(name: str = "odd", **changes: Any) -> Description:
    own = {"odd": "10.0.0.1", "even": "10.0.0.2"}[name]
    said = Description(
        name=name,
        address=own,
        addresses=(own,),
        version="1.0",
        boot=f"boot-{name}",
        life=f"life-{name}",
        started_s=NOW_S - 3600,
        looked_s=NOW_S - 1,
        at_s=NOW_S - 1,
        stopped=False,
        resource="twinlog",
        path="/net/store/dhcp",
        inode=77,
        owner_ip=("10.0.0.1", "10.0.0.2"),
        keys={"RESOURCE": "twinlog", "BOOTP_COMPAT": "", "site.domain": "example.com"},
        dhcptab="d1",
        dhcptab_since_s=NOW_S - 3600,
        batch=124,
        commit="batch 124",
        networks={"10.0.0.0": {"free": 3, "used": 1, "reserved": 0, "expired": 0, "unusable": 0}},
        share=NFS,
        records=NFS,
        free_bytes=10**10,
        free_files=10**6,
        writable=True,
        trouble="",
    )
    return dataclasses.replace(said, **changes)


def seen(said: Description, age_s: float = 1.0) -> Sighting:
    return Sighting(said, NOW_S - age_s)


def codes(own: Description, peer: Description | None = None, **ages: float) -> dict[str, str]:
    peers = [] if peer is None else [seen(peer, **ages)]
    return {warned.code: warned.text for warned in judge(seen(own), peers, NOW_S)}


def test_two_servers_as_they_should_be() -> None:
    assert codes(server(), server("even")) == {}
    assert codes(server()) == {}


SUN = {"resource": "SUNWfiles", "batch": 0}


@pytest.mark.parametrize(
    ("own", "peer", "code", "words"),
    [
        ({}, {"version": "1.1"}, "version", "odd 1.0, even 1.1: update the older one"),
        ({}, {"inode": 78, "path": "/srv/dhcp"}, "place", "odd /net/store/dhcp, even /srv/dhcp"),
        ({}, {"keys": {"BOOTP_COMPAT": "manual"}}, "key-BOOTP_COMPAT", "odd none, even manual: let dhcpsvc.conf say"),
        ({"keys": {"site.domain": "a"}}, {"keys": {"site.domain": "b"}}, "key-site.domain", "let twinboot.toml say"),
        ({}, {"dhcptab": "d2"}, "dhcptab", "even sees other macros than odd: compare `dhtadm -P`"),
        ({"owner_ip": ()}, {}, "owner-odd", "OWNER_IP of odd lacks 10.0.0.2, so"),
        ({}, {"owner_ip": ("10.0.0.2",)}, "owner-even", "on even `dhcpconfig -P OWNER_IP=10.0.0.1,10.0.0.2`"),
        ({"owner_ip": ("10.0.0.2", "10.0.0.9")}, {}, "owner-even", "lacks 10.0.0.9"),
        ({}, {"addresses": ("10.0.0.2", "10.1.0.2")}, "owner-odd", "lacks 10.1.0.2"),
        ({}, {"addresses": ("10.0.0.1", "10.0.0.2")}, "address", "10.0.0.1 is on odd and on even"),
        ({}, {"at_s": NOW_S + 3600}, "clocks", "the clock of even is 3601 s ahead of that of odd"),
        ({}, {"at_s": NOW_S - 61}, "clocks", "60 s behind that of odd"),
        ({}, {"batch": 120, "looked_s": NOW_S + 5, "at_s": NOW_S - 1}, "behind", "even sees batch 120, odd saw 124"),
        (SUN, SUN, "sunwfiles", "`dhcpconfig -C -r twinlog -p DIR`"),
        ({}, {"trouble": "/net/store/dhcp: gone"}, "trouble", "even cannot read its records: /net/store/dhcp: gone"),
        ({"share": Mount("nfs4", ("soft",))}, {}, "mount-soft", "mount option soft of the share"),
        ({"free_bytes": 5 << 20}, {}, "share-full", "5 MiB and 1000000 files are left"),
        ({"free_files": 3}, {}, "share-full", "3 files are left"),
        ({"writable": False}, {}, "share-read-only", "mount and export it read-write"),
        ({}, {"stopped": True}, "stopped", "even was stopped: start it"),
    ],
)
def test_each_fault_has_its_line(own: dict[str, Any], peer: dict[str, Any], code: str, words: str) -> None:
    found = codes(server(**own), server("even", **peer))
    assert list(found) == [code]
    assert words in found[code]
    assert "\n" not in found[code]


@pytest.mark.parametrize(
    ("own", "peer"),
    [
        ({"dhcptab": "d2", "dhcptab_since_s": NOW_S - SETTLE_S / 2}, {}),  # an edit that the other has not seen yet
        ({}, {"dhcptab": ""}),  # it has not looked yet
        ({"at_s": NOW_S + CLOCKS_S - 2}, {}),
        ({"at_s": NOW_S + 3600}, {"at_s": NOW_S + 3600, "dhcptab_since_s": NOW_S}),  # both wrong alike: leases agree
        ({}, {"batch": 120}),  # both looked at once
        ({**SUN, "records": LOCAL, "share": LOCAL}, {**SUN, "records": LOCAL}),  # two processes on one machine
        ({"batch": 0}, {"batch": 0}),
        ({"inode": 0}, {"inode": 5}),  # a database has no directory
        ({"addresses": ("127.0.0.1",), "owner_ip": ()}, {"addresses": ("127.0.0.1",), "owner_ip": ()}),
        ({"free_files": -1}, {}),  # a file system that does not count its files
    ],
)
def test_what_is_no_fault(own: dict[str, Any], peer: dict[str, Any]) -> None:
    assert codes(server(**own), server("even", **peer)) == {}


def test_a_mount_is_no_matter_for_one_server() -> None:
    assert codes(server(share=Mount("nfs4", ("soft",)))) == {}


def test_of_a_server_that_is_silent_only_that_is_told() -> None:
    peer = server("even", version="0.9", owner_ip=())
    found = codes(server(), peer, age_s=125)
    assert list(found) == ["silent"]
    assert "even was last seen 2 min 5 s ago" in found["silent"]
    assert "twinboot status --forget even" in found["silent"]


@pytest.mark.parametrize(
    ("age_s", "stopped", "expected"),
    [(0, False, "up"), (LATE_S - 1, False, "up"), (LATE_S + 1, False, "silent"), (1, True, "stopped")],
)
def test_state(age_s: float, stopped: bool, expected: str) -> None:
    assert state(seen(server(stopped=stopped), age_s), NOW_S) == expected


def test_clocks_are_compared_by_the_share_s_stamps_and_not_by_arrival() -> None:
    own = Sighting(server(at_s=NOW_S + 7), NOW_S)
    peer = Sighting(server("even", at_s=NOW_S - 93), NOW_S - 100)  # 100 s old, and 7 s ahead as well
    assert clock_difference_s(own, peer) == 0


def test_a_description_comes_back_as_it_was_written() -> None:
    said = server()
    assert decode(encode(said)) == said


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "another format"),
        (b'{"format": 2}', "another format"),
        (b'{"format": 1}', "lacks name"),
        (encode(server()).replace(b'"odd"', b"7"), "a short text"),
        (encode(server()).replace(b'"batch": 124', b'"batch": true'), "a count"),
        (encode(server()).replace(b'"at_s": 1799999999.0', b'"at_s": NaN'), "a number"),
        (encode(server()).replace(b'"stopped": false', b'"stopped": 0'), "true or false"),
        (encode(server()).replace(b'"nfs4"', b'["nfs4"]'), "a short text"),
        (b" " * ((1 << 20) + 1), "is longer than"),
    ],
    ids=range(11),
)
def test_what_is_no_description(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(data)
