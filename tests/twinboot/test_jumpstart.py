from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from twinboot.cli import cli

GOOD = "hostname hv1 - prof -\nmemsize 64-128 - prof -\nany - - prof -\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "rules").write_text(GOOD)
    (tmp_path / "prof").write_text("install_type upgrade\n")
    return tmp_path


def run(*args: str | Path) -> Result:
    result = CliRunner().invoke(cli, ["jumpstart", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_check_says_what_it_found_and_writes_rules_ok(directory: Path) -> None:
    result = run("check", directory)
    assert (result.exit_code, result.stdout) == (0, f"{directory}: 3 rules, 1 profile: good, rules.ok written\n")
    assert (directory / "rules.ok").exists()


def test_check_tells_every_fault_and_exits_with_1(directory: Path) -> None:
    (directory / "rules").write_text("hostnam hv1 - prof -\nany - - prof lost\n")
    result = run("check", directory)
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first == f"{directory}/rules:1:1: error: 'hostnam' is no keyword of rules; did you mean hostname?"
    assert second.startswith(f"{directory}/rules:2:14: error: the script 'lost' is not in this directory; ")
    assert result.stderr == f"twinboot: {directory}: 2 errors in 2 rules, 1 profile: rules.ok is not written\n"


def test_check_as_json(directory: Path) -> None:
    (directory / "prof").write_text("install_type upgrade\nnoreboot\n")
    told = json.loads(run("check", directory, "--json").stdout)
    assert (told["good"], told["rules"], told["profiles"], told["written"]) == (True, 3, ["prof"], ["rules.ok"])
    (fault,) = told["faults"]
    assert (fault["file"], fault["line"], fault["severity"]) == (f"{directory}/prof", 2, "warning")
    (directory / "prof").unlink()
    result = run("check", directory, "--json")
    assert (result.exit_code, json.loads(result.stdout)["good"]) == (1, False)


def test_another_file_of_rules_may_be_given_in_any_spelling(directory: Path) -> None:
    (directory / "other").write_text("any - - prof -\n")
    for name in ("other", "./other", f"{directory}/other"):
        assert "1 rule, 1 profile: good" in run("check", directory, "-r", name).stdout
    assert not (directory / "rules.ok").exists()


def test_match_says_which_rule_and_why_not_the_others(directory: Path) -> None:
    result = run("match", directory, "--fact", "hostname=hv2", "--fact", "memsize=16384")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{directory}/rules:1: does not match: hostname is hv2, not hv1",
        f"{directory}/rules:2: does not match: memsize is 16384, not 64-128",
        f"{directory}/rules:3: matches: any takes every machine",
        "begin script -, profile prof, finish script -",
    ]


def test_match_leaves_open_what_is_not_known(directory: Path) -> None:
    result = run("match", directory, "--fact", "hostname=hv2")
    assert result.exit_code == 1
    assert f"{directory}/rules:2: may match: memsize is not known: give --fact memsize=..." in result.stdout
    assert result.stdout.endswith("not decided: give the facts that are not known\n")
    told = json.loads(run("match", directory, "--fact", "hostname=hv2", "--json").stdout)
    assert (told["chosen"], told["open"], [rule["matches"] for rule in told["rules"]]) == (
        None,
        True,
        [False, None, True],
    )


def test_match_says_when_no_rule_takes_the_machine(directory: Path) -> None:
    (directory / "rules").write_text("hostname hv1 - lost -\n")
    result = run("match", directory, "--fact", "hostname=hv2")
    assert (result.exit_code, result.stdout.splitlines()[-1].partition(":")[0]) == (1, "no rule matches")
    result = run("match", directory, "--fact", "hostname=hv1", "--json")
    assert json.loads(result.stdout)["chosen"] == {"line": 1, "begin": "-", "profile": "lost", "finish": "-"}


def test_match_refuses_wrong_facts_and_wrong_rules(directory: Path) -> None:
    result = run("match", directory, "--fact", "memory=5")
    assert (result.exit_code, result.stderr) == (1, result.stderr)
    assert result.stderr.startswith("twinboot: --fact 'memory' is no keyword of rules; ")
    (directory / "rules").write_text("any\n")
    assert run("match", directory).stderr.startswith(f"twinboot: {directory}/rules:1:1: error: ")


def test_jumpstart_check_is_the_same_check(directory: Path) -> None:
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["jumpstart-check"].partition(":")
    argv = [sys.executable, "-c", f"from {module} import {name}; {name}()"]
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, ".: 3 rules, 1 profile: good, rules.ok written\n", "")
    (directory / "prof").unlink()
    done = subprocess.run(
        [*argv, "-r", "rules"], cwd=directory, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith("rules:1:16: error: the profile 'prof' is not in this directory")
    assert done.stderr == "jumpstart-check: .: 3 errors in 3 rules, 0 profiles: rules.ok is not written\n"
