"""DHCP beside Kea 2.2 and ISC dhcpd, in one run, interleaved.

Each server runs alone, pinned to one core, in a network namespace of its own; the load client (dhcp_load.c, compiled
here) is a relay with its clients on another core in a second namespace. A scenario measures all its servers in every
round, so that a noisy minute hits each of them. Medians of the rounds are printed; ratios are medians of the ratios
within a round; the last table says for each goal whether it is met. Ours syncs file and directory before every ACK,
ISC dhcpd syncs its log, Kea does not sync. Needs root (namespaces), gcc, iproute2, apt.

    sudo .venv/bin/python benchmarks/dhcp.py --rounds 5
    sudo .venv/bin/python benchmarks/dhcp.py --quick --scenario fresh-15k
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from dhcp_floor import floor
from dhcp_goals import Results, Sample, show
from dhcp_layouts import BUILDS, CACHE, FAST, FAST_PYTHON, ISC, KEA, MINE, OURS, SERVERS, TWINLOG, Layout
from dhcp_servers import Running, build_of, load_command, preferred, prepare, relay_namespaces, serving
from wire import as_typed, check_tools

LOAD_S = 120.0
PASSES = 16
OPEN_S = 3.0  # how long an open loop offers its load

IN_FLIGHT = {**dict.fromkeys(MINE, 1024), KEA: 128, ISC: 128}
"""Exchanges at a time, of closed loops: each server as many as suit it. Those that answer packet by packet gain nothing
by more, and their buffers as shipped hold no more than some 200; who syncs one batch while it decides about the next
needs two."""

FEW, USUAL, LARGE = Layout(8, 2048, 2000), Layout(1, 16384, 15000), Layout(1, 65536, 65000)
CROWD, THOUSAND = Layout(25, 4096, 4000, loaded=True), Layout(1, 4096, 1000, loaded=True)
OVERLOAD = Layout(10, 16384, 15000)


class Bench:
    """One run: where the servers live, and the latest sample of each (scenario, server)."""

    def __init__(self, disk: Path, names: tuple[str, str], cpus: tuple[str, str]) -> None:
        self.disk = disk
        self.names = names
        self.cpus = cpus
        self.rates: dict[str, float] = {}  # fresh DORA/s of this round, by server

    def load(
        self, running: Running, layout: Layout, per_network: int, *, in_flight: int = 0, **words: object
    ) -> list[Sample]:
        """Run the load client, with as much in flight as suits the server; one result for each phase.

        Any wrong answer ends the benchmark.
        """
        command = load_command(self.names[1], self.cpus[1], layout, per_network)
        command += [f"{name}={value}" for name, value in words.items()]
        command.append(f"inflight={in_flight or IN_FLIGHT[running.name]}")
        command.append(f"pids={','.join(map(str, running.pids))}")
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LOAD_S)
        results: list[Sample] = [json.loads(line) for line in done.stdout.splitlines()]
        for result in results:
            if result["doubled"] or result["strange"]:
                raise click.ClickException(f"wrong answers: {result}")
        return results


def fresh(layout: Layout, per_network: int, *, renew: bool = False) -> Callable[[Bench, str], Sample]:
    def measure(bench: Bench, server: str) -> Sample:
        clients = min(per_network, 3000 // layout.networks) if server == ISC else per_network
        with serving(server, layout, bench.disk, bench.names, bench.cpus) as running:
            results = bench.load(running, layout, clients, phases="fresh,renew" if renew else "fresh")
        first = results[0]
        sample = {"DORA/s": first["rate"], "p99 ms": first["p99_ms"], "CPU us/DORA": first["cpu_us"]}
        sample["lost"] = first["lost"] + first["refused"]
        if renew:
            sample |= {"renewals/s": results[1]["rate"], "CPU us/renewal": results[1]["cpu_us"]}
            bench.rates[server] = first["rate"]
        return sample

    return measure


def half_load(bench: Bench, server: str) -> Sample:
    """Latency at half of what Kea did in this round's closed loop."""
    if KEA not in bench.rates:
        bench.rates[KEA] = fresh(USUAL, 14500)(bench, KEA)["DORA/s"]
    rate = bench.rates[KEA] / 2
    with serving(server, USUAL, bench.disk, bench.names, bench.cpus) as running:
        total = min(int(rate * OPEN_S), 14500)
        (result,) = bench.load(running, USUAL, 14500, rate=rate, total=total)
    missed = 100 * (1 - result["done"] / result["begun"])
    return {"offered/s": rate, "p50 ms": result["p50_ms"], "p99 ms": result["p99_ms"], "missed %": missed}


def overload(bench: Bench, server: str) -> Sample:
    """Exchanges done in time at twice the rate that the server itself did in this round's closed loop."""
    if server not in bench.rates:
        bench.rates[server] = fresh(USUAL, 14500)(bench, server)["DORA/s"]
    peak = bench.rates[server]
    with serving(server, OVERLOAD, bench.disk, bench.names, bench.cpus) as running:
        (result,) = bench.load(running, OVERLOAD, 15000, rate=2 * peak, total=min(int(2 * peak * OPEN_S), 150_000))
    return {"offered/s": 2 * peak, "in time/s": result["rate"], "% of peak": 100 * result["rate"] / peak}


