"""The packet codec writes: nothing is lost, and what is written is read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp.packet import Packet
from dhcp.wire import BOOTREPLY, FIXED_SIZES, WireError, decode, encode, payload_limit
from tests.dhcp.wire.conftest import area, packet


def test_small_reply_is_padded_and_ends() -> None:
    data = encode(packet({53: b"\2", 54: b"\1\2\3\4"}))
    assert len(data) == 300
    assert data[240:250] == b"\x35\x01\x02\x36\x04\1\2\3\4\xff"
    assert not any(data[250:])


def test_relay_information_goes_last() -> None:
    data = encode(packet({53: b"\2", 82: b"\1\1x", 1: b"\xff\xff\xff\0", 3: b"\1\2\3\4"}))
    assert area(data) == [53, 1, 3, 82]


def test_no_option_is_lost_when_areas_overflow() -> None:
    """Solaris loses the option at which it goes over to the next area; every boundary is tried here."""
    options = {53: b"\2", 54: b"\1\2\3\4", **dict.fromkeys(range(60, 80), bytes(20)), 82: b"\1\1x"}
    for extra in range(100):
        for sent in (packet(options, op=BOOTREPLY), packet({**options, 15: bytes(extra)}, op=BOOTREPLY)):
            data = encode(sent, 548 + extra)
            assert len(data) <= 548 + extra
            assert decode(data, BOOTREPLY) == sent
            assert area(data)[:2] == [53, 54]
            assert area(data)[-1] == 82


def test_text_fields_in_use_are_not_overloaded() -> None:
    options = {53: b"\2", 43: bytes(150), 60: bytes(150), 15: bytes(50)}
    sent = packet(options, file=b"grub")
    found = decode(encode(sent, 548 + 50))
    assert (found.file, found.options) == (b"grub", options)
    with pytest.raises(WireError) as caught:
        encode(packet(options, file=b"grub", sname=b"server"), 548)
    assert caught.value.reason == "no-room"


def test_an_option_that_fits_nowhere_whole_is_split() -> None:
    sent = packet({53: b"\2", 43: bytes(200), 60: bytes(range(200))})
    assert decode(encode(sent, 548)) == sent


def test_what_cannot_fit_is_an_error_not_a_loss() -> None:
    for options in ({43: bytes(600)}, dict.fromkeys((3, 6, 42), b"\x00\x00\x00\x01" * 60), {82: bytes(400)}):
        with pytest.raises(WireError) as caught:
            encode(packet(options), 548)
        assert caught.value.reason == "no-room"


@pytest.mark.parametrize("fields", [{"file": bytes(129)}, {"sname": bytes(65)}])
def test_text_too_long_for_its_field(fields: dict[str, bytes]) -> None:
    with pytest.raises(WireError) as caught:
        encode(packet({}, **fields))
    assert caught.value.reason == "text"


@pytest.mark.parametrize(("asked", "limit"), [(0, 548), (1, 548), (576, 548), (1500, 1472)])
def test_payload_limit(asked: int, limit: int) -> None:
    assert payload_limit(asked) == limit


TEXT = st.binary(max_size=60).map(lambda text: text.replace(b"\0", b""))
CODES = st.integers(1, 254).filter(lambda code: code not in FIXED_SIZES)
Four = tuple[int, int, int, int]


def drawn(numbers: Four, words: Four, hardware: bytes, sname: bytes, file: bytes, options: dict[int, bytes]) -> Packet:
    chaddr = (b"\0" + hardware).ljust(16, b"\0")
    return Packet(1, 1, 6, *numbers, *words, chaddr, sname, file, {53: b"\1"} | options)


PACKETS = st.builds(
    drawn,
    st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1)),
    st.tuples(*[st.integers(0, 2**32 - 1)] * 4),
    st.binary(min_size=5, max_size=5).filter(any),
    TEXT,
    TEXT,
    st.dictionaries(CODES, st.binary(min_size=2, max_size=300), max_size=8),
)


@settings(max_examples=200)
@given(PACKETS, st.integers(548, 2000))
def test_what_is_written_is_read_back(sent: Packet, limit: int) -> None:
    assert decode(encode(sent)) == sent
    try:
        data = encode(sent, limit)
    except WireError as error:
        assert error.reason == "no-room"  # noqa: PT017
    else:
        assert 300 <= len(data) <= limit
        assert decode(data) == sent
