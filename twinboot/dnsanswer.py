"""From a guarded question to the reply's bytes, by the zone alone. Pure.

Rules of this room (RFC 1035 section 4, RFC 6891, RFC 8482):

- The question is repeated as it came, case included: resolvers check it.
- AA is set for what the zone knows, and there is no recursion: what is not ours is refused, or left to the forwarder.
- EDNS: our own size is EDNS_BYTES, small enough never to be fragmented; an answer goes up to the smaller of the two.
  Options are not read, client subnet least of all: who asks is who the packet came from.
- An answer that does not fit is sent with TC and no records, so that the resolver comes back by TCP.
"""

from __future__ import annotations

from dnslib import CLASS, EDNS0, NS, PTR, QTYPE, RCODE, RR, SOA, A, DNSHeader, DNSLabel, DNSQuestion, DNSRecord

from twinboot.dnsrecords import NEGATIVE_TTL_S, Answer, Record, Soa, Verdict
from twinboot.names import Zone

__all__ = [
    "EDNS_BYTES",
    "PLAIN_BYTES_MAX",
    "asks_edns",
    "fit",
    "refusal",
    "reply",
    "size_limit",
]

EDNS_BYTES = 1232  # fits any path of 1280 bytes (DNS flag day 2020)
PLAIN_BYTES_MAX = 512
CLASS_IN, CLASS_ANY = 1, 255
META_TYPES = frozenset({41, *range(249, 255)})  # OPT, TKEY, TSIG, IXFR, AXFR and their kin: nothing to look up
BAD_VERSION = 1  # the upper bits of BADVERS (16), RFC 6891 section 9
RETRY_S = 3600  # refresh, retry and expire of the SOA: nobody transfers this zone


def reply(question: DNSRecord, zone: Zone, now_s: int) -> DNSRecord | None:
    """The reply to a question, or None if it is not about our names."""
    if _edns_version(question):
        return _blank(question, "NOERROR", BAD_VERSION)
    asked = question.q
    if asked.qclass not in (CLASS_IN, CLASS_ANY) or asked.qtype in META_TYPES:
        return refusal(question, "REFUSED")
    answer = zone.find(tuple(asked.qname.label), asked.qtype, now_s)
    return None if answer.verdict is Verdict.FOREIGN else _filled(question, answer)


def refusal(question: DNSRecord, code: str) -> DNSRecord:
    """A reply without records: REFUSED, SERVFAIL."""
    return _blank(question, code)


def _blank(question: DNSRecord, code: str, edns_code: int = 0) -> DNSRecord:
    flags = question.header
    header = DNSHeader(id=flags.id, bitmap=0, qr=1, rd=flags.rd, rcode=getattr(RCODE, code))
    made = DNSRecord(header, q=DNSQuestion(question.q.qname, question.q.qtype, question.q.qclass))
    if asks_edns(question):
        made.add_ar(EDNS0(udp_len=EDNS_BYTES, ext_rcode=edns_code))
    return made


def _filled(question: DNSRecord, answer: Answer) -> DNSRecord:
    made = _blank(question, "NXDOMAIN" if answer.verdict is Verdict.MISSING else "NOERROR")
    made.header.aa = 1
    made.add_answer(*map(_record, answer.records))
    made.add_auth(*map(_record, answer.authority))
    made.ar = [*map(_record, answer.extra), *made.ar]
    return made


def _record(record: Record) -> RR:
    owner = DNSLabel(record.owner)
    return RR(owner, record.kind, CLASS.IN, record.ttl_s, _data(record))


def _data(record: Record) -> A | NS | PTR | SOA:
    data = record.data
    if isinstance(data, int):
        return A(tuple(data.to_bytes(4, "big")))
    if isinstance(data, Soa):
        times = (data.serial, RETRY_S, RETRY_S, RETRY_S, NEGATIVE_TTL_S)
        return SOA(DNSLabel(data.server), DNSLabel(data.mailbox), times)
    return (NS if record.kind == QTYPE.NS else PTR)(DNSLabel(data))


def asks_edns(question: DNSRecord) -> bool:
    """Whether the question speaks EDNS, and the reply may."""
    return any(record.rtype == QTYPE.OPT for record in question.ar)


def _edns_version(question: DNSRecord) -> int:
    return next((record.ttl >> 16 & 0xFF for record in question.ar if record.rtype == QTYPE.OPT), 0)


def size_limit(question: DNSRecord) -> int:
    """How large a UDP reply may be, bytes."""
    asked = next((int(record.rclass) for record in question.ar if record.rtype == QTYPE.OPT), PLAIN_BYTES_MAX)
    return min(max(asked, PLAIN_BYTES_MAX), EDNS_BYTES)


def fit(made: DNSRecord, limit_bytes: int) -> bytes:
    """The reply as a packet; with TC and no records if it is too large."""
    data: bytes = bytes(made.pack())
    if len(data) <= limit_bytes:
        return data
    short = DNSRecord(DNSHeader(id=made.header.id, bitmap=made.header.bitmap, tc=1), q=made.q)
    short.add_ar(*(record for record in made.ar if record.rtype == QTYPE.OPT))
    return bytes(short.pack())
