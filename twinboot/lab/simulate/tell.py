"""What people read of a simulation: progress, the story of a failure, the verdict."""

import sys

import click

from twinboot.lab.simulate.cluster import Verdict
from twinboot.lab.simulate.many import STORIES_MAX, Sum

PLAIN_EVERY_S = 30.0  # how often progress is told where there is no terminal


class Progress:
    """One line that is rewritten on a terminal, a line now and then elsewhere; stderr, so that stdout is the result."""

    def __init__(self, seeds: int | None, limit_s: float) -> None:
        self._seeds = seeds
        self._limit_s = limit_s
        self._is_terminal = sys.stderr.isatty()
        self._told_s = 0.0

    def __call__(self, total: Sum) -> None:
        """Tell how far it is."""
        every_s = 0.2 if self._is_terminal else PLAIN_EVERY_S
        if total.took_s - self._told_s < every_s:
            return
        self._told_s = total.took_s
        part = total.seeds / self._seeds if self._seeds else total.took_s / self._limit_s
        left_s = total.took_s * (1 - part) / part if part else 0.0
        line = (
            f"{total.seeds} seeds, {total.exchanges} exchanges ({total.exchanges / total.took_s:.0f}/s), "
            f"{len(total.violated)} violated, {_span(left_s)} left"
        )
        click.echo(f"\r{line:<90}" if self._is_terminal else line, err=True, nl=not self._is_terminal)

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal and self._told_s:
            click.echo(f"\r{'':<90}\r", err=True, nl=False)


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
    if not total.violated:
        return "\n".join((*lines, ran, "VERDICT: 0 violations: no address doubled, nothing lost, everybody served"))
    seeds = ", ".join(str(each.scenario.seed) for each in total.violated)
    return "\n".join((*lines, ran, f"VERDICT: {len(total.violated)} seeds violated a rule: {seeds}"))


def _span(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 100 else f"{seconds:.0f} s"
