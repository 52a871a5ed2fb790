"""One DHCP client: the state machine of RFC 2131 section 4.4, with a life of its own.

It is switched on and off, keeps trying with the RFC's growing pauses, takes the first offer, renews at T1 by unicast,
rebinds at T2 by broadcast, and gives its address up when the lease ends. Some release their address when they go,
some vanish, some remember it for their next start, and a few decline what they get. The end of a lease is counted
from the time when the original request was sent, as the RFC says, so a late answer never lengthens it.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from random import Random
from typing import NamedTuple

from twinboot.lab.simulate import packets
from twinboot.lab.simulate.clockwork import Clockwork
from twinboot.lab.simulate.network import PACKET_LIFE_S
from twinboot.lab.simulate.packets import ACK, DECLINE, DISCOVER, FOREVER_S, NAK, OFFER, RELEASE, REQUEST, Message

RETRY_FIRST_S, RETRY_LAST_S = 4.0, 64.0
REQUESTS_MAX = 4  # unanswered, then a client in REQUESTING or INIT-REBOOT begins anew
RETRY_RENEWING_MIN_S = 5.0  # the RFC's 60 s, for leases of hours, in proportion
OFF_MIN_S = 3 * PACKET_LIFE_S  # what it sent before has arrived or is lost when it comes back
DECLINE_PAUSE_S = 10.0


class State(Enum):
    """Where a client is; the names are the RFC's."""

    OFF = "off"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    REBOOTING = "rebooting"
    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"


TRYING = frozenset({State.SELECTING, State.REQUESTING, State.REBOOTING})
USING = frozenset({State.BOUND, State.RENEWING, State.REBINDING})


class Habits(NamedTuple):
    """What a client is like: typical times on and off, seconds, and how often it does what."""

    on_s: float
    off_s: float
    releases: float
    remembers: float
    declines: float


