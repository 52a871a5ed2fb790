"""Two of our servers that write to one log: on one host, on two, and as whole services."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cluster_lab
from cluster_lab import NAMES, PYTHON
from dhcp_layouts import CACHE
from dhcp_servers import prepare
from rich.console import Console
from rich.table import Table

RACE = str(Path(__file__).with_name("cluster_race.py"))
ROWS, BATCHES, RACE_S = 8000, (1, 64, 256), 5.0
WAIT_MAX_MS = 250.0
"""No commit may take longer because of a healthy peer."""
PAIR_MIN = 2.0
"""What two servers together are to do, in times of one Kea."""

Row = tuple[str, list[cluster_lab.Sample]]


def words(folder: str, name: str, half: int, batch: int, seconds: float = RACE_S) -> list[str]:
    return [sys.executable, RACE, folder, name, str(half), str(ROWS), str(batch), str(seconds)]


def race() -> int:
    """One alone, then two at once, for each size of batch."""
    rows: list[Row] = []
    for batch in BATCHES:
        for names in (NAMES[:1], NAMES):
            with folder() as place:
                subprocess.run(words(place, "lay", 0, 0, 0), check=True, env={**os.environ, **PYTHON})
                running = [
                    subprocess.Popen(
                        words(place, name, half, batch), stdout=subprocess.PIPE, env={**os.environ, **PYTHON}
                    )
                    for half, name in enumerate(names)
                ]
                rows.append((f"local, {batch} rows", [json.loads(one.communicate()[0]) for one in running]))
    return show_race("two writers, one local directory", rows)


@contextmanager
def folder() -> Iterator[str]:
    """A fresh directory on the disk of the benchmarks."""
    place = CACHE / "run" / "race"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield str(place)
    finally:
        shutil.rmtree(place)


def nfs() -> int:
    """The same in the cluster lab."""
    return show_race("two writers on two hosts", list(cluster_lab.races(words, BATCHES)))


def show_race(title: str, rows: list[Row]) -> int:
    """Print a table; returns how many races were unfair or made somebody wait too long for the other one."""
    columns = ("commits/s", "rows/s", "p50 ms", "longest ms", "of it for peer: p99", "longest", "lost in a row")
    table = Table("where", *columns, "judged", title=title)
    missed = 0
    for where, samples in rows:
        batch = int(where.split()[-2])
        rates = [one["commits/s"] for one in samples]
        met, verdict = weighed(where, rates, samples)
        missed += not met
        cells = [shown(samples, key) for key in ("commits/s", "p50 ms", "max ms", "peer p99 ms", "peer max ms", "lost")]
        cells.insert(1, f"{sum(rates) * batch:,.0f}")
        table.add_row(where, *cells, verdict)
    Console(width=130).print(table)
    return missed


def weighed(where: str, rates: list[float], commits: list[cluster_lab.Sample]) -> tuple[bool, str]:
    """Whether the goals are met, and the table's word for it (none for one writer alone); tells what broke them."""
    fair = is_fair(rates)
    met = fair and max(one["peer max ms"] for one in commits) <= WAIT_MAX_MS
    if not met:
        print(f"{where}: what the longest wait was made of, ms: {[one['worst'] for one in commits]}")
    return met, "" if len(rates) == 1 else "met" if met else "MISSED" if fair else "UNFAIR"


def is_fair(rates: list[float]) -> bool:
    """Nobody has less than a third of another's."""
    return min(rates) >= max(rates) / 3


def pair_nfs() -> int:
    """Whole services in the lab, each under light to heavy load: a Kea, one of ours with its peer idle, both."""
    prepare()
    load = ("in flight", "DORA/s", "p50 ms", "longest", "lost")
    commit = ("commit p50", "longest", "of it for peer: p99", "longest", "lost")
    table = Table("loaded", *load, *commit, "judged", "x Kea's most", title="two servers on NFS")
    most: dict[str, float] = {}
    missed = 0
    for where, in_flight, told in cluster_lab.services():
        samples = list(told.values())
        rates = [one["rate"] for one in samples]
        if where == cluster_lab.ALONE or len(told) > 1:
            most[where] = max(most.get(where, 0), sum(rates))
        cells = [str(in_flight), *(shown(samples, key) for key in ("rate", "p50_ms", "max_ms", "lost"))]
        ratio = f"{sum(rates) / most[cluster_lab.ALONE]:.2f}" if where != cluster_lab.ALONE else ""
        if "commit" not in samples[0]:
            table.add_row(where, *cells, *[""] * 6, ratio)
            continue
        commits = [one["commit"] for one in samples]
        met, verdict = weighed(where, rates, commits)
        missed += not met
        cells += [shown(commits, key) for key in ("p50 ms", "max ms", "peer p99 ms", "peer max ms", "lost")]
        table.add_row(f"{where}: {' and '.join(told)}", *cells, verdict, ratio)
    Console(width=180).print(table)
    return missed + beside_kea(most.pop(cluster_lab.ALONE), most)


def beside_kea(kea: float, pairs: dict[str, float]) -> int:
    """Say what pairs did at the most beside what a Kea did at the most; how many are too slow."""
    missed = 0
    for where, rate in pairs.items():
        met = rate >= PAIR_MIN * kea
        missed += not met
        verdict = "met" if met else "MISSED"
        print(f"{where}: at most {rate:,.0f} DORA/s, {rate / kea:.2f}x a Kea at its most: goal {PAIR_MIN:g}x {verdict}")
    return missed


def shown(samples: list[cluster_lab.Sample], key: str) -> str:
    """One number of each writer."""
    return " + ".join(f"{one[key]:.0f}" for one in samples)
