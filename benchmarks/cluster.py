"""Two of our servers on one share: how fair they are, how fast, and how soon they answer; beside Kea.

    sudo .venv/bin/python benchmarks/cluster.py                   # all of it
    sudo .venv/bin/python benchmarks/cluster.py --part race --part nfs

race     two processes commit to one twinlog in a local directory as fast as they can, batches of 1, 64 and 256 rows
nfs      the same by two hosts with real NFS clients (User Mode Linux, nfs-ganesha), versions 4.1 and 3
pair-nfs both servers of such a pair loaded from outside through relays: whole services instead of commits
pair     both servers of a pair loaded, beside a single Kea
restart  100,000 leases: from exec to the first answer
death    one server of a pair is killed -9 while clients come and go: ours, and Kea's HA hook (hot-standby) beside it

Needs root; `nfs` needs what the cluster lab needs (docs/cluster-lab.md).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from statistics import median

import click
import cluster_pairs
from cluster_lab import NAMES, NAP_US, ROOT
from cluster_writers import PAIR_MIN, folder, is_fair, nfs, pair_nfs, race
from dhcp_layouts import CACHE, FAST_PYTHON, NET_BASE, RELAY, SERVER, SERVERS, Layout
from dhcp_servers import PRIORITY, load_command, preferred, prepare, relay_namespaces, serving
from rich.console import Console
from rich.table import Table
from wire import as_typed, run, two_namespaces

READY_S, BEFORE_S, AFTER_S, FRESH_PER_S = 60.0, 4.0, 100.0, 20.0
FIRST_ANSWER_MAX_S = 1.3
STARTS = tuple(
    ((signal.SIGTERM, "after SIGTERM"), (signal.SIGKILL, "after SIGKILL"))[number % 2] for number in range(7)
)
ADDRESSES = (SERVER, "10.77.0.3")
IN_FLIGHT = {"twinlog": 512, "compiled-twinlog": 512, "kea": 128}

Sample = dict[str, float]


def pair() -> int:
    """Fresh leases of two of ours in one log, each with its own clients; one of ours alone; one Kea alone.

    Ours in pure Python and, where it is built, compiled.
    """
    prepare()
    builds = ["twinlog", "compiled-twinlog"] if FAST_PYTHON.exists() else ["twinlog"]
    table = Table(
        "server", "DORA/s", "p50 ms", "p99 ms", "CPU us/DORA", "lost", title="both loaded, 14,500 clients each"
    )
    results = {name: single(name) for name in ("kea", *builds)}
    pairs = {build: loaded_pair(build) for build in builds}
    halves = [
        (f"{build}, pair: {name}", one) for build in builds for name, one in zip(NAMES, pairs[build], strict=True)
    ]
    for title, one in [*results.items(), *halves]:
        cells = [f"{one[key]:.4g}" for key in ("rate", "p50_ms", "p99_ms", "cpu_us")]
        table.add_row(title, *cells, f"{one['lost'] + one['refused']:.0f}")
    Console(width=110).print(table)
    return sum(judged(build, both, results["kea"]) for build, both in pairs.items())


def judged(build: str, both: list[Sample], kea: Sample) -> int:
    """Say how a pair does beside one Kea; how many goals it misses."""
    together = sum(one["rate"] for one in both) / kea["rate"]
    capacity = sum(1 / one["cpu_us"] for one in both) * kea["cpu_us"]
    fair = is_fair([one["rate"] for one in both])
    print(
        f"{build}: pair, with a core for each that both loads share: {together:.2f}x kea, which had a core for itself; "
        f"by CPU time, were the loads elsewhere: {capacity:.2f}x kea; {'fair' if fair else 'UNFAIR'}"
    )
    return int(max(together, capacity) < PAIR_MIN) + int(not fair)


def single(name: str) -> Sample:
    """One server alone on a core, its load on the other."""
    layout = Layout(1, 16384, 15000)
    with relay_namespaces() as names, serving(name, layout, CACHE / "run", names, ("1", "0")) as running:
        command = load_command(names[1], "0", layout, 14500)
        command += [f"inflight={IN_FLIGHT[name]}", f"pids={running.pids[-1]}", f"nap_us={NAP_US}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return sound(json.loads(done.stdout))


def loaded_pair(build: str) -> list[Sample]:
    """Two servers on one directory, each on a core of its own and in a network of its own, its load on either core."""
    layout = Layout(2, 16384, 15000)
    with folder() as place, contextlib.ExitStack() as stack:
        first = SERVERS[build](layout, Path(place))[-1].argv
        commands = [first, second_server(Path(place), first)]
        os.sync()
        loads = []
        for number, (command, address) in enumerate(zip(commands, ADDRESSES, strict=True)):
            names = stack.enter_context(two_namespaces(f"clpair{number}", address, RELAY))
            run("ip", "-n", names[0], "route", "add", "10.64.0.0/11", "via", RELAY)
            run("ip", "-n", names[1], "route", "add", "local", "10.64.0.0/11", "dev", "lo")
            argv = ["ip", "netns", "exec", names[0], "taskset", "-c", str(number), *PRIORITY, *command]
            process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=place)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            half = [f"server={address}", "networks=1", "clients=14500", f"first={number * 14500 * 100}"]
            half.append(f"net_base={IPv4Address(NET_BASE) + number * layout.size}")
            ask = [*load_command(names[1], "0,1", layout, 14500), *half, f"nap_us={NAP_US}"]
            subprocess.run(
                [*ask, "phases=wait", f"first={number * 14500 * 100 + 14499}"], check=True, capture_output=True
            )
            loads.append([*ask, f"inflight={IN_FLIGHT[build]}", f"pids={process.pid}"])
        running = [subprocess.Popen(load, stdout=subprocess.PIPE) for load in loads]
        return [sound(json.loads(one.communicate(timeout=120)[0])) for one in running]


def second_server(place: Path, first: list[str]) -> list[str]:
    """Make the configuration of another server on the same share, and tell both of each other; its command."""
    conf = (place / "dhcpsvc.conf").read_text().replace(f"OWNER_IP={SERVER}", f"OWNER_IP={','.join(ADDRESSES)}")
    (place / "dhcpsvc.conf").write_text(conf)
    (place / "node2").mkdir()
    toml = (place / "twinboot.toml").read_text().replace(SERVER, ADDRESSES[1]).replace('"one"', '"two"')
    (place / "two.toml").write_text(toml.replace(f"{place}/node", f"{place}/node2"))
    for path in (place / "node2", place / "two.toml"):
        os.chown(path, (place / "node").stat().st_uid, (place / "node").stat().st_gid)
    return [word.replace("twinboot.toml", "two.toml") for word in first]


def sound(result: Sample) -> Sample:
    if result["doubled"] or result["strange"]:
        raise click.ClickException(f"wrong answers: {result}")
    return result


def restart() -> int:
    """From exec to the first answer, after SIGTERM and after SIGKILL; the very first start takes containers over."""
    prepare()
    layout = Layout(25, 4096, 4000, loaded=True)
    took_s: dict[str, list[float]] = {"first": [], "after SIGTERM": [], "after SIGKILL": []}
    with relay_namespaces() as names, folder() as place:
        command = SERVERS["twinlog"](layout, Path(place))[-1].argv
        os.sync()
        last = "first"
        for ends, title in STARTS:
            process, seconds = first_answer(names, command, layout)
            took_s[last].append(seconds)
            process.send_signal(ends)
            process.wait(20)
            last = title
    table = Table("start", "first answer s (median)", "each", title="100,000 leases in 25 networks, twinlog")
    for title, all_s in took_s.items():
        table.add_row(title, f"{median(all_s):.2f}", " ".join(f"{one:.2f}" for one in all_s))
    Console(width=110).print(table)
    return int(median(took_s["after SIGTERM"]) > FIRST_ANSWER_MAX_S)


def first_answer(names: tuple[str, str], command: list[str], layout: Layout) -> tuple[subprocess.Popen[bytes], float]:
    """Start a server while a client asks all the time; the process, and how long that took."""
    asking = [*load_command(names[1], "0", layout, layout.rows), "phases=wait", "first=0"]
    probe = subprocess.Popen(asking, stdout=subprocess.PIPE)
    time.sleep(0.2)
    began = time.time()
    argv = ["ip", "netns", "exec", names[0], "taskset", "-c", "1", *PRIORITY, *command]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answer = json.loads(probe.communicate(timeout=90)[0])
    if not answer["answered"]:
        process.kill()
        raise click.ClickException("the server does not answer")
    return process, answer["at"] - began


def death() -> int:
    """Kill the server that is to be missed, and judge by what its clients saw."""
    from tests.system.cluster import checker  # noqa: PLC0415

    prepare()
    table = Table(
        "pair", "served", "longest silence s", "longest wait s", "repeated", "gave up", title="kill -9 of one"
    )
    rows: dict[str, checker.Verdict] = {}
    for title, lay in PAIRS.items():
        place = CACHE / "run" / "pair"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        with cluster_pairs.wires() as names, cluster_pairs.serving(names, lay(place), place) as processes:
            out = place / "events"
            crowd = cluster_pairs.load(names, out, FRESH_PER_S, ROOT)
            cluster_pairs.served(out, READY_S)
            time.sleep(BEFORE_S)
            processes["odd"].kill()
            time.sleep(AFTER_S)
            assert crowd.stdin
            crowd.stdin.close()
            crowd.wait(10)
        events = [json.loads(line) for line in out.read_text().splitlines()]
        verdict = checker.judge(events, {})
        heard = [event["t"] for event in events if event["event"] in ("ack", "end")]
        silence_s = max(after - before for before, after in pairwise(heard))
        rows[title] = verdict
        again = sum(count for times, count in verdict.again.items() if times)
        gave = sum(verdict.gave_up.values())
        cells = [
            f"{sum(verdict.again.values())}",
            f"{silence_s:.1f}",
            f"{verdict.wait_s:.1f}",
            str(again),
            str(gave),
        ]
        table.add_row(title, *cells)
    Console(width=110).print(table)
    return int(bool(rows["ours"].gave_up))


PAIRS: dict[str, Callable[[Path], dict[str, list[str]]]] = {
    "ours": cluster_pairs.ours,
    "kea, default timers": lambda place: cluster_pairs.kea(place, cluster_pairs.DEFAULTS),
    "kea, timers of a second": lambda place: cluster_pairs.kea(place, cluster_pairs.TUNED),
}
PARTS: dict[str, Callable[[], int]] = {
    "race": race,
    "nfs": nfs,
    "pair-nfs": pair_nfs,
    "pair": pair,
    "restart": restart,
    "death": death,
}


@click.command(help=as_typed(__doc__))
@click.option("--part", "wanted", multiple=True, type=click.Choice(list(PARTS)), help="Only it.")
def main(wanted: tuple[str, ...]) -> None:
    if os.geteuid() != 0:
        raise click.ClickException("namespaces and NFS need root: run it with sudo")
    sys.path.insert(0, str(ROOT))
    with preferred():
        missed = sum(PARTS[name]() for name in wanted or PARTS)
    print(f"{missed} goals missed; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
