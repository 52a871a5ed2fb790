"""Names from strangers: what is left of them, and what option 81 is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp import names
from dhcp import options as o
from dhcp.names import clean, fqdn_name, fqdn_reply, is_label, is_name, sent_by
from dhcp.options import MessageType
from tests.dhcp.conftest import make_packet

LONG = "a" * 63


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("web1", "web1"),
        ("Web1.Example.org.", "Web1.Example.org"),
        ("my_host", "myhost"),
        ("-web-", "web"),
        ("w\0b\n", "wb"),
        ("", ""),
        (".", ""),
        ("...", ""),
        ("web..org", ""),
        ("web.---.org", ""),
        ("\u00e9\u00e9", ""),
        (LONG, LONG),
        (LONG + "a", ""),
        (".".join([LONG] * 4), ""),
    ],
)
def test_of_a_name_only_what_a_host_may_be_called_is_left(text: str, left: str) -> None:
    assert clean(text) == left


@given(st.text(max_size=400))
def test_what_is_left_is_a_name_or_nothing(text: str) -> None:
    left = clean(text)
    assert left == "" or is_name(left)
    assert clean(left) == left


@given(st.binary(max_size=300), st.sampled_from([b"", b"web1"]), st.sampled_from([b"", b"example.org", b"\xff."]))
def test_any_option_81_is_answered_sanely_or_not_at_all(asked: bytes, host: bytes, domain: bytes) -> None:
    answer = fqdn_reply(asked, host, domain)
    if answer is None:
        assert not fqdn_name(asked)
        return
    flags = answer[0]
    assert flags & names.N
    assert not flags & names.S
    assert bool(flags & names.O) == bool(asked and asked[0] & names.S)
    assert bool(flags & names.E) == bool(asked and asked[0] & names.E)
    assert is_name(fqdn_name(answer))


@pytest.mark.parametrize(
    "name",
    [
        b"\x40" + b"a" * 64,
        b"\xc0\x0c",
        b"\x05web",
        b"\x04a.bc\0",
        b"\0",
        b"",
    ],
    ids=["label of 64", "compressed", "past the end", "dot in a label", "root", "empty"],
)
def test_a_malformed_name_in_dns_form_is_none(name: bytes) -> None:
    assert fqdn_name(b"\x04\0\0" + name) == ""


def test_a_partial_name_needs_no_end_and_ascii_may_end_in_nul() -> None:
    assert fqdn_name(b"\x04\0\0\x04web1") == "web1"
    assert fqdn_name(b"\x00\0\0web1\0") == "web1"


def test_option_81_goes_before_option_12_if_it_says_anything() -> None:
    packet = make_packet(MessageType.REQUEST, "02:00:00:00:00:01", options={o.HOST_NAME: b"one\0", 81: b"\0\0\0two"})
    assert sent_by(packet) == "two"
    packet.options[o.CLIENT_FQDN] = b"\0"
    assert sent_by(packet) == "one"


def test_a_label_is_one_label() -> None:
    assert [is_label(text) for text in ("web1", "w", "web-1", "-web", "web-", "a.b", "", "web 1", "w\n")] == [
        True,
        True,
        True,
        *[False] * 6,
    ]
