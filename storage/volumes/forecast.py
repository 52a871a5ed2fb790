"""When a store will be full, if it goes on growing as it did: a straight line through what it took hour by hour.

Kept as text, a line each: Unix time in seconds, and bytes taken. Lines that are neither are skipped.
"""

from collections.abc import Sequence
from typing import NamedTuple

SAMPLE_EVERY_S = 3600
SAMPLES_MAX = 24 * 30
"""A month: longer ago, the site was another."""

SPAN_MIN_S = 24 * 3600
"""A day and a night: less is a guess about the time of day."""

HORIZON_S = 10 * 365 * 86400
"""What is full in more than ten years is not going to be full."""


class Sample(NamedTuple):
    """What the store took at one time."""

    time_s: int
    own_bytes: int


def full_in_s(samples: Sequence[Sample], free_bytes: int) -> int | None:
    """Seconds until the free space is used up; None if it is not growing, or too young to tell."""
    if len(samples) < 2 or samples[-1].time_s - samples[0].time_s < SPAN_MIN_S:
        return None
    middle_s = sum(one.time_s for one in samples) / len(samples)
    middle_bytes = sum(one.own_bytes for one in samples) / len(samples)
    spread = sum((one.time_s - middle_s) ** 2 for one in samples)
    slope = sum((one.time_s - middle_s) * (one.own_bytes - middle_bytes) for one in samples) / spread
    if slope * HORIZON_S <= free_bytes:
        return None
    return int(free_bytes / slope)


def due(samples: Sequence[Sample], now_s: float) -> bool:
    """Whether it is time for another sample; also when the clock was set back."""
    return not samples or not 0 <= now_s - samples[-1].time_s < SAMPLE_EVERY_S


def added(samples: Sequence[Sample], sample: Sample) -> list[Sample]:
    """With one more; those that are too old, or from a future that was a wrong clock, are left out."""
    return [*(one for one in samples if one.time_s < sample.time_s), sample][-SAMPLES_MAX:]


def render(samples: Sequence[Sample]) -> str:
    """As kept."""
    return "".join(f"{one.time_s} {one.own_bytes}\n" for one in samples)


def parse(text: str) -> list[Sample]:
    """What was kept, by time."""
    found = []
    for line in text.splitlines()[-SAMPLES_MAX:]:
        words = line.split()
        if len(words) == 2 and all(word.isascii() and word.isdigit() and len(word) <= 20 for word in words):
            found.append(Sample(int(words[0]), int(words[1])))
    return sorted(found)