class Client:
    """A machine on the wire. `send` puts a packet on it: (target server or "" for all, bytes)."""

    def __init__(
        self,
        identity: tuple[bytes, bytes],
        habits: Habits,
        clockwork: Clockwork,
        rng: Random,
        send: Callable[[bytes, int, bytes], None],
    ) -> None:
        self.mac, self.client_id = identity
        self.state = State.OFF
        self.address = 0
        self.done = 0  # exchanges that ended in an ACK it took
        self.may_leave = True  # False: it stays on, or goes on trying
        self._habits = habits
        self._clockwork = clockwork
        self._rng = rng
        self._send_packet = send
        self._turn = 0  # which timer counts; those set before are void
        self._xid = 0
        self._server = 0
        self._tries = 0
        self._began_s = 0.0  # of the transaction, for the field secs
        self._asked_s = 0.0  # when the original REQUEST of the transaction was sent
        self._lease: tuple[float, float, float] = (0.0, 0.0, 0.0)  # T1, T2 and end

    # -- life

    def switch_on(self) -> None:
        """Begin: with the address it remembers, if its lease still runs."""
        if self.state is not State.OFF:
            return
        if self._habits.on_s:
            self._clockwork.after(self._rng.expovariate(1 / self._habits.on_s) + 1.0, self.switch_off)
        if self.address and self._lease[2] > self._clockwork.now_s:
            self._begin(State.REBOOTING)
            self._request()
        else:
            self._discover()

    def switch_off(self) -> None:
        """Go, in one of the ways in which machines go, and come back after a while."""
        if self.state is State.OFF or not self.may_leave:
            return
        if self.state in USING:
            if self._rng.random() < self._habits.releases:
                self._send(RELEASE, ciaddr=self.address, server=self._server)
                self.address = 0
            elif self._rng.random() >= self._habits.remembers:
                self.address = 0
        elif self.state is not State.REBOOTING:
            self.address = 0
        self._stop(State.OFF)
        self._clockwork.after(OFF_MIN_S + self._rng.expovariate(1 / self._habits.off_s), self.switch_on)

    def lose_power(self, for_s: float) -> None:
        """Go without a word, with what it remembers, and come back with all others on its fuse."""
        if self.state is State.OFF or not self.may_leave:
            return
        if self.state not in USING:
            self.address = 0
        self._stop(State.OFF)
        self._clockwork.after(max(for_s, OFF_MIN_S), self.switch_on)

    def come_back(self) -> None:
        """Come back soon, if it is off."""
        self._clockwork.after(OFF_MIN_S, self.switch_on)

    # -- sending

    def _begin(self, state: State) -> None:
        """Begin a transaction."""
        self._stop(state)
        self._xid = self._rng.getrandbits(32)
        self._tries = 0
        self._began_s = self._asked_s = self._clockwork.now_s

    def _stop(self, state: State) -> None:
        self.state = state
        self._turn += 1

    def _timer(self, delay_s: float, action: Callable[[], None]) -> None:
        self._turn += 1
        self._clockwork.after(delay_s, self._due, self._turn, action)

    def _due(self, turn: int, action: Callable[[], None]) -> None:
        if turn == self._turn:
            action()

    def _discover(self) -> None:
        self._begin(State.SELECTING)
        self._discover_again()

    def _discover_again(self) -> None:
        self._send(DISCOVER, wanted=self.address if self._rng.random() < 0.5 else 0)
        self._timer(self._pause_s(), self._discover_again)

    def _request(self) -> None:
        """REQUEST in SELECTING's sequel and INIT-REBOOT, up to REQUESTS_MAX times."""
        if self._tries >= REQUESTS_MAX:
            self._discover()
            return
        named = self._server if self.state is State.REQUESTING else 0
        self._send(REQUEST, wanted=self.address, server=named)
        self._timer(self._pause_s(), self._request)

    def _renew(self) -> None:
        """REQUEST for more time: to its server until T2, to all until the end."""
        now_s = self._clockwork.now_s
        _, t2_s, end_s = self._lease
        if now_s >= end_s:
            self.address = 0
            self._discover()
            return
        state = State.RENEWING if now_s < t2_s else State.REBINDING
        if state is not self.state:
            self._begin(state)
        target = self._server if state is State.RENEWING else 0
        self._send(REQUEST, target, ciaddr=self.address)
        limit_s = t2_s if state is State.RENEWING else end_s
        rest_s = limit_s - now_s
        self._timer(min(rest_s, max(rest_s / 2, RETRY_RENEWING_MIN_S)), self._renew)

    def _pause_s(self) -> float:
        self._tries += 1
        pause_s = min(RETRY_FIRST_S * 2.0 ** (self._tries - 1), RETRY_LAST_S)
        return pause_s + 2 * self._rng.random() - 1

    def _send(self, kind: int, target: int = 0, *, ciaddr: int = 0, wanted: int = 0, server: int = 0) -> None:
        secs = min(int(self._clockwork.now_s - self._began_s), 0xFFFF)
        message = Message(kind, self._xid, self.mac, ciaddr, 0, secs, wanted, server, 0, self.client_id)
        target = server if kind == RELEASE else target
        self._send_packet(self.mac, target, packets.request(message))

    # -- receiving

    def receive(self, data: bytes) -> None:
        """Take a packet; what does not belong to the transaction at hand is ignored."""
        message = packets.read(data)
        if message.xid != self._xid:
            return
        if message.kind == OFFER and self.state is State.SELECTING:
            self.address, self._server = message.yiaddr, message.server
            self._stop(State.REQUESTING)
            self._tries = 0
            self._asked_s = self._clockwork.now_s
            self._request()
        elif self.state in TRYING | {State.RENEWING, State.REBINDING} and self.state is not State.SELECTING:
            if message.kind == ACK and message.yiaddr == self.address:
                self._bind(message)
            elif message.kind == NAK:
                self.address = 0
                self._stop(State.SELECTING)
                self._timer(1.0 + self._rng.random(), self._discover)

    def _bind(self, ack: Message) -> None:
        now_s = self._clockwork.now_s
        lease_s = float("inf") if ack.lease_s == FOREVER_S else float(ack.lease_s)
        if self._asked_s + lease_s <= now_s:
            return  # it came too late to be of use
        is_new = self.state in (State.REQUESTING, State.REBOOTING)
        self._server = ack.server
        self._stop(State.BOUND)
        self.done += 1
        if is_new and self._rng.random() < self._habits.declines:
            self._send(DECLINE, wanted=self.address, server=ack.server)
            self.address = 0
            self._stop(State.SELECTING)
            self._timer(DECLINE_PAUSE_S, self._discover)
            return
        start_s, spread = self._asked_s, 0.95 + 0.1 * self._rng.random()
        self._lease = (start_s + 0.5 * spread * lease_s, start_s + 0.875 * lease_s, start_s + lease_s)
        if lease_s != float("inf"):
            self._timer(max(self._lease[0] - now_s, 0.0), self._renew)


def settle(clients: Sequence[Client]) -> None:
    """Let nobody leave any more, and everybody come back, when nothing is under way any more of what they sent."""
    for client in clients:
        client.may_leave = False
        client.come_back()
