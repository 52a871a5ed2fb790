from __future__ import annotations

import signal
import sys

import pytest

from twinboot import supervise
from twinboot.faults import Stop
from twinboot.supervise import Supervisor, exit_reason

READY = "import os; os.write(int(os.environ['TWINBOOT_STATUS_FD']), b'{\"ready\": \"x 1\"}\\n');"
FAULT = (
    "import os; os.write(int(os.environ['TWINBOOT_STATUS_FD']), b'{\"faults\": [\"x: no\"]}\\n'); raise SystemExit(1)"
)
pytestmark = pytest.mark.system


def argv(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def supervised(commands: dict[str, str]) -> tuple[Supervisor, list, list]:
    told: list[tuple[str, dict]] = []
    warned: list[str] = []
    supervisor = Supervisor(
        {name: argv(code) for name, code in commands.items()},
        lambda kind, **fields: told.append((kind, fields)),
        lambda whats: signal.raise_signal(signal.SIGTERM),
        warned.append,
    )
    return supervisor, told, warned


@pytest.mark.parametrize(
    ("code", "faults", "words"),
    [(-9, (), "killed by SIGKILL"), (3, (), "exit code 3"), (1, ("a", "b"), "a; b"), (-99, (), "exit code -99")],
)
def test_why_a_child_ended(code: int, faults: tuple[str, ...], words: str) -> None:
    assert exit_reason(code, faults) == words


def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "STOP_S", 0.2)
    stubborn = f"import signal, time; signal.signal(15, signal.SIG_IGN); {READY} time.sleep(60)"
    supervisor, told, warned = supervised({"x": stubborn})
    supervisor.run()
    assert "was killed" in warned[0]
    assert ("service.stopped", {"detail": "x"}) in told


def test_all_faults_of_the_first_start_are_told_and_the_others_stopped() -> None:
    supervisor, _, _ = supervised({"a": READY + "import time; time.sleep(60)", "b": FAULT, "c": "raise SystemExit(7)"})
    with pytest.raises(Stop) as caught:
        supervisor.run()
    assert caught.value.lines == ("x: no", "c: exit code 7")


def test_a_child_that_never_becomes_ready_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "START_S", 0.3)
    supervisor, _, _ = supervised({"a": "import time; time.sleep(60)"})
    with pytest.raises(Stop, match="does the share answer"):
        supervisor.run()


def test_a_status_line_that_is_not_ours_is_not_fatal() -> None:
    noise = "import os; os.write(int(os.environ['TWINBOOT_STATUS_FD']), b'noise\\n');"
    supervisor, told, _ = supervised({"a": noise + READY + "import time; time.sleep(60)"})
    supervisor.run()
    assert ("service.stopped", {"detail": "a"}) in told
