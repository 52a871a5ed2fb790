"""Whether the rules of `rules` are good: keywords, values, and rules that no machine can ever reach.

Pure: the files that rules name are looked at by `judge.py`. A rule is never reached when every machine that it
matches is matched by one before it. That is so when each test of the earlier rule is among its own, or is a range
around its own; other ways to be unreachable need arithmetic over whole sites and are not looked for.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from jumpstart.language.faults import NOWHERE, Faults, Severity, has_errors, shown, suggestion
from jumpstart.language.grammar import Form, fit
from jumpstart.language.keywords import PROBES, RULE, Compare
from jumpstart.language.rules import DERIVED, NONE, Match, Probe, Rule
from jumpstart.language.shapes import file_name, ipv4, quad, read_range

CUSTOM = re.compile(r"^[ \t]*(probe|cmp)_([A-Za-z0-9_]{1,64})[ \t]*\(\)", re.MULTILINE)
PLATFORMS = {"i386": "i86pc", "sparc": "sun4u or sun4v"}
"""What people write for `karch` though it is what `arch` tests, and what they mean."""


class Custom(NamedTuple):
    """What a custom_probes file adds: words for `probe` lines and keywords for rules."""

    probes: frozenset[str] = frozenset()
    keywords: frozenset[str] = frozenset()


def custom_words(text: str) -> Custom:
    """The words of a custom_probes file: of its functions probe_WORD and cmp_WORD."""
    found = CUSTOM.findall(text)
    probes, keywords = (frozenset(name.lower() for kind, name in found if kind == of) for of in ("probe", "cmp"))
    return Custom(probes, keywords)


def judge_rules(entries: Sequence[Rule | Probe], faults: Faults, custom: Custom = Custom()) -> None:  # noqa: B008
    """Tell what is wrong with each entry, and with their order."""
    for entry in entries:
        if isinstance(entry, Probe):
            _judge_probe(entry, custom.probes, faults)
        else:
            for match in entry.matches:
                _judge_match(match, custom.keywords, faults)
            _judge_files(entry, faults)
    rules = [entry for entry in entries if isinstance(entry, Rule)]
    if not rules and not has_errors(faults.all()):
        faults.error(NOWHERE, "there is no rule", "write one, such as: any - - PROFILE -")
    _judge_reach(rules, faults)


def _judge_probe(probe: Probe, custom: Collection[str], faults: Faults) -> None:
    word = probe.keyword
    if word.text.lower() not in {*PROBES, *custom}:
        near = suggestion(word.text, (*PROBES, *sorted(custom)))
        faults.error(word.at, f"{shown(word.text)} is nothing to probe for", near)


def _judge_match(match: Match, custom: Collection[str], faults: Faults) -> None:
    if match.name in RULE:
        fit(match.keyword, match.values, (Form(RULE[match.name].args),), Severity.ERROR, faults)
        _judge_value(match, faults)
    elif match.name not in custom:
        near = suggestion(match.keyword.text, (*RULE, *sorted(custom)))
        faults.error(match.keyword.at, f"{shown(match.keyword.text)} is no keyword of rules", near)
    elif not match.values:
        faults.error(match.keyword.at, f"{match.name} lacks a value", f"write {match.name} VALUE")


def _judge_files(rule: Rule, faults: Faults) -> None:
    for kind, word, instead_of_file in (
        ("begin script", rule.begin, NONE),
        ("profile", rule.profile, DERIVED),
        ("finish script", rule.finish, NONE),
    ):
        if word.text != instead_of_file and not file_name.takes(word.text):
            what = f"{shown(word.text)} cannot be a {kind}"
            faults.error(word.at, what, f"write {instead_of_file}, or a file of this directory by its plain name")
    if rule.profile.text == DERIVED and rule.begin.text == NONE:
        what = "= is the profile that a begin script writes, and there is none"
        faults.error(rule.profile.at, what, "name the begin script in place of -, or a profile in place of =")


def _judge_value(match: Match, faults: Faults) -> None:
    """Warn of good values that no machine has."""
    if not match.values:
        return
    value = match.values[0]
    if match.name == "karch" and value.text in PLATFORMS:
        what = f"karch is never {value.text}: that is what arch tests"
        faults.warning(value.at, what, f"write arch {value.text}, or karch {PLATFORMS[value.text]}")
    elif match.name in ("network", "hostaddress") and quad.takes(value.text) and not ipv4.takes(value.text):
        faults.warning(value.at, f"no machine has the address {value.text}", "write four numbers up to 255")


class _Term(NamedTuple):
    """One test, comparable: `subject` is the disk or slice it is about, if any."""

    keyword: str
    subject: str
    value: str
    negated: bool

    @property
    def ranged(self) -> tuple[int, int] | None:
        row = RULE.get(self.keyword)
        return read_range(self.value) if row and row.compare is Compare.RANGE and not self.negated else None

    def covers(self, other: "_Term") -> bool:
        """Whether whatever passes `other` passes this."""
        if self == other:
            return True
        mine, its = self.ranged, other.ranged
        same = (self.keyword, self.subject) == (other.keyword, other.subject)
        return same and mine is not None and its is not None and mine[0] <= its[0] and its[1] <= mine[1]

    def excludes(self, other: "_Term") -> bool:
        """Whether nothing passes both."""
        if (self.keyword, self.subject) != (other.keyword, other.subject) or self.keyword == "installed":
            return False
        if self.negated != other.negated:
            return self.value == other.value
        mine, its = self.ranged, other.ranged
        if mine and its:
            return mine[1] < its[0] or its[1] < mine[0]
        return not self.negated and self.value != other.value and self.keyword in RULE


def _terms(rule: Rule) -> tuple[_Term, ...]:
    """The tests of a rule but `any -`, which says nothing."""
    found = []
    for match in rule.matches:
        words = [word.text for word in match.values]
        if match.name != "any" or match.negated:
            found.append(_Term(match.name, " ".join(words[:-1]), words[-1] if words else "", match.negated))
    return tuple(found)


def _judge_reach(rules: Sequence[Rule], faults: Faults) -> None:
    """Warn of rules that never match, or never are asked, each with the reason."""
    earlier: dict[object, list[tuple[Rule, tuple[_Term, ...]]]] = defaultdict(list)
    for rule in rules:
        terms = _terms(rule)
        never = next((f"{a.keyword} cannot be both" for a, b in _pairs(terms) if a.excludes(b)), "")
        if any(term.keyword == "any" for term in terms):
            never = "! any matches nothing"
        cover = next((known for known, its in _candidates(earlier, terms) if _all_cover(its, terms)), None)
        if never:
            faults.warning(rule.at, f"the rule matches no machine: {never}", "remove it, or one of its tests")
        elif cover is not None:
            what = f"no machine reaches this rule: line {cover.at.line} takes all that it matches"
            faults.warning(rule.at, what, f"move it above line {cover.at.line}, or remove it")
        else:
            earlier[_anchor(terms)].append((rule, terms))


def _pairs(terms: Sequence[_Term]) -> Iterator[tuple[_Term, _Term]]:
    return ((a, b) for n, a in enumerate(terms) for b in terms[n + 1 :])


def _all_cover(terms: Sequence[_Term], others: Sequence[_Term]) -> bool:
    return all(any(term.covers(other) for other in others) for term in terms)


def _anchor(terms: Sequence[_Term]) -> object:
    """Under what to file a rule, so that only rules which could cover another are compared with it."""
    return next((term for term in terms if not term.ranged), (terms[0].keyword, terms[0].subject) if terms else ())


def _candidates(
    earlier: dict[object, list[tuple[Rule, tuple[_Term, ...]]]], terms: Sequence[_Term]
) -> Iterator[tuple[Rule, tuple[_Term, ...]]]:
    anchors: list[object] = [(), *terms, *((term.keyword, term.subject) for term in terms)]
    return (known for anchor in dict.fromkeys(anchors) for known in earlier.get(anchor, ()))
