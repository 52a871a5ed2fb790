from __future__ import annotations

import pytest

from storage.volumes import Export, Usage, VolumeInfo
from storage.volumes.names import parse_volume
from twinboot.volumetext import size_text, space_text, span_text, use_text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (200_704, "200.7 kB"),
        (10**10, "10.0 GB"),
        (999_960_000, "1.0 GB"),
        (10**19, "10000.0 PB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("span_s", "text"), [(0, "less than a minute"), (60, "1 minute"), (7200, "2 hours"), (23 * 86400 + 5, "23 days")]
)
def test_spans(span_s: int, text: str) -> None:
    assert span_text(span_s) == text


def test_a_store_in_words() -> None:
    export = Export("iqn.2026-11.test:a:b", "10.0.0.1:3260", 1, ("iqn.2026-11.test:hv1",), False)
    one = VolumeInfo(parse_volume("a/b"), 10**10, 1, None, (), export, export.initiators)
    other = one._replace(name=parse_volume("a/c"), export=None, users=())
    assert use_text([one, other]) == "2 volumes, 1 exported, 1 in use"
    usage = Usage(10**9, 2 * 10**10, 3 * 10**9, 2 * 10**9, 10**10, 86400)
    assert space_text(usage) == (
        "1.0 GB taken, 3.0 GB promised (more than is free), 2.0 GB of 10.0 GB free, full in 1 day at this rate"
    )
    assert "full" not in space_text(usage._replace(full_in_s=None))
