"""HTTP validators and byte ranges (RFC 9110 sections 13 and 14) as pure decisions on header texts.

One range is served; a request for several, or one that is not well formed, gets the whole file, as the RFC
allows: boot firmware asks for single ranges, and a multipart answer would need a second way to send.
"""

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)
ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


class Span(NamedTuple):
    """Which bytes to send and with which status. With 304, 412 and 416 there are none."""

    status: int
    start: int
    length: int


class Version(NamedTuple):
    """What tells one content from another of the same name."""

    size: int  # bytes
    mtime_s: int  # since 1970; 0 for rendered texts, which have no date
    etag: str  # with its quotes

    @classmethod
    def of(cls, size: int, mtime_ns: int) -> "Version":
        """The version of a file as opened."""
        return cls(size, mtime_ns // 1_000_000_000, f'"{mtime_ns:x}-{size:x}"')

    @property
    def last_modified(self) -> str:
        """The date as HTTP writes it."""
        return formatdate(self.mtime_s, usegmt=True)


def span(headers: Mapping[str, str], version: Version) -> Span:
    """Decide on a GET or HEAD: 200, 206, 304, 412 or 416, in the order of RFC 9110 section 13.2.2."""
    failed = _failed_condition(headers, version)
    if failed:
        return Span(failed, 0, 0)
    whole = Span(200, 0, version.size)
    wanted = headers.get("Range")
    if wanted is None or not _range_is_for(headers.get("If-Range"), version):
        return whole
    found = RANGE.fullmatch(wanted)
    if found is None or found[1] == found[2] == "":
        return whole
    return _one_range(found[1], found[2], version.size)


def _one_range(first: str, last: str, size: int) -> Span:
    if not first:  # the last N bytes
        count = min(int(last), size)
        return Span(206, size - count, count) if count else Span(416, 0, 0)
    start = int(first)
    if last and int(last) < start:  # not a range at all (section 14.1.1), so not unsatisfiable either
        return Span(200, 0, size)
    if start >= size:
        return Span(416, 0, 0)
    end = min(int(last) + 1, size) if last else size
    return Span(206, start, end - start)


def _failed_condition(headers: Mapping[str, str], version: Version) -> int:
    if "If-Match" in headers:
        if not _has_tag(headers["If-Match"], version.etag, weak=False):
            return 412
    elif _later(version, headers.get("If-Unmodified-Since")) is True:
        return 412
    if "If-None-Match" in headers:
        return 304 if _has_tag(headers["If-None-Match"], version.etag, weak=True) else 0
    return 304 if _later(version, headers.get("If-Modified-Since")) is False else 0


def _has_tag(listed: str, etag: str, *, weak: bool) -> bool:
    if listed.strip() == "*":
        return True
    return any(found[1] == etag and (weak or not found[0].startswith("W/")) for found in ENTITY_TAG.finditer(listed))


def _later(version: Version, date: str | None) -> bool | None:
    """Whether the content changed after `date`; None when there is nothing to compare."""
    if date is None or not version.mtime_s:
        return None
    try:
        return version.mtime_s > parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _range_is_for(condition: str | None, version: Version) -> bool:
    """If-Range: the range counts only for this very content (strong comparison)."""
    return (
        condition is None or condition == version.etag or (version.mtime_s > 0 and condition == version.last_modified)
    )
