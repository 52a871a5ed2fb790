"""Coverage-guided fuzzing, one target after another: `tests/fuzz/run.py [--seconds N] [--corpus DIR] [TARGET ...]`.

What is found interesting is kept in the corpus, so that each run goes on from the last. A crash ends that target: its
traceback is printed, its input is kept as `crash-...` beside the corpus, and `run.py --replay FILE TARGET` repeats it.
Needs atheris (the extra `fuzz`).
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INPUT_BYTES_MAX = 4096
INPUT_TIMEOUT_S = 10
RSS_MIB_MAX = 1024
START_S = 120  # beyond --seconds, for imports and instrumentation on a busy machine
INSTRUMENTED = ("dhcp", "pxe", "jumpstart", "storage", "twinboot", "dnslib", "tomllib")
DONE = re.compile(r"Done (\d+) runs in (\d+) second")
COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


def main() -> int:
    """Run what the command line says; 0 if nothing was found, 1 if something was, 2 if it cannot run."""
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long each target runs")
    parser.add_argument("--corpus", type=Path, default=ROOT / ".cache" / "fuzz")
    parser.add_argument("--replay", type=Path, help="run one input, without atheris")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    given = parser.parse_args()
    if given.replay:
        return replay(given.replay, given.targets)
    if importlib.util.find_spec("atheris") is None:
        print("fuzz: atheris is missing: .venv/bin/pip install -e '.[fuzz]'", file=sys.stderr)
        return 2
    if given.child:
        return child(given.targets[0], given.corpus, given.seconds)
    names = given.targets or list(known())
    found = [name for name in names if not supervised(name, given.corpus, given.seconds)]
    return 1 if found else 0


def known() -> dict:
    """The table of targets; imported late, so that a child can instrument what it imports."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - not before a child has what instruments it

    return TARGETS


def replay(path: Path, names: list[str]) -> int:
    for name in names:
        known()[name].check(path.read_bytes())
    return 0


def supervised(name: str, corpus: Path, seconds: int) -> bool:
    """Run a target in a process of its own, and print one line about it; False if it found something."""
    argv = [sys.executable, __file__, "--child", "--seconds", str(seconds), "--corpus", str(corpus), name]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + START_S, check=False, cwd=ROOT)
    runs, cover = DONE.search(done.stderr), COVERAGE.findall(done.stderr)
    if done.returncode == 0 and runs and cover:
        edges, _, kept = cover[-1]
        print(
            f"{name:18} ok    {runs[1]:>9} runs in {runs[2]} s, {edges} branches reached, {kept} inputs kept",
            flush=True,
        )
        return True
    print(f"{name:18} FOUND\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}", flush=True)
    return False


def child(name: str, corpus: Path, seconds: int) -> int:
    """Become the fuzzer of one target."""
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        target = known()[name]
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", f"-timeout={INPUT_TIMEOUT_S}"]
    limits += [f"-rss_limit_mb={RSS_MIB_MAX}", f"-artifact_prefix={corpus}/{name}-"]
    atheris.Setup([name, *limits, str(folder)], target.check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
