"""Packets in words: nothing that a stranger sends is more than a line of printable ASCII."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp import options as o
from dhcp import wire
from dhcp.options import MessageType
from dhcp.verbatim import RECEIVED, SENT, in_words
from tests.dhcp.conftest import make_packet

MAC = "00:14:4f:00:00:01"


def test_a_request_is_told_option_by_option() -> None:
    options = {o.REQUESTED_ADDRESS: bytes((10, 0, 0, 5)), o.CLASS_ID: b"PXEClient"}
    told = in_words(wire.encode(make_packet(MessageType.REQUEST, MAC, options=options)), RECEIVED[1])
    assert (told["mac"], told["state"]) == (MAC, "REQUEST")
    assert told["detail"] == 'requested-address 10.0.0.5; class-id "PXEClient"'


def test_what_is_no_packet_is_told_as_that() -> None:
    assert in_words(b"\1", RECEIVED[1])["state"] == "malformed"
    assert in_words(wire.encode(make_packet(MessageType.DISCOVER, MAC)), SENT[1])["state"] == "malformed"


@pytest.mark.parametrize("op", [RECEIVED[1], SENT[1]])
@given(data=st.binary(max_size=80), options=st.dictionaries(st.integers(1, 254), st.binary(max_size=40), max_size=6))
def test_anything_is_told_in_printable_words(data: bytes, options: dict[int, bytes], op: int) -> None:
    packet = wire.encode(make_packet(MessageType.DISCOVER, MAC)) + data
    for one in (data, packet[:240] + b"".join(bytes((c, len(v))) + v for c, v in options.items()) + data):
        for value in in_words(bytes((op,)) + one[1:], op).values():
            assert all(32 <= ord(sign) < 127 for sign in str(value))
