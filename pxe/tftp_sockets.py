"""The sockets of the TFTP server: how they are made, and who a request was meant for.

A transfer answers from the address its request came to (IP_PKTINFO): a server with two addresses that
answers from the wrong one is not understood. Each transfer has a port of its own, its transfer id of
RFC 1350 section 4. Its socket is connected: the kernel then keeps the way to the peer, and Python need not turn
addresses into text and back for each block. A second socket on the same port, the door, gets what
anyone else sends there; without it the kernel would answer a stranger before we can say ERROR 5.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

REQUEST_BUFFER_BYTES = 1 << 20  # a rack that is switched on at once asks within a few milliseconds
SEND_BUFFER_BYTES = 1 << 20  # one whole window; the kernel grants what net.core.wmem_max allows
REQUEST_READ_BYTES = 2048  # more than a request may have, so that a longer one is seen to be longer

# <linux/in.h>, <linux/udp.h>: numbers that Python's socket module does not name everywhere
IP_PKTINFO = 8
IP_MTU_DISCOVER = 10
IP_PMTUDISC_DONT = 0
UDP_SEGMENT = 103

_PKTINFO = struct.Struct("=i4s4s")  # interface, our address to answer from, destination of the datagram

Address = tuple[str, int]

_BIND_HINTS = {
    errno.EADDRINUSE: "another server has it: stop that one (`ss -ulpn` names it) or give another port",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE: start as root or give another port",
    errno.EADDRNOTAVAIL: "no interface has this address: give one that `ip -br address` shows",
}


class ListenError(Exception):
    """The server cannot listen; the text says where, why and what to do."""


class Datagram(NamedTuple):
    """One datagram at the request port. `local` is our address it came to, None if it was broadcast."""

    data: bytes
    peer: Address
    local: str | None


def listen(address: str, port: int) -> socket.socket:
    """A non-blocking socket for requests. Raises ListenError."""
    sock = _datagrams()
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, REQUEST_BUFFER_BYTES)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        hint = _BIND_HINTS.get(error.errno or 0, "check the address")
        text = f"cannot listen for TFTP on {address} port {port} ({error.strerror or error}): {hint}"
        raise ListenError(text) from None
    return sock


def receive(sock: socket.socket) -> Datagram:
    """The next request datagram. Raises BlockingIOError when there is none, OSError for the odd rest."""
    data, ancillary, _flags, peer = sock.recvmsg(REQUEST_READ_BYTES, socket.CMSG_SPACE(_PKTINFO.size))
    for level, kind, value in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(value) == _PKTINFO.size:
            _interface, ours, destination = _PKTINFO.unpack(value)
            return Datagram(data, peer, socket.inet_ntoa(ours) if ours == destination else None)
    return Datagram(data, peer, None)


def reply(sock: socket.socket, data: bytes, peer: Address, local: str) -> None:
    """Answer from the request port with `local` as the source. Raises OSError."""
    info = _PKTINFO.pack(0, socket.inet_aton(local), b"\0\0\0\0")
    sock.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, peer)


def door_socket(local: str) -> socket.socket:
    """A non-blocking socket on a new port, which `transfer_socket` may then share. Raises OSError."""
    door = _datagrams()
    try:
        door.bind((local, 0))
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not before: the port has to be a free one
    except OSError:
        door.close()
        raise
    return door


def transfer_socket(door: socket.socket, peer: Address, segment_bytes: int) -> tuple[socket.socket, bool]:
    """A non-blocking socket from the door's port to `peer`, and whether the kernel cuts long sends into segments.

    Packets may be fragmented on their way: a ROM that asks for blocks beyond the path's MTU gets them.
    """
    sock = _datagrams()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(door.getsockname())
        sock.connect(peer)
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        if not segment_bytes:
            return sock, False
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return sock, set_segment(sock, segment_bytes)
    except OSError:
        sock.close()
        raise


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def set_segment(sock: socket.socket, segment_bytes: int) -> bool:
    """Have sends longer than this cut into datagrams (0: never); whether the kernel agreed."""
    try:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment_bytes)
    except OSError:  # Linux before 4.18
        return False
    return True
