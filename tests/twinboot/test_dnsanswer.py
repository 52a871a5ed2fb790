from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv4Network

import pytest
from dnslib import EDNS0, DNSRecord, EDNSOption
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records import MANUAL, Binding, Delta
from twinboot.dnsanswer import EDNS_BYTES, fit, refusal, reply, size_limit
from twinboot.dnsguard import DnsRefused, guarded_parse
from twinboot.names import Zone

NOW_S = 1_700_000_000
ZONE = Zone("example.com", "install-odd", IPv4Address("10.0.0.1"), [IPv4Network("10.0.0.0/24")])
ZONE.apply(
    "10.0.0.0",
    Delta(
        1,
        tuple(
            Binding(int(IPv4Address(f"10.0.0.{n}")), b"\1abcdef", MANUAL, 0, 0, 1, "m", "p" * 63)
            for n in range(100, 130)
        ),
        (),
        whole=True,
        faults=(),
    ),
    NOW_S,
)


def ask(name: str, kind: str = "A", edns_bytes: int = 0, **edns: object) -> DNSRecord:
    question = DNSRecord.question(name, kind)
    question.header.id = 7
    if edns_bytes:
        question.add_ar(EDNS0(udp_len=edns_bytes, **edns))
    return guarded_parse(question.pack())


def said(question: DNSRecord) -> str:
    made = reply(question, ZONE, NOW_S)
    assert made is not None
    text = str(DNSRecord.parse(fit(made, EDNS_BYTES)))
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line and "SECTION" not in line)


def test_an_address_is_answered_as_asked() -> None:
    assert said(ask("Install-ODD.Example.com")) == (
        ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 7\n"
        ";; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0\n"
        ";Install-ODD.Example.com. IN A\n"
        "Install-ODD.Example.com. 300 IN A 10.0.0.1"
    )


def test_what_is_missing_comes_with_the_soa() -> None:
    assert said(ask("9.0.0.10.in-addr.arpa", "PTR")) == (
        ";; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 7\n"
        ";; flags: qr aa rd; QUERY: 1, ANSWER: 0, AUTHORITY: 1, ADDITIONAL: 0\n"
        ";9.0.0.10.in-addr.arpa. IN PTR\n"
        "0.0.10.in-addr.arpa. 10 IN SOA install-odd.example.com. hostmaster.example.com. 1700000000 3600 3600 3600 10"
    )
    assert "status: NOERROR" in said(ask("install-odd.example.com", "AAAA"))


def test_the_name_server_comes_with_its_address_and_our_edns() -> None:
    assert said(ask("example.com", "NS", 4096)) == (
        ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 7\n"
        ";; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 2\n"
        ";example.com. IN NS\n"
        "example.com. 300 IN NS install-odd.example.com.\n"
        "install-odd.example.com. 300 IN A 10.0.0.1\n"
        "; EDNS: version: 0, flags: ; udp: 1232"
    )


@pytest.mark.parametrize(("name", "kind"), [("example.com", "AXFR"), ("example.com", "IXFR"), ("example.com", "OPT")])
def test_what_is_no_look_up_is_refused(name: str, kind: str) -> None:
    assert "status: REFUSED" in said(ask(name, kind))


def test_another_class_is_refused_and_another_edns_version_told_so() -> None:
    chaos = ask("version.bind", "TXT")
    chaos.q.qclass = 3
    assert "status: REFUSED" in said(chaos)
    made = reply(ask("example.com", "SOA", 1232, version=1), ZONE, NOW_S)
    assert made is not None
    assert (
        made.header.rcode,
        made.ar[0].ttl >> 24,
    ) == (0, 1)
    assert not made.rr


def test_a_foreign_name_is_somebody_elses() -> None:
    assert reply(ask("example.org"), ZONE, NOW_S) is None
    assert refusal(ask("example.org"), "SERVFAIL").header.rcode == 2


@pytest.mark.parametrize(("asked", "limit"), [(0, 512), (100, 512), (512, 512), (900, 900), (65535, EDNS_BYTES)])
def test_replies_are_as_large_as_both_can_take(asked: int, limit: int) -> None:
    assert size_limit(ask("example.com", "A", asked)) == limit


def test_an_answer_that_does_not_fit_asks_for_tcp() -> None:
    question = ask(f"{'p' * 63}.example.com", "A", 1232)
    made = reply(question, ZONE, NOW_S)
    assert made is not None
    assert len(made.rr) == 16
    whole, cut = fit(made, 1232), fit(made, 300)
    assert not DNSRecord.parse(whole).header.tc
    short = DNSRecord.parse(cut)
    assert (short.header.tc, short.header.aa, short.rr, len(short.ar), len(cut)) == (1, 1, [], 1, len(question.pack()))


def test_client_subnet_is_neither_read_nor_echoed() -> None:
    subnet = EDNSOption(8, struct.pack("!HBB", 1, 24, 0) + socket.inet_aton("10.0.0.0")[:3])
    made = reply(ask("install-odd.example.com", "A", 1232, opts=[subnet]), ZONE, NOW_S)
    assert made is not None
    assert made.ar[0].rdata == []


LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=5)


@settings(max_examples=200)
@given(LABELS, st.integers(0, 65535), st.sampled_from([1, 3, 255]), st.sampled_from([b"", b"\7example\3com"]))
def test_whatever_passes_the_guard_gets_a_reply_that_packs(
    labels: list[bytes], kind: int, klass: int, end: bytes
) -> None:
    name = b"".join(bytes([len(label)]) + label for label in labels) + end + b"\0"
    packet = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", kind, klass)
    try:
        question = guarded_parse(packet)
    except DnsRefused:
        return
    made = reply(question, ZONE, NOW_S) or refusal(question, "REFUSED")
    data = fit(made, size_limit(question))
    assert len(data) <= 512
    assert data[:2] == packet[:2]
    assert data[12 : 12 + len(name) + 4] == packet[12:]
