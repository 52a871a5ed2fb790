"""Ready-made DATA packets of one transfer, read from the content a window at a time.

A spool is one buffer in which whole packets lie one after the other, header and data, every packet
`blksize + 4` bytes after the one before. One preadv(2) scatters the file straight into the data places,
two strided assignments write all block numbers, and the result can leave in one send that the kernel
cuts into datagrams (UDP_SEGMENT). Nothing is copied or allocated for a single block.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial

from pxe.content import Content, FileContent
from pxe.tftp_options import Terms
from pxe.tftp_wire import Opcode

HEADER_BYTES = 4
MAX_SEGMENTS = 64  # datagrams in one send: UDP_MAX_SEGMENTS of Linux before 6.9
MAX_SEND_BYTES = 65507  # IPv4's limit for one UDP send, cut up by the kernel or not
READ_AHEAD_BYTES = 16 << 10  # for windows smaller than this; with 64 KiB at most it bounds the memory

_BLOCKS = range(1 << 16)
_HIGH = bytes(block >> 8 for block in _BLOCKS) + bytes(MAX_SEGMENTS)  # block numbers wrap to 0
_LOW = bytes(block & 0xFF for block in _BLOCKS) + bytes(range(MAX_SEGMENTS))

Reader = Callable[[Sequence[memoryview], int], int]
"""(places, offset) -> bytes read from that offset on, as preadv does."""


class Spool:
    """The packets of `content` for these terms. Blocks count from 1 and never wrap."""

    __slots__ = (
        "_buffer",
        "_end",
        "_filled",
        "_first",
        "_last",
        "_places",
        "_read",
        "_singles",
        "_size",
        "_view",
        "_whole",
        "stride",
    )

    def __init__(self, content: Content, size: int, terms: Terms) -> None:
        self.stride = terms.blksize + HEADER_BYTES
        self._size = size
        self._last = size // terms.blksize + 1
        capacity = min(_capacity(self.stride, terms.windowsize), self._last)
        self._buffer = bytearray(capacity * self.stride)
        self._buffer[1 :: self.stride] = bytes((Opcode.DATA,)) * capacity
        self._view = memoryview(self._buffer)
        starts = range(HEADER_BYTES, len(self._buffer), self.stride)
        self._places = [self._view[start : start + terms.blksize] for start in starts]
        self._read = _reader(content)
        self._singles = [self._view[start : start + self.stride] for start in range(0, len(self._buffer), self.stride)]
        self._first = self._filled = self._whole = self._end = 0

    def packet(self, block: int) -> memoryview:
        """The packet of one block: `packets(block, 1)`, a little faster."""
        index = block - self._first
        if 0 <= index < self._whole:
            return self._singles[index]
        return self.packets(block, 1)[0]

    def packets(self, first: int, count: int) -> tuple[memoryview, int]:
        """Packets from block `first` on: at most `count`, at least one, as one piece of memory.

        Returns the piece and how many packets are in it; each is `stride` bytes long, the file's last one
        may be shorter. Valid until the next call. Raises OSError when the content cannot be read.
        """
        index = first - self._first
        if not 0 <= index < self._filled:
            self._fill(first)
            index = 0
        here = min(count, self._filled - index)
        start = index * self.stride
        end = self._end if index + here == self._filled else start + here * self.stride
        return self._view[start:end], here

    def _fill(self, first: int) -> None:
        blksize = self.stride - HEADER_BYTES
        capacity = len(self._places)
        self._filled = self._whole = 0  # if the read fails, nothing here is to be trusted
        blocks = min(capacity, self._last - first + 1)
        offset = (first - 1) * blksize
        wanted = min(blocks * blksize, self._size - offset)
        if self._read(self._places[:blocks], offset) < wanted:
            raise OSError(errno.EIO, "the file became shorter while it was sent")
        low_bits = first & 0xFFFF
        self._buffer[2 :: self.stride] = _HIGH[low_bits : low_bits + capacity]
        self._buffer[3 :: self.stride] = _LOW[low_bits : low_bits + capacity]
        self._first = first
        self._filled = blocks
        self._whole = wanted // blksize  # all but the file's last one
        self._end = wanted + blocks * HEADER_BYTES


def _capacity(stride: int, windowsize: int) -> int:
    """Packets in the buffer: whole windows where they fit into one send, else one full send."""
    most = max(1, min(MAX_SEGMENTS, MAX_SEND_BYTES // stride))
    ahead = max(1, READ_AHEAD_BYTES // (stride * windowsize)) * windowsize
    return min(most, ahead)


def _reader(content: Content) -> Reader:
    if isinstance(content, FileContent):
        return partial(os.preadv, content.fd)
    return partial(_copy, memoryview(content.data))


def _copy(data: memoryview, places: Sequence[memoryview], offset: int) -> int:
    copied = 0
    for place in places:
        piece = data[offset + copied : offset + copied + len(place)]
        place[: len(piece)] = piece
        copied += len(piece)
    return copied
