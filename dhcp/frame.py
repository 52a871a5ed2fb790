"""Ethernet frames that carry one UDP datagram: RFC 791, RFC 768, RFC 894.

For replies to clients that have no address yet: the kernel would have to ask them by ARP, which they cannot answer.
The checksum (RFC 1071) is a sum modulo 65535, so Python's own long division does it at C's speed.
"""

from struct import Struct
from typing import Final

ETHERTYPE_IPV4: Final = 0x0800
PROTOCOL_UDP: Final = 17
MAX_PAYLOAD_BYTES: Final = 1472  # 1500 of Ethernet less the two headers: such a frame cannot be fragmented
_TTL: Final = 64
_VERSION_AND_WORDS: Final = 0x45
_IP_BYTES: Final = 20
_UDP_BYTES: Final = 8

_ETHERNET: Final = Struct(">6s6sH")
_IP: Final = Struct(">BBHHHBBHII")
_UDP: Final = Struct(">HHHH")
_PSEUDO: Final = Struct(">IIHHHHHH")  # addresses, protocol, length, then the UDP header itself


def checksum(data: bytes) -> int:
    """The Internet checksum of `data`; an odd last octet counts as if a zero followed."""
    if len(data) & 1:
        data += b"\0"
    return -int.from_bytes(data, "big") % 0xFFFF


def udp_frame(payload: bytes, source: tuple[bytes, int, int], target: tuple[bytes, int, int]) -> bytes:
    """Build one frame; `source` and `target` are (hardware address, IPv4 address, port).

    Raises ValueError for a payload over `MAX_PAYLOAD_BYTES`.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(
            f"a frame carries {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}: shorten or broadcast the reply"
        )
    source_mac, source_ip, source_port = source
    target_mac, target_ip, target_port = target
    length = _UDP_BYTES + len(payload)
    ports = (source_port, target_port, length)
    covered = _PSEUDO.pack(source_ip, target_ip, PROTOCOL_UDP, length, *ports, 0) + payload
    udp = _UDP.pack(*ports, checksum(covered) or 0xFFFF)  # 0 would mean: not computed
    fields = (_VERSION_AND_WORDS, 0, _IP_BYTES + length, 0, 0, _TTL, PROTOCOL_UDP)
    head_sum = checksum(_IP.pack(*fields, 0, source_ip, target_ip))
    ip = _IP.pack(*fields, head_sum, source_ip, target_ip)
    return _ETHERNET.pack(target_mac, source_mac, ETHERTYPE_IPV4) + ip + udp + payload
