from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from twinboot.lab.simulate import packets
from twinboot.lab.simulate.checker import Checker, Stored
from twinboot.lab.simulate.packets import ACK, DECLINE, DISCOVER, RELEASE, REQUEST, Message

HOST = 0x0A000101
MACS = {name: b"\x02\0\0\0\0" + name.encode() for name in "ab"}


@dataclass
class Scene:
    """A checker, a clock, and packets in short."""

    now_s: float = 0.0
    checker: Checker = field(init=False)

    def __post_init__(self) -> None:
        self.checker = Checker(lambda: self.now_s)

    def asks(self, client: str, kind: int = REQUEST, xid: int = 1) -> None:
        self.checker.sent(packets.request(Message(kind, xid, MACS[client], wanted=HOST)))

    def gets(self, client: str, lease_s: int = 60, xid: int = 1, address: int = HOST) -> None:
        data = bytearray(packets.request(Message(ACK, xid, MACS[client], lease_s=lease_s)))
        data[16:20] = address.to_bytes(4, "big")
        self.checker.answered("A", bytes(data))

    def stored(self, row: Stored | None, slack_s: float = 1.0) -> None:
        self.checker.recovered({} if row is None else {HOST: row}, self.now_s + 1, slack_s)

    @property
    def rules(self) -> list[str]:
        return [violation.rule for violation in self.checker.violations]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def given(scene: Scene, client: str, at_s: float, xid: int = 1) -> None:
    scene.now_s = at_s
    scene.asks(client, xid=xid)
    scene.gets(client, xid=xid)


def test_two_holders_at_once_are_a_violation_that_names_both(scene: Scene) -> None:
    given(scene, "a", 0.0)
    given(scene, "b", 59.9)
    assert scene.rules == ["one holder"]
    assert "10.0.1.1" in scene.checker.violations[0].text
    assert {HOST, *MACS.values()} <= set(scene.checker.violations[0].keys)


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_what_was_given_up_may_be_given_to_another(scene: Scene, kind: int) -> None:
    given(scene, "a", 0.0)
    scene.now_s = 10.0
    scene.asks("a", kind, xid=9)
    given(scene, "b", 10.1)
    assert scene.rules == []


def test_an_ended_lease_may_be_given_to_another(scene: Scene) -> None:
    given(scene, "a", 0.0)
    given(scene, "b", 60.0)
    assert scene.rules == []


def test_a_lease_counts_from_the_original_request_however_late_the_answer(scene: Scene) -> None:
    scene.asks("a")
    scene.now_s = 50.0
    scene.asks("a")
    scene.gets("a")
    given(scene, "b", 60.5)
    assert scene.rules == []


def test_an_old_answer_after_a_release_promises_nothing(scene: Scene) -> None:
    scene.asks("a")
    scene.now_s = 1.0
    scene.asks("a", RELEASE, xid=9)
    scene.now_s = 2.0
    scene.gets("a")
    given(scene, "b", 3.0)
    assert scene.rules == []


def test_an_answer_to_nobody_is_a_violation(scene: Scene) -> None:
    scene.gets("a")
    assert scene.rules == ["one holder"]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (Stored(b"\x01" + MACS["a"], 60.0), []),
        (Stored(b"\x01" + MACS["b"], 60.0), ["nothing lost"]),
        (Stored(b"\x01" + MACS["a"], 30.0), ["nothing lost"]),
        (Stored(b"", 0.0), ["nothing lost"]),
        (None, ["nothing lost"]),
    ],
)
def test_the_store_must_bear_what_was_promised(scene: Scene, row: Stored | None, found: list[str]) -> None:
    given(scene, "a", 0.0)
    scene.stored(row)
    assert scene.rules == found


def test_a_promise_that_has_ended_need_not_be_stored(scene: Scene) -> None:
    given(scene, "a", 0.0)
    scene.now_s = 61.0
    scene.stored(None)
    assert scene.rules == []


def test_who_goes_on_trying_must_be_served(scene: Scene) -> None:
    scene.asks("a", DISCOVER)
    scene.asks("b", DISCOVER)
    scene.now_s = 500.0
    scene.asks("a", DISCOVER)
    scene.checker.all_served(patience_s=400.0, silence_s=100.0)
    assert [violation.keys for violation in scene.checker.violations] == [(MACS["a"],)]
