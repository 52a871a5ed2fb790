"""`rules`: which machine gets which begin script, profile and finish script.

    rule  = match { "&&" match } begin profile finish
    match = [ "!" ] keyword value { value }
    probe = "probe" keyword

The last three words of a rule are always its files: `-` for no script, `=` for a profile that the begin script
writes. The first rule that matches wins. Parsing settles where things end; whether keywords and values are good is
the judge's (`judge_rules.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jumpstart.language.faults import At, Faults
from jumpstart.language.words import Line, Word, rule_lines

AND, NOT, NONE, DERIVED, PROBE = "&&", "!", "-", "=", "probe"
FILES = 3
USAGE = "write KEYWORD VALUE [&& KEYWORD VALUE]... BEGIN PROFILE FINISH, with - for no script"


@dataclass(frozen=True, slots=True)
class Match:
    """One test of a rule."""

    keyword: Word
    values: Line
    negated: bool = False

    @property
    def name(self) -> str:
        """The keyword as the table spells it."""
        return self.keyword.text.lower()

    def __str__(self) -> str:
        values = (f"'{word.text}'" if " " in word.text else word.text for word in self.values)
        return " ".join((*((NOT,) if self.negated else ()), self.name, *values))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: all of its tests must hold."""

    matches: tuple[Match, ...]
    begin: Word
    profile: Word
    finish: Word

    @property
    def at(self) -> At:
        """Where it begins."""
        return self.matches[0].keyword.at

    def __str__(self) -> str:
        tests = f" {AND} ".join(map(str, self.matches))
        return f"{tests} {self.begin.text} {self.profile.text} {self.finish.text}"


@dataclass(frozen=True, slots=True)
class Probe:
    """A line that has a value found out for the scripts, whether or not a rule asks for it."""

    keyword: Word


def parse_rules(text: str, faults: Faults) -> tuple[Rule | Probe, ...]:
    """Read `rules`. A line that is no rule becomes a fault and is left out."""
    return tuple(entry for line in rule_lines(text, faults) if (entry := _entry(line, faults)) is not None)


def _entry(line: Line, faults: Faults) -> Rule | Probe | None:
    if line[0].text.lower() == PROBE and not line[0].quoted:
        return _probe(line, faults)
    if _is(line[-1], AND):
        faults.error(line[-1].at, "the rule ends with &&", "add the test that is to follow, or remove the &&")
        return None
    if sum(1 for word in line if not _is(word, AND, NOT)) < 2 + FILES:
        faults.error(line[0].at, "a rule has at least five fields", USAGE)
        return None
    tests, files = line[:-FILES], line[-FILES:]
    stray = next((word for word in files if _is(word, AND, NOT)), None)
    if stray is not None:
        faults.error(stray.at, f"{stray.text} stands where begin script, profile and finish script belong", USAGE)
        return None
    matches = tuple(_matches(tests, faults))
    good = tuple(match for match in matches if match is not None)
    return Rule(good, *files) if len(good) == len(matches) else None


def _probe(line: Line, faults: Faults) -> Probe | None:
    if len(line) == 1:
        faults.error(line[0].at, "probe lacks the keyword to probe for", "write probe KEYWORD, such as probe memsize")
        return None
    if len(line) > 2:
        faults.error(line[2].at, "probe takes one keyword", "write a line of its own for each keyword")
    return Probe(line[1])


def _matches(words: Line, faults: Faults) -> Iterator[Match | None]:
    """The tests between the &&; None for one that is none."""
    segment: list[Word] = []
    for word in words:
        if _is(word, AND):
            yield _match(segment, word, faults)
            segment = []
        else:
            segment.append(word)
    yield _match(segment, words[-1], faults)


def _match(segment: list[Word], end: Word, faults: Faults) -> Match | None:
    negated = False
    rest = list(segment)
    while rest and not rest[0].quoted and rest[0].text.startswith(NOT):
        first = rest.pop(0)
        negated = not negated
        if first.text != NOT:
            rest.insert(0, Word(first.text[1:], At(first.at.line, first.at.column + 1)))
    if not rest:
        faults.error(end.at, "a test is missing beside &&", "write KEYWORD VALUE on both sides of &&")
        return None
    return Match(rest[0], tuple(rest[1:]), negated)


def _is(word: Word, *texts: str) -> bool:
    return not word.quoted and word.text in texts
