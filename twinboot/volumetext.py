"""Space and time of volumes as people read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from storage.volumes import Usage, VolumeInfo

__all__ = ["size_text", "space_text", "span_text", "use_text"]

UNITS = ("kB", "MB", "GB", "TB", "PB")
SPANS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def size_text(size_bytes: int) -> str:
    """`512 B`, `12.3 GB`."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in UNITS:
        size /= 1000
        if size < 999.95 or unit == UNITS[-1]:
            return f"{size:.1f} {unit}"
    raise AssertionError("the last unit takes all")


def span_text(span_s: int) -> str:
    """`1 day`, `23 days`, `5 hours`: the largest unit that fits, whole ones."""
    for unit_s, name in SPANS:
        if span_s >= unit_s:
            count = span_s // unit_s
            return f"{count} {name}" + "s" * (count != 1)
    return "less than a minute"


def use_text(volumes: Sequence[VolumeInfo]) -> str:
    """How many there are, how many are exported and logged in to."""
    exported = sum(one.export is not None for one in volumes)
    used = sum(bool(one.users) for one in volumes)
    return f"{len(volumes)} volume{'s' * (len(volumes) != 1)}, {exported} exported, {used} in use"


def space_text(usage: Usage) -> str:
    """What is taken, what may come, what is left, and for how long."""
    soon = f", full in {span_text(usage.full_in_s)} at this rate" if usage.full_in_s is not None else ""
    more = " (more than is free)" if usage.promised_bytes > usage.free_bytes else ""
    return (
        f"{size_text(usage.own_bytes)} taken, {size_text(usage.promised_bytes)} promised{more}, "
        f"{size_text(usage.free_bytes)} of {size_text(usage.total_bytes)} free{soon}"
    )
