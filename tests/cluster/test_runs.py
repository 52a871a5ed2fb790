from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dhcp.service import Service
from twinboot.commands.lab import lab
from twinboot.lab.simulate import many, tell
from twinboot.lab.simulate.checker import Violation
from twinboot.lab.simulate.cluster import Cluster, Parts, Verdict, run_seed
from twinboot.lab.simulate.faults import FAULTS
from twinboot.lab.simulate.scenario import draw

HOURS = 0.1

DIGEST = """
import hashlib, sys
from twinboot.lab.simulate.cluster import Cluster, Parts
from twinboot.lab.simulate.scenario import draw
cluster = Cluster(draw(int(sys.argv[1]), 0.05), Parts(), traced=True)
cluster.run()
print(hashlib.sha256("\\n".join(map(str, cluster.trace)).encode()).hexdigest())
"""


@pytest.mark.parametrize("first", range(0, 24, 4))
def test_seeds_run_without_a_violation(first: int) -> None:
    for seed in range(first, first + 4):
        verdict = run_seed(seed, HOURS)
        assert not verdict.violations, tell.story(verdict)
        assert verdict.exchanges > 0


def test_a_seed_is_the_same_event_by_event_in_every_process() -> None:
    def digest(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", DIGEST, "3"]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert digest("1") == digest("2")


def test_every_kind_of_fault_is_drawn() -> None:
    drawn = set()
    for seed in range(4):
        cluster = Cluster(draw(seed, 0.1)._replace(fault_every_s=3.0), Parts())
        assert not cluster.run().violations
        drawn |= set(cluster.faults)
    assert set(FAULTS) <= drawn


class Forgetful(Service):
    """Answers without storing anything."""

    def _store(self) -> None:
        for work in self._underway.gathered:
            self._finish(work.decision, None)
        self._underway.gathered.clear()
        self._underway._next.clear()


def test_a_failure_is_told_with_its_seed_and_what_led_to_it() -> None:
    verdict = run_seed(5, HOURS, Parts(service=Forgetful))
    story = tell.story(verdict)
    assert "seed 5:" in story
    assert "nothing lost" in story or "one holder" in story
    assert "ACK" in story
    assert "twinboot lab simulate --seed 5 --hours 0.1" in story


def test_a_bug_that_ends_a_process_is_a_violation() -> None:
    class Broken(Service):
        def _take(self, data: bytes, lost: bool = False) -> None:
            raise ZeroDivisionError("planted")

    verdict = Cluster(draw(5, 0.01)._replace(lease_s=60), Parts(service=Broken)).run()
    assert {violation.rule for violation in verdict.violations} >= {"runs"}
    assert "planted" in verdict.violations[0].text


def test_the_command_tells_a_verdict_and_json() -> None:
    result = CliRunner().invoke(lab, ["simulate", "--seed", "4", "--seeds", "2", "--hours", "0.05", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert "seeds 4 to 5" in result.stdout
    assert "VERDICT: 0 violations" in result.stdout
    result = CliRunner().invoke(lab, ["simulate", "--seed", "4", "--hours", "0.05", "--json"])
    found = json.loads(result.stdout)
    assert found["seeds"] == [4, 4]
    assert found["violations"] == []


def test_totals_go_on_from_what_was_done_before(tmp_path: Path) -> None:
    totals = tmp_path / "totals.json"
    common = ["simulate", "--jobs", "1", "--totals", str(totals)]
    assert CliRunner().invoke(lab, [*common, "--hours", "0.05", "--seed", "4", "--seeds", "2"]).exit_code == 0
    first = json.loads(totals.read_text())
    more = ["--hours", "0.05", "--exchanges", str(first["exchanges"] + 1), "--json"]
    result = CliRunner().invoke(lab, [*common, *more])
    assert result.exit_code == 0, result.output
    both = json.loads(result.stdout)
    assert both == json.loads(totals.read_text())
    assert both["seeds"][0] == 4
    assert both["seeds"][1] > 5
    assert both["exchanges"] > first["exchanges"]
    assert CliRunner().invoke(lab, [*common, "--hours", "0.06"]).exit_code == 1


def test_a_seed_violated_before_counts_for_ever(tmp_path: Path) -> None:
    totals = tmp_path / "totals.json"
    violated = many.Sum(7, 1.0)
    violated.add(Verdict(draw(7, 1.0), 10, 20, 30, {"kill": 1}, (Violation(1.0, "runs", "it died", ()),), ()))
    totals.write_text(json.dumps(many.as_json(violated)))
    total = tell.earlier(totals, 0, 1.0)
    total.add(Verdict(draw(8, 1.0), 10, 20, 30, {"kill": 2}, (), ()))
    assert (total.first, total.last, total.exchanges, total.faults["kill"]) == (7, 8, 20, 3)
    assert tell.verdict(total).endswith("VERDICT: 1 seeds violated a rule: 7")


def test_the_verdict_of_a_violated_seed_names_it() -> None:
    violation = Violation(1.0, "one holder", "it was doubled", ())
    total = many.Sum(7, 1.0)
    total.add(Verdict(draw(7, 1.0), 10, 20, 30, {"kill": 1}, (violation,), ("an event",)))
    text = tell.verdict(total)
    assert "it was doubled" in text
    assert "an event" in text
    assert text.endswith("VERDICT: 1 seeds violated a rule: 7")
