import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records import Change, Outcome, RecordsError, ipv4_int
from storage.records import lines as lines_module
from storage.records.codec import BINDING
from storage.records.container import container_name, empty_container
from storage.records.image import apply, read_image

NET = "192.168.76.0"
GOOD = b"192.168.76.10|00|00|192.168.76.1|0|7|pxe1|"
OTHER = b"192.168.76.11|00|00|192.168.76.1|0|7|pxe1|"
ODD_HEX = b"192.168.76.12|001|00|192.168.76.1|0|7|pxe1|"


def image_of(data, table=NET, previous=None):
    return reread(data, table, previous)[0]


def reread(data, table=NET, previous=None):
    return read_image(table, "here", b"# " + container_name(table).encode(), data, previous)


def container(*lines, table=NET):
    return empty_container(table) + b"".join(line + b"\n" for line in lines)


def changed(image, *changes):
    results, *_ = apply(image, [Change(image.table, *change) for change in changes], lambda: 1)
    return image, [result.outcome for result in results]


def test_a_batch_tells_what_it_put_and_what_it_removed():
    image = image_of(container(GOOD, OTHER))
    good, other = image.rows.values()
    moved, again = good._replace(address=good.address + 100), other._replace(lease_s=7)
    wishes = [(good, moved), (other, None), (None, again)]
    results, put, removed = apply(image, [Change(NET, *wish) for wish in wishes], lambda: 1)
    assert put == {moved.address: results[0].row, again.address: results[2].row}
    assert removed == {good.address}


def test_damaged_rows_stay_in_place_and_are_named_with_their_line():
    data = container(b"# a note", ODD_HEX, GOOD, b"", b"half a row", OTHER)
    image = image_of(data)
    assert [BINDING.render(row) for row in image.rows.values()] == [GOOD, OTHER]
    assert [(fault.line, fault.text) for fault in image.faults()] == [(6, ODD_HEX.decode()), (9, "half a row")]
    good = image.rows[ipv4_int("192.168.76.10")]
    after, outcomes = changed(image, (good, good._replace(lease_s=5)))
    assert outcomes == [Outcome.STORED]
    moved = b"192.168.76.10|00|00|192.168.76.1|5|8|pxe1|"
    assert after.data() == container(b"# a note", ODD_HEX, b"", b"half a row", OTHER, moved)
    assert [fault.line for fault in after.faults()] == [6, 8]


def test_an_unfinished_last_line_keeps_its_last_byte():
    image = image_of(container(GOOD) + b"192.168.76.11|00|00|192.168.76.1|0|7|pxe1|end")
    assert image.rows[ipv4_int("192.168.76.11")].comment == "end"
    assert image.data().endswith(b"|end\n")


def test_of_two_rows_with_one_key_the_first_serves_and_stays_first():
    second = GOOD.replace(b"pxe1", b"pxe2")
    image = image_of(container(GOOD, second, OTHER))
    (fault,) = image.faults()
    assert (fault.line, fault.text) == (6, second.decode())
    row = image.rows[ipv4_int("192.168.76.10")]
    assert row.macro == "pxe1"
    after, outcomes = changed(image, (row, row._replace(lease_s=5)), (row._replace(signature=0), None))
    assert outcomes == [Outcome.STORED, Outcome.INVALID]
    assert image_of(after.data()).rows == after.rows
    assert after.data() == container(b"192.168.76.10|00|00|192.168.76.1|5|8|pxe1|", second, OTHER)


def test_an_address_with_a_damaged_row_is_not_given_out_again():
    image = image_of(container(ODD_HEX))
    _, outcomes = changed(image, (None, BINDING.parse(ODD_HEX.replace(b"001", b"00"))))
    assert outcomes == [Outcome.EXISTS]


