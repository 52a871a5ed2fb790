"""Frames, judged by scapy's own parser and sums."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from dhcp.frame import MAX_PAYLOAD_BYTES, checksum, udp_frame

SERVER = (bytes.fromhex("00144f0000fe"), 0xC0A84C01, 67)
CLIENT = (bytes.fromhex("00144f000001"), 0xC0A84C0A, 68)


def test_fields() -> None:
    frame = Ether(udp_frame(b"payload", SERVER, CLIENT))
    assert (frame.src, frame.dst) == ("00:14:4f:00:00:fe", "00:14:4f:00:00:01")
    assert (frame[IP].src, frame[IP].dst) == ("192.168.76.1", "192.168.76.10")
    assert (frame[UDP].sport, frame[UDP].dport, frame[UDP].len) == (67, 68, 15)
    assert (frame[IP].len, frame[IP].ihl, frame[IP].ttl, frame[IP].frag) == (35, 5, 64, 0)
    assert bytes(frame[UDP].payload) == b"payload"


@settings(max_examples=100)
@given(st.binary(max_size=600), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_sums_are_those_of_scapy(payload: bytes, source: int, target: int, port: int) -> None:
    data = udp_frame(payload, (SERVER[0], source, port), (CLIENT[0], target, 68))
    again = Ether(data)
    del again[IP].chksum
    del again[UDP].chksum
    assert bytes(again) == data


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"\xff\xff", 0), (b"\0\1", 0xFFFE), (b"\1", 0xFEFF), (b"\0\1\xf2\3\xf4\xf5\xf6\xf7", 0x220D)],
)
def test_checksum(data: bytes, expected: int) -> None:
    """The last row is the example of RFC 1071 section 3."""
    assert checksum(data) == expected


def test_a_sum_of_zero_is_sent_as_ones() -> None:
    """Zero in the field would say that there is no checksum."""
    blank = Ether(udp_frame(b"\0\0", SERVER, CLIENT))
    frame = Ether(udp_frame(blank[UDP].chksum.to_bytes(2, "big"), SERVER, CLIENT))
    assert frame[UDP].chksum == 0xFFFF


def test_too_long_for_one_frame() -> None:
    assert len(udp_frame(bytes(MAX_PAYLOAD_BYTES), SERVER, CLIENT)) == 1514
    with pytest.raises(ValueError, match="1472"):
        udp_frame(bytes(MAX_PAYLOAD_BYTES + 1), SERVER, CLIENT)
