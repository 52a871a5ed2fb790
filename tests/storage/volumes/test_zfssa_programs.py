"""Programs for the appliance and its answers: no value ends one early or is read as another."""

import contextlib
import string
from collections.abc import Callable

import quickjs
from hypothesis import given
from hypothesis import strategies as st

from storage.volumes import Access, Chap, VolumesError, zfssa_answer, zfssa_javascript, zfssa_script
from tests.volume_plan import APPL, SIZE
from tests.zfssa.state import POOL

TEXTS = st.text(max_size=30)
NAMES = st.from_regex(r"[A-Za-z0-9_.:/-]{1,40}", fullmatch=True)


def engine(printed: list[str]) -> quickjs.Context:
    made = quickjs.Context()
    made.add_callable("printf", lambda form, text: printed.append(form % text))
    made.eval(zfssa_javascript.HELPERS)
    return made


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=4))
def test_any_value_comes_back_as_it_is_and_no_value_makes_a_line(values):
    printed: list[str] = []
    context = engine(printed)
    for number, value in enumerate(values):
        context.set(f"v{number}", value)
    fields = "".join(f", v{number}" for number in range(len(values)))
    context.eval(f"line('LUN'{fields}); line('END')")
    answer = zfssa_answer.read("banner\r\n" + "".join(printed))
    assert answer == zfssa_answer.Answer((("LUN", *values),), None)


@given(TEXTS | NAMES)
def test_a_word_is_itself_or_refused(text):
    try:
        literal = zfssa_script.word(text)
    except VolumesError:
        assert not text or not set(text) <= set(f"{string.ascii_letters}{string.digits}_.:/-")
    else:
        assert quickjs.Context().eval(literal) == text


@given(NAMES | TEXTS, NAMES | TEXTS, st.lists(NAMES | TEXTS, min_size=1, max_size=3))
def test_no_program_ends_before_its_end(one, other, more):
    makers: list[Callable[[], zfssa_script.Program]] = [
        lambda: zfssa_script.make_lun(POOL, APPL, one, SIZE),
        lambda: zfssa_script.make_target(POOL, one, other, checks=True, interfaces=more),
        lambda: zfssa_script.make_group(POOL, "target", one, more),
        lambda: zfssa_script.make_initiator(POOL, one, Access((one,), Chap(other, more[0])), there=False),
        lambda: zfssa_script.show(POOL, APPL, one, (other, more[0])),
    ]
    for make in makers:
        with contextlib.suppress(VolumesError):
            lines = make().text.split("\n")
            assert (lines[0], lines.count("."), lines[-2:]) == ("script", 1, [".", ""])
            quickjs.Context().eval("(function () {" + "\n".join(lines[1:-2]) + "})")


ROWS = st.lists(
    st.sampled_from(["LUN", "SNAPSHOT", "PROJECT", "TARGET", "target", "ERROR", "a", "b@c", "p/a/b@c", "7"])
)


@given(st.lists(ROWS | st.lists(TEXTS), max_size=6), st.booleans())
def test_any_answer_is_read(rows, whole):
    printed = "".join("\t".join(["twinboot", *row]) + "\n" for row in rows) + ("twinboot\tEND\n" if whole else "")
    answer = zfssa_answer.read(printed)
    assert answer is not None or not whole
    if answer:
        facts = zfssa_answer.facts_of(answer, POOL)
        assert all(lun.size_bytes >= 0 for lun in facts.luns.values())
        if answer.problem:
            assert "\n" not in str(zfssa_answer.refused("head", answer.problem))


@given(TEXTS)
def test_any_text_is_an_answer_or_none_and_any_origin_is_read(text):
    zfssa_answer.read(text)
    found = zfssa_answer.origin_of(text)
    assert found is None or set(found) == {"project", "share", "snapshot"}
