"""Counting without end, telling within bounds."""

from dhcp.decision import Decision
from dhcp.tally import BURST_MAX, EVENTS_PER_S, MORE, ROUTINE_PER_S, Tally
from tests.dhcp.conftest import Events


def test_of_each_reason_a_few_are_told_and_the_rest_as_a_sum() -> None:
    events = Events()
    tally = Tally(events)
    for number in range(1000):
        tally.note("dhcp.dropped", "short", detail=str(number))
    tally.note("dhcp.dropped", "op")
    assert tally.counts["dhcp.dropped", "short"] == 1000
    assert len(events.told) == EVENTS_PER_S + 1
    tally.turn(1)
    assert events.told[-1] == (
        "dhcp.dropped",
        {"reason": "short", "count": 1000 - EVENTS_PER_S, "detail": "more of the same in one second"},
    )
    assert len(events.told) == EVENTS_PER_S + 2


def test_a_new_second_hears_again() -> None:
    events = Events()
    tally = Tally(events)
    for second in range(1, 4):
        tally.turn(second)
        tally.turn(second)
        for _ in range(EVENTS_PER_S):
            tally.note("dhcp.silent", "full")
    assert len(events.told) == 3 * EVENTS_PER_S


def test_answers_are_told_one_by_one_until_a_second_has_many_and_then_as_a_sum():
    told = []
    tally = Tally(lambda kind, **fields: told.append((kind, fields)))
    for number in range(BURST_MAX + 7):
        assert tally.tells("dhcp.ack") == (number < BURST_MAX)
    assert tally.tells("dhcp.nak")
    tally.turn(1)
    assert told == [("dhcp.ack", {"count": 7, "detail": MORE})]
    assert [tally.tells("dhcp.ack") for _ in range(ROUTINE_PER_S + 1)] == [True] * ROUTINE_PER_S + [False]
    assert tally.tells("dhcp.offer")
    for second in range(2, 2 + BURST_MAX // ROUTINE_PER_S):
        tally.turn(second)
    assert [tally.tells("dhcp.ack") for _ in range(BURST_MAX + 1)] == [True] * BURST_MAX + [False]


def test_once_a_minute_the_totals_are_told_if_anything_is_new() -> None:
    events = Events()
    tally = Tally(events)
    tally.turn(1000)
    for _ in range(300):
        tally.tells("dhcp.ack")
    tally.note("dhcp.silent", "full")
    tally.turn(1001)
    tally.tells("dhcp.ack")
    tally.turn(1060)
    assert events.told[-1] == ("dhcp.totals", {"ack": 301, "silent": 1, "detail": "silent 1, ack 301 (full 1)"})
    tally.turn(1200)
    assert len(events.of("dhcp.totals")) == 1
    tally.tells("dhcp.offer")
    tally.turn(1300)
    assert events.of("dhcp.totals")[-1]["offer"] == 1


def test_a_decision_is_told_with_what_became_of_it() -> None:
    events = Events()
    tally = Tally(events)
    facts = {"mac": "02:00:00:00:00:0a", "reason": "full", "detail": "no free address"}
    tally.tell(Decision("dhcp.silent", facts))
    tally.tell(Decision("dhcp.ack", {"address": "10.0.0.9"}))
    tally.tell(Decision("dhcp.ack", {"address": "10.0.0.9"}), unstored="the share is gone")
    tally.refuse(Decision("dhcp.conflict", facts), "collision", "another was first")
    assert events.told == [
        ("dhcp.silent", facts),
        ("dhcp.ack", {"address": "10.0.0.9"}),
        ("dhcp.ack", {"address": "10.0.0.9", "detail": "not stored: the share is gone"}),
        ("dhcp.silent", {**facts, "state": "dhcp.conflict", "reason": "collision", "detail": "another was first"}),
    ]
    assert tally.counts == {("dhcp.silent", "full"): 1, ("dhcp.silent", "collision"): 1}
