"""Offers that wait for an echo: how long, how many, and for how long silence is believed."""

from dhcp import probes
from dhcp.probes import HELD_MAX, QUIET_S, WAIT_S, Answer, Probes


def test_an_address_that_keeps_silent_is_free_after_the_wait_and_not_asked_again_soon() -> None:
    table: Probes[str] = Probes()
    assert table.hold(7, "first", 100.0) is Answer.ASK
    assert table.due(100.0 + WAIT_S - 0.1) == []
    assert table.due(100.0 + WAIT_S) == ["first"]
    assert table.hold(7, "again", 102.0) is Answer.LET_GO
    assert table.hold(7, "later", 101.0 + QUIET_S) is Answer.ASK


def test_a_repeated_question_replaces_the_first_one_and_does_not_wait_longer() -> None:
    table: Probes[str] = Probes()
    table.hold(7, "first", 100.0)
    assert table.hold(7, "second", 100.9) is Answer.WAITS
    assert table.due(100.0 + WAIT_S) == ["second"]


def test_an_address_that_answers_gives_back_what_waited_once() -> None:
    table: Probes[str] = Probes()
    table.hold(7, "first", 100.0)
    assert (table.answered(7), table.answered(7)) == ("first", None)
    assert table.due(200.0) == []
    assert table.hold(7, "second", 200.0) is Answer.ASK


def test_in_a_flood_offers_leave_unasked_and_the_tables_stay_small() -> None:
    table: Probes[int] = Probes()
    answers = [table.hold(address, address, 100.0) for address in range(HELD_MAX + 5)]
    assert answers.count(Answer.ASK) == len(table) == HELD_MAX
    assert answers[HELD_MAX:] == [Answer.LET_GO] * 5
    for second in range(100):
        table.due(200.0 + second)
        for address in range(HELD_MAX):
            table.hold(second * HELD_MAX + address, 0, 200.0 + second)
    assert len(table._quiet) <= probes.QUIET_MAX


def test_the_loop_sleeps_until_the_first_is_due() -> None:
    table: Probes[str] = Probes()
    assert table.wait_s(100.0, 0.5) == 0.5
    table.hold(7, "first", 100.0)
    assert table.wait_s(100.75, 0.5) == 0.25
    assert table.wait_s(109.0, 0.5) == 0.0
    table.let_go(7)
    assert table.wait_s(109.0, 0.5) == 0.5
