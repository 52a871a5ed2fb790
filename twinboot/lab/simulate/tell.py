"""What people read of a simulation: progress, the story of a failure, the verdict."""

import json
import sys
from pathlib import Path

import click

from twinboot.lab.simulate.cluster import Verdict
from twinboot.lab.simulate.many import STORIES_MAX, Goal, Sum, as_json, load

PLAIN_EVERY_S = 30.0  # how often progress is told where there is no terminal


class Progress:
    """One line that is rewritten on a terminal, a line now and then elsewhere; stderr, so that stdout is the result.

    With it the totals so far are written to `totals`, if there is such a file to be, so that a long run that was ended
    in any way goes on from there.
    """

    def __init__(self, goal: Goal, before: Sum, totals: Path | None) -> None:
        self._goal = goal
        self._totals = totals
        self._before_s, self._before_exchanges = before.took_s, before.exchanges
        self._part_before = goal.part(before)
        self._is_terminal = sys.stderr.isatty()
        self._told_s = 0.0

    def __call__(self, total: Sum) -> None:
        """Tell how far it is."""
        every_s = 0.2 if self._is_terminal else PLAIN_EVERY_S
        took_s = total.took_s - self._before_s
        if took_s - self._told_s < every_s:
            return
        self._told_s = took_s
        done = self._goal.part(total) - self._part_before
        left_s = took_s * (1 - self._part_before - done) / done if done > 0 else 0.0
        rate = (total.exchanges - self._before_exchanges) / took_s
        line = (
            f"{total.seeds} seeds, {total.exchanges} exchanges ({rate:.0f}/s), "
            f"{len(total.violations)} violated, {_span(left_s)} left"
        )
        self.keep(total)
        click.echo(f"\r{line:<90}" if self._is_terminal else line, err=True, nl=not self._is_terminal)

    def keep(self, total: Sum) -> None:
        """Write the totals, if that is wanted: the old ones stay whole until the new ones are there."""
        if self._totals is not None:
            new = self._totals.with_name(f"{self._totals.name}.new")
            new.write_text(json.dumps(as_json(total), indent=2) + "\n")
            new.replace(self._totals)

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal and self._told_s:
            click.echo(f"\r{'':<90}\r", err=True, nl=False)


def earlier(totals: Path | None, first: int, hours: float) -> Sum:
    """Return what a file of totals says was run before; nothing where there is no such file. ClickException."""
    if totals is None or not totals.exists():
        return Sum(first, hours)
    try:
        found = load(json.loads(totals.read_text()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise click.ClickException(f"{totals} holds no totals of a simulation ({error}): name another file") from error
    if found.hours != hours:
        raise click.ClickException(f"{totals} is about runs of {found.hours:g} h: say --hours {found.hours:g}")
    return found


def story(verdict: Verdict) -> str:
    """Tell of a violated seed: what happened, and what led to it."""
    scenario, first = verdict.scenario, verdict.violations[0]
    hours = scenario.faults_s / 3600
    return "\n".join(
        (
            f"seed {scenario.seed}: {scenario}",
            f"  at {first.at_s:.4f} s, {first.rule}: {first.text}",
            *(f"  | {line}" for line in verdict.story),
            f"  {len(verdict.violations)} violations in this run; again:",
            f"  twinboot lab simulate --seed {scenario.seed} --hours {hours:g}",
        )
    )


def verdict(total: Sum) -> str:
    """Tell the result, failures first."""
    lines = [story(each) for each in total.violated[:STORIES_MAX]]
    ran = (
        f"seeds {total.first} to {total.last}, {total.hours:g} h of faults each: {total.exchanges} exchanges, "
        f"{total.packets} packets, {total.operations} file operations, {sum(total.faults.values())} faults "
        f"in {_span(total.took_s)} ({total.exchanges / max(total.took_s, 0.001):.0f} exchanges/s)"
    )
    if not total.violations:
        return "\n".join((*lines, ran, "VERDICT: 0 violations: no address doubled, nothing lost, everybody served"))
    seeds = ", ".join(map(str, total.violations))
    return "\n".join((*lines, ran, f"VERDICT: {len(total.violations)} seeds violated a rule: {seeds}"))


def _span(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 100 else f"{seconds:.0f} s"