def crowd(bench: Bench, server: str) -> Sample:
    """100,000 bindings in 25 networks: start, memory, renewals; the same renewals with 1,000 bindings."""
    with serving(server, CROWD, bench.disk, bench.names, bench.cpus) as running:
        rss = running.rss_main_mb()
        one = passes(bench, running, CROWD)
        (all_,) = bench.load(running, CROWD, CROWD.rows, phases="renew", total=16000, spread=1)
    with serving(server, THOUSAND, bench.disk, bench.names, bench.cpus) as small:
        few = passes(bench, small, THOUSAND)
    return {
        "first answer s": running.first_answer_s,
        "RSS MB": rss,
        "renewals/s": one,
        "all at once/s": all_["rate"],
        "with 1k/s": few,
        "of 1k": one / few,
    }


def passes(bench: Bench, running: Running, layout: Layout) -> float:
    """Renewals/s of a thousand clients, each pass in another second: twice in one, a client leaves nothing to store.

    Half of them at a time at the most: the rate is taken until the last one begins.
    """
    phases, half = ",".join(["renew"] * PASSES), min(IN_FLIGHT[running.name], THOUSAND.rows // 2)
    results = bench.load(running, layout, layout.rows, in_flight=half, phases=phases, total=THOUSAND.rows)
    return sum(one["rate"] * one["seconds"] for one in results) / sum(one["seconds"] for one in results)


class Scenario(NamedTuple):
    """`servers` are measured in every round, and the compiled builds of those that are ours."""

    name: str
    servers: tuple[str, ...]
    measure: Callable[[Bench, str], Sample]

    @property
    def all_servers(self) -> tuple[str, ...]:
        built = [BUILDS[server] for server in self.servers if server in BUILDS] if FAST_PYTHON.exists() else []
        return (*self.servers, *built)


SCENARIOS = (
    Scenario("fresh-15k", (OURS, KEA, ISC, TWINLOG), fresh(USUAL, 14500, renew=True)),
    Scenario("fresh-2k", (OURS, KEA, ISC), fresh(FEW, 1800)),
    Scenario("fresh-65k", (OURS, KEA), fresh(LARGE, 30000)),
    Scenario("half-load", (OURS, KEA, TWINLOG), half_load),
    Scenario("overload", (OURS, KEA), overload),
    Scenario("crowd-100k", (OURS, KEA), crowd),
)


@click.command(help=as_typed(__doc__))
@click.option("--rounds", default=5, show_default=True, help="How often everything is measured; medians are printed.")
@click.option("--quick", is_flag=True, help="One round.")
@click.option(
    "--scenario", "wanted", multiple=True, type=click.Choice([one.name for one in SCENARIOS]), help="Only it."
)
@click.option("--server", "only", multiple=True, type=click.Choice(list(SERVERS)), help="Only it; prints no goals.")
@click.option("--server-cpu", default="1", show_default=True, help="Core of the servers.")
@click.option("--client-cpu", default="0", show_default=True, help="Core of the load client.")
@click.option("--disk", default=str(CACHE / "run"), show_default=True, help="Directory for the servers' data.")
def main(
    rounds: int,
    quick: bool,
    wanted: tuple[str, ...],
    only: tuple[str, ...],
    server_cpu: str,
    client_cpu: str,
    disk: str,
) -> None:
    check_tools()
    prepare()
    print(f"{OURS}, {TWINLOG}: {build_of(sys.executable)}", file=sys.stderr)
    if FAST_PYTHON.exists():
        print(f"{', '.join(FAST)}: {build_of(FAST_PYTHON)}", file=sys.stderr)
    else:
        print("only pure Python is measured: `make fast` builds the compiled one", file=sys.stderr)
    Path(disk).mkdir(parents=True, exist_ok=True)
    scenarios = [one for one in SCENARIOS if not wanted or one.name in wanted]
    results: Results = {one.name: defaultdict(list) for one in scenarios}
    floors = []
    with preferred(), relay_namespaces() as names:
        bench = Bench(Path(disk), names, (server_cpu, client_cpu))
        for number in range(1 if quick else rounds):
            bench.rates.clear()
            for scenario in scenarios:
                floors.append(floor(bench.disk))
                for server in scenario.all_servers:
                    if not only or server in only:
                        sample = scenario.measure(bench, server)
                        results[scenario.name][server].append(sample)
                        values = "  ".join(f"{name} {value:.4g}" for name, value in sample.items())
                        print(f"round {number + 1}  {scenario.name:10}  {server:8}  {values}", file=sys.stderr)
    missed = 0 if only else show(results)
    load = os.getloadavg()[0]
    append, replace, p99 = (median(values) for values in zip(*floors, strict=True))
    print(
        f"medians of {1 if quick else rounds} rounds, {IN_FLIGHT[OURS]} exchanges in flight "
        f"(Kea, ISC {IN_FLIGHT[KEA]}); {missed} goals missed; "
        f"load average {load:.1f}\n"
        f"the disk, medians: 4 KiB appended and synced {append:.2f} ms; "
        f"a file of 4 KiB created, synced and renamed, its directory synced: p50 {replace:.2f} ms, p99 {p99:.2f} ms"
    )


if __name__ == "__main__":
    main()
