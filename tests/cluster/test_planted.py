"""Bugs that would double or lose addresses, planted into the real code: the simulator must find each one soon.

Every hunt is given the faults that its bug is about, and finds nothing in the same seed without the bug.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from dhcp.decision import Decision
from dhcp.service import Service
from storage.records import Epoch, Row, twinlog_epoch
from storage.records.twinlog_commit import Commit
from storage.records.twinlog_draft import Draft
from tests.storage.records.twinlog.conftest import compact_after
from twinboot.lab.simulate import cluster, faults
from twinboot.lab.simulate.cluster import Cluster, Parts
from twinboot.lab.simulate.scenario import Scenario, draw
from twinboot.lab.simulate.server import Server

SEEDS_MAX = 40
HOURS = 0.1


def scenario(seed: int, **altered: Any) -> Scenario:
    common: dict[str, Any] = {"clients": 40, "reserved": 0, "is_local": False}
    return draw(seed, HOURS)._replace(**{**common, **altered})


def hunt(scenarios: Iterable[Scenario], parts: Parts) -> Scenario:
    """The first scenario in which the bug shows."""
    for one in scenarios:
        if Cluster(one, parts).run().violations:
            return one
    pytest.fail(f"{SEEDS_MAX} seeds without finding the bug")


def only(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(faults, "FAULTS", {kind: faults.FAULTS[kind]})


def test_a_batch_that_is_not_judged_again_after_a_lost_race(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "storage failover")  # then all have waited and commit at once
    tight = {"servers": 3, "addresses": 20, "lease_s": 60, "fault_every_s": 10.0, "travel_s": 0.02, "deadline_s": 0.0}
    with monkeypatch.context() as planted:
        planted.setattr(Draft, "meets", lambda draft, batch: False)
        found = hunt((scenario(seed, **tight) for seed in range(SEEDS_MAX)), Parts())
    assert not Cluster(found, Parts()).run().violations


def test_a_lower_bound_that_is_taken_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("clock", "read-only export", "kill", "hung share", "storage failover")
    monkeypatch.setattr(faults, "FAULTS", {kind: faults.FAULTS[kind] for kind in kinds})
    harsh = {"clients": 20, "addresses": 25, "lease_s": 240, "fault_every_s": 5.0, "clock_error_max_s": 7200.0}
    with monkeypatch.context() as planted:
        planted.setattr(twinlog_epoch, "Epoch", lambda unix_s, behind_s=0.0: Epoch(unix_s))
        found = hunt((scenario(seed, **{**harsh, "share_error_max_s": 0.0}) for seed in range(SEEDS_MAX)), Parts())
    assert not Cluster(found, Parts()).run().violations


class Hasty(Service):
    """Answers first and stores then."""

    def _store(self) -> None:
        for work in self._underway.gathered:
            self._turn_to(work.port, work.came)
            self._finish(work.decision, None)
            work.decision.reply = None
        self._send()
        super()._store()


def test_an_ack_that_leaves_before_its_batch_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "kill at an operation")
    roomy = {"addresses": 45, "lease_s": 600, "fault_every_s": 10.0}
    found = hunt((scenario(seed, **roomy) for seed in range(SEEDS_MAX)), Parts(service=Hasty))
    assert not Cluster(found, Parts()).run().violations


def linked_without_a_look(commit: Commit, number: int) -> bool:
    """What Commit does once its link succeeded, but for the look whether the number was one that compaction freed."""
    log = commit.log
    began, names = log.folder.clock.now(), log.folder.names()
    log.committed(number, len(commit._body), began, names)
    commit.draft.keep()
    commit.done = True
    return True


class Trusting(Service):
    """Sends an answer as it was made, however long its commit took.

    The real one makes it anew from what the log holds by then, and so hides the bug below most of the time.
    """

    def _finish_late(self, data: bytes, decision: Decision, row: Row | None) -> None:
        self._finish(decision, row)


def stop_at_its_next_link(place: faults.Place, server: Server) -> str:
    """Stop a server when its next batch is written, but has no number yet."""
    mount = server.mount

    def stopped(name: str, new: str) -> None:
        del mount.link
        server.pause(place.draw_s(60.0))
        mount.link(name, new)

    mount.link = stopped  # type: ignore[method-assign] # in this mount alone, and until it is called
    return "will be stopped at its next link"


def test_a_number_that_is_used_again_after_compaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "FAULTS", {"stop at a link": stop_at_its_next_link})
    compact_after(monkeypatch, 2, 4)
    monkeypatch.setattr(cluster, "AUDIT_EVERY_S", 15.0)  # the client's next renewal would be stored
    roomy = {"addresses": 45, "lease_s": 600, "fault_every_s": 20.0, "deadline_s": 0.0}
    with monkeypatch.context() as planted:
        planted.setattr(Commit, "_linked", linked_without_a_look)
        found = hunt((scenario(seed, **roomy) for seed in range(SEEDS_MAX)), Parts(service=Trusting))
    assert not Cluster(found, Parts(service=Trusting)).run().violations
