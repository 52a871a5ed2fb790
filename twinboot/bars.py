"""Long work as people see it: a bar with rate and time left on a terminal, one line for each step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from twinboot.show import say

__all__ = ["Tell", "progress"]

Tell = Callable[[str, int, int], None]
"""Told a step's name, and how many bytes of how many are done (0, 0 where that is not known)."""


@contextmanager
def progress() -> Iterator[Tell]:
    """A bar with rate and time left on a terminal; one line for each step elsewhere."""
    if not sys.stdout.isatty():
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console()) as bar:
        yield _Bar(bar)


class _Lines:
    def __init__(self) -> None:
        self._step = ""

    def __call__(self, step: str, done: int, total: int) -> None:
        del done, total
        if step != self._step:
            self._step = step
            say(step)


class _Bar:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._bar.add_task(step, total=total or None)
        self._bar.update(self._tasks[step], completed=done, total=total or None)
