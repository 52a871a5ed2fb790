"""Many seeds on all processors: who runs which, and what they add up to."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count, islice
from multiprocessing import get_context
from time import monotonic

from twinboot.lab.simulate.cluster import Verdict, run_seed

AHEAD = 2  # seeds that wait for each processor
STORIES_MAX = 3  # of violated seeds that are told in full
VIOLATED_MAX = 20  # then there is no point in going on


@dataclass
class Sum:
    """What the runs so far add up to."""

    first: int
    hours: float
    seeds: int = 0
    exchanges: int = 0
    packets: int = 0
    operations: int = 0
    took_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    violated: list[Verdict] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The last seed run: they are taken in order."""
        return self.first + self.seeds - 1

    def add(self, verdict: Verdict) -> None:
        """Add one run."""
        self.seeds += 1
        self.exchanges += verdict.exchanges
        self.packets += verdict.packets
        self.operations += verdict.operations
        self.faults.update(verdict.faults)
        if verdict.violations:
            self.violated.append(verdict)


def run_many(
    first: int, seeds: int | None, hours: float, *, jobs: int = 0, limit_s: float = 0.0, told: Callable[[Sum], None]
) -> Sum:
    """Run `seeds` seeds from `first` on (None: as many as begin within `limit_s`), on `jobs` processors (0: all).

    `told` hears of each run that ended, and of nothing else.
    """
    total = Sum(first, hours)
    began_s = monotonic()
    numbers: Iterator[int] = islice(count(first), seeds)
    workers = jobs or os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: set[Future[Verdict]] = set()
        while True:
            in_time = not limit_s or monotonic() - began_s < limit_s
            room = workers * AHEAD - len(running) if in_time and len(total.violated) < VIOLATED_MAX else 0
            running |= {pool.submit(run_seed, number, hours) for number in islice(numbers, max(room, 0))}
            if not running:
                return total
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                total.add(future.result())
                total.took_s = monotonic() - began_s
                told(total)


def as_json(total: Sum) -> dict[str, object]:
    """Return a sum as plain values."""
    return {
        "seeds": [total.first, total.last],
        "hours": total.hours,
        "exchanges": total.exchanges,
        "packets": total.packets,
        "operations": total.operations,
        "seconds": round(total.took_s, 1),
        "exchanges_per_s": round(total.exchanges / total.took_s) if total.took_s else 0,
        "faults": dict(sorted(total.faults.items())),
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
