"""`twinboot jumpstart`: for people who write their own JumpStart files. `jumpstart-check` is Sun's `check`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from jumpstart.language.check import Checked, check, load_rules
from jumpstart.language.faults import Fault, Severity
from jumpstart.language.judge import RULES, RULES_OK
from jumpstart.language.keywords import RULE
from jumpstart.language.matching import Outcome, Verdict, find_rule, read_facts
from jumpstart.language.rules import Rule
from twinboot.cli import error_lines
from twinboot.faults import Stop
from twinboot.show import as_json, clean, say

__all__ = ["check_main", "jumpstart"]

DIRECTORY = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group("jumpstart")
def jumpstart() -> None:
    """Check JumpStart files, and say which rule a machine gets."""


@jumpstart.command("check")
@click.argument("directory", type=DIRECTORY, default=Path())
@click.option("-p", "--image", type=DIRECTORY, help="Install image whose packages and clusters profiles may name.")
@click.option("-r", "--rules", default=RULES, help="Check this file of rules instead; rules.ok is not written.")
@click.option("--dry-run", is_flag=True, help="Judge only: write nothing, and say whether rules.ok is up to date.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def jumpstart_check(directory: Path, image: Path | None, rules: str, *, dry_run: bool, json_: bool) -> None:
    """Judge rules, profiles, scripts and sysidcfg of DIRECTORY; write rules.ok if there is no error.

    All faults are told at once, each with its place and with what to write instead.
    """
    checked = check(directory, _below(directory, rules), image, dry_run=dry_run)
    if json_:
        as_json(_as_dict(directory, checked))
        if not checked.judged.good:
            raise SystemExit(1)
        return
    for fault in checked.faults:
        say(_located(directory, fault))
    counts = f"{_count(len(checked.judged.rules), 'rule')}, {_count(len(checked.judged.profiles), 'profile')}"
    if not checked.judged.good:
        errors = sum(1 for fault in checked.faults if fault.severity is Severity.ERROR)
        raise Stop(f"{directory}: {_count(errors, 'error')} in {counts}: {RULES_OK} is not written")
    done = " and ".join(checked.written)
    say(f"{directory}: {counts}: good" + (f", {done} written" if done else ""))


@jumpstart.command("match")
@click.argument("directory", type=DIRECTORY)
@click.option("--fact", "facts", multiple=True, metavar="KEYWORD=VALUE", help="What is known of the machine; repeat.")
@click.option("-r", "--rules", default=RULES, help="Use this file of rules instead.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def jumpstart_match(directory: Path, facts: tuple[str, ...], rules: str, *, json_: bool) -> None:
    """Say which rule a machine gets, and why each earlier one did not match.

    Facts are keywords of rules: hostname=hv1, memsize=16384, disksize=c0t0d0:140000, installed=c0t0d0s0:Solaris_10.
    """
    found, faults = load_rules(directory, _below(directory, rules))
    errors = [_located(directory, fault) for fault in faults if fault.severity is Severity.ERROR]
    if errors:
        raise Stop(*errors)
    try:
        outcome = find_rule(
            found, read_facts(facts, {match.name for rule in found for match in rule.matches} - {*RULE})
        )
    except ValueError as error:
        raise Stop(f"--fact {error}") from None
    if json_:
        as_json(
            {
                "chosen": _rule_dict(outcome.chosen),
                "open": outcome.open,
                "rules": list(map(_verdict_dict, outcome.verdicts)),
            }
        )
    else:
        for verdict in outcome.verdicts:
            say(f"{_path(directory, rules)}:{verdict.rule.at.line}: {_answer(verdict)}: {verdict.why}")
        say(_conclusion(outcome))
    if outcome.chosen is None:
        raise SystemExit(1)


def _below(directory: Path, rules: str) -> str:
    """The name of a file of rules below the directory, however it was written."""
    return os.path.relpath(rules, directory.absolute()) if os.path.isabs(rules) else os.path.normpath(rules)


def _answer(verdict: Verdict) -> str:
    return {True: "matches", False: "does not match", None: "may match"}[verdict.holds]


def _conclusion(outcome: Outcome) -> str:
    rule = outcome.chosen
    if rule is not None:
        return f"begin script {rule.begin.text}, profile {rule.profile.text}, finish script {rule.finish.text}"
    if outcome.open:
        return "not decided: give the facts that are not known"
    return "no rule matches: the install will stop and ask; end the rules with: any - - PROFILE -"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _path(directory: Path, name: str) -> str:
    return os.path.join(directory, name) if directory != Path() else name


def _located(directory: Path, fault: Fault) -> str:
    return str(fault._replace(file=_path(directory, fault.file)))


def _as_dict(directory: Path, checked: Checked) -> dict[str, object]:
    faults = [
        {
            "file": _path(directory, fault.file),
            "line": fault.at.line,
            "column": fault.at.column,
            "severity": fault.severity,
            "what": fault.what,
            "instead": fault.instead,
        }
        for fault in checked.faults
    ]
    return {
        "good": checked.judged.good,
        "rules": len(checked.judged.rules),
        "profiles": list(checked.judged.profiles),
        "written": list(checked.written),
        "faults": faults,
    }


def _rule_dict(rule: Rule | None) -> dict[str, object] | None:
    if rule is None:
        return None
    return {"line": rule.at.line, "begin": rule.begin.text, "profile": rule.profile.text, "finish": rule.finish.text}


def _verdict_dict(verdict: Verdict) -> dict[str, object]:
    return {"line": verdict.rule.at.line, "rule": str(verdict.rule), "matches": verdict.holds, "why": verdict.why}


def check_main() -> None:
    """`jumpstart-check [-p IMAGE] [-r RULES] [DIRECTORY]`, as Sun's `check` in the directory it is called in."""
    try:
        jumpstart_check(prog_name="jumpstart-check")
    except (Stop, OSError) as error:
        for line in error_lines(error) or (str(error),):
            click.echo(f"jumpstart-check: {clean(line)}", err=True)
        raise SystemExit(1) from None
