from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstart.language.encode import (
    EncodeError,
    answer,
    encode_profile,
    encode_rules,
    encode_sysidcfg,
    line,
    rule,
    when,
)
from jumpstart.language.faults import Faults
from jumpstart.language.judge_profile import judge_profile
from jumpstart.language.judge_rules import Custom, judge_rules
from jumpstart.language.judge_sysidcfg import judge_sysidcfg
from jumpstart.language.okfile import rules_ok, stripped
from jumpstart.language.profile import Entry, parse_profile
from jumpstart.language.rules import Probe, Rule, parse_rules
from jumpstart.language.sysidcfg import Answer, parse_sysidcfg
from jumpstart.language.words import Word

ONE_LINE = r"\A[a-z]+ cannot be written: [^\n]+\Z"
HERE = Path(__file__).parent / "vectors"
HARMFUL = (
    "a b",
    "a,b",
    "a'b",
    'a"b',
    "a\nb",
    "a$(reboot)",
    "a`id`",
    "a#b",
    "a\\",
    "",
    "&&",
    "!",
    "a;b",
    "a}b",
    "{",
    "a=b",
)
CHARS = st.characters(codec="utf-8") | st.sampled_from(list("!&='\"{},# \t\n\r\\-$`"))
TEXT = st.text(CHARS, max_size=200)
WORD = st.text(st.sampled_from(list("abcz019-._,'\"!&=# \n${}\\")), max_size=6)
TESTS = st.builds(
    when, st.sampled_from(["hostname", "model", "network", "any", "memsize"]), WORD, negated=st.booleans()
)
RULES = st.lists(
    st.builds(rule, st.lists(TESTS, min_size=1, max_size=3), WORD, WORD, WORD)
    | st.builds(lambda text: Probe(Word(text)), WORD),
    max_size=3,
)
LINES = st.lists(st.builds(line, st.sampled_from(["cluster", "package", "locale"]), WORD, WORD), max_size=3)
DETAILS = st.builds(answer, st.sampled_from(["hostname", "default_route", "dhcp"]), WORD)
ANSWERS = st.lists(
    st.builds(answer, st.sampled_from(["timezone", "nfs4_domain"]), WORD)
    | st.builds(answer, st.just("network_interface"), st.just("PRIMARY"), block=st.lists(DETAILS, max_size=3)),
    max_size=3,
)


def seeds(kind: str) -> list[str]:
    text = (HERE / f"{kind}-good.txt").read_text() + (HERE / f"{kind}-bad.txt").read_text()
    return [case.partition("\n")[2] for case in text.split("\n== ")[1:]]


def test_what_a_target_writes() -> None:
    made = encode_rules(
        [Probe(Word("memsize")), rule([when("hostname", "hv1"), when("model", "Sun Fire")], "p", "b", "f")]
    )
    assert made == "probe memsize\nhostname hv1 && model 'Sun Fire' b p f\n"
    made = encode_profile([line("install_type", "initial_install"), line("cluster", "SUNWCXall")])
    assert made == "install_type initial_install\ncluster SUNWCXall\n"
    link = [answer("hostname", "hv1"), answer("ip_address", "10.0.0.1")]
    made = encode_sysidcfg([answer("timezone", "UTC"), answer("network_interface", "PRIMARY", block=link)])
    assert made == "timezone=UTC\nnetwork_interface=PRIMARY {hostname=hv1\n  ip_address=10.0.0.1}\n"


@pytest.mark.parametrize("value", HARMFUL)
def test_no_value_becomes_another_word_line_or_command(value: str) -> None:
    with pytest.raises(EncodeError, match=ONE_LINE):
        encode_rules([rule([when("hostname", value)], "p")])
    with pytest.raises(EncodeError, match=ONE_LINE):
        encode_rules([rule([when("any", "-")], value)] if value != "a,b" else [rule([when("hostname", value)], "p")])
    with pytest.raises(EncodeError, match=ONE_LINE):
        encode_profile([line("install_type", "initial_install"), line("root_device", value)])
    with pytest.raises(EncodeError, match=ONE_LINE):
        encode_sysidcfg([answer("timezone", value)])
    with pytest.raises(EncodeError, match=ONE_LINE):
        encode_sysidcfg([answer("network_interface", "PRIMARY", block=[answer("hostname", value)])])


@settings(max_examples=150, deadline=None)
@given(RULES)
def test_rules_read_back_as_meant_or_are_refused(entries: list[Rule | Probe]) -> None:
    try:
        text = encode_rules(entries)
    except EncodeError:
        return
    faults = Faults("rules")
    assert parse_rules(text, faults) == tuple(entries)
    assert parse_rules(stripped(text.encode()).decode(), faults) == tuple(entries)
    assert rules_ok(text.encode()).startswith(text.encode())


@settings(max_examples=150, deadline=None)
@given(LINES)
def test_profiles_read_back_as_meant_or_are_refused(entries: list[Entry]) -> None:
    whole = [line("install_type", "initial_install"), *entries]
    try:
        text = encode_profile(whole)
    except EncodeError:
        return
    assert parse_profile(text, Faults("p")) == tuple(whole)


@settings(max_examples=150, deadline=None)
@given(ANSWERS)
def test_sysidcfg_reads_back_as_meant_or_is_refused(answers: list[Answer]) -> None:
    try:
        text = encode_sysidcfg(answers)
    except EncodeError:
        return
    assert parse_sysidcfg(text, Faults("s")) == tuple(answers)


def judged(text: str) -> list[str]:
    """Every reader on the same text: whatever it is, they end with faults of one printable line each."""
    faults = Faults("any")
    judge_rules(parse_rules(text, faults), faults, Custom(frozenset({"x"}), frozenset({"x"})))
    judge_profile(parse_profile(text, faults), faults)
    judge_sysidcfg(parse_sysidcfg(text, faults), faults)
    return [str(fault) for fault in faults.all()]


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_no_text_breaks_a_reader(text: str) -> None:
    assert all(told.isprintable() for told in judged(text))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_broken_file_breaks_a_reader(data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from([*seeds("rules"), *seeds("profiles"), *seeds("sysidcfg")]))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 12)))
    text = seed[:start] + data.draw(st.text(CHARS, max_size=8)) + seed[end:]
    assert all(told.isprintable() for told in judged(text))
    comes_back(text, parse_rules, encode_rules)
    comes_back(text, parse_profile, encode_profile)
    comes_back(text, parse_sysidcfg, encode_sysidcfg)


T = TypeVar("T")


def comes_back(text: str, parse: Callable[[str, Faults], T], encode: Callable[[T], str]) -> None:
    """What a reader makes of any text is written so that it reads the same, or is refused."""
    found = parse(text, Faults("any"))
    with suppress(EncodeError):
        assert parse(encode(found), Faults("any")) == found
