from __future__ import annotations

from collections.abc import Callable

import pytest

from twinboot.lab.simulate.clockwork import Clockwork, Task


@pytest.fixture
def clockwork() -> Clockwork:
    return Clockwork()


@pytest.fixture
def in_task(clockwork: Clockwork) -> Callable[[Callable[[], object]], list[object]]:
    """Run code as a process of its own, to its end; what it returned or raised."""

    def run(body: Callable[[], object]) -> list[object]:
        results: list[object] = []
        Task(clockwork, lambda: results.append(body()), lambda error: results.append(error) if error else None)
        clockwork.run(clockwork.now_s + 1000)
        return results

    return run
