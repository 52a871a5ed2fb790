from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records import BOOTP, FOREVER_S, MANUAL, PERMANENT, UNUSABLE, Binding, Guest, Install, TabEntry, ipv4_int
from storage.records.codec import BINDING, GUEST, INSTALL, TAB_ENTRY, LineError, codec_for, decode_text

LINE = b"192.168.76.10|010800208E2091|00|192.168.76.1|876425811|281474976710657|elvis|"
ROW = Binding(
    ipv4_int("192.168.76.10"),
    bytes.fromhex("010800208E2091"),
    0,
    ipv4_int("192.168.76.1"),
    876425811,
    2**48 + 1,
    "elvis",
    "",
)


def with_field(index, value):
    fields = LINE.split(b"|")
    fields[index] = value
    return b"|".join(fields)


def test_golden_containers_read_and_render_to_the_same_bytes(golden: Path) -> None:
    for name, codec in (("SUNWfiles1_192_168_76_0", BINDING), ("SUNWfiles1_dhcptab", TAB_ENTRY)):
        lines = (golden / name).read_bytes().splitlines()[4:]
        assert [codec.render(codec.parse(line)) for line in lines] == lines


def test_golden_rows_mean_what_sun_meant(golden: Path) -> None:
    lines = (golden / "SUNWfiles1_192_168_76_0").read_bytes().splitlines()
    second, fourth = BINDING.parse(lines[5]), BINDING.parse(lines[7])
    assert isinstance(second, Binding)
    assert isinstance(fourth, Binding)
    assert (second.flags, second.lease_s) == (PERMANENT | MANUAL, FOREVER_S)
    assert (second.macro, second.comment) == ("0108|x", "a|b comment")
    assert (fourth.flags, fourth.comment) == (UNUSABLE | BOOTP, "back\\slash")
    assert BINDING.parse(LINE) == ROW


@pytest.mark.parametrize(
    ("index", "written", "name", "value"),
    [
        (1, b"01080020aabbcc", "client_id", bytes.fromhex("01080020AABBCC")),
        (1, b"", "client_id", b""),
        (2, b"3", "flags", 3),
        (2, b"0x8", "flags", 0),
        (2, b" 03 ", "flags", 3),
        (2, b"+12x", "flags", 12),
        (3, b"10.1", "owner", ipv4_int("10.0.0.1")),
        (4, b"-1", "lease_s", FOREVER_S),
        (4, b"0x10", "lease_s", 0),
        (5, b"10416825938107957249", "signature", 10416825938107957249),
        (5, b"18446744073709551617", "signature", 1),
        (5, b"-1", "signature", 2**64 - 1),
        (6, rb"a\|b", "macro", "a|b"),
        (7, rb"a\|b", "comment", "a|b"),
        (7, b"a|b|c", "comment", "a|b|c"),
        (7, b"\xff\xfe", "comment", "\udcff\udcfe"),
        (7, "grüße".encode(), "comment", "grüße"),
        (7, b"from dos\r", "comment", "from dos\r"),
    ],
)
def test_as_tolerant_as_suns_reader(index, written, name, value):
    assert BINDING.parse(with_field(index, written)) == ROW._replace(**{name: value})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (with_field(1, b"123"), "hexadecimal"),
        (with_field(1, b"0G"), "hexadecimal"),
        (with_field(1, b"00" * 65), "65 bytes"),
        (with_field(0, b"192.168.076.10"), "address"),
        (with_field(0, b" 192.168.76.10"), "address"),
        (with_field(2, b""), "flags"),
        (with_field(3, b"nowhere"), "server"),
        (with_field(3, b"\xff"), "server"),
        (with_field(4, b"soon"), "lease"),
        (with_field(5, b"9" * 5000), "signature"),
        (with_field(6, b"swallowed\\"), "7 fields"),
        (with_field(7, b"\0"), "NUL"),
        (b"192.168.76.10|00|00", "3 fields"),
    ],
)
def test_what_sun_would_not_see_is_named(line, reason):
    with pytest.raises(LineError, match=reason):
        BINDING.parse(line)


