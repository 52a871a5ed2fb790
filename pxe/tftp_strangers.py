"""Who else sends to the port of a transfer: RFC 1350 section 4 answers them with ERROR 5.

The doors (see `tftp_sockets`) hang in an epoll of their own, which the server watches as one descriptor, so
that the loop pays nothing for them as long as no stranger comes.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress

from pxe.tftp_wire import Code, Opcode, error_packet

MAX_ANSWERS_PER_WAKE = 64  # then the running transfers have their turn

_OPCODE_READ_BYTES = 2
_ERROR_OPCODE = Opcode.ERROR.to_bytes(2, "big")
_ANSWER = error_packet(Code.UNKNOWN_TID, "this transfer belongs to another port")


class Strangers:
    """All doors of a server; readable like a socket when somebody knocked."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._doors: dict[int, socket.socket] = {}

    def fileno(self) -> int:
        """What the server's loop watches."""
        return self._epoll.fileno()

    def watch(self, door: socket.socket) -> None:
        """Answer what comes to this door. The caller keeps owning it."""
        self._epoll.register(door, select.EPOLLIN)
        self._doors[door.fileno()] = door

    def forget(self, door: socket.socket) -> None:
        """No longer watch this door. Call it before the door is closed."""
        del self._doors[door.fileno()]
        self._epoll.unregister(door)

    def answer(self) -> None:
        """Tell those who knocked, one datagram a door; their transfers go on undisturbed."""
        for fd, _mask in self._epoll.poll(0, MAX_ANSWERS_PER_WAKE):
            with suppress(OSError):  # nobody there any more: as good as lost on the way
                data, stranger = self._doors[fd].recvfrom(_OPCODE_READ_BYTES)
                if stranger[1] and data != _ERROR_OPCODE:  # an ERROR is never answered, or two servers never stop
                    self._doors[fd].sendto(_ANSWER, stranger)

    def close(self) -> None:
        """Give back the descriptor."""
        self._epoll.close()
