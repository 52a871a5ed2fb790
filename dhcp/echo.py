"""Asking by ICMP echo whether an address is in use (RFC 792).

One socket for each interface, opened before root is dropped.

Rules of the room:

* A raw socket where we may have one; else the kernel's ping socket (icmp(7), `net.ipv4.ping_group_range`); else none.
* Only an echo reply counts, and only one that carries our token for the address that it comes from: who cannot see
  the question cannot answer it, so nobody outside the wire can have addresses set aside. (in.dhcpd takes any ICMP.)
* `heard` drains at most `DRAIN_MAX` datagrams at a time; nothing here waits.
"""

import hashlib
import os
import socket
from struct import Struct
from typing import Final

from dhcp.frame import checksum
from storage.records import ipv4_int, ipv4_text

DRAIN_MAX: Final = 256
_SOL_RAW, _ICMP_FILTER = 255, 1  # raw(7): a set bit keeps that ICMP type away
_ALL_BUT_ECHO_REPLY: Final = 0xFFFFFFFE
_REQUEST, _REPLY = 8, 0
_HEADER: Final = Struct(">BBHHH")
_FILTER: Final = Struct("@I")
_TOKEN_BYTES: Final = 16


class Echo:
    """The ICMP socket of one interface."""

    def __init__(self, handle: socket.socket, *, is_raw: bool) -> None:
        self._handle = handle
        self._is_raw = is_raw
        self._secret = os.urandom(_TOKEN_BYTES)

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._handle.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._handle.close()

    def ask(self, address: int) -> None:
        """Send one echo request. OSError when it cannot leave."""
        self._handle.sendto(request(self._token(address)), (ipv4_text(address), 0))

    def heard(self) -> list[int]:
        """Return the addresses that have answered since the last time."""
        found: list[int] = []
        for _ in range(DRAIN_MAX):
            try:
                data, (sender, _) = self._handle.recvfrom(2048)
            except OSError:  # nothing waits, or an error of an earlier question: its address does not answer
                return found
            address = ipv4_int(sender)
            if reply_payload(data, has_ip_header=self._is_raw) == self._token(address):
                found.append(address)
        return found

    def _token(self, address: int) -> bytes:
        return hashlib.blake2s(address.to_bytes(4, "big"), key=self._secret, digest_size=_TOKEN_BYTES).digest()


def request(payload: bytes) -> bytes:
    """Return an echo request; a ping socket puts its own identifier in."""
    header = (_REQUEST, 0, 0, os.getpid() & 0xFFFF, 1)
    total = checksum(_HEADER.pack(*header) + payload)
    return _HEADER.pack(_REQUEST, 0, total, *header[3:]) + payload


def reply_payload(data: bytes, *, has_ip_header: bool) -> bytes | None:
    """Return what an echo reply carries; None for anything else."""
    start = (data[0] & 15) * 4 if has_ip_header and data else 0
    if len(data) < start + _HEADER.size or data[start] != _REPLY:
        return None
    return data[start + _HEADER.size :]


def open_echo(interface: str) -> Echo | None:
    """Open the socket of an interface, or return None where neither kind can be had."""
    for kind, is_raw in ((socket.SOCK_RAW, True), (socket.SOCK_DGRAM, False)):
        try:
            handle = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
        except OSError:
            continue
        try:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
            if is_raw:
                handle.setsockopt(_SOL_RAW, _ICMP_FILTER, _FILTER.pack(_ALL_BUT_ECHO_REPLY))
            handle.setblocking(False)
        except OSError:
            handle.close()
            continue
        return Echo(handle, is_raw=is_raw)
    return None
