"""The cluster lab, up for a whole module; each trial has a directory of its own on the share."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.cluster import trial
from twinboot.commands.lab import CACHE
from twinboot.lab.cluster import Cluster, obstacle
from twinboot.lab.isolate import LabError


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two booted guests with the share mounted by NFS 4.1 and 3."""
    why = obstacle()
    if why:
        pytest.skip(why)
    place = Path(tempfile.mkdtemp(prefix="twinboot-cluster-"))
    place.chmod(0o755)
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        lab = Cluster(place, CACHE)
    except LabError as error:
        shutil.rmtree(place)
        pytest.skip(str(error))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # pytest tidies up after Ctrl-C
    try:
        with lab:
            for guest in lab.guests.values():
                trial.mount_all(lab, guest)
            yield lab
    finally:
        signal.signal(signal.SIGTERM, before)
        shutil.rmtree(place, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in [*trial.VERDICTS, *trial.NOTES]:
        terminalreporter.write_line(line)
