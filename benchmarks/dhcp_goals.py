"""What DHCP servers are to reach beside each other, and tables of what they did."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from dhcp_layouts import BUILDS, ISC, KEA, MINE, OURS, TWINLOG
from rich.console import Console
from rich.table import Table

Sample = dict[str, float]  # by name of measure


class Goal(NamedTuple):
    """`peer` None: the value itself is judged, not its ratio. `most`: the ratio may be this at most, not at least."""

    scenario: str
    measure: str
    peer: str | None
    bound: float
    most: bool = False
    ours: str = OURS

    @property
    def text(self) -> str:
        what = f"{self.bound:g}x {self.peer}" if self.peer else f"{self.bound:g}"
        return f"{self.scenario}, {self.ours}: {self.measure} {'<=' if self.most else '>='} {what}"


GOALS = (
    Goal("fresh-15k", "DORA/s", KEA, 2),
    Goal("fresh-15k", "DORA/s", ISC, 6),
    Goal("fresh-2k", "DORA/s", KEA, 3),
    Goal("fresh-2k", "DORA/s", ISC, 10),
    Goal("fresh-15k", "renewals/s", KEA, 2.5),
    Goal("fresh-15k", "CPU us/DORA", KEA, 0.4, most=True),
    Goal("half-load", "p99 ms", KEA, 1, most=True),
    Goal("overload", "% of peak", None, 80),
    Goal("crowd-100k", "first answer s", KEA, 1, most=True),
    Goal("crowd-100k", "RSS MB", KEA, 1.5, most=True),
    Goal("crowd-100k", "of 1k", None, 0.9),
    Goal("fresh-65k", "DORA/s", KEA, 1),
    Goal("fresh-15k", "DORA/s", KEA, 3, ours=TWINLOG),
    Goal("fresh-15k", "DORA/s", ISC, 10, ours=TWINLOG),
    Goal("half-load", "p99 ms", KEA, 1, most=True, ours=TWINLOG),
)
Results = dict[str, dict[str, list[Sample]]]


def show(results: Results) -> int:
    """Print what was measured and the goals; returns how many were missed."""
    console = Console(width=110)
    table = Table("scenario", "measure", "server", "median", "(min-max)", "x kea", "x isc")
    for scenario, servers in results.items():
        for measure in servers[OURS][0]:
            for server, samples in servers.items():
                values = [sample[measure] for sample in samples]
                cells = [f"{median(values):,.4g}", f"{min(values):,.4g}-{max(values):,.4g}"]
                for peer in (KEA, ISC):
                    compared = server in MINE and peer in servers and all(s[measure] for s in servers[peer])
                    cells.append(f"{ratio(servers, measure, peer, server):.2f}" if compared else "")
                table.add_row(scenario if server == OURS else "", measure if server == OURS else "", server, *cells)
        table.add_section()
    console.print(table)
    goals = Table("goal", "pure Python", "compiled")
    missed = 0
    for goal in GOALS:
        if goal.scenario not in results:
            continue
        verdicts = []
        for ours in (goal.ours, BUILDS[goal.ours]):
            if ours not in results[goal.scenario]:
                verdicts.append("")
                continue
            reached = ratio(results[goal.scenario], goal.measure, goal.peer, ours)
            met = reached <= goal.bound if goal.most else reached >= goal.bound
            missed += not met
            verdicts.append(f"{reached:.2f} {'met' if met else 'MISSED'}")
        goals.add_row(goal.text, *verdicts)
    console.print(goals)
    return missed


def ratio(servers: dict[str, list[Sample]], measure: str, peer: str | None, ours: str = OURS) -> float:
    """Median over the rounds of ours to the peer's; of ours alone without a peer."""
    if peer is None:
        return median(sample[measure] for sample in servers[ours])
    pairs = zip(servers[ours], servers[peer], strict=True)
    return median(one[measure] / other[measure] for one, other in pairs)
