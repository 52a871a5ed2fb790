"""The judge finds what it is there to find."""

from typing import Any

from tests.system.cluster.checker import Stored, doubled, judge, missing, overlong

A, B = "020000000001", "020000000002"
PLACE = "10.98.16.1"


def ack(t: float, mac: str, lease_s: int = 100, **more: Any) -> dict[str, Any]:
    fields = {"address": PLACE, "lease_s": lease_s, "server": "10.98.0.11", "taken": True, "sent": t - 0.1}
    return {"t": t, "event": "ack", "mac": mac, "kind": "fresh", **fields, **more}


def release(t: float, mac: str) -> dict[str, Any]:
    return {"t": t, "event": "release", "mac": mac, "kind": "fresh", "sent": t, "address": PLACE}


def test_one_address_of_two_clients_is_found() -> None:
    assert doubled([ack(10, A), ack(50, B)]) == [f"{PLACE} held by {A} and, from 50.00, by {B}"]


def test_a_renewal_lengthens_a_hold() -> None:
    assert doubled([ack(10, A), ack(90, A), ack(150, B)])


def test_after_release_or_end_an_address_is_free() -> None:
    assert not doubled([ack(10, A), release(20, A), ack(30, B)])
    assert not doubled([ack(10, A), ack(110, B)])


def test_an_answer_that_its_client_did_not_heed_holds_nothing() -> None:
    assert not doubled([ack(10, A, taken=False), ack(30, B)])


def test_the_hold_that_ends_last_counts() -> None:
    assert len(doubled([ack(10, A, lease_s=1000), ack(20, B, lease_s=5), ack(500, B)])) == 2


def test_what_is_not_in_the_files_is_lost() -> None:
    assert missing([ack(10, A)], {})
    assert missing([ack(10, A)], {PLACE: Stored(f"01{B}", 9999)})
    assert not missing([ack(10, A)], {PLACE: Stored(f"01{A}", 110)})


def test_a_promise_longer_than_the_files_is_overlong() -> None:
    assert overlong([ack(10, A)], {PLACE: Stored(f"01{A}", 50)})
    assert not overlong([ack(10, A)], {PLACE: Stored(f"01{A}", 109)})
    assert not overlong([ack(10, A, kind="fixed")], {PLACE: Stored(f"01{A}", 0)})


def test_what_was_given_back_or_ran_out_need_not_be_there() -> None:
    assert not missing([ack(10, A), release(20, A)], {})
    assert not missing([ack(10, A), {"t": 200.0, "event": "end"}], {})


def test_the_second_answer_to_what_was_given_back_meanwhile_need_not_be_there() -> None:
    assert not missing([ack(10, A), release(20, A), ack(20.1, A, sent=9.9, taken=False)], {})
    assert missing([ack(10, A), release(20, A), ack(30, A)], {})


def test_an_unheeded_acknowledgement_must_still_be_in_the_files() -> None:
    assert missing([ack(10, A, taken=False)], {})


def test_the_line_tells_the_longest_silence() -> None:
    verdict = judge([ack(10, A), ack(17.5, A)], {PLACE: Stored(f"01{A}", 999)})
    assert "acks 2" in verdict.line("x")
    assert "longest silence 7.5 s" in verdict.line("x")
