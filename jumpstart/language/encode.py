"""Values to text: rules, profiles and sysidcfg that the installer reads back as exactly those values.

What is written is read again, judged, and compared with what was to be written. A value that the language cannot
express (a quote, a newline, a `$(`, a comma in a list, a blank where there are no quotes) is an `EncodeError`; no
value can ever become another word, another line, or a command.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from jumpstart.language.faults import Faults, Severity
from jumpstart.language.judge_profile import judge_profile
from jumpstart.language.judge_rules import Custom, judge_rules
from jumpstart.language.judge_sysidcfg import judge_sysidcfg
from jumpstart.language.profile import Entry, parse_profile
from jumpstart.language.rules import AND, NOT, PROBE, Match, Probe, Rule, parse_rules
from jumpstart.language.sysidcfg import BARE_IN_BLOCK, Answer, parse_sysidcfg
from jumpstart.language.words import Word

T = TypeVar("T")


class EncodeError(ValueError):
    """A value that cannot be written; the text is one line with the way out."""


def line(keyword: str, *values: str) -> Entry:
    """One line of a profile, to be written."""
    return Entry(Word(keyword), tuple(map(Word, values)))


def when(keyword: str, *values: str, negated: bool = False) -> Match:
    """One test of a rule, to be written."""
    return Match(Word(keyword), tuple(map(Word, values)), negated)


def rule(matches: Iterable[Match], profile: str, begin: str = "-", finish: str = "-") -> Rule:
    """One rule, to be written."""
    return Rule(tuple(matches), Word(begin), Word(profile), Word(finish))


def answer(keyword: str, *values: str, block: Sequence[Answer] | None = None) -> Answer:
    """One keyword of sysidcfg, or of its braces, to be written."""
    return Answer(Word(keyword), tuple(map(Word, values)), None if block is None else tuple(block))


def encode_rules(entries: Sequence[Rule | Probe], custom: Custom | None = None) -> str:
    """The text of `rules`; EncodeError."""

    def judge(found: Sequence[Rule | Probe], faults: Faults) -> None:
        judge_rules(found, faults, custom or Custom())

    text = "".join(f"{_rule_text(entry)}\n" for entry in entries)
    return _proved(text, entries, parse_rules, judge, "rules")


def encode_profile(entries: Sequence[Entry]) -> str:
    """The text of a profile; EncodeError."""
    text = "".join(" ".join((entry.keyword.text, *entry.texts)) + "\n" for entry in entries)
    return _proved(text, entries, parse_profile, judge_profile, "profile")


def encode_sysidcfg(answers: Sequence[Answer]) -> str:
    """The text of a sysidcfg; EncodeError. Open questions are allowed: that is the caller's to know."""
    text = "".join(_answer_text(answer) + "\n" for answer in answers)
    return _proved(text, answers, parse_sysidcfg, judge_sysidcfg, "sysidcfg")


def _rule_text(entry: Rule | Probe) -> str:
    if isinstance(entry, Probe):
        return f"{PROBE} {entry.keyword.text}"
    tests = f" {AND} ".join(
        " ".join(
            (*((NOT,) if match.negated else ()), match.keyword.text, *(_quoted(word.text) for word in match.values))
        )
        for match in entry.matches
    )
    return f"{tests} {entry.begin.text} {entry.profile.text} {entry.finish.text}"


def _quoted(text: str) -> str:
    plain = text and " " not in text and "\t" not in text and text != AND and not text.startswith(NOT)
    return text if plain else f"'{text}'"


def _answer_text(given: Answer) -> str:
    text = given.keyword.text
    if given.values:
        text += "=" + ",".join(_value_text(word.text) for word in given.values)
    if given.block is not None:
        text += " {" + "\n  ".join(("", *map(_answer_text, given.block))).removeprefix("\n  ") + "}"
    return text


def _value_text(text: str) -> str:
    if BARE_IN_BLOCK.fullmatch(text):
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def _proved(
    text: str,
    meant: Sequence[T],
    parse: Callable[[str, Faults], tuple[T, ...]],
    judge: Callable[[Sequence[T], Faults], None],
    what: str,
) -> str:
    """`text`, if it is good and says what was meant; EncodeError otherwise."""
    faults = Faults(what)
    found = parse(text, faults)
    judge(found, faults)
    error = next((fault for fault in faults.all() if fault.severity is Severity.ERROR), None)
    if error is not None:
        raise EncodeError(f"{what} cannot be written: {error.what}; {error.instead}")
    if found != tuple(meant):
        raise EncodeError(
            f"{what} cannot be written: a value holds a blank, comma, quote, # or newline; use plain words"
        )
    return text
