from __future__ import annotations

import pytest

from jumpstart.language.faults import Faults
from jumpstart.language.matching import Outcome, find_rule, read_facts
from jumpstart.language.rules import Rule, parse_rules

RULES = """
probe memsize
hostname hv9 - first -
memsize 64-128 && arch i386 - small -
network 192.168.78.0 && ! model 'SUNW,Ultra 5' - rack -
disksize c0t0d0 100-200 - disk -
installed c0t0d0s0 any - old -
any - begin = finish
"""


def asked(*facts: str, text: str = RULES) -> Outcome:
    faults = Faults("rules")
    rules = [entry for entry in parse_rules(text, faults) if isinstance(entry, Rule)]
    assert not faults.all()
    return find_rule(rules, read_facts(facts))


def test_the_first_rule_that_matches_and_why_the_others_did_not() -> None:
    told = asked("hostname=hv1", "memsize=16384", "network=192.168.78.0", "model=X4150")
    assert told.chosen is not None
    assert told.chosen.profile.text == "rack"
    assert [(verdict.holds, verdict.why) for verdict in told.verdicts] == [
        (False, "hostname is hv1, not hv9"),
        (False, "memsize is 16384, not 64-128"),
        (True, "network is 192.168.78.0, model is X4150, not SUNW,Ultra 5"),
    ]


def test_a_missing_fact_leaves_the_answer_open() -> None:
    told = asked("hostname=hv9")
    assert (told.chosen and told.chosen.profile.text, told.open) == ("first", False)
    told = asked(
        "memsize=100", "hostname=hv1", "network=10.0.0.0", "disksize=c0t0d0:50", "installed=c0t1d0s0:Solaris_10"
    )
    assert (told.chosen, told.open) == (None, True)
    assert [verdict.holds for verdict in told.verdicts] == [False, None, False, False, None, True]
    assert told.verdicts[1].why == "arch is not known: give --fact arch=..."
    assert told.verdicts[4].why == "installed of c0t0d0s0 is not known: give --fact installed=c0t0d0s0:..."


def test_one_test_that_fails_decides_whatever_else_is_not_known() -> None:
    told = asked("arch=sparc", text="memsize 64-128 && arch i386 - small -\n")
    assert (told.chosen, told.open) == (None, False)


@pytest.mark.parametrize(
    ("test", "facts", "holds"),
    [
        ("memsize 64", ["memsize=64"], True),
        ("memsize 64", ["memsize=65"], False),
        ("! memsize 64", ["memsize=65"], True),
        ("! memsize 64", [], None),
        ("! any -", [], False),
        ("totaldisk 100-200", ["totaldisk=200"], True),
        ("disksize rootdisk 1-9", ["disksize=rootdisk:9"], True),
        ("disksize rootdisk 1-9", ["disksize=rootdisk 10"], False),
        ("installed any Solaris_10", ["installed=c0t0d0s0:Solaris_9", "installed=c0t1d0s0:Solaris_10"], True),
        ("installed c0t0d0s0 upgrade", ["installed=c0t0d0s0:Solaris_9"], None),
        ("installed c0t0d0s0 any", ["installed=c0t0d0s0:Solaris_9"], True),
        ("colour light red", [], None),
    ],
)
def test_each_kind_of_test(test: str, facts: list[str], holds: bool | None) -> None:
    (verdict,) = asked(*facts, text=f"{test} - p -\n").verdicts
    assert verdict.holds is holds
    assert verdict.why


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ("memsize", "KEYWORD=VALUE"),
        ("memsize=", "KEYWORD=VALUE"),
        ("memsize=16G", "memsize: '16G' is not a number"),
        ("hostnam=a", "did you mean hostname"),
        ("any=-", "is no keyword"),
        ("disksize=500", "write disksize=c0t0d0:400"),
        ("installed=c0t0d0s0", "write installed=c0t0d0s0:name"),
        ("arch=x86", "write arch=i386"),
    ],
)
def test_a_wrong_fact_says_what_to_write(fact: str, said: str) -> None:
    with pytest.raises(ValueError, match="; ") as told:
        read_facts([fact])
    assert said in str(told.value)
