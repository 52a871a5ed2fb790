from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
EVERY = pytest.mark.parametrize("name", TARGETS)


@EVERY
def test_honest_inputs_pass(name: str) -> None:
    for seed in (*TARGETS[name].seeds, b""):
        TARGETS[name].check(seed)


@EVERY
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_broken_honest_inputs_pass(name: str, data: st.DataObject) -> None:
    """A seed with one piece replaced: what hypothesis finds without knowing the code."""
    seed = data.draw(st.sampled_from(TARGETS[name].seeds))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 16)))
    TARGETS[name].check(seed[:start] + data.draw(st.binary(max_size=16)) + seed[end:])


@pytest.mark.system
@EVERY
def test_a_short_run_of_the_fuzzer_finds_nothing(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: .venv/bin/pip install -e '.[fuzz]', or make fuzz")
    argv = [sys.executable, str(HERE / "run.py"), "--seconds", "2", "--corpus", str(tmp_path), name]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " ok " in done.stdout
