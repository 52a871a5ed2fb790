"""Which rule a machine gets, and why each one before it did not match.

Facts are what is known of a machine, by the keywords of rules. A fact that is missing makes a test undecided, never
false: an undecided rule before the one that matches leaves the answer open, and says which fact would close it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jumpstart.language.faults import shown, suggestion
from jumpstart.language.keywords import RULE, Compare
from jumpstart.language.rules import Match, Rule
from jumpstart.language.shapes import number, read_range

Facts = Mapping[tuple[str, str], str]
"""Keyword and disk or slice (empty where the keyword has none) -> value."""

ANY, UPGRADE = "any", "upgrade"


class Verdict(NamedTuple):
    """What one rule says: it `holds`, it does not, or None when a fact is missing; and why."""

    rule: Rule
    holds: bool | None
    why: str


class Outcome(NamedTuple):
    """The rules that were asked, in order. `chosen` is the one that matches, None when there is none or it is open."""

    verdicts: tuple[Verdict, ...]
    chosen: Rule | None
    open: bool


def read_facts(pairs: Iterable[str], custom: Iterable[str] = ()) -> Facts:
    """Facts of `KEYWORD=VALUE`, `disksize=DISK:MB`, `installed=SLICE:RELEASE`. ValueError says what to write."""
    facts: dict[tuple[str, str], str] = {}
    names = [word for word in RULE if word != ANY] + sorted(custom)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().lower()
        if not equals or not value:
            raise ValueError(f"{shown(pair)} is not a fact; write KEYWORD=VALUE, such as memsize=16384")
        if name not in names:
            raise ValueError(f"{shown(name)} is no keyword of rules; {suggestion(name, names)}")
        subject = ""
        args = RULE[name].args if name in RULE else ()
        if len(args) > 1:
            subject, colon, value = value.replace(" ", ":", 1).partition(":")
            if not colon or not args[0].shape.takes(subject):
                example = f"{name}={args[0].shape.example}:{args[1].shape.example.partition('-')[0]}"
                raise ValueError(f"{shown(pair)} does not say which {args[0].name.lower()} is meant; write {example}")
        shape = number if name in RULE and RULE[name].compare is Compare.RANGE else args[-1].shape if args else None
        if shape is not None and not shape.takes(value):
            raise ValueError(f"{name}: {shown(value)} is not {shape.what}; write {name}={shape.example}")
        facts[name, subject] = value
    return facts


def find_rule(rules: Sequence[Rule], facts: Facts) -> Outcome:
    """Ask the rules in order, up to the first that matches."""
    verdicts: list[Verdict] = []
    for rule in rules:
        verdicts.append(_verdict(rule, facts))
        if verdicts[-1].holds:
            break
    undecided = any(verdict.holds is None for verdict in verdicts)
    matched = verdicts[-1].rule if verdicts and verdicts[-1].holds else None
    return Outcome(tuple(verdicts), None if undecided else matched, undecided)


def _verdict(rule: Rule, facts: Facts) -> Verdict:
    tests = [_test(match, facts) for match in rule.matches]
    failed = next((why for holds, why in tests if holds is False), None)
    if failed is not None:
        return Verdict(rule, False, failed)
    missing = "; ".join(why for holds, why in tests if holds is None)
    if missing:
        return Verdict(rule, None, missing)
    return Verdict(rule, True, ", ".join(why for _, why in tests))


def _test(match: Match, facts: Facts) -> tuple[bool | None, str]:
    holds, why = _holds(match, facts)
    if match.negated and holds is not None:
        return not holds, f"{why}, and the rule says not" if holds else why
    return holds, why


def _holds(match: Match, facts: Facts) -> tuple[bool | None, str]:
    """Whether the test holds without its `!`, and why."""
    if match.name == ANY:
        return True, "any takes every machine"
    *subjects, wanted = (word.text for word in match.values)
    subject = subjects[0] if subjects and match.name in RULE else ""
    if match.name not in RULE:
        wanted = " ".join((*subjects, wanted))
    known = _known(match.name, subject, facts)
    label = f"{match.name} of {subject}" if subject else match.name
    if not known:
        value = f"{subject}:..." if subject else "..."
        return None, f"{label} is not known: give --fact {match.name}={value}"
    if match.name == "installed" and wanted == UPGRADE:
        return None, f"whether {subject} can be upgraded is known on the machine only"
    found = " or ".join(known)
    row = RULE.get(match.name)
    if row is not None and row.compare is Compare.RANGE:
        low, high = read_range(wanted) or (1, 0)
        holds = any(low <= int(value) <= high for value in known)
    else:
        holds = wanted in known or (match.name == "installed" and wanted == ANY)
    return holds, f"{label} is {found}" if holds else f"{label} is {found}, not {wanted}"


def _known(name: str, subject: str, facts: Facts) -> list[str]:
    if name == "installed" and subject == ANY:
        return [value for (keyword, _), value in facts.items() if keyword == name]
    return [facts[name, subject]] if (name, subject) in facts else []
