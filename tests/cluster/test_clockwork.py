from __future__ import annotations

from functools import partial

from twinboot.lab.simulate.clockwork import Clockwork, Task


def nothing(error: BaseException | None) -> None:
    assert error is None


def test_events_of_one_moment_happen_in_the_order_in_which_they_were_asked_for(clockwork: Clockwork) -> None:
    told: list[str] = []
    clockwork.after(2.0, told.append, "late")
    for name in ("a", "b", "c"):
        clockwork.at(1.0, told.append, name)
    clockwork.run(1.0)
    assert told == ["a", "b", "c"]
    clockwork.run(5.0)
    assert told[-1] == "late"
    assert clockwork.now_s == 5.0


def test_tasks_take_turns_only_where_they_sleep(clockwork: Clockwork) -> None:
    told: list[str] = []

    def body(name: str) -> None:
        for step in range(3):
            told.append(f"{name}{step}")
            clockwork.current().sleep(1.0)

    for name in "ab":
        Task(clockwork, partial(body, name), nothing)
    clockwork.run(10.0)
    assert told == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_a_killed_task_stops_where_it_is_and_cannot_swallow_that(clockwork: Clockwork) -> None:
    told: list[str] = []

    def body() -> None:
        try:
            clockwork.current().sleep(1.0)
        except Exception:  # noqa: BLE001
            told.append("swallowed")
        told.append("went on")

    task = Task(clockwork, body, nothing)
    clockwork.after(0.5, task.kill)
    clockwork.run(10.0)
    assert told == []
    assert not task.alive


def test_a_paused_task_sleeps_on_until_the_pause_is_over(clockwork: Clockwork) -> None:
    woke: list[float] = []

    def body() -> None:
        clockwork.current().sleep(1.0)
        woke.append(clockwork.now_s)

    task = Task(clockwork, body, nothing)
    clockwork.after(0.5, task.pause, 100.0)
    clockwork.run(200.0)
    assert woke == [100.5]


def test_a_wait_ends_when_somebody_wakes_it_and_its_old_timer_is_void(clockwork: Clockwork) -> None:
    woke: list[float] = []

    def body() -> None:
        for _ in range(2):
            clockwork.current().wait(10.0)
            woke.append(clockwork.now_s)

    task = Task(clockwork, body, nothing)
    clockwork.after(3.0, task.wake)
    clockwork.run(100.0)
    assert woke == [3.0, 13.0]


def test_an_exception_ends_its_task_only(clockwork: Clockwork) -> None:
    ends: list[BaseException | None] = []

    def body() -> None:
        raise ValueError("a bug")

    Task(clockwork, body, ends.append)
    clockwork.run(1.0)
    assert [type(end) for end in ends] == [ValueError]
