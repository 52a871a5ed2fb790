from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstart.model import Hypervisor, Link
from storage.records import FOREVER_S, FREE_ID, MANUAL, PERMANENT, UNUSABLE, Binding, Delta, MemoryRecords
from twinboot.dnsrecords import NEGATIVE_TTL_S, NS, PTR, SOA, A, Answer, Labels, Soa, Verdict
from twinboot.names import TTL_S, Zone

NOW_S = 1_700_000_000
NET = "192.168.76.0"
MAC = "00:14:4f:00:00:0"


def host(name: str, *links: tuple[str, str, str]) -> Hypervisor:
    return Hypervisor(name, "odd", "live-xen", tuple(Link(n, mac, address=address) for n, mac, address in links))


def bound(address: str, client: bytes = b"\1abcdef", lease_s: int = NOW_S + 3600, flags: int = 0, comment: str = ""):
    return Binding(int(IPv4Address(address)), client, flags, 0, lease_s, 1, "m", comment)


def whole(*rows: Binding) -> Delta:
    return Delta(1, rows, (), whole=True, faults=())


def name(text: str) -> Labels:
    return tuple(label.encode() for label in text.split("."))


def reverse(address: str) -> str:
    return IPv4Address(address).reverse_pointer


@pytest.fixture
def zone() -> Zone:
    nets = [IPv4Network(f"{NET}/24"), IPv4Network("192.168.78.0/24")]
    zone = Zone("Example.com", "install-odd", IPv4Address("192.168.78.14"), nets)
    hv1 = host("hv1", ("fe0", MAC + "1", "192.168.76.21"), ("be0", MAC + "2", "192.168.78.21"))
    hv2 = host("hv2", ("fe0", MAC + "3", ""), ("be0", MAC + "4", ""))
    zone.set_hosts([hv1, hv2], NOW_S)
    zone.apply(
        NET,
        whole(
            bound("192.168.76.50"),
            bound("192.168.76.51", lease_s=NOW_S - 1),
            bound("192.168.76.52", lease_s=NOW_S + 7),
            bound("192.168.76.53", lease_s=FOREVER_S, flags=PERMANENT),
            bound("192.168.76.54", FREE_ID, 0),
            bound("192.168.76.55", flags=UNUSABLE),
            bound("192.168.76.71", lease_s=0, flags=MANUAL, comment="vm-host1"),
            bound("192.168.76.72", lease_s=0, flags=MANUAL, comment="HV1"),
            bound("192.168.76.73", lease_s=0, flags=MANUAL, comment="two words"),
            bound("192.168.76.74", lease_s=0, flags=MANUAL, comment="ip-192-168-76-50"),
            bound("192.168.76.75", comment="not-manual"),
            bound("192.168.76.60", b"\1\0\x14\x4f\0\0\3", lease_s=NOW_S + 30),
            bound("192.168.76.61", b"\1\0\x14\x4f\0\0\4", lease_s=0, flags=MANUAL, comment="by twinboot host add"),
        ),
        NOW_S,
    )
    return zone


def brief(answer: Answer) -> str:
    """`A 300 192.168.76.21`, or the verdict when nothing was found."""
    if answer.verdict is not Verdict.FOUND:
        assert not answer.records
        assert [one.ttl_s for one in answer.authority] == (
            [] if answer.verdict is Verdict.FOREIGN else [NEGATIVE_TTL_S]
        )
        return answer.verdict.name
    assert len({(one.owner, one.kind, one.ttl_s) for one in answer.records}) == 1
    kind = {A: "A", NS: "NS", PTR: "PTR", SOA: "SOA"}[answer.records[0].kind]
    return " ".join([kind, str(answer.records[0].ttl_s), *(_text(one.data) for one in answer.records)])


