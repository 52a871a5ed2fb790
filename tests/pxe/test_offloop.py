"""Work beside the loop: results, errors, deadlines, bounds, and nothing lost that somebody must close."""

import asyncio
import threading

import pytest

from pxe.content import Refused
from pxe.offloop import OffLoop


def test_results_and_errors_come_back() -> None:
    async def scenario() -> None:
        desk = OffLoop(threads=1, waiting_max=2, deadline_s=5)
        assert await desk.run(lambda: 7, print) == 7
        with pytest.raises(ZeroDivisionError):
            await desk.run(lambda: 1 // 0, print)
        desk.close()

    asyncio.run(scenario())


def test_late_work_is_refused_and_its_result_discarded() -> None:
    let_go = threading.Event()
    discarded = threading.Event()
    got: list[int] = []

    def discard(value: int) -> None:
        got.append(value)
        discarded.set()

    def work() -> int:
        let_go.wait(10)
        return 7

    async def scenario() -> None:
        desk = OffLoop(threads=1, waiting_max=2, deadline_s=0.05)
        with pytest.raises(Refused, match="did not answer within"):
            await desk.run(work, discard)
        with pytest.raises(Refused, match="did not answer within"):  # queued behind the first
            await desk.run(lambda: got.append(99), print)
        with pytest.raises(Refused, match="many requests wait"):
            await desk.run(lambda: None, print)
        let_go.set()
        assert await asyncio.to_thread(discarded.wait, 10)
        desk.close()

    asyncio.run(scenario())
    assert got == [7]  # the queued work was skipped: nobody waited for it any more
