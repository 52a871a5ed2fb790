"""The judge: it sees packets pass and knows the time, nothing else of the servers or their store.

It holds three things:

* **One holder.** From the moment when an ACK leaves a server until the lease in it ends, or its client sends RELEASE
  or DECLINE, no ACK may promise the address to another client. A lease is counted from the original request, as RFC
  2131 section 4.4.1 has it: the client can believe in no more.
* **Nothing lost.** What the store holds after recovery bears each promise that still runs: its client, and a lease
  that ends no earlier than the client believes.
* **Served.** A client that goes on trying is answered, once nothing is broken any more.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from twinboot.lab.simulate import packets
from twinboot.lab.simulate.packets import (
    ACK,
    DECLINE,
    DISCOVER,
    FOREVER_S,
    RELEASE,
    REQUEST,
    Message,
    dotted,
)

REQUESTS_KEPT = 4096  # per client: a stopped server may answer the oldest after hours


class Promise(NamedTuple):
    """An ACK that counts: until when the client may use the address, and which server gave it."""

    until_s: float
    given_s: float
    server: str


class Violation(NamedTuple):
    """What must not happen and did: when, in one sentence, and the addresses and clients (by MAC) it is about."""

    at_s: float
    rule: str
    text: str
    keys: tuple[object, ...]


class Stored(NamedTuple):
    """What the store says of one address: client id (b"" for none) and end of the lease, in simulated seconds."""

    client_id: bytes
    until_s: float


class _Seen:
    """What is known of one client from its packets."""

    def __init__(self) -> None:
        self.client_id = b""
        self.requests: dict[int, float] = {}  # xid -> when the original request was sent
        self.given_up: dict[int, float] = {}  # address -> when it was released or declined
        self.trying_since_s: float | None = None
        self.last_sent_s = 0.0


class Checker:
    """One run's judge. Times are simulated seconds, read from `clock`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.violations: list[Violation] = []
        self.acknowledged = 0
        self.declined = 0
        self._clock = clock
        self._clients: dict[bytes, _Seen] = {}
        self._promises: dict[int, dict[bytes, Promise]] = {}

    def sent(self, data: bytes) -> None:
        """Note a client's packet, as it leaves the client."""
        message, now_s = packets.read(data), self._clock()
        seen = self._clients.setdefault(message.mac, _Seen())
        seen.client_id = message.client_id or b"\x01" + message.mac
        seen.last_sent_s = now_s
        if message.kind in (RELEASE, DECLINE):
            address = message.ciaddr or message.wanted
            seen.given_up[address] = now_s
            self._promises.get(address, {}).pop(message.mac, None)
            seen.trying_since_s = None
            self.declined += message.kind == DECLINE
        elif message.kind in (DISCOVER, REQUEST):
            if seen.trying_since_s is None:
                seen.trying_since_s = now_s
            if message.kind == REQUEST and message.xid not in seen.requests:
                if len(seen.requests) >= REQUESTS_KEPT:
                    del seen.requests[next(iter(seen.requests))]
                seen.requests[message.xid] = now_s

    def answered(self, server: str, data: bytes) -> None:
        """Note a server's packet, as it leaves the server."""
        message = packets.read(data)
        if message.kind != ACK:
            return
        self.acknowledged += 1
        seen = self._clients.get(message.mac)
        asked_s = None if seen is None else seen.requests.get(message.xid)
        if seen is None or asked_s is None:
            self._violated("one holder", f"{server} acknowledged what nobody asked for: {message}", message)
            return
        lease_s = float("inf") if message.lease_s == FOREVER_S else message.lease_s
        until_s, now_s = asked_s + lease_s, self._clock()
        if until_s <= now_s or seen.given_up.get(message.yiaddr, -1.0) >= asked_s:
            return  # it cannot be believed any more
        holders = self._promises.setdefault(message.yiaddr, {})
        for mac, promise in list(holders.items()):
            if promise.until_s <= now_s:
                del holders[mac]
            elif mac != message.mac:
                self._doubled(server, message, mac, promise)
        holders[message.mac] = Promise(until_s, now_s, server)

    def delivered(self, data: bytes) -> None:
        """Note a packet that reached its client."""
        message = packets.read(data)
        if message.kind == ACK:
            self._clients[message.mac].trying_since_s = None

    def recovered(self, stored: Mapping[int, Stored], given_before_s: float, slack_s: float) -> None:
        """Compare the promises that run, and were given before a time, with what the store was read to hold.

        `slack_s` is what the servers' clocks may err.
        """
        now_s = self._clock()
        for address, holders in self._promises.items():
            for mac, promise in holders.items():
                if promise.until_s > now_s and promise.given_s < given_before_s:
                    self._compare(address, mac, promise, stored.get(address), slack_s)

    def all_served(self, patience_s: float, silence_s: float) -> None:
        """Look for clients that have tried for longer than `patience_s` without an ACK.

        One that has not sent anything for `silence_s` is not trying: it is off.
        """
        now_s = self._clock()
        for mac, seen in self._clients.items():
            since_s = seen.trying_since_s
            if since_s is not None and now_s - since_s > patience_s and now_s - seen.last_sent_s < silence_s:
                text = f"{mac.hex(':')} has tried since {since_s:.1f} s without an answer that it could use"
                self.violations.append(Violation(now_s, "served", text, (mac,)))

    def _compare(self, address: int, mac: bytes, promise: Promise, row: Stored | None, slack_s: float) -> None:
        said = f"{dotted(address)} was promised to {mac.hex(':')} by {promise.server} until {promise.until_s:.1f} s"
        if row is None or not row.client_id:
            fault = "the store has nobody there"
        elif row.client_id != self._clients[mac].client_id:
            fault = f"the store has client {row.client_id.hex()} there"
        elif row.until_s + slack_s < promise.until_s:
            fault = f"the store says until {row.until_s:.1f} s"
        else:
            return
        self.violations.append(Violation(self._clock(), "nothing lost", f"{said}, but {fault}", (address, mac)))

    def _doubled(self, server: str, message: Message, mac: bytes, promise: Promise) -> None:
        other = (
            f"{mac.hex(':')} has it until {promise.until_s:.1f} s from {promise.server}, since {promise.given_s:.1f} s"
        )
        text = f"{server} gave {dotted(message.yiaddr)} to {message.mac.hex(':')}, while {other}"
        self._violated("one holder", text, message, mac)

    def _violated(self, rule: str, text: str, message: Message, *more: object) -> None:
        self.violations.append(Violation(self._clock(), rule, text, (message.yiaddr, message.mac, *more)))
