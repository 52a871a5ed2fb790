"""One running transfer: its socket, its spool and its state machine, joined.

The hot path is `on_readable`: one recv, one step of the state machine, one send. A window
of many blocks leaves in one send where the kernel cuts it up; where it cannot (packets larger than the
device's MTU, old kernels) the same bytes go out block by block.
"""

from __future__ import annotations

import random
import struct
from contextlib import suppress

from pxe.content import Content
from pxe.tftp_options import Terms
from pxe.tftp_sockets import Address, door_socket, set_segment, transfer_socket
from pxe.tftp_spool import Spool
from pxe.tftp_transfer import Action, Transfer
from pxe.tftp_wire import Code, Error, Malformed, Opcode, Request, error_packet, oack_packet, parse
from pxe.tree import close

REPLY_READ_BYTES = 512  # an ACK has 4, an ERROR some text; what is cut off does not matter
MIN_SEGMENT_BYTES = 512  # a socket that cuts shorter would cut its own OACK and ERROR packets

_inbox = bytearray(REPLY_READ_BYTES)  # shared: a datagram is used up before the next one is read
_ACK = int(Opcode.ACK)  # a plain number compares faster
_ACK_BYTES = 4
_fields = struct.Struct("!HH").unpack_from  # opcode, block
_DONE, _SEND = Action.DONE, Action.SEND


class Ended(Exception):  # noqa: N818 - a transfer that ends is not an error of the program
    """The transfer is over before its last block. `code` is the ERROR to send, None for silence."""

    def __init__(self, reason: str, code: Code | None) -> None:
        super().__init__(reason)
        self.code = code


class Session:
    """A transfer under way. Owns its socket and the content's descriptor; `close` gives both back."""

    __slots__ = (
        "_content",
        "_oack",
        "_receive",
        "_segments",
        "_send",
        "_spool",
        "backlog",
        "deadline_s",
        "door",
        "heard_s",
        "local",
        "name",
        "number",
        "patience_s",
        "peer",
        "reported_s",
        "request",
        "size",
        "sock",
        "started_s",
        "terms",
        "transfer",
    )

    def __init__(self, request: Request, content: Content, size: int, terms: Terms, peer: Address, local: str) -> None:
        self.number = 0  # the server's own, never used twice
        self.request = request
        self.name = content.name  # what was asked for may hold a token, which no journal may
        self.size = size
        self.terms = terms
        self.peer = peer
        self.local = local
        self.transfer = Transfer(size, terms)
        self.patience_s = self.transfer.wait_s(random.random())
        self.backlog: tuple[int, int] | None = None  # (block, count) that a full send buffer held back
        self._content = content
        self._oack = oack_packet(terms.accepted)
        self._spool = Spool(content, size, terms)
        cut = terms.windowsize > 1 and self._spool.stride >= MIN_SEGMENT_BYTES
        segment_bytes = self._spool.stride if cut else 0
        self.door = door_socket(local)
        try:
            self.sock, self._segments = transfer_socket(self.door, peer, segment_bytes)
        except OSError:
            self.door.close()
            raise
        self._receive, self._send = self.sock.recv_into, self.sock.send
        self.started_s = self.heard_s = self.reported_s = self.deadline_s = 0.0

    @property
    def acked_bytes(self) -> int:
        """Bytes of content that the peer has acknowledged."""
        return max(0, min(self.transfer.acked * self.terms.blksize, self.size))

    def start(self, now_s: float) -> None:
        """Send the OACK or the first window. Raises Ended."""
        self.started_s = self.heard_s = self.reported_s = now_s
        self.deadline_s = now_s + self.patience_s
        self.transfer.start()
        self._send_again()

    def on_readable(self, now_s: float) -> bool:
        """Take one datagram and answer it; True when the last block is acknowledged. Raises Ended."""
        try:
            length = self._receive(_inbox)
        except OSError:  # nothing there, or the ICMP error of an earlier packet: the timer repeats what matters
            return False
        opcode, block = _fields(_inbox)
        if opcode != _ACK or length < _ACK_BYTES:
            self._on_other(bytes(_inbox[:length]))
            return False
        transfer = self.transfer
        action = transfer.on_ack(block)
        if action is _SEND:  # never the OACK: an ACK moves on to a block
            if transfer.count == 1 and self.backlog is None:
                self._send_block(transfer.first)
            else:
                self._send_blocks(transfer.first, transfer.count)
            self.heard_s = now_s
            self.deadline_s = now_s + self.patience_s
        return action is _DONE

    def on_deadline(self, now_s: float) -> None:
        """Nothing useful came in time: send again. Raises Ended when the client is given up."""
        transfer = self.transfer
        if transfer.on_timeout() is Action.GIVE_UP:
            what = f"block {transfer.acked + 1} of {transfer.last}" if transfer.acked >= 0 else "the OACK"
            reason = f"no answer to {what} after {transfer.retries} repeats: is the client still up?"
            raise Ended(reason, Code.UNDEFINED)
        self.deadline_s = now_s + transfer.wait_s(random.random())
        self._send_again()

    def on_writable(self) -> None:
        """Send what the full buffer held back. Raises Ended."""
        if self.backlog is not None:
            self._send_blocks(*self.backlog)

    def repeat(self) -> None:
        """The client repeated its request before it heard us. Raises Ended."""
        self._send_again()

    def send_error(self, code: Code, text: str) -> None:
        """Tell the client why this ends; lost like any datagram when it cannot be sent."""
        self._send_raw(error_packet(code, text))

    def close(self) -> None:
        """Give back the sockets and the file."""
        self.door.close()  # first: what the peer still sends shall not pass for a stranger's
        self.sock.close()
        close(self._content)

    def _send_again(self) -> None:
        transfer = self.transfer
        if transfer.first == 0:
            self._send_raw(self._oack)
        else:
            self._send_blocks(transfer.first, transfer.count)

    def _send_block(self, block: int) -> None:
        """One block where nothing is held back: most of what a client without windows ever needs."""
        try:
            packet = self._spool.packet(block)
        except OSError as error:
            raise _unreadable(error) from None
        try:
            self._send(packet)
        except BlockingIOError:
            self.backlog = (block, 1)
        except OSError:  # no route, a filter, no buffer: as good as lost, the timer sends it again
            return

    def _send_blocks(self, block: int, count: int) -> None:
        self.backlog = None
        while count:
            try:
                packets, here = self._spool.packets(block, count)
            except OSError as error:
                raise _unreadable(error) from None
            if here > 1 and not self._segments:
                packets, here = packets[: self._spool.stride], 1
            try:
                self._send(packets)
            except BlockingIOError:
                self.backlog = (block, count)
                return
            except ConnectionRefusedError:  # an ICMP error of an earlier packet: nothing is wrong with this one
                return
            except OSError:
                if here == 1:  # no route, a filter, no buffer: as good as lost, the timer sends it again
                    return
                set_segment(self.sock, 0)  # the packets are larger than the MTU: block by block
                self._segments = False
                continue
            block += here
            count -= here

    def _on_other(self, data: bytes) -> None:
        try:
            packet = parse(data)
        except Malformed:
            return
        if isinstance(packet, Error):
            raise Ended(f"the client stopped it: {packet.text or 'no reason given'} (code {packet.code})", None)

    def _send_raw(self, data: bytes) -> None:
        with suppress(OSError):  # as good as lost on the way; the timer repeats what matters
            self._send(data)


def _unreadable(error: OSError) -> Ended:
    return Ended(f"the file cannot be read: {error.strerror}", Code.UNDEFINED)