def _text(data: int | Labels | Soa) -> str:
    if isinstance(data, int):
        return str(IPv4Address(data))
    return _text(data.server) if isinstance(data, Soa) else b".".join(data).decode()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("hv1", "A 300 192.168.76.21"),
        ("hv1-fe0", "A 300 192.168.76.21"),
        ("hv1-be0", "A 300 192.168.78.21"),
        ("HV1-Be0", "A 300 192.168.78.21"),
        ("install-odd", "A 300 192.168.78.14"),
        ("hv2", "A 30 192.168.76.60"),
        ("hv2-fe0", "A 30 192.168.76.60"),
        ("hv2-be0", "A 300 192.168.76.61"),
        ("vm-host1", "A 300 192.168.76.71"),
        ("ip-192-168-76-50", "A 60 192.168.76.50"),
        ("ip-192-168-76-52", "A 7 192.168.76.52"),
        ("ip-192-168-76-53", "A 60 192.168.76.53"),
        ("ip-192-168-76-51", "MISSING"),
        ("ip-192-168-76-54", "MISSING"),
        ("ip-192-168-76-55", "MISSING"),
        ("ip-192-168-76-71", "MISSING"),
        ("ip-192-168-76-050", "MISSING"),
        ("ip-192-168-76", "MISSING"),
        ("ip-192-168-76-300", "MISSING"),
        ("not-manual", "MISSING"),
        ("two words", "MISSING"),
        ("none", "MISSING"),
        ("a.hv1", "MISSING"),
    ],
)
def test_who_has_which_address(zone: Zone, asked: str, said: str) -> None:
    assert brief(zone.find(name(f"{asked}.example.COM"), A, NOW_S)) == said


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("192.168.76.21", "PTR 300 hv1.example.com"),
        ("192.168.78.21", "PTR 300 hv1-be0.example.com"),
        ("192.168.78.14", "PTR 300 install-odd.example.com"),
        ("192.168.76.50", "PTR 60 ip-192-168-76-50.example.com"),
        ("192.168.76.52", "PTR 7 ip-192-168-76-52.example.com"),
        ("192.168.76.60", "PTR 30 hv2.example.com"),
        ("192.168.76.61", "PTR 300 hv2-be0.example.com"),
        ("192.168.76.71", "PTR 300 vm-host1.example.com"),
        ("192.168.76.72", "MISSING"),
        ("192.168.76.51", "MISSING"),
        ("192.168.76.54", "MISSING"),
        ("192.168.77.1", "FOREIGN"),
    ],
)
def test_whose_an_address_is(zone: Zone, address: str, said: str) -> None:
    assert brief(zone.find(name(reverse(address)), PTR, NOW_S)) == said


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ("example.com", SOA, "SOA 300 install-odd.example.com"),
        ("example.com", NS, "NS 300 install-odd.example.com"),
        ("example.com", A, "EMPTY"),
        ("76.168.192.in-addr.arpa", NS, "NS 300 install-odd.example.com"),
        ("76.168.192.in-addr.arpa", 255, "SOA 300 install-odd.example.com"),
        ("hv1.example.com", 28, "EMPTY"),
        ("hv1.example.com", 255, "A 300 192.168.76.21"),
        ("21.76.168.192.in-addr.arpa", A, "EMPTY"),
        ("x.76.168.192.in-addr.arpa", PTR, "MISSING"),
        ("1.21.76.168.192.in-addr.arpa", PTR, "MISSING"),
        ("021.76.168.192.in-addr.arpa", PTR, "MISSING"),
        ("168.192.in-addr.arpa", PTR, "FOREIGN"),
        ("in-addr.arpa", PTR, "FOREIGN"),
        ("com", A, "FOREIGN"),
        ("hv1", A, "FOREIGN"),
        ("notexample.com", A, "FOREIGN"),
        ("hv1.example.com.org", A, "FOREIGN"),
    ],
)
def test_other_questions(zone: Zone, asked: str, kind: int, said: str) -> None:
    assert brief(zone.find(name(asked), kind, NOW_S)) == said


def test_the_root_is_not_ours(zone: Zone) -> None:
    assert zone.find((), NS, NOW_S).verdict is Verdict.FOREIGN


@pytest.mark.parametrize(
    ("subnet", "ours", "between", "foreign"),
    [
        ("10.0.0.0/8", "10.200.3.4", "3.10.in-addr.arpa", "11.0.0.1"),
        ("10.16.0.0/12", "10.31.3.4", "7.31.10.in-addr.arpa", "10.32.0.1"),
        ("172.16.0.0/16", "172.16.9.9", "9.16.172.in-addr.arpa", "172.17.0.1"),
        ("10.0.16.0/20", "10.0.31.1", "31.0.10.in-addr.arpa", "10.0.32.1"),
        ("10.0.0.64/26", "10.0.0.65", "0.0.10.in-addr.arpa", "10.0.0.1"),
    ],
)
def test_reverse_zones_cover_whole_octets(subnet: str, ours: str, between: str, foreign: str) -> None:
    zone = Zone("example.com", "s", IPv4Address("10.0.0.1"), [IPv4Network(subnet)])
    assert zone.find(name(reverse(ours)), PTR, NOW_S).verdict is Verdict.MISSING
    assert zone.find(name(between), PTR, NOW_S).verdict is Verdict.EMPTY
    assert zone.find(name(reverse(foreign)), PTR, NOW_S).verdict is Verdict.FOREIGN


