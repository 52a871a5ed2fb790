import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxe.content import TextContent
from pxe.tftp_netascii import MAX_NETASCII_BYTES, TooLarge, in_mode
from pxe.tftp_options import MAX_BLKSIZE, MAX_WINDOW_BYTES, MAX_WINDOWSIZE, Terms, negotiate
from pxe.tftp_wire import (
    MAX_OPTIONS,
    MAX_REQUEST_BYTES,
    MAX_TEXT_CHARS,
    Ack,
    Code,
    Error,
    Malformed,
    Mode,
    Oack,
    Opcode,
    Request,
    error_packet,
    oack_packet,
    parse,
)

RRQ = b"\0\1"


def request(data: bytes) -> Request:
    packet = parse(data)
    assert isinstance(packet, Request)
    return packet


def error(data: bytes) -> Error:
    packet = parse(data)
    assert isinstance(packet, Error)
    return packet


def test_a_plain_request():
    assert parse(b"\0\1grub/core.0\0octet\0") == Request(Opcode.RRQ, "grub/core.0", Mode.OCTET, ())


def test_a_write_request_is_understood_to_be_refused():
    assert request(b"\0\2x\0netascii\0").opcode is Opcode.WRQ


def test_options_keep_order_and_spelling():
    asked = request(b"\0\1x\0OCTET\0BlkSize\x001468\0tsize\x000\0")
    assert asked.mode is Mode.OCTET
    assert asked.options == (("BlkSize", "1468"), ("tsize", "0"))


@pytest.mark.parametrize("padding", [b"\0" * 40, b"\0", b"garbage", b"half\0option", b"\0\0garbage\0x\0"])
def test_padding_behind_the_request_is_ignored(padding):
    assert request(b"\0\1x\0octet\0blksize\x001024\0" + padding).options == (("blksize", "1024"),)


def test_a_request_without_options_may_be_padded_too():
    assert request(b"\0\1x\0octet\0" + b"\0" * 30).options == ()


def test_an_ack_may_be_padded():
    assert parse(b"\0\4\x01\x02" + b"\0" * 42) == Ack(0x102)


def test_error_and_oack():
    assert parse(b"\0\5\0\1gone\0") == Error(1, "gone")
    assert parse(b"\0\5\0\x63no end") == Error(99, "no end")
    assert error(b"\0\5\0\0a\x1b[31m\nb\0").text == "a?[31m?b"
    assert parse(b"\0\6blksize\x00512\0") == Oack((("blksize", "512"),))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", None),
        (b"\0", None),
        (b"\1", None),
        (b"\0\1", Code.ILLEGAL),
        (b"\0\2", Code.ILLEGAL),
        (b"\0\1name", Code.ILLEGAL),
        (b"\0\1name\0", Code.ILLEGAL),
        (b"\0\1name\0octet", Code.ILLEGAL),
        (b"\0\1name\0mail\0", Code.ILLEGAL),
        (b"\0\1name\0\0", Code.ILLEGAL),
        (b"\0\3\0\1data", None),
        (b"\0\4", None),
        (b"\0\4\0", None),
        (b"\0\5", None),
        (b"\0\5\0", None),
        (b"\0\0", Code.ILLEGAL),
        (b"\0\7", Code.ILLEGAL),
        (b"\xff\xff" * 700, Code.ILLEGAL),
        (b"\0\1" + b"x" * MAX_REQUEST_BYTES + b"\0octet\0", Code.ILLEGAL),
    ],
)
def test_what_is_no_packet_is_malformed_with_the_right_answer(data, code):
    with pytest.raises(Malformed) as caught:
        parse(data)
    assert caught.value.code is code
    assert str(caught.value).isprintable()


@given(st.one_of(st.binary(max_size=2000), st.binary(max_size=600).map(lambda tail: b"\0\1" + tail)))
def test_any_bytes_give_a_packet_or_malformed(data):
    try:
        packet = parse(data)
    except Malformed:
        return
    if isinstance(packet, Request):
        assert len(packet.options) <= MAX_OPTIONS
        negotiate(packet.options, 1000)


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(names, st.lists(st.tuples(words, words), max_size=MAX_OPTIONS))
def test_a_well_formed_request_is_read_back(name, options):
    tail = "".join(f"{key}\0{value}\0" for key, value in options).encode()
    assert parse(b"\0\1" + name.encode() + b"\0octet\0" + tail) == Request(Opcode.RRQ, name, Mode.OCTET, tuple(options))


@given(st.lists(st.tuples(words, words), max_size=MAX_OPTIONS))
def test_an_oack_is_read_back(options):
    assert parse(oack_packet(options)) == Oack(tuple(options))


@given(st.sampled_from(Code), st.text())
def test_an_error_is_one_short_datagram(code, text):
    packet = error_packet(code, text)
    assert len(packet) <= MAX_TEXT_CHARS + 5
    assert packet.endswith(b"\0")
    assert error(packet).code == code


@pytest.mark.parametrize(
    ("asked", "terms"),
    [
        ((), Terms()),
        ((("blksize", "1468"),), Terms(1468, 1, 1, (("blksize", "1468"),))),
        ((("BLKSIZE", "1468"),), Terms(1468, 1, 1, (("BLKSIZE", "1468"),))),
        ((("blksize", "abc"),), Terms()),
        ((("blksize", "-8"),), Terms()),
        ((("blksize", ""),), Terms()),
        ((("blksize", "7"),), Terms()),
        ((("blksize", "٨٨"),), Terms()),
        ((("blksize", "8"),), Terms(8, 1, 1, (("blksize", "8"),))),
        ((("blksize", "65535"),), Terms(MAX_BLKSIZE, 1, 1, (("blksize", str(MAX_BLKSIZE)),))),
        ((("blksize", "9" * 500),), Terms()),
        ((("blksize", "600"), ("blksize", "700")), Terms(600, 1, 1, (("blksize", "600"),))),
        ((("tsize", "0"),), Terms(accepted=(("tsize", "70000"),))),
        ((("timeout", "0"),), Terms()),
        ((("timeout", "256"),), Terms()),
        ((("timeout", "255"),), Terms(timeout_s=255, accepted=(("timeout", "255"),))),
        ((("windowsize", "0"),), Terms()),
        ((("windowsize", "16"),), Terms(windowsize=16, accepted=(("windowsize", "16"),))),
        ((("rollover", "1"), ("multicast", "")), Terms()),
    ],
)
def test_negotiation(asked, terms):
    assert negotiate(asked, 70000) == terms


def test_a_window_is_bounded_in_blocks_and_in_bytes():
    assert negotiate((("windowsize", "65535"), ("blksize", "8")), 1).windowsize == MAX_WINDOWSIZE
    terms = negotiate((("windowsize", "65535"), ("blksize", "65464")), 1)
    assert terms.windowsize * terms.blksize <= MAX_WINDOW_BYTES
    assert dict(terms.accepted)["windowsize"] == str(terms.windowsize)


def test_netascii_converts_ends_of_lines():
    content, size = in_mode(TextContent(b"a\nb\rc\r\n", "x"), Mode.NETASCII)
    assert isinstance(content, TextContent)
    assert content.data == b"a\r\nb\r\0c\r\0\r\n"
    assert size == len(content.data)


def test_netascii_of_a_large_file_names_the_way_out():
    with pytest.raises(TooLarge, match="octet"):
        in_mode(TextContent(bytes(MAX_NETASCII_BYTES + 1), "x"), Mode.NETASCII)
