from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from twinboot.lab.simulate.clockwork import Clockwork, Task
from twinboot.lab.simulate.disk import Disk
from twinboot.lab.simulate.share import NEGATIVE_MAX_S, Mount, Weather

InTask = Callable[[Callable[[], object]], list[object]]


@pytest.fixture
def disk() -> Disk:
    return Disk()


def mount(disk: Disk, clockwork: Clockwork, seed: str = "a", **weather: Any) -> Mount:
    return Mount(disk, clockwork, Random(seed), Weather(**weather))


def error_of(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return type(error).__name__ if type(error) is not OSError else str(error.strerror)
    return ""


def test_one_of_two_links_to_a_name_wins(disk: Disk, clockwork: Clockwork) -> None:
    results: dict[str, str] = {}

    def race(name: str, files: Mount) -> None:
        files.write(name, [name.encode()])
        results[name] = error_of(lambda: files.link(name, "1.log"))

    for name in "ab":
        files = mount(disk, clockwork, name)
        Task(clockwork, partial(race, name, files), print)
    clockwork.run(1.0)
    assert sorted(results.values()) == ["", "FileExistsError"]
    winner = next(name for name, error in results.items() if not error)
    assert disk.look("1.log", clockwork.now_s).data == winner.encode()


def test_a_listing_may_be_old_but_never_older_than_ones_own_change(
    disk: Disk, clockwork: Clockwork, in_task: InTask
) -> None:
    mine, other = mount(disk, clockwork, stale=1.0), mount(disk, clockwork, "b", stale=1.0)

    def body() -> tuple[bool, bool]:
        missed = False
        for number in range(200):
            other.write(f"other{number}", [])
            missed |= f"other{number}" not in mine.names()
            mine.write(f"mine{number}", [])
            assert f"mine{number}" in mine.names()
        return missed, True

    assert in_task(body) == [(True, True)]


def test_a_name_looked_for_in_vain_stays_unfound_until_the_folder_is_listed(
    disk: Disk, clockwork: Clockwork, in_task: InTask
) -> None:
    mine, other = mount(disk, clockwork, stale=0.0), mount(disk, clockwork, "b")

    def body() -> list[str]:
        found = [error_of(lambda: mine.read("f"))]
        other.write("f", [b"there"])
        found.append(error_of(lambda: mine.read("f")))
        mine.names()
        found.append(error_of(lambda: mine.read("f")))
        return found

    assert in_task(body) == [["FileNotFoundError", "FileNotFoundError", ""]]
    assert NEGATIVE_MAX_S > 1


def test_a_lost_reply_means_done_but_reported_as_failed(disk: Disk, clockwork: Clockwork, in_task: InTask) -> None:
    files = mount(disk, clockwork)

    def body() -> str:
        files.write("tmp", [b"x"])
        files.weather.lost = 1.0
        return error_of(lambda: files.link("tmp", "1.log"))

    (error,) = in_task(body)
    assert error in ("FileExistsError", "Input/output error")
    assert "1.log" in disk.folder("").now


def test_a_full_disk_fails_the_sync_and_leaves_a_torn_file(disk: Disk, clockwork: Clockwork, in_task: InTask) -> None:
    files = mount(disk, clockwork, is_full=True)

    def body() -> list[str]:
        return [error_of(partial(files.write, f"f{number}", [b"content"])) for number in range(40)]

    (errors,) = in_task(body)
    assert isinstance(errors, list)
    assert "No space left on device" in errors
    left = {disk.look(f"f{number}", clockwork.now_s).data for number, error in enumerate(errors) if error}
    assert any(data != b"content" for data in left)


def test_a_read_only_export_refuses_changes_and_shows_files(disk: Disk, clockwork: Clockwork, in_task: InTask) -> None:
    files = mount(disk, clockwork)

    def body() -> list[object]:
        files.write("f", [b"x"])
        files.weather.is_read_only = True
        return [error_of(lambda: files.write("g", [])), files.read("f")]

    assert in_task(body) == [["Read-only file system", b"x"]]


def test_a_hard_mount_waits_and_a_deadline_may_leave_the_change_to_happen_later(
    disk: Disk, clockwork: Clockwork, in_task: InTask
) -> None:
    hard = mount(disk, clockwork, hung_until_s=50.0)

    def wait() -> float:
        hard.write("f", [b"x"])
        return clockwork.now_s

    (ended,) = in_task(wait)
    assert isinstance(ended, float)
    assert ended > 50.0
    names = []
    for seed in range(20):
        late = mount(disk, clockwork, str(seed), deadline_s=1.0, hung_until_s=clockwork.now_s + 10.0)
        assert in_task(partial(error_of, partial(late.make, f"late{seed}"))) == ["TimeoutError"]
        names.append(f"late{seed}" in disk.folders)
    assert set(names) == {True, False}


def test_a_power_cut_on_a_local_disk_takes_back_what_was_not_synced(
    disk: Disk, clockwork: Clockwork, in_task: InTask
) -> None:
    files = mount(disk, clockwork, is_local=True)

    def body() -> None:
        files.write("a", [b"a"])
        files.sync()
        files.write("b", [b"b"])
        files.rename("a", "c")

    in_task(body)
    disk.folder("").cut(0)
    assert {name: node.data for name, node in disk.folder("").now.items()} == {"a": b"a"}


def test_what_happens_in_ambush_comes_in_the_middle_of_that_operation(disk: Disk, clockwork: Clockwork) -> None:
    files = mount(disk, clockwork)
    done: list[str] = []

    def body() -> None:
        for name in "abc":
            files.make(name)
            done.append(name)
            clockwork.current().sleep(1.0)

    task = Task(clockwork, body, print)
    files.ambush(2, task.kill)
    clockwork.run(100.0)
    assert done == ["a"]


def test_a_killed_writer_may_leave_a_torn_file(disk: Disk, clockwork: Clockwork) -> None:
    left = set()
    for seed in range(30):
        files = mount(disk, clockwork, str(seed))
        task = Task(clockwork, partial(files.write, f"f{seed}", [b"content"]), print)
        files.ambush(2, task.kill)
        clockwork.run(clockwork.now_s + 1.0)
        left.add(disk.look(f"f{seed}", clockwork.now_s).data)
    assert b"content" in left
    assert len(left) > 3
