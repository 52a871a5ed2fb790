"""The local store, killed at whatever step or raced: the same command again leaves it as if nothing had happened."""

import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from storage.volumes import Outcome, Project, VolumesError
from storage.volumes.local import LocalVolumes
from tests.processes import killed_at
from tests.storage.volumes.conftest import ACCESS, picture, prepared
from tests.volume_plan import GUEST, MASTER, NEW, SIZE, VERSION
from tests.volume_stores import local

STEPS_MAX = 40


def destroy_a_snapshot(store: LocalVolumes) -> None:
    store.unexport(GUEST)
    store.destroy(GUEST)
    store.destroy(VERSION)


VERBS: dict[str, Callable[[LocalVolumes], object]] = {
    "make_project": lambda store: store.make_project(Project("appl-2")),
    "create": lambda store: store.create(NEW, SIZE),
    "clone": lambda store: store.clone(VERSION, NEW),
    "snapshot of an exported volume": lambda store: store.snapshot(GUEST.snapshot("v1")),
    "export": lambda store: store.export(MASTER, ACCESS),
    "unexport": lambda store: store.unexport(GUEST),
    "destroy a snapshot": destroy_a_snapshot,
    "destroy a project": lambda store: store.destroy(Project("empty")),
}


def act(verb: Callable[[LocalVolumes], object], path: Path, step: Callable[[str], None]) -> None:
    verb(local(path, step=step).store)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_killed_at_any_step_is_completed_or_undone_by_the_same_again(verb, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    prepared(tmp_path / "before")
    whole = local(shutil.copytree(tmp_path / "before", tmp_path / "whole"))
    VERBS[verb](whole.store)
    whole.store.tend()
    for number in range(1, STEPS_MAX):
        place = shutil.copytree(tmp_path / "before", tmp_path / str(number))
        if not killed_at(number, partial(act, VERBS[verb], place)):
            break
        again = local(place)
        assert again.store.faults() == ()
        assert {outcome(part, again.store) for part in parts(verb)} <= {None, Outcome.EXISTS, Outcome.NOT_FOUND}
        again.store.tend()
        assert again.store.tend() == ()
        assert picture(again) == picture(whole), f"killed at step {number}"
    assert 2 <= number < STEPS_MAX - 1


def outcome(verb: Callable[[LocalVolumes], object], store: LocalVolumes) -> Outcome | None:
    try:
        verb(store)
    except VolumesError as error:
        return error.outcome
    return None


def parts(verb: str) -> list[Callable[[LocalVolumes], object]]:
    if verb == "destroy a snapshot":
        return [lambda s: s.unexport(GUEST), lambda s: s.destroy(GUEST), lambda s: s.destroy(VERSION)]
    return [VERBS[verb]]


def test_of_many_who_clone_to_one_name_one_wins(tmp_path: Path) -> None:
    prepared(tmp_path)
    outcomes: list[object] = []

    def clone() -> None:
        try:
            local(tmp_path).store.clone(VERSION, NEW)
            outcomes.append("made")
        except VolumesError as error:
            outcomes.append(error.outcome)

    threads = [threading.Thread(target=clone) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == [str(Outcome.EXISTS)] * 5 + ["made"]
