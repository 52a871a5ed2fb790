import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records import Binding, Guest, Install, TabEntry
from storage.records.codec import decode_text
from storage.records.postgresql_rows import KINDS, escape, unescape

ANY_TEXT = st.text(st.characters(codec=None)) | st.binary().map(decode_text) | st.text("\\xud80f\0\udcff", max_size=12)


@settings(max_examples=200)
@given(ANY_TEXT)
def test_any_text_comes_back_and_what_is_kept_is_valid(text):
    kept = escape(text)
    assert unescape(kept) == text
    assert "\0" not in kept
    kept.encode()


@pytest.mark.parametrize(
    ("text", "kept"),
    [("plain, gr\u00fc\u00dfe", "plain, gr\u00fc\u00dfe"), ("a\\b", "a\\\\b"), ("caf\udce9", "caf\\xe9")],
)
def test_texts_stay_readable(text, kept):
    assert escape(text) == kept


@pytest.mark.parametrize("text", ["one\\two", "end\\", "\\x4", "\\xzz", "\\x41"])
def test_a_backslash_typed_alone_stands_for_itself(text):
    assert unescape(text) == text


@pytest.mark.parametrize(
    ("kind", "key"), [(Binding, 7), (TabEntry, ("a\\m|", "s")), (Install, "h\udcff"), (Guest, "a:b\udcff")]
)
def test_keys_survive_their_text_form(kind, key):
    assert KINDS[kind].load_key(KINDS[kind].dump_key(key)) == key
