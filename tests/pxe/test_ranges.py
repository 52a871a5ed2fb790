"""Byte ranges and validators, as RFC 9110 has them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxe.ranges import Span, Version, span

FILE = Version.of(1000, 1_767_225_600_500_000_000)
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
WHOLE = Span(200, 0, 1000)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("bytes=0-0", Span(206, 0, 1)),
        ("bytes=10-19", Span(206, 10, 10)),
        ("Bytes=10-19", Span(206, 10, 10)),
        ("bytes=999-", Span(206, 999, 1)),
        ("bytes=900-5000", Span(206, 900, 100)),
        ("bytes=-1", Span(206, 999, 1)),
        ("bytes=-5000", Span(206, 0, 1000)),
        ("bytes=1000-", Span(416, 0, 0)),
        ("bytes=-0", Span(416, 0, 0)),
        ("bytes=5-4", WHOLE),
        ("bytes=0-1,3-4", WHOLE),
        ("bytes=", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=a-b", WHOLE),
        ("lines=1-2", WHOLE),
        ("bytes=" + "9" * 30 + "-", WHOLE),
        ("bytes=\u0661-\u0662", WHOLE),
    ],
)
def test_one_range(wanted: str, expected: Span) -> None:
    assert span({"Range": wanted}, FILE) == expected


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"If-None-Match": FILE.etag}, 304),
        ({"If-None-Match": f'"x", W/{FILE.etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": DATE}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": "Wed, 31 Dec 2025 23:59:59 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "Thu, 01 Jan 99999 00:00:00 GMT"}, 200),
        ({"If-Match": FILE.etag}, 200),
        ({"If-Match": f"W/{FILE.etag}"}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": "Wed, 31 Dec 2025 23:59:59 GMT"}, 412),
        ({"Range": "bytes=0-1", "If-Range": FILE.etag}, 206),
        ({"Range": "bytes=0-1", "If-Range": DATE}, 206),
        ({"Range": "bytes=0-1", "If-Range": f"W/{FILE.etag}"}, 200),
        ({"Range": "bytes=0-1", "If-Range": "Wed, 31 Dec 2025 23:59:59 GMT"}, 200),
    ],
)
def test_conditions(headers: dict[str, str], status: int) -> None:
    assert FILE.last_modified == DATE
    assert span(headers, FILE).status == status


HEADER = st.one_of(st.text(max_size=30), st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}"))


@settings(deadline=None)
@given(st.integers(0, 2**40), HEADER, HEADER, HEADER)
def test_whatever_is_asked_the_answer_lies_inside_the_file(size: int, wanted: str, since: str, tags: str) -> None:
    version = Version.of(size, 1_767_225_600_000_000_000)
    headers = {"Range": wanted, "If-Modified-Since": since, "If-Match": tags, "If-None-Match": tags, "If-Range": since}
    for chosen in ({"Range": wanted}, headers):
        found = span(chosen, version)
        assert 0 <= found.start <= found.start + found.length <= size
        assert found.status in (200, 206, 304, 412, 416)
