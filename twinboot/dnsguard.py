"""The guard in front of dnslib: a question is judged byte by byte before the library may parse it.

Rules of this room (RFC 1035 section 4.1, RFC 6891 section 6):

- A question is at most QUESTION_BYTES_MAX long, is a query, and holds exactly one question and no answers.
- Names: labels of at most 63 bytes, 255 in all, no reserved label bits; a compression pointer points backwards only,
  and at most POINTER_HOPS_MAX are followed, so that no packet makes us loop.
- Additional records: at most ADDITIONAL_MAX, of which one may be EDNS, at the root name.
- What passes is parsed by dnslib; whatever that still refuses is a refusal too. Nothing else leaves this function.
"""

from __future__ import annotations

import struct

from dnslib import DNSRecord
from dnslib.dns import DNSError

__all__ = ["DnsRefused", "guarded_parse"]

QUESTION_BYTES_MAX = 512  # no honest question of a resolver comes near; longer ones are somebody's experiment
HEADER_BYTES = 12
LABEL_BYTES_MAX = 63
NAME_BYTES_MAX = 255
POINTER_HOPS_MAX = 16
ADDITIONAL_MAX = 2  # EDNS and a transaction signature
EDNS_TYPE = 41
OPCODE_OR_RESPONSE = 0xF800


class DnsRefused(Exception):  # noqa: N818 - an answer, not an error of ours
    """A packet that will not be parsed; the text is one word for counters."""


def guarded_parse(data: bytes) -> DNSRecord:
    """The question in `data`, or DnsRefused with the reason."""
    if len(data) < HEADER_BYTES:
        raise DnsRefused("short")
    if len(data) > QUESTION_BYTES_MAX:
        raise DnsRefused("long")
    _, flags, questions, answers, authorities, additional = struct.unpack_from("!6H", data)
    if flags & OPCODE_OR_RESPONSE:
        raise DnsRefused("not-a-query")
    if questions != 1 or answers or authorities or additional > ADDITIONAL_MAX:
        raise DnsRefused("counts")
    end = _after_name(data, HEADER_BYTES) + 4
    if end > len(data):
        raise DnsRefused("truncated")
    _check_additional(data, end, additional)
    try:
        return DNSRecord.parse(data)
    except (DNSError, ValueError, LookupError, struct.error) as error:
        raise DnsRefused("unparsable") from error


def _after_name(data: bytes, offset: int) -> int:
    """Where the name at `offset` ends in the packet, its pointers followed and judged."""
    end, length, hops = 0, 1, 0
    while True:
        if offset >= len(data):
            raise DnsRefused("truncated")
        size = data[offset]
        if size & 0xC0 == 0xC0:
            target = _pointer(data, offset)
            hops += 1
            if target >= offset or target < HEADER_BYTES or hops > POINTER_HOPS_MAX:
                raise DnsRefused("pointer")
            end = end or offset + 2
            offset = target
            continue
        if size > LABEL_BYTES_MAX:
            raise DnsRefused("label-bits")
        if not size:
            return end or offset + 1
        length += size + 1
        if length > NAME_BYTES_MAX:
            raise DnsRefused("name-long")
        offset += size + 1


def _pointer(data: bytes, offset: int) -> int:
    if offset + 2 > len(data):
        raise DnsRefused("truncated")
    return (data[offset] & 0x3F) << 8 | data[offset + 1]


def _check_additional(data: bytes, offset: int, count: int) -> None:
    seen_edns = False
    for _ in range(count):
        at_root = offset < len(data) and data[offset] == 0
        offset = _after_name(data, offset)
        if offset + 10 > len(data):
            raise DnsRefused("truncated")
        kind, _, _, length = struct.unpack_from("!HHIH", data, offset)
        if kind == EDNS_TYPE:
            if seen_edns or not at_root:
                raise DnsRefused("edns")
            seen_edns = True
            _check_edns_options(data[offset + 10 : offset + 10 + length], length)
        offset += 10 + length
    if offset != len(data):
        raise DnsRefused("truncated" if offset > len(data) else "trailing")


def _check_edns_options(options: bytes, length: int) -> None:
    if len(options) != length:
        raise DnsRefused("truncated")
    while options:
        if len(options) < 4 or 4 + int.from_bytes(options[2:4], "big") > len(options):
            raise DnsRefused("edns")
        options = options[4 + int.from_bytes(options[2:4], "big") :]