def test_dhcptab_values_are_raw_and_types_go_by_their_first_letter():
    assert TAB_ENTRY.parse(rb"a\|b|macro|7|:x=a\|b|c:") == TabEntry("a|b", "m", 7, r":x=a\|b|c:")


def test_continued_lines_join_without_losing_a_byte():
    assert TAB_ENTRY.parse(b"a|m|7|:x=1:\\\ny=2:\\\nz=3:") == TabEntry("a", "m", 7, ":x=1:y=2:z=3:")


@pytest.mark.parametrize("line", [b"a|x|7|:", b"a||7|:", b"|m|7|:", b"a|m|x|:", b"a|m|7"])
def test_damaged_dhcptab_rows_are_named(line):
    with pytest.raises(LineError):
        TAB_ENTRY.parse(line)


def test_an_install_as_documented():
    row = Install("hv1", "failed", "live-xen", "t0", 1700000000, ipv4_int("10.0.0.2"), 5, "disk c0|c1 gone")
    line = rb"hv1|failed|live-xen|10.0.0.2|1700000000|5|t0|disk c0\|c1 gone"
    assert (INSTALL.render(row), INSTALL.parse(line)) == (line, row)


def test_a_guest_as_documented():
    row = Guest(
        "a:b", "defined", "m/o@1", "pv", "odd", 1024, 1, "hv1", "u-1", 1700000000, "me@odd", 5, "fe0 be0", "x|y"
    )
    line = rb"a:b|defined|m/o@1|pv|odd|1024|1|hv1|u-1|1700000000|me@odd|5|fe0 be0|x\|y"
    assert (GUEST.render(row), GUEST.parse(line)) == (line, row)


@pytest.mark.parametrize("table", ["", "dhcptab2", "10.0.0", "10.0.0.0.", "SUNWfiles1_dhcptab", "../10.0.0.0"])
def test_names_that_are_no_tables(table):
    with pytest.raises(ValueError, match="no table"):
        codec_for(table)


# any bytes without those that end a line or a string; not ending in a backslash
texts = st.binary(max_size=40).map(lambda data: data.translate(None, b"\n\r\0").rstrip(b"\\")).map(decode_text)
names = texts.filter(lambda text: text[:1] not in ("", "#"))
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)


@settings(max_examples=150)
@given(st.builds(Binding, u32, st.binary(max_size=64), st.integers(0, 15), u32, u32, u64, texts, texts))
def test_every_binding_round_trips(row):
    assert BINDING.parse(BINDING.render(row)) == row


@settings(max_examples=150)
@given(st.builds(TabEntry, names, st.sampled_from("ms"), u64, texts))
def test_every_dhcptab_entry_round_trips(row):
    assert TAB_ENTRY.parse(TAB_ENTRY.render(row)) == row


@settings(max_examples=150)
@given(st.builds(Install, names, texts, texts, texts, u64, u32, u64, texts))
def test_every_install_round_trips(row):
    assert INSTALL.parse(INSTALL.render(row)) == row


guests = st.builds(
    Guest,
    *(names, texts, texts, texts, texts, u32, u32, texts, texts, u64, texts, u64, texts, texts),
)


@settings(max_examples=150)
@given(guests)
def test_every_guest_round_trips(row):
    assert GUEST.parse(GUEST.render(row)) == row


@settings(max_examples=200)
@given(st.sampled_from([BINDING, TAB_ENTRY, INSTALL, GUEST]), st.binary(max_size=120))
def test_no_line_does_worse_than_a_line_error(codec, line):
    codec.claimed_key(line)
    try:
        row = codec.parse(line)
    except LineError:
        return
    assert codec.claimed_key(line) == row.key