def test_a_continued_dhcptab_row_is_kept_until_it_changes():
    data = container(b"a|m|7|:x=1:\\", b"y=2:", b"b|m|7|:z:", table="dhcptab")
    image = image_of(data, "dhcptab")
    assert image.rows[("a", "m")].value == ":x=1:y=2:"
    b = image.rows[("b", "m")]
    after, _ = changed(image, (b, b._replace(value=":w:")))
    assert after.data() == container(b"a|m|7|:x=1:\\", b"y=2:", b"b|m|8|:w:", table="dhcptab")
    a = image.rows[("a", "m")]
    after, _ = changed(after, (a, a._replace(value=a.value)))
    assert after.data() == container(b"b|m|8|:w:", b"a|m|8|:x=1:y=2:", table="dhcptab")


@pytest.mark.parametrize("ending", [b"a|m|7|:x:\\", b"a|m|7|:x:\\\n", b"# note\\"])
def test_a_row_is_never_appended_to_an_unfinished_continuation(ending):
    image = image_of(empty_container("dhcptab") + ending, "dhcptab")
    new = image_of(container(b"n|m|1|:n:", table="dhcptab"), "dhcptab").rows[("n", "m")]
    after, _ = changed(image, (None, new))
    assert image_of(after.data(), "dhcptab").rows == after.rows


def test_a_comment_that_swallows_the_next_line_is_named():
    (fault,) = image_of(container(b"# path C:\\", b"a|m|7|:x:", table="dhcptab"), "dhcptab").faults()
    assert (fault.line, "backslash" in fault.reason) == (5, True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"# SUNWfiles1_192_168_76_0",
        b"# SUNWfiles1_192_168_76_0\r\n",
        b"#SUNWfiles1_192_168_76_0\n",
        b"# SUNWfiles2_192_168_76_0\n",
        b"# SUNWfiles1_192_168_77_0\n",
        b"\xff" * 5000,
    ],
)
def test_a_wrong_first_line_is_refused_by_name(data):
    with pytest.raises(RecordsError, match=r"here: .*# SUNWfiles1_192_168_76_0") as caught:
        image_of(data)
    assert caught.value.outcome is Outcome.INVALID
    assert len(str(caught.value)) < 500


def test_only_lines_that_changed_are_parsed_again():
    before = image_of(container(GOOD, OTHER))
    after, changes = reread(container(OTHER.replace(b"pxe1", b"pxe2"), GOOD), previous=before)
    kept, other = ipv4_int("192.168.76.10"), ipv4_int("192.168.76.11")
    assert after.rows[kept] is before.rows[kept]
    assert changes == {other}
    assert reread(container(GOOD), previous=after)[1] == {other}


pieces = st.sampled_from([GOOD, OTHER, ODD_HEX, b"# c", b"", b"\\", b"|", b"a|m|7|v\\", b"a|m|7|v", b"\r", b"\0"])
bodies = st.one_of(st.binary(max_size=200), st.lists(pieces, max_size=12).map(b"\n".join))


@settings(max_examples=200)
@given(st.sampled_from([NET, "dhcptab", "installs", "guests"]), bodies)
def test_any_bytes_are_kept_and_read_the_same_again(table, body):
    data = empty_container(table) + body
    image = image_of(data, table)
    kept = image.data()
    assert kept.startswith(data)
    assert kept[len(data) :] in (b"", b"\n", b"\n\n")
    again = image_of(kept, table, image)
    assert (again.rows, again.data()) == (image.rows, kept)
    assert image_of(kept, table).faults() == again.faults()


numbers = st.lists(st.integers(1, 9), max_size=9)


@settings(max_examples=200)
@given(numbers, numbers, st.sampled_from([b"", b"# c\n", b"\n", b"bad\n", b"unfinished"]), st.integers(1, 4))
def test_rereading_finds_what_reading_afresh_finds(before, after, tail, block_lines):
    def data(order):
        lines = [b"192.168.76.%d|00|00|192.168.76.1|%d|7|m|" % (number // 2, number) for number in order]
        return container(*lines) + tail

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK_LINES", block_lines)
        old = image_of(data(before))
        fresh = image_of(data(after))
        again, changes = reread(data(after), previous=old)
    assert again.rows == fresh.rows
    assert again.data() == fresh.data()
    assert again.faults() == fresh.faults()
    assert changes == {key for key in old.rows.keys() | fresh.rows.keys() if old.rows.get(key) != fresh.rows.get(key)}
