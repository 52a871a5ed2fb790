"""Reports: well-formed ones, malformed ones, and bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxe.report import BODY_BYTES_MAX, FACTS_MAX, Report, ReportError, parse

GOOD = b"""outcome=installed
host=hv1
xen_version=4.17.5
link=fe0 mac=00:14:4f:00:00:01 state=up address=10.0.0.50
link=be0 mac=00:14:4f:00:00:02 state=down address=
"""


def test_a_good_report_keeps_its_facts_in_order_and_its_repeated_keys() -> None:
    report = parse(GOOD)
    assert report.success
    assert [key for key, _ in report.facts] == ["host", "xen_version", "link", "link"]
    assert report.detail.startswith("host=hv1 xen_version=4.17.5 link=fe0 mac=")


def test_a_failure_says_its_reason_first() -> None:
    report = parse(b"outcome=failed\r\nhost=hv1\r\nreason=no disk\r\n")
    assert report == Report(False, "no disk", (("host", "hv1"),))
    assert report.detail == "no disk; host=hv1"
    assert parse(b"outcome=failed\nreason=no disk").detail == "no disk"


def test_news_on_the_way_are_no_end() -> None:
    assert parse(b"outcome=progress\nstep=reboot\n") == Report(None, "", (("step", "reboot"),))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no outcome"),
        (b"outcome=great\n", "no outcome"),
        (b"outcome=installed\nnonsense\n", "line 2 "),
        (b"outcome=installed\nKey=1\n", "line 2 "),
        (b"outcome=installed\n$(reboot)=1\n", "line 2 "),
        (b"outcome=installed\nx=\xff\n", "not UTF-8"),
        (b"outcome=installed\nx=" + b"y" * 2000, "line 2 "),
        (b"outcome=installed\n" + b"x=1\n" * FACTS_MAX, "more than"),
        (b"x" * (BODY_BYTES_MAX + 1), "longer than"),
    ],
)
def test_a_malformed_report_is_refused_in_one_line(body: bytes, words: str) -> None:
    with pytest.raises(ReportError, match=words) as caught:
        parse(body)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=400).map(lambda tail: b"outcome=installed\nx=" + tail))
def test_nothing_but_its_own_error_and_nothing_unprintable_comes_out(body: bytes) -> None:
    try:
        report = parse(body)
    except ReportError:
        return
    assert report.detail.isprintable()