def test_the_first_link_with_an_address_has_the_bare_name() -> None:
    zone = Zone("example.com", "s", IPv4Address("10.0.0.1"), [IPv4Network("10.0.0.0/24")])
    zone.set_hosts([host("hv1", ("fe0", MAC + "1", ""), ("be0", MAC + "2", "10.0.0.9"))], NOW_S)
    assert brief(zone.find(name("hv1.example.com"), A, NOW_S)) == "A 300 10.0.0.9"
    assert brief(zone.find(name(reverse("10.0.0.9")), PTR, NOW_S)) == "PTR 300 hv1.example.com"
    assert brief(zone.find(name("hv1-fe0.example.com"), A, NOW_S)) == "MISSING"


def test_a_link_name_hides_no_host(zone: Zone) -> None:
    zone.set_hosts(
        [host("a", ("fe0", MAC + "1", "192.168.76.1")), host("a-fe0", ("fe0", MAC + "2", "192.168.76.2"))], NOW_S
    )
    assert brief(zone.find(name("a-fe0.example.com"), A, NOW_S)) == "A 300 192.168.76.2"


def test_two_reservations_of_one_name_are_both_answered(zone: Zone) -> None:
    rows = [bound(f"192.168.78.{n}", lease_s=0, flags=MANUAL, comment="pool") for n in range(100, 130)]
    zone.apply("192.168.78.0", whole(*rows), NOW_S)
    answer = zone.find(name("pool.example.com"), A, NOW_S)
    assert [_text(one.data) for one in answer.records] == [f"192.168.78.{n}" for n in range(100, 116)]


def test_a_host_that_is_gone_has_no_name_and_the_serial_grows(zone: Zone) -> None:
    before = zone.serial
    zone.set_hosts([], NOW_S)
    assert zone.serial > before
    assert brief(zone.find(name("hv1.example.com"), A, NOW_S)) == "A 300 192.168.76.72", "its comment may have it now"
    assert brief(zone.find(name("hv2.example.com"), A, NOW_S)) == "MISSING"


def test_an_empty_delta_changes_nothing(zone: Zone) -> None:
    before = zone.serial
    zone.apply(NET, Delta(2, (), (), whole=False, faults=()), NOW_S)
    assert zone.serial == before


ROWS = st.builds(
    lambda number, client, lease_s, flags, comment: bound(f"192.168.76.{number}", client, lease_s, flags, comment),
    st.integers(50, 60),
    st.sampled_from([FREE_ID, b"\1\0\x14\x4f\0\0\3", b"\1abcdef", b"\0uuid"]),
    st.sampled_from([0, NOW_S - 5, NOW_S + 5, NOW_S + 500, FOREVER_S]),
    st.sampled_from([0, MANUAL, UNUSABLE, MANUAL | PERMANENT]),
    st.sampled_from(["", "a", "b", "hv2", "not a label", "ip-192-168-76-50"]),
)
TABLE = st.lists(ROWS, unique_by=lambda row: row.address, max_size=11)


@settings(max_examples=150)
@given(st.lists(TABLE, min_size=1, max_size=5))
def test_a_zone_that_follows_deltas_equals_one_that_reads_all(tables: list[list[Binding]]) -> None:
    records, followed = MemoryRecords(), plain_zone()
    version = 0
    for rows in tables:
        records.load(NET, rows)
        delta = records.read(NET, version)
        version = delta.version
        followed.apply(NET, delta, NOW_S)
    fresh = plain_zone()
    fresh.apply(NET, records.read(NET), NOW_S)
    asked = [(name(f"{label}.example.com"), A) for label in ("a", "b", "hv2", "ip-192-168-76-50", "ip-192-168-76-51")]
    asked += [(name(reverse(f"192.168.76.{number}")), PTR) for number in range(50, 61)]
    assert [brief(followed.find(*one, NOW_S)) for one in asked] == [brief(fresh.find(*one, NOW_S)) for one in asked]
    assert [followed._labels, followed._clients] == [fresh._labels, fresh._clients]


def plain_zone() -> Zone:
    zone = Zone("example.com", "s", IPv4Address("192.168.76.1"), [IPv4Network(f"{NET}/24")])
    zone.set_hosts([host("hv2", ("fe0", MAC + "3", ""))], NOW_S)
    return zone


@settings(max_examples=150)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=6), st.sampled_from([(), ("com",), ("arpa",)]))
def test_any_name_has_a_verdict(labels: list[bytes], end: tuple[str, ...]) -> None:
    ends: dict[tuple[str, ...], Labels] = {
        (): (),
        ("com",): (b"Example", b"COM"),
        ("arpa",): (b"76", b"168", b"192", b"in-addr", b"arpa"),
    }
    answer = plain_zone().find((*labels, *ends[end]), A, NOW_S)
    assert answer.verdict in Verdict
    assert all(1 <= one.ttl_s <= TTL_S for one in (*answer.records, *answer.authority))
