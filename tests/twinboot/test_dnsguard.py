from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from dnslib import EDNS0, DNSRecord
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinboot.dnsguard import DnsRefused, guarded_parse

HEADER = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0)
TAIL = b"\0\1\0\1"


def reason(data: bytes) -> str:
    with pytest.raises(DnsRefused) as caught:
        guarded_parse(data)
    return str(caught.value)


def header(**counts: int) -> bytes:
    fields = {"id": 7, "flags": 0x0100, "qd": 1, "an": 0, "ns": 0, "ar": 0} | counts
    return struct.pack("!6H", *fields.values())


def edns(size: int, options: bytes = b"", name: bytes = b"\0") -> bytes:
    return name + struct.pack("!HHIH", 41, size, 0, len(options)) + options


def test_honest_questions_pass() -> None:
    assert str(guarded_parse(DNSRecord.question("hv1.example.com").pack()).q.qname) == "hv1.example.com."
    asked = DNSRecord.question("hv1.example.com", "AAAA")
    asked.add_ar(EDNS0(udp_len=1232))
    assert guarded_parse(asked.pack()).q.qtype == 28
    assert guarded_parse(header(ar=1) + b"\0" + TAIL + edns(100)).ar[0].rclass == 100  # RFC 6891 6.2.3: means 512
    label = b"\x3f" + b"a" * 63
    longest = label * 3 + b"\x3d" + b"b" * 61 + b"\0"
    assert guarded_parse(HEADER + longest + TAIL).q.qtype == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "short"),
        (HEADER[:11], "short"),
        (HEADER + b"a" * 600, "long"),
        (header(flags=0x8100) + b"\0" + TAIL, "not-a-query"),
        (header(flags=0x2800) + b"\0" + TAIL, "not-a-query"),
        (header(qd=0), "counts"),
        (header(qd=2) + b"\0" + TAIL, "counts"),
        (header(qd=65535) + b"\0" + TAIL, "counts"),
        (header(an=1) + b"\0" + TAIL, "counts"),
        (header(ar=3) + b"\0" + TAIL, "counts"),
        (HEADER, "truncated"),
        (HEADER + b"\3ab", "truncated"),
        (HEADER + b"\0\0\1", "truncated"),
        (HEADER + b"\xc0", "truncated"),
        (HEADER + b"\xc0\x0c" + TAIL, "pointer"),
        (HEADER + b"\xc0\xff" + TAIL, "pointer"),
        (HEADER + b"\xc0\x00" + TAIL, "pointer"),
        (HEADER + b"\x01a\xc0\x0e" + TAIL, "pointer"),
        (HEADER + b"\x40" + b"a" * 64 + b"\0" + TAIL, "label-bits"),
        (HEADER + b"\x80" + b"a" * 64 + b"\0" + TAIL, "label-bits"),
        (HEADER + (b"\x3f" + b"a" * 63) * 4 + b"\0" + TAIL, "name-long"),
        (HEADER + b"\1a" * 127 + b"\1a\0" + TAIL, "name-long"),
        (HEADER + b"\0" + TAIL + b"x", "trailing"),
        (header(ar=2) + b"\0" + TAIL + edns(512) * 2, "edns"),
        (header(ar=1) + b"\0" + TAIL + edns(512, name=b"\1a\0"), "edns"),
        (header(ar=1) + b"\0" + TAIL + edns(512, b"\0\x08\0\xff"), "edns"),
        (header(ar=1) + b"\0" + TAIL + edns(512, b"\0\x08\0\4abcd")[:-2], "truncated"),
        (header(ar=1) + b"\0" + TAIL + b"\0\0\x29", "truncated"),
    ],
)
def test_hostile_questions_are_refused_with_their_reason(data: bytes, words: str) -> None:
    assert reason(data) == words


def test_a_pointer_loop_through_a_long_name_ends() -> None:
    chain = b"\1a" + b"".join(struct.pack("!BBH", 1, 97, 0xC000 | 12) for _ in range(20))
    data = header(ar=2) + chain + b"\0" + TAIL
    assert reason(data) in {"pointer", "name-long"}


@settings(max_examples=200)
@given(st.binary(max_size=600))
@example(HEADER + b"\xc0\x0c")
def test_any_bytes_are_a_question_or_a_refusal(data: bytes) -> None:
    with suppress(DnsRefused):
        assert len(guarded_parse(data).questions) == 1


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 2))
def test_any_bytes_after_a_good_header_too(data: bytes, additional: int) -> None:
    with suppress(DnsRefused):
        assert guarded_parse(header(ar=additional) + data).header.q == 1
