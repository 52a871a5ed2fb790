"""Many seeds on all processors: who runs which, and what they add up to."""

import os
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from time import monotonic
from typing import Any, NamedTuple

from twinboot.lab.simulate.cluster import Verdict, run_seed

AHEAD = 2  # seeds that wait for each processor
STORIES_MAX = 3  # of violated seeds that are told in full
VIOLATED_MAX = 20  # then there is no point in going on
_COUNTERS = ("exchanges", "packets", "operations")


class Goal(NamedTuple):
    """When to stop beginning runs; 0 is no limit. What was done before, in other runs of the program, counts."""

    seeds: int = 0
    exchanges: int = 0
    seconds: float = 0.0

    def part(self, total: "Sum") -> float:
        """Tell how much of it is done, 0 to 1."""
        done = [(total.seeds, self.seeds), (total.exchanges, self.exchanges), (total.took_s, self.seconds)]
        return min(max(have / limit for have, limit in done if limit), 1.0)


@dataclass
class Sum:
    """What the runs of the seeds `first` to `last` add up to."""

    first: int
    hours: float
    seeds: int = 0
    exchanges: int = 0
    packets: int = 0
    operations: int = 0
    took_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    violated: list[Verdict] = field(default_factory=list)
    violated_before: list[int] = field(default_factory=list)
    """Violated seeds of earlier runs of the program."""

    @property
    def last(self) -> int:
        """The last seed run: they are added in order."""
        return self.first + self.seeds - 1

    @property
    def violations(self) -> list[int]:
        """All violated seeds."""
        return [*self.violated_before, *(verdict.scenario.seed for verdict in self.violated)]

    def add(self, verdict: Verdict) -> None:
        """Add one run."""
        self.seeds += 1
        self.exchanges += verdict.exchanges
        self.packets += verdict.packets
        self.operations += verdict.operations
        self.faults.update(verdict.faults)
        if verdict.violations:
            self.violated.append(verdict)


def run_many(total: Sum, goal: Goal, *, jobs: int = 0, told: Callable[[Sum], None]) -> None:
    """Go on from `total.last` until the goal is reached, on `jobs` processors (0: all), adding runs in order.

    `told` hears of each run that was added, and of nothing else.
    """
    before_s, began_s = total.took_s, monotonic()
    numbers = count(total.last + 1)
    workers = jobs or os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: deque[Future[Verdict]] = deque()  # in the order of their seeds
        while True:
            while len(running) < workers * AHEAD and _goes_on(total, goal, len(running)):
                running.append(pool.submit(run_seed, next(numbers), total.hours))
            if not running:
                return
            total.add(running.popleft().result())
            total.took_s = before_s + monotonic() - began_s
            told(total)


def _goes_on(total: Sum, goal: Goal, running: int) -> bool:
    if len(total.violated) >= VIOLATED_MAX:
        return False
    return goal.part(total) < 1 and not (goal.seeds and total.seeds + running >= goal.seeds)


def load(totals: Mapping[str, Any]) -> Sum:
    """Make the sum that `as_json` wrote; KeyError, TypeError, ValueError if it is none."""
    first, last = map(int, totals["seeds"])
    total = Sum(first, float(totals["hours"]), last - first + 1, took_s=float(totals["seconds"]))
    for name in _COUNTERS:
        setattr(total, name, int(totals[name]))
    total.faults.update({str(kind): int(times) for kind, times in totals["faults"].items()})
    total.violated_before = [int(seed) for seed in totals["violated"]]
    return total


def as_json(total: Sum) -> dict[str, object]:
    """Return a sum as plain values."""
    return {
        "seeds": [total.first, total.last],
        "hours": total.hours,
        **{name: getattr(total, name) for name in _COUNTERS},
        "seconds": round(total.took_s, 1),
        "exchanges_per_s": round(total.exchanges / total.took_s) if total.took_s else 0,
        "faults": dict(sorted(total.faults.items())),
        "violated": total.violations,
        "violations": [
            {
                "seed": verdict.scenario.seed,
                "scenario": str(verdict.scenario),
                "rule": verdict.violations[0].rule,
                "text": verdict.violations[0].text,
                "count": len(verdict.violations),
                "story": list(verdict.story),
            }
            for verdict in total.violated
        ],
    }
