"""Events in words: every row of the table reads, and an event that lacks its fields still does."""

from __future__ import annotations

import pytest

from twinboot.sentences import SENTENCES, amount, sentence


def test_a_transfer_says_what_how_much_and_how_long() -> None:
    event = {"kind": "tftp.done", "file": "/grub/core.0", "bytes": 806912, "elapsed_s": 0.0785}
    assert sentence(event) == "grub/core.0 by TFTP, 806.9 kB in 0.079 s"


def test_what_ended_a_transfer_early_is_said() -> None:
    event = {"kind": "tftp.done", "file": "x", "bytes": 0, "elapsed_s": 0.0, "reason": "the client stopped it"}
    assert sentence(event).endswith("(the client stopped it)")


@pytest.mark.parametrize("kind", SENTENCES)
def test_an_event_without_its_fields_is_still_a_sentence(kind: str) -> None:
    assert sentence({"kind": kind})


def test_a_kind_without_words_shows_its_fields() -> None:
    assert sentence({"kind": "new.kind", "state": "odd", "reason": "none"}) == "state=odd reason=none"


def test_amounts_read_well() -> None:
    assert [amount(n) for n in (0, 999, 1000, 14_300, 20_100_000)] == ["0 B", "999 B", "1.0 kB", "14.3 kB", "20.1 MB"]


def test_what_an_install_tells_on_its_way_is_said() -> None:
    event = {"kind": "install.state", "target": "debian", "state": "installing", "detail": "step=reboot"}
    assert sentence(event) == "install of debian: installing (step=reboot)"
    assert sentence({**event, "state": "failed"}) == "install of debian: failed"
