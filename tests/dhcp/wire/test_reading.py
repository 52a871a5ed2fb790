"""The packet codec reads: what honest packets hold, and what hostile ones get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp.options import MessageType
from dhcp.wire import BOOTREPLY, FIXED_SIZES, MAX_PACKET_BYTES, WireError, decode, encode
from tests.dhcp.wire.conftest import DISCOVER, MAC, area, packet, raw, reason


def test_a_discover_is_read() -> None:
    found = decode(raw(DISCOVER + b"\x3c\x09PXEClient\x37\x02\x01\x03\xff", flags=0x8000, file=b"pxe\0junk"))
    assert found.message_type is MessageType.DISCOVER
    assert found.options == {53: b"\1", 60: b"PXEClient", 55: b"\1\3"}
    assert (found.xid, found.broadcast, found.mac, found.chaddr) == (0xCAFE, True, "00:14:4f:00:00:01", MAC)
    assert found.file == b"pxe"
    assert found.has_cookie


def test_bootp_without_cookie_has_no_options() -> None:
    found = decode(raw(bytes(60), cookie=bytes(4)))
    assert (found.has_cookie, found.options, found.message_type) == (False, {}, None)
    assert found.client_id == b"\1" + MAC
    assert decode(encode(found)) == found


def test_client_id_is_option_61_for_dhcp_only() -> None:
    assert decode(raw(DISCOVER + b"\x3d\x03abc")).client_id == b"abc"
    assert decode(raw(b"\x3d\x03abc\xff")).client_id == b"\1" + MAC


@pytest.mark.parametrize("value", [b"", b"\0", b"x"])
def test_client_id_too_short_counts_as_absent(value: bytes) -> None:
    found = decode(raw(DISCOVER + bytes((61, len(value))) + value + b"\xff"))
    assert found.client_id == b"\1" + MAC
    assert 61 not in found.options


@pytest.mark.parametrize("size", [0, 1, 28, 239])
def test_short_packet(size: int) -> None:
    assert reason(raw()[:size]) == "short"


def test_long_packet() -> None:
    assert reason(raw(bytes(MAX_PACKET_BYTES))) == "long"


@pytest.mark.parametrize("op", [0, 2, 255])
def test_wrong_op(op: int) -> None:
    assert reason(raw(op=op)) == "op"


def test_a_reply_is_read_when_asked_for() -> None:
    assert decode(raw(op=2), BOOTREPLY).op == BOOTREPLY


@pytest.mark.parametrize(
    "options",
    [b"\x35", b"\x35\x01\x01\x0c", b"\x35\x01\x01\x0c\x05abc", b"\x35\x01\x01\x0c\xff" + bytes(254), b"\x01\x04\0\0\0"],
)
def test_option_past_the_end(options: bytes) -> None:
    assert reason(raw(options)) == "option-past-end"


def test_missing_end_mark_and_pads_are_accepted() -> None:
    assert decode(raw(b"\0\0" + DISCOVER + b"\0\x0c\x02hi")).options == {53: b"\1", 12: b"hi"}


def test_bytes_after_the_end_mark_are_not_read() -> None:
    assert decode(raw(DISCOVER + b"\xff\x0c\xff")).options == {53: b"\1"}


@pytest.mark.parametrize("value", [b"", b"\1\1", b"\0", b"\x0e", b"\xff"])
def test_bad_message_type(value: bytes) -> None:
    assert reason(raw(bytes((53, len(value))) + value + b"\xff")) == "bad-message-type"


@pytest.mark.parametrize("code", sorted(FIXED_SIZES.keys() - {52, 53}))
@pytest.mark.parametrize("change", [-1, 1])
def test_option_of_wrong_size(code: int, change: int) -> None:
    size = FIXED_SIZES[code] + change
    assert reason(raw(DISCOVER + bytes((code, size)) + bytes(size) + b"\xff")) == "length"


def test_repeats_join_but_the_first_of_a_fixed_size_stands() -> None:
    repeated = DISCOVER + b"\x0c\x02ab\x36\x04\1\1\1\1\x0c\x02cd\x36\x04\2\2\2\2\x35\x01\x03\xff"
    assert decode(raw(repeated)).options == {53: b"\1", 12: b"abcd", 54: b"\1\1\1\1"}


def test_long_option_is_split_and_joined() -> None:
    sent = packet({53: b"\1", 43: bytes(range(256)) * 3})
    assert area(encode(sent)) == [53, 43, 43, 43, 43]
    assert decode(encode(sent)) == sent


@pytest.mark.parametrize(
    ("hlen", "chaddr", "expected"),
    [
        (0, b"", "hlen"),
        (17, MAC, "hlen"),
        (255, MAC, "hlen"),
        (6, b"", "chaddr"),
        (16, b"", "chaddr"),
        (6, b"\xff" * 6, "chaddr"),
        (6, b"\1\0\x5e\0\0\1", "chaddr"),
    ],
)
def test_a_client_without_identity_is_refused(hlen: int, chaddr: bytes, expected: str) -> None:
    assert reason(raw(hlen=hlen, chaddr=chaddr)) == expected


def test_hardware_address_may_be_absent_where_the_protocol_says_so() -> None:
    infiniband = decode(raw(DISCOVER + b"\x3d\x03abc\xff", htype=32, hlen=0, chaddr=b""))
    assert (infiniband.client_id, infiniband.chaddr, infiniband.mac) == (b"abc", b"", "")
    assert decode(raw(b"\x35\x01\x0a\xff", htype=0, hlen=0, chaddr=b"")).message_type is MessageType.LEASEQUERY


def test_odd_hardware_is_kept_as_sent() -> None:
    found = decode(raw(htype=6, hlen=16, chaddr=bytes(range(16))))
    assert found.client_id == b"\6" + bytes(range(16))


@pytest.mark.parametrize(("secs", "waited_s"), [(0, 0), (3, 3), (0x0300, 3), (0x0301, 0x0301), (0xFFFF, 0xFFFF)])
def test_seconds_in_the_wrong_byte_order(secs: int, waited_s: int) -> None:
    found = decode(raw(secs=secs))
    assert (found.secs, found.waiting_s) == (secs, waited_s)


@pytest.mark.parametrize(("flags", "broadcast"), [(0, False), (0x7F80, False), (0x0080, False), (0x8001, True)])
def test_only_the_first_flag_means_anything(flags: int, broadcast: bool) -> None:
    found = decode(raw(flags=flags))
    assert (found.flags, found.broadcast) == (flags, broadcast)


def test_overloaded_areas_are_read_in_order() -> None:
    options = DISCOVER + b"\x34\x01\x03\x0c\x01a\xff"
    found = decode(raw(options, file=b"\x0c\x01b\xff", sname=b"\x0c\x01c\x0f\x01d\xff"))
    assert found.options == {53: b"\1", 12: b"abc", 15: b"d"}
    assert (found.file, found.sname) == (b"", b"")


@pytest.mark.parametrize(("areas", "file", "sname"), [(1, b"", b"s"), (2, b"f", b"")])
def test_an_area_not_overloaded_is_text(areas: int, file: bytes, sname: bytes) -> None:
    used = b"\x0f\x01d\xff"
    found = decode(raw(DISCOVER + bytes((52, 1, areas, 255)), file=file or used, sname=sname or used))
    assert (found.file, found.sname, found.options[15]) == (file, sname, b"d")


def test_nested_overload_is_not_obeyed() -> None:
    found = decode(raw(DISCOVER + b"\x34\x01\x01\xff", file=b"\x34\x01\x03\xff", sname=b"\x0c\x01x\xff"))
    assert (found.options, found.sname) == ({53: b"\1"}, b"\x0c\x01x\xff")


@pytest.mark.parametrize("value", [b"", b"\0", b"\4", b"\1\1"])
def test_bad_overload_value(value: bytes) -> None:
    assert reason(raw(DISCOVER + bytes((52, len(value))) + value + b"\xff")) == "overload"


def test_garbage_in_an_overloaded_area() -> None:
    assert reason(raw(DISCOVER + b"\x34\x01\x01\xff", file=b"A" * 128)) == "option-past-end"


@given(st.binary(max_size=600))
def test_any_bytes_are_a_packet_or_a_wire_error(data: bytes) -> None:
    for candidate in (data, raw(data), raw(b"\x34\x01\x03" + data[192:], file=data[:128], sname=data[128:192])):
        try:
            found = decode(candidate)
        except WireError:
            continue
        assert len(found.client_id) >= 2
        assert found.mac.count(":") == found.hlen - 1 or found.hlen == 0
        found.message_type, found.waiting_s, found.broadcast  # noqa: B018
        assert decode(encode(found)) == found
