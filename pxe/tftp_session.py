"""One running transfer: its socket, its spool and its state machine, joined.

The hot path is `on_readable`: one recvfrom, one table look-up of the state machine, one sendto. A window
of many blocks leaves in one sendto where the kernel cuts it up; where it cannot (packets larger than the
device's MTU, old kernels) the same bytes go out block by block.
"""

from __future__ import annotations

import os
import random

from pxe.content import Content, FileContent
from pxe.tftp_options import Terms
from pxe.tftp_sockets import Address, set_segment, transfer_socket
from pxe.tftp_spool import Spool
from pxe.tftp_transfer import Action, Transfer
from pxe.tftp_wire import Code, Error, Malformed, Opcode, Request, error_packet, oack_packet, parse

REPLY_READ_BYTES = 512  # an ACK has 4, an ERROR some text; what is cut off does not matter
MIN_SEGMENT_BYTES = 512  # a socket that cuts shorter would cut its own OACK and ERROR packets

_inbox = bytearray(REPLY_READ_BYTES)  # shared: a datagram is used up before the next one is read
_ACK = Opcode.ACK
_ERROR_OPCODE = Opcode.ERROR.to_bytes(2, "big")
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
        "_segments",
        "_spool",
        "backlog",
        "deadline_s",
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
        self.sock, self._segments = transfer_socket(local, segment_bytes)
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
        self._send()

    def on_readable(self, now_s: float) -> bool:
        """Take one datagram and answer it; True when the last block is acknowledged. Raises Ended."""
        try:
            length, sender = self.sock.recvfrom_into(_inbox)
        except BlockingIOError:
            return False
        if sender != self.peer:
            self._refuse_stranger(sender, bytes(_inbox[:length]))
            return False
        if length < 4 or _inbox[1] != _ACK or _inbox[0]:
            self._on_other(bytes(_inbox[:length]))
            return False
        transfer = self.transfer
        action = transfer.on_ack(_inbox[2] << 8 | _inbox[3])
        if action is _SEND:
            self.heard_s = now_s
            self.deadline_s = now_s + self.patience_s
            self._send_blocks(transfer.first, transfer.count)  # an ACK never asks for the OACK again
        return action is _DONE

    def on_deadline(self, now_s: float) -> None:
        """Nothing useful came in time: send again. Raises Ended when the client is given up."""
        transfer = self.transfer
        if transfer.on_timeout() is Action.GIVE_UP:
            what = f"block {transfer.acked + 1} of {transfer.last}" if transfer.acked >= 0 else "the OACK"
            reason = f"no answer to {what} after {transfer.retries} repeats: is the client still up?"
            raise Ended(reason, Code.UNDEFINED)
        self.deadline_s = now_s + transfer.wait_s(random.random())
        self._send()

    def on_writable(self) -> None:
        """Send what the full buffer held back. Raises Ended."""
        if self.backlog is not None:
            self._send_blocks(*self.backlog)

    def repeat(self) -> None:
        """The client repeated its request before it heard us. Raises Ended."""
        self._send()

    def send_error(self, code: Code, text: str) -> None:
        """Tell the client why this ends; lost like any datagram when it cannot be sent."""
        self._send_raw(error_packet(code, text), self.peer)

    def close(self) -> None:
        """Give back the socket and the file."""
        self.sock.close()
        close_content(self._content)

    def _send(self) -> None:
        transfer = self.transfer
        if transfer.first == 0:
            self._send_raw(self._oack, self.peer)
        else:
            self._send_blocks(transfer.first, transfer.count)

    def _send_blocks(self, block: int, count: int) -> None:
        self.backlog = None
        while count:
            try:
                packets, here = self._spool.packets(block, count)
            except OSError as error:
                raise Ended(f"the file cannot be read: {error.strerror}", Code.UNDEFINED) from None
            if here > 1 and not self._segments:
                packets, here = packets[: self._spool.stride], 1
            try:
                self.sock.sendto(packets, self.peer)
            except BlockingIOError:
                self.backlog = (block, count)
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

    def _refuse_stranger(self, sender: Address, data: bytes) -> None:
        """RFC 1350 section 4: a wrong transfer id gets ERROR 5, the transfer goes on undisturbed."""
        if sender[1] and data[:2] != _ERROR_OPCODE:  # an ERROR is never answered, or two servers never stop
            self._send_raw(error_packet(Code.UNKNOWN_TID, "this transfer belongs to another port"), sender)

    def _send_raw(self, data: bytes, to: Address) -> None:
        try:
            self.sock.sendto(data, to)
        except OSError:
            return  # as good as lost on the way; the timer repeats what matters


def close_content(content: Content) -> None:
    """Give back the descriptor of a file."""
    if isinstance(content, FileContent):
        os.close(content.fd)
