"""One transfer as a pure state machine: no socket, no clock, no file.

Blocks have logical numbers that never wrap: 0 is the OACK (where there is one), 1 the first DATA. Only
the lowest 16 bits travel, so block 65536 goes out as 0. An ACK names the logical block nearest above what
is acknowledged; the window is at most half the number space, so an old ACK is never taken for a new one.

Rules, from RFC 1350, RFC 1123 4.2.3.1 and RFC 7440:

* An ACK of a block in flight moves the window to the block after it; the last block ends the transfer.
* With a window of one, a second ACK of a block is ignored, always. To answer it would send every later
  block twice (the Sorcerer's Apprentice syndrome); the timer resends.
* With a larger window, a second ACK means that the receiver missed the first block of this window, or
  that the network doubled the ACK. It is believed once: the window goes out again, and after any resend
  two whole windows must be acknowledged before a second ACK is believed again. So a doubled ACK costs
  one window and cannot keep itself alive.
* A timeout resends the window and doubles the wait. Only progress starts the count anew.
"""

from __future__ import annotations

from enum import Enum

from pxe.tftp_options import Terms

MAX_RETRIES = 6  # with the waits below a silent client is given up after about 40 s
MAX_BACKOFF_S = 8  # a wait doubles up to this, unless the client itself asked for longer
MAX_JITTER = 0.25  # a wait grows by up to this share, so that a rack does not resend in step
_CREDIT_AFTER_RESEND = -1  # two whole windows bring it back to 1


class Action(Enum):
    """What the shell has to do."""

    SEND = "send"  # blocks `first` .. `first + count - 1`; block 0 is the OACK
    WAIT = "wait"
    DONE = "done"
    GIVE_UP = "give up"


_SEND, _WAIT, _DONE = Action.SEND, Action.WAIT, Action.DONE  # looked up for each block


class Transfer:
    """State of one read. After Action.SEND, `first` and `count` say which blocks to send."""

    __slots__ = ("_credit", "_terms", "acked", "count", "first", "last", "retries", "sent", "windowsize")

    def __init__(self, size: int, terms: Terms) -> None:
        self._terms = terms
        self.windowsize = terms.windowsize
        self.last = size // terms.blksize + 1  # a block shorter than blksize ends the file, be it empty
        self.acked = -1 if terms.accepted else 0
        self.sent = self.acked
        self.first = 0
        self.count = 0
        self.retries = 0
        self._credit = 1

    def start(self) -> Action:
        """The first thing to send: the OACK, or the first window where there is none."""
        return self._send_window()

    def on_ack(self, block: int) -> Action:
        """An ACK of the peer, `block` as on the wire."""
        acked, sent = self.acked, self.sent
        ahead = (block - acked) & 0xFFFF
        if ahead == 0:
            return self._on_repeated_ack()
        acked += ahead
        if acked > sent:
            return _WAIT
        self.retries = 0
        if acked < sent:
            self._credit = _CREDIT_AFTER_RESEND
        elif self._credit < 1:
            self._credit += 1
        self.acked = acked
        if acked == self.last:
            return _DONE
        if self.windowsize == 1:  # `_send_window` cut short: `count` is 1 from the start
            self.first = self.sent = acked + 1
            return _SEND
        return self._send_window()

    def on_timeout(self) -> Action:
        """Nothing useful came within `wait_s`."""
        if self.retries == MAX_RETRIES:
            return Action.GIVE_UP
        self.retries += 1
        self._credit = _CREDIT_AFTER_RESEND
        return self._send_window()

    def wait_s(self, spread: float) -> float:
        """Seconds to wait for the next ACK; `spread` in 0..1 (a random number) places it in the jitter."""
        base_s = self._terms.timeout_s
        backoff_s = min(base_s << self.retries, max(base_s, MAX_BACKOFF_S))
        return backoff_s * (1 + MAX_JITTER * spread)

    @property
    def started(self) -> bool:
        """Whether the peer has acknowledged anything: until then its address may be a lie."""
        return self.acked > 0 or (self.acked == 0 and bool(self._terms.accepted))

    def _on_repeated_ack(self) -> Action:
        if self.windowsize == 1 or self._credit < 1 or self.acked < 0:
            return _WAIT
        self._credit = _CREDIT_AFTER_RESEND
        return self._send_window()

    def _send_window(self) -> Action:
        acked = self.acked
        left = self.last - acked if acked >= 0 else 1  # the OACK goes alone
        count = min(self.windowsize, left)
        self.first = acked + 1
        self.count = count
        self.sent = acked + count
        return _SEND
