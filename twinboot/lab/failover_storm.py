"""A few hundred simulated clients behind a relay agent, for the failover demo: they lease, renew, and never give up.

Runs as a process of its own (`python -m twinboot.lab.failover_storm RELAY SERVER SERVER`) until SIGTERM and prints one
JSON object a second. Like a real relay agent it passes a broadcast on to every server, and like a real client it renews
with the server that gave the lease until that one is silent. A client that gets no answer asks again after RETRY_S.

*Silence* is what a client notices: the time from the first packet of an exchange to its ACK, all repetitions included.
"""

from __future__ import annotations

import json
import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twinboot.lab.simulate.packets import ACK, DISCOVER, NAK, OFFER, REQUEST, Message, dotted, read, request

PORT = 67
CLIENTS = 300
CLIENTS_MAX = 900
"""Less than there are addresses, so that nobody waits for want of one."""
NEWCOMERS_PER_S = 5
RENEW_S = 5.0
RETRY_S = 1.0
SAME_SERVER_TRIES = 2
"""So often a client asks the server that it chose; then it asks all of them."""
TURN_S = 0.02
TELL_S = 1.0
BATCH_MAX = 256
HOPS, GIADDR = 3, slice(24, 28)
"""Places in a packet that a relay agent fills in, RFC 2131 section 2."""


class Sender(Protocol):
    """The half of a socket that speaks."""

    def sendto(self, data: bytes | bytearray, to: tuple[str, int], /) -> object:
        """Send one packet; OSError."""


@dataclass
class Client:
    """One client. `since_s` is when its present exchange began, 0 while it needs nothing."""

    mac: bytes
    next_s: float
    since_s: float = 0.0
    tries: int = 0
    xid: int = 0
    address: int = 0
    bound: bool = False
    server: int = 0


@dataclass
class Storm:
    """All clients and what they saw."""

    relay: str
    servers: Sequence[str]
    clients: list[Client] = field(default_factory=list)
    asking: dict[int, Client] = field(default_factory=dict)
    holders: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    acks: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    doubled: int = 0
    naks: int = 0
    _rng: random.Random = field(default_factory=lambda: random.Random(1))
    _xids: int = 0

    def run(self) -> None:
        """Play until the process is told to stop."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.bind((self.relay, PORT))
            wire.settimeout(TURN_S)
            began = told = time.monotonic()
            while True:
                self._receive(wire)
                now = time.monotonic()
                self._arrive(now - began, now)
                self._turn(wire, now)
                if now - told >= TELL_S:
                    told = now
                    sys.stdout.write(json.dumps(self.facts(now)) + "\n")
                    sys.stdout.flush()

    def facts(self, now: float) -> dict[str, object]:
        """What happened so far."""
        waits = [now - client.since_s for client in self.clients if client.since_s]
        return {
            "clients": len(self.clients),
            "bound": sum(client.bound for client in self.clients),
            "acks": dict(self.acks),
            "waiting_s": round(max(waits, default=0.0), 3),
            "longest_s": round(max([self.longest_s, *waits]), 3),
            "doubled": self.doubled,
            "naks": self.naks,
        }

    def _arrive(self, elapsed_s: float, now: float) -> None:
        wanted = min(CLIENTS + int(elapsed_s * NEWCOMERS_PER_S), CLIENTS_MAX)
        while len(self.clients) < wanted:
            mac = b"\x02\x00\x5e" + len(self.clients).to_bytes(3, "big")
            spread_s = RENEW_S if len(self.clients) < CLIENTS else 0.0
            self.clients.append(Client(mac, now + self._rng.random() * spread_s))

    def _turn(self, wire: socket.socket, now: float) -> None:
        for client in self.clients:
            if client.next_s <= now:
                self._speak(wire, client, now)

    def _speak(self, wire: Sender, client: Client, now: float) -> None:
        if not client.since_s:
            client.since_s, client.tries = now, 0
        elif not client.bound and client.tries >= SAME_SERVER_TRIES:
            client.address = client.server = client.tries = 0  # whom it chose is gone: begin anew
        client.tries += 1
        client.next_s = now + RETRY_S
        self.asking.pop(client.xid, None)
        self._xids += 1
        client.xid = self._xids
        self.asking[client.xid] = client
        chosen = [client.server] if client.server and client.tries <= SAME_SERVER_TRIES else []
        self._send(wire, self._message(client), chosen)

    def _message(self, client: Client) -> Message:
        if client.bound:
            return Message(REQUEST, client.xid, client.mac, ciaddr=client.address)
        if client.server:
            return Message(REQUEST, client.xid, client.mac, wanted=client.address, server=client.server)
        return Message(DISCOVER, client.xid, client.mac)

    def _send(self, wire: Sender, message: Message, to: Sequence[int]) -> None:
        data = bytearray(request(message))
        data[HOPS] = 1
        data[GIADDR] = socket.inet_aton(self.relay)
        for server in map(dotted, to) if to else self.servers:
            try:
                wire.sendto(data, (server, PORT))
            except OSError:
                continue  # nobody listens there any more: ICMP said so

    def _receive(self, wire: socket.socket) -> None:
        for _ in range(BATCH_MAX):
            try:
                data = wire.recv(2048)
            except TimeoutError:
                return
            except OSError:
                continue
            reply = read(data)
            client = self.asking.get(reply.xid)
            if client is not None and client.mac == reply.mac:
                self._hear(wire, client, reply, time.monotonic())

    def _hear(self, wire: Sender, client: Client, reply: Message, now: float) -> None:
        if reply.kind == OFFER and not client.server:
            client.address, client.server = reply.yiaddr, reply.server
            client.tries = 0
            self._speak(wire, client, now)
        elif reply.kind == ACK:
            self._hold(client, reply, now)
        elif reply.kind == NAK:
            self.naks += 1
            client.bound, client.address, client.server = False, 0, 0

    def _hold(self, client: Client, reply: Message, now: float) -> None:
        mac, until_s = self.holders.get(reply.yiaddr, (client.mac, 0.0))
        if mac != client.mac and until_s > now:
            self.doubled += 1
        self.holders[reply.yiaddr] = (client.mac, now + reply.lease_s)
        self.longest_s = max(self.longest_s, now - client.since_s)
        self.acks[dotted(reply.server)] += 1
        self.asking.pop(client.xid, None)
        client.bound, client.address, client.server, client.since_s = True, reply.yiaddr, reply.server, 0.0
        client.next_s = now + RENEW_S


def main() -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Storm(sys.argv[1], sys.argv[2:]).run()


if __name__ == "__main__":
    main()
