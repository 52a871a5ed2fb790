"""docs/jumpstart.md holds every row of the tables, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from jumpstart.language.faults import Faults
from jumpstart.language.grammar import Form, form_text
from jumpstart.language.judge_profile import judge_profile
from jumpstart.language.judge_rules import judge_rules
from jumpstart.language.judge_sysidcfg import judge_sysidcfg
from jumpstart.language.keywords import INSTALL_TYPES, NARROWER, PROBES, PROFILE, RULE
from jumpstart.language.profile import parse_profile
from jumpstart.language.questions import SYSID
from jumpstart.language.rules import parse_rules
from jumpstart.language.sysidcfg import parse_sysidcfg

PAGE = Path(__file__).parents[3] / "docs" / "jumpstart.md"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def code(name: str, forms: Sequence[Form]) -> str:
    return "<br>".join(f"`{cell(f'{name} {form_text(form)}'.strip())}`" for form in forms)


def rule_rows() -> Iterator[str]:
    for name, row in RULE.items():
        yield f"| {code(name, [Form(row.args)])} | {row.note} |"


def legal(installs: Sequence[str], zfs: bool) -> str:
    marks = ["yes" if install in installs else "" for install in INSTALL_TYPES]
    return " | ".join((*marks, "yes" if zfs else ""))


def profile_rows() -> Iterator[str]:
    for name, row in PROFILE.items():
        narrower = [narrow for narrow in NARROWER if narrow.keyword == name]
        covered = [
            form for form in row.forms if any(narrow.first.takes(form.args[0].shape.example) for narrow in narrower)
        ]
        for narrow in narrower:
            forms = [form for form in covered if narrow.first.takes(form.args[0].shape.example)] or row.forms
            yield f"| {code(name, forms)} | {cell(narrow.note)} | {legal(narrow.installs, narrow.zfs)} |"
        rest = [form for form in row.forms if form not in covered]
        if rest:
            yield f"| {code(name, rest)} | {cell(row.note)} | {legal(row.installs, row.zfs)} |"


def sysid_rows() -> Iterator[str]:
    for name, row in SYSID.items():
        braces = "<br>".join(
            f"`{shape.what}`: " + ", ".join(f"`{word}`" for word in (*block.details, *block.flags))
            for shape, block in row.blocks
        )
        yield f"| `{name}` | {row.note} | {cell(row.shape.what)} | {braces} |"


@pytest.mark.parametrize("rows", [rule_rows, profile_rows, sysid_rows])
def test_the_page_holds_each_table(rows: Callable[[], Iterator[str]]) -> None:
    expected = "\n".join(rows())
    assert expected in PAGE.read_text(), f"docs/jumpstart.md needs these rows:\n{expected}"


def test_the_page_names_what_may_be_probed_for() -> None:
    assert ", ".join(f"`{word}`" for word in PROBES) in " ".join(PAGE.read_text().split())


def example(section: str) -> str:
    """The first indented block of a section."""
    lines = PAGE.read_text().partition(f"\n## {section}\n")[2].split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("    "))
    end = next(number for number, line in enumerate(lines) if number > start and not line.startswith("    "))
    return "\n".join(line.removeprefix("    ") for line in lines[start:end]) + "\n"


def test_the_examples_of_the_page_have_no_fault() -> None:
    faults = Faults("page")
    judge_rules(parse_rules(example("rules"), faults), faults)
    judge_profile(parse_profile(example("Profiles"), faults), faults)
    sysidcfg = example("sysidcfg").replace("$5$...", "$5$saltsalt$4G6TQy9bVQn0FzRrCkZ0hZQ1aKx5nYk3u1s2d3f4g56")
    judge_sysidcfg(parse_sysidcfg(sysidcfg, faults), faults)
    assert not faults.all()
