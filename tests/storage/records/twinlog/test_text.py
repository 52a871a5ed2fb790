"""The files of a twinlog: what is written is read, what is torn is told, and no bytes do harm."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records import Binding, TabEntry
from storage.records.codec import codec_for
from storage.records.twinlog_text import (
    ADDED,
    CREATED,
    DamagedError,
    ForeignError,
    Head,
    decode_batch,
    decode_snapshot,
    encode_batch,
    encode_snapshot,
    section_line,
)

HEAD = Head("odd.5f3a9c2e.17", 1_795_377_600.125)
NET = "192.168.76.0"

texts = st.text(st.characters(blacklist_characters="\n\r\0", blacklist_categories=["Cs"]), max_size=40).filter(
    lambda text: not text.endswith("\\")
)
bindings = st.builds(
    Binding,
    address=st.integers(0, 2**32 - 1),
    client_id=st.binary(min_size=1, max_size=64),
    flags=st.integers(0, 15),
    owner=st.integers(0, 2**32 - 1),
    lease_s=st.integers(0, 2**32 - 1),
    signature=st.integers(0, 2**64 - 1),
    macro=texts,
    comment=texts,
)
entries = st.builds(
    TabEntry,
    name=texts.filter(lambda text: text and text[0] != "#"),
    kind=st.sampled_from("ms"),
    signature=st.integers(0, 2**64 - 1),
    value=texts,
)


def sealed(text):
    return b"%send %08x\n" % (text, zlib.crc32(text))


@settings(max_examples=60, deadline=None)
@given(st.lists(bindings), st.lists(entries))
def test_a_batch_reads_back(network, tab):
    body = b""
    for table, rows in ((NET, network), ("dhcptab", tab)):
        body += section_line(table) + b"".join(b"+ %s\n" % codec_for(table).render(row) for row in rows)
    batch = decode_batch(encode_batch(HEAD, body))
    assert batch.head == HEAD
    assert [table for table, _ in batch.tables] == [NET, "dhcptab"]
    assert [[entry.row for entry in found] for _, found in batch.tables] == [network, tab]
    assert all(entry.sign == ADDED for _, found in batch.tables for entry in found)


@settings(max_examples=60, deadline=None)
@given(st.lists(bindings, unique_by=lambda row: row.key), st.lists(entries, unique_by=lambda row: row.key))
def test_a_snapshot_reads_back(network, tab):
    tables = {NET: network, "dhcptab": tab}
    lines = [(table, [codec_for(table).render(row) for row in rows]) for table, rows in tables.items()]
    snapshot = decode_snapshot(b"".join(encode_snapshot(HEAD, lines)))
    assert {table: list(section.rows.values()) for table, section in snapshot.tables.items()} == tables
    assert [(table, list(section.lines.values())) for table, section in snapshot.tables.items()] == lines


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data):
    for decode in (decode_batch, decode_snapshot):
        with pytest.raises(DamagedError):
            decode(data)
        with pytest.raises((ForeignError, DamagedError)):
            decode(sealed(data))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["batch", "snapshot"]), st.lists(st.one_of(st.binary(max_size=30), st.just(b"[dhcptab]"))))
def test_no_lines_do_harm(kind, lines):
    data = sealed(b"twinlog 1 %s a.b.1 2026-11-22T20:00:00Z\n" % kind.encode() + b"\n".join([*lines, b""]))
    for decode in (decode_batch, decode_snapshot):
        with suppress(ForeignError):
            assert decode(data).head.server == "a"


@given(st.integers(0, 300), st.sampled_from([b"", b"\0", b"\0" * 40]))
@settings(max_examples=100, deadline=None)
def test_a_torn_file_is_damaged(cut, tail):
    whole = encode_batch(HEAD, section_line("dhcptab") + b"+ m|m|1|:x=1:\n")
    torn = whole[: min(cut, len(whole) - 1)] + tail
    with pytest.raises(DamagedError):
        decode_batch(torn)


@pytest.mark.parametrize("at", [3, 40, 80])
def test_one_flipped_bit_is_damage(at):
    whole = bytearray(encode_batch(HEAD, section_line("dhcptab") + b"+ m|m|1|:x=1:\n+ n|m|1|:y=2:\n"))
    whole[at] ^= 1
    with pytest.raises(DamagedError, match="check sum"):
        decode_batch(bytes(whole))


@pytest.mark.parametrize(
    "text",
    [
        b"twinlog 2 batch a.b.1 2026-11-22T20:00:00Z\n",
        b"twinlog 1 snapshot a.b.1 2026-11-22T20:00:00Z\n",
        b"twinlog 1 batch a.b.1 2026-11-22T20:00:00Z\n+ m|m|1|x\n",
        b"twinlog 1 batch a.b.1 2026-11-22T20:00:00Z\n[futures]\n+ a|b\n",
        b"twinlog 1 batch a.b.1 2026-11-22T20:00:00Z\n[dhcptab]\nrenamed x\n",
    ],
)
def test_what_a_newer_version_wrote_is_refused_not_skipped(text):
    with pytest.raises(ForeignError, match="update this server"):
        decode_batch(sealed(text))


def test_a_line_that_is_no_row_is_kept_and_named():
    data = b"".join(encode_snapshot(HEAD, [("dhcptab", [b"m|m|1|:x:", b"broken|m", b"m|m|2|:again:"])]))
    section = decode_snapshot(data).tables["dhcptab"]
    assert list(section.rows) == [("m", "m")]
    assert list(section.strays) == [b"broken|m", b"m|m|2|:again:"]
    batch = decode_batch(encode_batch(HEAD, b"[10.0.0.0]\ncreated\n7 broken\n"))
    (_, (made, broken)), *_ = batch.tables
    assert made.sign == CREATED
    assert broken.row is None
    assert broken.fault


def test_a_row_that_looks_like_a_section_is_a_row():
    row = TabEntry("[dhcptab]", "m", 1, "]")
    line = codec_for("dhcptab").render(row)
    snapshot = decode_snapshot(b"".join(encode_snapshot(HEAD, [("dhcptab", [line])])))
    assert list(snapshot.tables["dhcptab"].rows.values()) == [row]


def test_a_snapshot_is_written_in_pieces():
    lines = [b"m%d|m|1|x" % number for number in range(5000)]
    pieces = list(encode_snapshot(HEAD, [("dhcptab", lines)]))
    assert len(pieces) > 5
    assert list(decode_snapshot(b"".join(pieces)).tables["dhcptab"].lines.values()) == lines
