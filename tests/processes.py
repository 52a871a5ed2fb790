"""Bodies of tests that run in processes of their own, and what tests wait for."""

import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
GIVE_UP_S = 30.0  # of what should happen; never waited for in a test that passes


def in_child(body: Callable[[], object]) -> int:
    """Run `body` in a forked process; its pid. The child exits with 1, and prints why, if it raises."""
    pid = os.fork()
    if pid:
        return pid
    try:
        body()
    except BaseException:  # noqa: BLE001 - pytest must not run on in the child
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def killed_at(number: int, act: Callable[[Callable[[str], None]], object]) -> bool:
    """Run `act` in a process that kills itself at step `number`; False if it has no such step.

    `act` is given what is to be called with the name of each step.
    """
    seen: list[str] = []

    def step(name: str) -> None:
        seen.append(name)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    child = in_child(lambda: act(step))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def wait_for(what: Callable[[], T]) -> T:
    """Return what `what` gives as soon as it gives anything."""
    give_up_at = time.monotonic() + GIVE_UP_S
    while not (found := what()) and time.monotonic() < give_up_at:
        time.sleep(0.005)
    assert found, f"it did not happen within {GIVE_UP_S} s"
    return found


def state_of(pid: int) -> str:
    """The letter that proc(5) has for the state of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def has_ended(pid: int) -> bool:
    """It is gone, or dead and not buried: on a busy machine it dies after who closed it has stopped waiting."""
    try:
        return state_of(pid) == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
