"""What a machine gets at this boot, for every state its install can be in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxe.bootplan import Kind, decide
from pxe.installs import State
from storage.records import Install


def row(state: str, detail: str = "", changed_s: int = 1_767_225_600) -> Install:
    return Install("hv1", state, "live-xen", "0123", changed_s, 1, 1, detail)


def test_a_machine_nobody_knows_is_told_so() -> None:
    plan = decide(None, None)
    assert plan.kind is Kind.RESCUE
    assert "twinboot host add" in plan.reason


def test_the_local_disk_is_the_default() -> None:
    assert decide("hv1", None) == (Kind.LOCAL, "no install was ever armed for it")


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("armed", Kind.INSTALL, "live-xen was armed at 2026-01-01 00:00:00 UTC"),
        ("installing", Kind.LOCAL, "did not finish; `twinboot install hv1` arms it again"),
        ("installed", Kind.LOCAL, "live-xen was installed at 2026-01-01 00:00:00 UTC"),
        ("failed", Kind.LOCAL, "failed at 2026-01-01 00:00:00 UTC (no disk); `twinboot install hv1` arms it again"),
        ("gone", Kind.LOCAL, "unknown state 'gone'"),
    ],
)
def test_only_armed_leads_to_the_installer(state: str, kind: Kind, words: str) -> None:
    plan = decide("hv1", row(state, "no disk"))
    assert plan.kind is kind
    assert words in plan.reason


@settings(deadline=None)
@given(st.sampled_from([*State, "x"]), st.text(), st.integers(0, 2**64 - 1))
def test_a_reason_is_one_printable_line_whatever_the_row_says(state: str, detail: str, changed_s: int) -> None:
    assert decide("hv1", row(state, detail, changed_s)).reason.isprintable()
