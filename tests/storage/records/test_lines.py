from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records.lines import BLOCK_LINES, Lines


def filled(count):
    lines = Lines()
    for number in range(count):
        lines.put(number, b"%d" % number)
    return lines


def test_a_copy_leaves_its_original_alone():
    original = filled(BLOCK_LINES + 5)
    before = original.data()
    twin = original.copy()
    assert twin.remove(3) == b"3"
    twin.put(3, b"three")
    twin.put(4, b"four")
    stray = twin.put_stray(b"# note")
    assert original.data() == before
    expected = before.replace(b"\n3\n4\n", b"\nfour\n", 1) + b"three\n# note\n"
    assert (twin.data(), stray < 0, len(twin)) == (expected, True, BLOCK_LINES + 6)


def test_blocks_stay_few_however_often_rows_move_to_the_end():
    lines = filled(1000)
    for turn in range(50_000):
        if turn % 100 == 0:
            lines = lines.copy()
        lines.put(turn % 1000, lines.remove(turn % 1000))
    assert len(lines.pieces()) <= 2 * 1000 // BLOCK_LINES + 9
    assert [key for key, _ in lines.items()] == list(range(1000))


def test_stray_keys_never_come_twice():
    lines = Lines()
    first = lines.put_stray(b"a")
    lines = lines.copy()
    lines.remove(first)
    assert lines.copy().put_stray(b"b") != first


@settings(max_examples=150)
@given(st.lists(st.sampled_from([b"", b"a", b"ab", b"b"]), max_size=8), st.binary(max_size=8))
def test_what_matches_is_a_beginning_of_the_data(parts, data):
    lines = Lines()
    for part in parts:
        lines.put_stray(part)
    data = data.translate(bytes(b"ab\n"[code % 3] for code in range(256)))
    kept, matched, dropped = lines.matched(data)
    assert kept.data() == data[:matched]
    assert len(kept) + len(dropped) == len(parts)
