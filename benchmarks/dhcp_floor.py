"""What a durable change of a file costs on a disk, whoever makes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

TIMES = 301  # a floor is measured


class Floor(NamedTuple):
    """What a durable change of a file costs on a disk, whoever makes it, in milliseconds."""

    append_ms: float  # 4 KiB appended and synced (fdatasync), median
    replace_ms: float  # a file of 4 KiB created, synced and renamed over another one, its directory synced; median
    replace_p99_ms: float


def floor(disk: Path) -> Floor:
    """Measure it, some 300 times each, a few milliseconds apart."""
    probe, new = disk / "sync-probe", disk / "sync-probe.new"
    directory = os.open(disk, os.O_RDONLY | os.O_DIRECTORY)
    file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def append() -> None:
        os.write(file, b"x" * 4096)
        os.fdatasync(file)

    def replace() -> None:
        with new.open("wb", buffering=0) as other:
            other.write(b"x" * 4096)
            os.fsync(other.fileno())
        new.rename(probe)
        os.fsync(directory)

    try:
        appended, replaced = _timed_ms(append), _timed_ms(replace)
    finally:
        os.close(file)
        os.close(directory)
        probe.unlink()
    return Floor(appended[TIMES // 2], replaced[TIMES // 2], replaced[TIMES * 99 // 100])


def _timed_ms(act: Callable[[], None]) -> list[float]:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        took.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.002)
    return sorted(took)
