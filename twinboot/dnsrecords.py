"""What an answer to a question about names is made of: records, by the section that they stand in. Values."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

__all__ = ["ANY", "NEGATIVE_TTL_S", "NS", "PTR", "SOA", "A", "Answer", "Labels", "Record", "Soa", "Verdict"]

A, NS, SOA, PTR, ANY = 1, 2, 6, 12, 255
NEGATIVE_TTL_S = 10  # a machine that gets its address now must not stay unknown for long

Labels = tuple[bytes, ...]
"""A name as its labels, the root's empty one left out."""


class Verdict(Enum):
    """What a question meets."""

    FOUND = "found"
    EMPTY = "no such data"  # the name exists, with other types
    MISSING = "no such name"
    FOREIGN = "not ours"


class Soa(NamedTuple):
    """Start of authority; its times are constants: `NEGATIVE_TTL_S`, and `RETRY_S` of `dnsanswer`."""

    server: Labels
    mailbox: Labels
    serial: int


class Record(NamedTuple):
    """One resource record of class IN. `data` is an address for A, a name for NS and PTR."""

    owner: Labels
    kind: int
    ttl_s: int
    data: int | Labels | Soa


class Answer(NamedTuple):
    """The answer to one question, section by section."""

    verdict: Verdict
    records: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    extra: tuple[Record, ...] = ()
