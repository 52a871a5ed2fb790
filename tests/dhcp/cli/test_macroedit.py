"""Edits of one symbol keep the meaning of all others, whatever the macro says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp.cli.macroedit import check_definition, edit_macro
from dhcp.macrotext import check_macro, format_macro
from dhcp.symbols import BUILT_IN, SymbolError

TEXTS = st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f"), min_size=1, max_size=20)
VALUES = {
    "BootFile": TEXTS.map(str.strip).filter(bool),
    "DNSdmain": TEXTS.map(str.strip).filter(bool),
    "Router": st.ip_addresses(v=4).map(str),
    "LeaseTim": st.integers(0, 2**32 - 1).map(str),
    "LeaseNeg": st.none(),
}
MACROS = st.fixed_dictionaries({}, optional=VALUES)


@settings(max_examples=150)
@given(MACROS, TEXTS.map(str.strip).filter(bool))
def test_an_edit_changes_what_it_names_and_nothing_else(values: dict[str, str | None], text: str) -> None:
    before = format_macro(values.items())
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    try:
        after = edit_macro(before, f"BootFile={quoted}", BUILT_IN)
    except SymbolError:  # too long in octets, or a control character
        return
    wanted = check_macro(format_macro({**values, "BootFile": text}.items()))
    assert check_macro(after) == wanted
    removed = {name: value for name, value in values.items() if name != "BootFile"}
    assert check_macro(edit_macro(after, "BootFile=", BUILT_IN)) == check_macro(format_macro(removed.items()))


@settings(max_examples=150)
@given(st.text(max_size=60), st.text(max_size=30))
def test_no_text_makes_an_edit_fail_in_any_other_way(macro: str, edit: str) -> None:
    for call in (lambda: edit_macro(macro, edit, BUILT_IN), lambda: check_definition(macro, BUILT_IN)):
        try:
            call()
        except SymbolError as error:
            assert str(error)  # noqa: PT017 - either outcome is fine, an error must have words


@pytest.mark.parametrize(
    ("macro", "edit", "words"),
    [
        ("no colons", "LeaseTim=1", "with colons at both ends"),
        (':BootFile="a:', "LeaseTim=1", "quote is not closed"),
        (":LeaseNeg:", "BootFile=_NULL_VALUE_", "BootFile has no value"),
        (":LeaseNeg:", "BootFile= ", "BootFile is empty"),
        (":LeaseNeg:", "Xid=1", "set by the server itself"),
    ],
)
def test_edits_without_sense_are_refused(macro: str, edit: str, words: str) -> None:
    with pytest.raises(SymbolError, match=words):
        edit_macro(macro, edit, BUILT_IN)
