"""TFTP throughput beside tftpd-hpa, atftpd and dnsmasq, in one run, interleaved.

Each server runs alone, pinned to one core, in a network namespace of its own; the load client (tftp_load.c,
compiled here) is pinned to another core in a second namespace, and a veth pair joins them. Every round measures
every server in every setting, so that a noisy minute hits all of them. Medians of the rounds are printed, and
ratios are medians of the ratios within a round. The peers are unpacked below .cache, not installed: the two
Debian packages conflict. Needs root (namespaces), gcc, iproute2, apt.

    sudo .venv/bin/python benchmarks/tftp.py --rounds 5
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from wire import check_tools, run, two_namespaces, unpack

from pxe.tftpd import TftpServer
from pxe.tree import BootTree

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "benchmarks" / "tftp"
PEER_PACKAGES = ("tftpd-hpa", "atftpd", "dnsmasq-base", "libwrap0")
SERVER_ADDRESS, CLIENT_ADDRESS = "10.77.0.1", "10.77.0.2"
FILE_BYTES = 2 << 20
START_S = 10.0
LOAD_S = 120.0


class Setting(NamedTuple):
    blksize: int
    windowsize: int
    clients: int

    @property
    def transfers(self) -> int:
        """Enough for a second or so of work."""
        if self.clients > 1:
            return self.clients
        return 2 if self.windowsize == 1 else 40

    @property
    def title(self) -> str:
        return f"{self.blksize} / window {self.windowsize} / {self.clients} client{'s' * (self.clients > 1)}"


class Sample(NamedTuple):
    rate: float  # MB/s
    cpu: float  # CPU seconds for a GB
    repeats: int


class Peer(NamedTuple):
    name: str
    command: Callable[[Path], list[str]]
    windows: bool


def unpacked(package: str, binary: str) -> str:
    return str(CACHE / "peers" / package / "usr" / "sbin" / binary)


PEERS = (
    Peer("twinboot", lambda root: [sys.executable, __file__, "serve", str(root)], True),
    Peer(
        "tftpd-hpa",
        lambda root: [
            unpacked("tftpd-hpa", "in.tftpd"),
            "-L",
            "-u",
            "root",
            "-a",
            f"{SERVER_ADDRESS}:69",
            "-s",
            str(root),
        ],
        False,
    ),
    Peer(
        "atftpd",
        lambda root: [
            *(unpacked("atftpd", "atftpd"), "--daemon", "--no-fork", "--user", "root", "--group", "root"),
            *("--logfile", "/dev/null", "--maxthread", "200", "--bind-address", SERVER_ADDRESS, str(root)),
        ],
        True,
    ),
    Peer(
        "dnsmasq",
        lambda root: [
            *(unpacked("dnsmasq-base", "dnsmasq"), "-k", "-C", "/dev/null", "--port=0", "--enable-tftp", "--user=root"),
            *("--tftp-max=200", f"--tftp-root={root}", f"--listen-address={SERVER_ADDRESS}", "--bind-interfaces"),
            "--pid-file=",
        ],
        False,
    ),
)


class Goal(NamedTuple):
    text: str
    peer: str
    applies: Callable[[Setting], bool]
    ratio: Callable[[Sample, Sample], float]
    met: Callable[[float], bool]


def _rate(ours: Sample, theirs: Sample) -> float:
    return ours.rate / theirs.rate


def _cpu(ours: Sample, theirs: Sample) -> float:
    return ours.cpu / theirs.cpu


GOALS = (
    Goal("rate >= 0.9x tftpd-hpa", "tftpd-hpa", lambda s: s[1:] == (1, 1), _rate, lambda r: r >= 0.9),
    Goal("rate >= 2x tftpd-hpa", "tftpd-hpa", lambda s: s.windowsize == 1 < s.clients, _rate, lambda r: r >= 2),
    Goal("rate >= 3x atftpd", "atftpd", lambda s: s.windowsize > 1, _rate, lambda r: r >= 3),
    Goal("CPU/GB <= 0.7x atftpd", "atftpd", lambda _: True, _cpu, lambda r: r <= 0.7),
)


def prepare() -> Path:
    """Peers unpacked, load client compiled, the file to fetch written; returns the directory to serve."""
    debs = CACHE / "peers"
    for package in PEER_PACKAGES:
        unpack(package, debs, debs / package)
    run("gcc", "-O2", "-o", str(CACHE / "tftp_load"), str(HERE / "tftp_load.c"))
    root = CACHE / "root"
    root.mkdir(exist_ok=True)
    (root / "payload").write_bytes(os.urandom(FILE_BYTES))
    return root


def load(client: str, cpu: str, setting: Setting) -> dict[str, float]:
    command = ["ip", "netns", "exec", client, "taskset", "-c", cpu, str(CACHE / "tftp_load"), SERVER_ADDRESS, "69"]
    numbers = [setting.blksize, setting.windowsize, setting.clients, setting.transfers]
    done = subprocess.run(
        [*command, "payload", *map(str, numbers)], check=True, capture_output=True, text=True, timeout=LOAD_S
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


@contextmanager
def cpu_group() -> Iterator[tuple[Path, Callable[[], float]]]:
    """A cgroup for one server and all it forks, and its CPU seconds so far. tftpd-hpa needs it: nobody waits
    for its children, so their time is in no /proc file afterwards."""
    old = Path("/sys/fs/cgroup/cpuacct")
    group = (old if old.is_dir() else Path("/sys/fs/cgroup")) / f"tftpbench{os.getpid()}"
    group.mkdir()

    def spent_s() -> float:
        if old.is_dir():
            return int((group / "cpuacct.usage").read_text()) / 1e9
        return int((group / "cpu.stat").read_text().split()[1]) / 1e6

    try:
        yield group, spent_s
    finally:
        for _ in range(50):  # the last child may still be on its way out
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


def measure(peer: Peer, setting: Setting, root: Path, names: tuple[str, str], cpus: tuple[str, str]) -> Sample:
    server, client = names
    libs = os.pathsep.join(str(path) for path in CACHE.glob("peers/libwrap0/usr/lib/*"))
    environment = {**os.environ, "LD_LIBRARY_PATH": libs}
    with cpu_group() as (group, spent_s):
        join = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
        command = [*join, "ip", "netns", "exec", server, "taskset", "-c", cpus[0], *peer.command(root)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            wait_until_it_serves(process, client, cpus[1])
            before = spent_s()
            answer = load(client, cpus[1], setting)
            spent = spent_s() - before
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
    if answer["failed"] or answer["bytes"] != FILE_BYTES * setting.transfers:
        raise click.ClickException(f"{peer.name} did not deliver every byte in {setting.title}: {answer}")
    megabytes = answer["bytes"] / 1e6
    return Sample(megabytes / answer["seconds"], spent / megabytes * 1000, int(answer["repeats"]))


def wait_until_it_serves(process: subprocess.Popen[bytes], client: str, cpu: str) -> None:
    ends = time.monotonic() + START_S
    time.sleep(0.3)
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise click.ClickException(f"{process.args!r} ended with code {process.returncode}: try it by hand")
        with suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            if load(client, cpu, Setting(1468, 1, 1))["completed"]:
                return
    raise click.ClickException(f"{process.args!r} does not answer")


def settings(quick: bool) -> list[Setting]:
    sizes, windows = ((1468,), (1, 16)) if quick else ((512, 1468), (1, 16, 64))
    return [Setting(size, window, clients) for size in sizes for window in windows for clients in (1, 50)]


Results = dict[Setting, dict[str, list[Sample]]]


def show(results: Results) -> int:
    """Print both tables; returns how many goals were missed."""
    console = Console(width=110)
    table = Table("block / window / clients", "server", "MB/s", "(min-max)", "CPU s/GB", "repeats")
    for setting, servers in results.items():
        for name, samples in servers.items():
            rates = [sample.rate for sample in samples]
            spread = f"{min(rates):.1f}-{max(rates):.1f}"
            cells = (f"{median(rates):.1f}", spread, f"{median(s.cpu for s in samples):.2f}")
            title = setting.title if name == "twinboot" else ""
            table.add_row(title, name, *cells, str(sum(s.repeats for s in samples)), end_section=name == "dnsmasq")
    console.print(table)
    goals = Table("goal", "block / window / clients", "median ratio", "verdict")
    missed = 0
    for goal in GOALS:
        for setting, servers in results.items():
            if not goal.applies(setting):
                continue
            pairs = zip(servers["twinboot"], servers[goal.peer], strict=True)
            ratio = median(goal.ratio(ours, theirs) for ours, theirs in pairs)
            missed += not goal.met(ratio)
            goals.add_row(goal.text, setting.title, f"{ratio:.2f}", "pass" if goal.met(ratio) else "MISS")
    console.print(goals)
    return missed


@click.group(invoke_without_command=True, help=__doc__)
@click.option("--rounds", default=5, show_default=True, help="How often everything is measured; medians are printed.")
@click.option("--quick", is_flag=True, help="One block size, windows 1 and 16 only.")
@click.option("--server-cpu", default="1", show_default=True, help="Core of the servers.")
@click.option("--client-cpu", default="0", show_default=True, help="Core of the load client.")
@click.pass_context
def main(context: click.Context, rounds: int, quick: bool, server_cpu: str, client_cpu: str) -> None:
    if context.invoked_subcommand:
        return
    check_tools()
    root = prepare()
    results: Results = {setting: {} for setting in settings(quick)}
    jobs = [
        (setting, peer)
        for _ in range(rounds)
        for setting in results
        for peer in PEERS
        if peer.windows or setting.windowsize == 1
    ]
    with two_namespaces("tftpbench", SERVER_ADDRESS, CLIENT_ADDRESS) as names, Progress() as progress:
        task = progress.add_task("measuring", total=len(jobs))
        for setting, peer in jobs:
            progress.update(task, description=f"{peer.name:9} {setting.title}")
            sample = measure(peer, setting, root, names, (server_cpu, client_cpu))
            results[setting].setdefault(peer.name, []).append(sample)
            progress.advance(task)
    missed = show(results)
    print(f"medians of {rounds} rounds; {missed} goals missed; load average {os.getloadavg()[0]:.1f}")


@main.command(hidden=True)
@click.argument("root")
def serve(root: str) -> None:
    """Our server, as the benchmark runs it."""
    tree = BootTree(root)
    server = TftpServer(lambda name, _client: tree.open(name), lambda _kind, **_fields: None)
    server.bind([SERVER_ADDRESS])
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    server.serve()


if __name__ == "__main__":
    main()
