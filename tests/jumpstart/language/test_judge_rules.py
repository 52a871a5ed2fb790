from __future__ import annotations

from jumpstart.language.faults import FAULTS_MAX, Fault, Faults, Severity
from jumpstart.language.judge_rules import custom_words, judge_rules
from jumpstart.language.rules import parse_rules
from jumpstart.language.words import LINES_MAX

VECTORS = "rules"


def judged(text: str, custom: str = "") -> tuple[Fault, ...]:
    faults = Faults("rules")
    judge_rules(parse_rules(text, faults), faults, custom_words(custom))
    return faults.all()


def test_good_rules_pass(good: str, text: str) -> None:
    _, _, warning = good.partition(": ")
    told = [str(fault) for fault in judged(text)]
    assert len(told) == bool(warning), told
    assert all(": warning: " in line and warning in line for line in told), told


def test_bad_rules_do_not(bad: str, text: str) -> None:
    place, _, words = bad.partition(" ")
    errors = [str(fault) for fault in judged(text) if fault.severity is Severity.ERROR]
    at = "" if place == "0" else f":{place}"
    assert any(error.startswith(f"rules{at}: error: ") and words in error for error in errors), errors


def test_custom_probes_bring_their_own_words() -> None:
    custom = "probe_colour() {\n  SI_COLOUR=red\n}\n  cmp_colour()\n{\n}\n"
    text = "probe colour\ncolour red - p -\n"
    assert len(judged(text)) == 2
    assert not judged(text, custom)
    assert "did you mean colour?" in judged("color red - p -\n", custom)[0].instead


def test_an_unreachable_rule_names_the_one_that_takes_all() -> None:
    (told,) = judged("hostname a - p -\nhostname b - p -\narch i386 && hostname b - p -\n")
    assert told.at.line == 3
    assert "line 2 takes all" in told.what


def test_rules_that_differ_are_all_reached() -> None:
    text = "memsize 64-128 - p -\nmemsize 100-200 - p -\n! memsize 64-128 - p -\n"
    text += "disksize c0t0d0 1-9 - p -\ndisksize c0t1d0 1-9 - p -\nany - - p -\n"
    assert not judged(text)


def test_a_thousand_rules_are_judged_by_their_likes_only() -> None:
    text = (
        "".join(f"hostname h{n} && memsize 64-128 - p -\n" for n in range(1000)) + "hostname h7 && memsize 70 - p -\n"
    )
    (told,) = judged(text)
    assert "line 8 takes all" in told.what


def test_a_flood_of_lines_is_cut() -> None:
    (told,) = judged("probe memsize\n" * LINES_MAX + "any - - p -\n")
    assert (told.at.line, told.what) == (LINES_MAX + 1, f"more than {LINES_MAX} lines")
    assert len(judged("any\n" * LINES_MAX)) == FAULTS_MAX + 1
