"""Many datagrams with one system call: recvmmsg(2) and sendmmsg(2), which Python's socket module does not offer.

Both work in memory laid out once, a slot for each datagram. A system call costs more than the rest of what happens to
a datagram at the kernel's door, and `socket.recvmsg` builds four objects for each.

Replies of one length to one relay go further: they leave as one buffer, which the kernel cuts into datagrams (udp(7),
UDP_SEGMENT) behind the routing, queueing and filtering that each of them would else go through.
"""

import ctypes
import errno
import os
import socket
from collections.abc import Sequence
from struct import Struct
from typing import Any, Final, NamedTuple

from dhcp.wire import MAX_PACKET_BYTES
from storage.records import ipv4_text

TAKEN_BYTES: Final = MAX_PACKET_BYTES + 64  # of a slot: more than is allowed, so that what is too long is seen to be
SENT_BYTES: Final = 1536  # of a slot: replies are shorter than a frame; longer ones go by themselves

UDP_SEGMENT: Final = 103
CUT_MAX: Final = 64  # datagrams of one buffer, UDP_MAX_SEGMENTS of kernels before 6.10
CUT_MAX_BYTES: Final = 65_000  # of one buffer: an IP packet's length has 16 bits
_CUT_REFUSED: Final = frozenset({errno.EINVAL, errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE})
_U16: Final = Struct("@H")

_libc: Final = ctypes.CDLL(None, use_errno=True)
_TIMESPEC: Final = Struct(f"@{socket.CMSG_LEN(0)}xll")  # behind the head of its control message
_TIMESPEC_BYTES: Final = _TIMESPEC.size
_ADDRESS_BYTES: Final = 16
_FAMILY: Final = Struct("@H")
_PLACE: Final = Struct(">HI")  # port and address, behind the family


class _Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Head(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("pieces", ctypes.c_void_p),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("head", _Head), ("size", ctypes.c_uint32))


_SIZE_WORD: Final = _Message.size.offset // 4
_MESSAGE_WORDS: Final = ctypes.sizeof(_Message) // 4


class _Slots(NamedTuple):
    """The memory of `count` messages, and views of what is written for each."""

    messages: Any  # ctypes array
    pieces: Any
    data: memoryview
    names: memoryview
    controls: memoryview


def _lay_out(count: int, slot_bytes: int, *, named: bool) -> _Slots:
    """Make `count` messages whose pieces point at slots of `slot_bytes`, with an address or room for a time stamp."""
    data = bytearray(count * slot_bytes)
    names, controls = bytearray(count * _ADDRESS_BYTES), bytearray(count * _TIMESPEC_BYTES)
    messages, pieces = (_Message * count)(), (_Piece * count)()
    starts = [ctypes.addressof(ctypes.c_char.from_buffer(block)) for block in (data, names, controls)]
    for index in range(count):
        piece, head = pieces[index], messages[index].head
        piece.base, piece.size = starts[0] + index * slot_bytes, slot_bytes
        head.pieces, head.piece_count = ctypes.addressof(piece), 1
        if named:
            head.name, head.name_size = starts[1] + index * _ADDRESS_BYTES, _ADDRESS_BYTES
            _FAMILY.pack_into(names, index * _ADDRESS_BYTES, socket.AF_INET)
        else:
            head.control, head.control_size = starts[2] + index * _TIMESPEC_BYTES, _TIMESPEC_BYTES
    return _Slots(messages, pieces, memoryview(data), memoryview(names), memoryview(controls))


class Inbox:
    """Takes what waits at a socket, `most` datagrams at a time. The socket must not block."""

    def __init__(self, handle: socket.socket, most: int) -> None:
        self._handle = handle
        self._most = most
        self._slots = _lay_out(most, TAKEN_BYTES, named=False)
        self._blank = bytes(
            self._slots.messages
        )  # the kernel writes into heads, so they are put right before each call
        self._used_bytes = 0  # of the heads: what the last call wrote into
        self._sizes = memoryview(self._slots.messages).cast("B").cast("I")[_SIZE_WORD::_MESSAGE_WORDS]

    def take(self) -> list[bytes]:
        """Return the datagrams that wait, oldest first; OSError if the socket reports one."""
        messages = self._slots.messages
        ctypes.memmove(messages, self._blank, self._used_bytes)
        count = _libc.recvmmsg(self._handle.fileno(), messages, self._most, 0, None)
        if count < 0:
            self._used_bytes = len(self._blank)
            if ctypes.get_errno() in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._used_bytes = count * ctypes.sizeof(_Message)
        data = self._slots.data
        at = 0
        taken = []
        for size in self._sizes[:count]:
            taken.append(bytes(data[at : at + size]))
            at += TAKEN_BYTES
        return taken

    def came_s(self, count: int) -> list[float]:
        """Return when the first `count` of the last taken came in, Unix seconds; 0.0 where the kernel did not say."""
        stamps = _TIMESPEC.iter_unpack(self._slots.controls[: count * _TIMESPEC_BYTES])
        return [seconds + nanoseconds / 1e9 for seconds, nanoseconds in stamps]


class Outbox:
    """Gathers datagrams, `most` at a time, and sends them together. The socket must not block."""

    def __init__(self, handle: socket.socket, most: int) -> None:
        self._handle = handle
        self._most = most
        self._slots = _lay_out(most, SENT_BYTES, named=True)
        self._sizes = memoryview(self._slots.pieces).cast("B").cast("P")[1::2]
        self._count = 0
        self._cuts = True  # until the kernel refuses

    def send_alike(self, alike: Sequence[bytes], address: int, port: int) -> int:
        """Send datagrams of one length to one place; return how many of them, the first ones, are done with.

        The others are for `put`: the kernel does not cut buffers, or they are too long for it. OSError: they could not
        leave, nor could others to that place.
        """
        size, done = len(alike[0]), 0
        most = min(CUT_MAX, CUT_MAX_BYTES // size)
        to = (ipv4_text(address), port)
        how = [(socket.IPPROTO_UDP, UDP_SEGMENT, _U16.pack(size))]
        while self._cuts and done < len(alike):
            try:
                self._handle.sendmsg(alike[done : done + most], how, 0, to)
            except OSError as error:
                if error.errno not in _CUT_REFUSED:
                    raise
                self._cuts = False
            else:
                done += most
        return min(done, len(alike))

    def put(self, data: bytes, address: int, port: int) -> bool:
        """Take a datagram over; False if there is no room: send the others first, or it is too long for a slot."""
        index, size = self._count, len(data)
        if index == self._most or size > SENT_BYTES:
            return False
        start = index * SENT_BYTES
        self._slots.data[start : start + size] = data
        self._sizes[index] = size
        _PLACE.pack_into(self._slots.names, index * _ADDRESS_BYTES + 2, port, address)
        self._count = index + 1
        return True

    def send(self) -> list[tuple[int, OSError]]:
        """Send all that was taken over; return the addresses of those that could not be sent, and why."""
        failed: list[tuple[int, OSError]] = []
        done, count, self._count = 0, self._count, 0
        while done < count:  # ends: each turn sends or gives up at least one
            sent = _libc.sendmmsg(self._handle.fileno(), ctypes.byref(self._slots.messages[done]), count - done, 0)
            if sent > 0:
                done += sent
            elif ctypes.get_errno() != errno.EINTR:
                _, address = _PLACE.unpack_from(self._slots.names, done * _ADDRESS_BYTES + 2)
                failed.append((address, OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))))
                done += 1
        return failed
