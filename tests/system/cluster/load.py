"""Clients for a pair of servers, many at once, from outside; every answer is written down, one JSON line each.

Runs in the clients' namespace:  python load.py OUT fresh_per_s=150 residents=20 fixed=10 ...  until stdin closes.

* *Fresh* clients appear at a steady rate, get an address, and then leave, release it, renew it or reboot with it.
* *Residents* get an address first and renew it over and over.
* *Fixed* ones are residents whose address is reserved for them (hardware address `02:fd:...`).

They retry as real ones do (iPXE: 1, 2, 4, 8 s, then anew with another transaction; RFC 2131, 4.1 and 4.4.5: a renewal
goes to its server first, then to everybody), and like real ones they heed only what belongs to their transaction.
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import sys
import time
from dataclasses import dataclass
from typing import TextIO

from tests.system.cluster import packets

RETRY_S = (1.0, 2.0, 4.0, 8.0)
RENEW_RETRY_S = (1.0, 2.0, 4.0)
UNICAST_TRIES = 2
ACTIVE_MAX = 400
"""Fresh clients that are not served yet; more would only measure how long a queue can grow."""

DRAIN_S = 1.0
EVERYBODY = "255.255.255.255"
SERVER_PORT, CLIENT_PORT = 67, 68
PKTINFO = 8  # IP_PKTINFO, ip(7)
RCVBUFFORCE = 33  # SO_RCVBUFFORCE, socket(7)


@dataclass(slots=True)
class Client:
    """One machine. `kind` is fresh, resident or fixed; `doing` is what it waits for."""

    mac: bytes
    kind: str
    doing: str = "discover"
    xid: int = 0
    address: str = ""
    server: str = ""
    lease_s: int = 0
    tries: int = 0
    begun: float = 0.0
    again: int = 0  # how often it had to repeat itself since
    sent: float = 0.0
    turn: int = 0


class Crowd:
    """All clients and their one socket."""

    def __init__(self, out: TextIO, fresh_per_s: float, residents: int, fixed: int, renew_s: float, seed: int) -> None:
        self._out, self._fresh_s, self._renew_s = out, 1 / fresh_per_s, renew_s
        self._random = random.Random(seed)
        self._clients: dict[bytes, Client] = {}
        self._timers: list[tuple[float, int, bytes]] = []
        self._made = self._active = 0
        self._seed = seed
        self._next_fresh = time.time()
        self.is_stopping = False
        self._socket = sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, 8 << 20)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"fe0")
        sock.bind(("", CLIENT_PORT))
        sock.setblocking(False)
        for number in range(fixed):
            self._begin(Client(bytes([2, 0xFD, 0, 0, number >> 8, number & 255]), "fixed"))
        for number in range(residents):
            self._begin(Client(bytes([2, 0xFE, 0, seed & 255, number >> 8, number & 255]), "resident"))

    def run(self) -> None:
        """Until told to stop, and a little longer for answers that are under way."""
        end = float("inf")
        while time.time() < end:
            if self.is_stopping and end == float("inf"):
                end = time.time() + DRAIN_S
            self._fresh()
            wait_s = max(0.0, min([self._next_fresh, *(self._timers[0][:1] if self._timers else [])]) - time.time())
            watched = [self._socket] if self.is_stopping else [self._socket, sys.stdin]
            woken = select.select(watched, [], [], min(wait_s, 0.05))[0]
            self.is_stopping |= sys.stdin in woken
            self._receive()
            self._wake()
        self._tell("end", None)

    def _fresh(self) -> None:
        now = time.time()
        while not self.is_stopping and self._next_fresh <= now:
            self._next_fresh = max(self._next_fresh + self._fresh_s, now - 1)
            if self._active < ACTIVE_MAX:
                self._made += 1
                self._active += 1
                self._begin(Client(bytes([2, self._seed & 63]) + self._made.to_bytes(4, "big"), "fresh"))
        if self.is_stopping:
            self._next_fresh = now + 1

    def _begin(self, client: Client) -> None:
        self._clients[client.mac] = client
        self._anew(client, "discover")

    def _anew(self, client: Client, doing: str) -> None:
        """Begin a transaction; the wait of a client counts from its first one that failed."""
        client.doing, client.tries, client.xid = doing, 0, self._random.getrandbits(32)
        client.begun = client.begun or time.time()
        self._send(client)

    def _send(self, client: Client) -> None:
        now, mac, to, source = time.time(), client.mac, EVERYBODY, ""
        secs = int(now - client.begun)
        if client.doing == "discover":
            data = packets.question(packets.DISCOVER, client.xid, mac, secs=secs)
        elif client.doing == "request":
            wanted, server = client.address, client.server
            data = packets.question(packets.REQUEST, client.xid, mac, requested=wanted, server=server, secs=secs)
        elif client.doing == "reboot":
            data = packets.question(packets.REQUEST, client.xid, mac, requested=client.address, secs=secs)
        else:
            data = packets.question(packets.REQUEST, client.xid, mac, ciaddr=client.address, secs=secs)
            source = client.address
            to = client.server if client.tries < UNICAST_TRIES else EVERYBODY
        client.sent = now
        self._post(data, to, source)
        retry = RENEW_RETRY_S if client.doing == "renew" else RETRY_S
        self._sleep(client, retry[client.tries] * self._random.uniform(0.9, 1.1))

    def _post(self, data: bytes, to: str, source: str) -> None:
        info = b"\0\0\0\0" + socket.inet_aton(source or packets.NONE) + b"\0\0\0\0"
        try:
            self._socket.sendmsg([data], [(socket.IPPROTO_IP, PKTINFO, info)] if source else [], 0, (to, SERVER_PORT))
        except OSError:
            return  # a wire that is cut loses packets, and so does this one

    def _sleep(self, client: Client, for_s: float) -> None:
        client.turn += 1
        heapq.heappush(self._timers, (time.time() + for_s, client.turn, client.mac))

    def _wake(self) -> None:
        now = time.time()
        while self._timers and self._timers[0][0] <= now:
            _, turn, mac = heapq.heappop(self._timers)
            client = self._clients.get(mac)
            if client and client.turn == turn and not self.is_stopping:
                self._late(client)

    def _late(self, client: Client) -> None:
        """No answer in time, or time for a resident to renew."""
        if client.doing == "bound":
            self._anew(client, "renew")
            return
        client.tries += 1
        retry = RENEW_RETRY_S if client.doing == "renew" else RETRY_S
        if client.tries < len(retry):
            client.again += 1
            self._send(client)
            return
        self._tell("gave_up", client, doing=client.doing)
        self._anew(client, "renew" if client.doing == "renew" else "discover")

    def _receive(self) -> None:
        for _ in range(256):
            try:
                data = self._socket.recv(2048)
            except BlockingIOError:
                return
            said = packets.answer(data)
            client = self._clients.get(said.mac) if said else None
            if said and client:
                self._heed(client, said)

    def _heed(self, client: Client, said: packets.Answer) -> None:
        asked = client.doing in ("request", "renew", "reboot")
        is_mine = said.xid == client.xid
        if said.kind == packets.OFFER and is_mine and client.doing == "discover":
            client.address, client.server, client.doing, client.tries = said.address, said.server, "request", 0
            self._send(client)
        elif said.kind == packets.ACK:
            is_taken = is_mine and asked and said.address == client.address
            self._tell("ack", client, address=said.address, lease_s=said.lease_s, server=said.server, taken=is_taken)
            if is_taken:
                self._bound(client, said)
        elif said.kind == packets.NAK and is_mine and asked:
            self._tell("nak", client, server=said.server, address=client.address)
            self._anew(client, "discover")

    def _bound(self, client: Client, said: packets.Answer) -> None:
        client.server, client.lease_s = said.server, said.lease_s
        self._tell(
            "served", client, doing=client.doing, waited_s=round(time.time() - client.begun, 4), again=client.again
        )
        was, client.doing, client.begun, client.again = client.doing, "bound", 0.0, 0
        if client.kind != "fresh":
            self._sleep(client, self._renew_s * self._random.uniform(0.5, 1.5))
            return
        self._active -= 1
        chance = self._random.random()
        if was == "request" and chance < 0.15:
            self._active += 1
            self._anew(client, "reboot")
        elif was == "request" and chance < 0.3:
            self._active += 1
            self._anew(client, "renew")
        else:
            self._leave(client, is_polite=chance < 0.5)

    def _leave(self, client: Client, *, is_polite: bool) -> None:
        """A fresh client's end: it gives its address back, or only goes."""
        client.doing = "gone"
        client.turn += 1
        if is_polite:
            release = packets.question(packets.RELEASE, client.xid, client.mac, client.address, server=client.server)
            self._tell("release", client, address=client.address)
            self._post(release, client.server, client.address)

    def _tell(self, event: str, client: Client | None, **fields: object) -> None:
        who = {"mac": client.mac.hex(), "kind": client.kind, "sent": round(client.sent, 4)} if client else {}
        self._out.write(json.dumps({"t": round(time.time(), 4), "event": event, **who, **fields}) + "\n")
        self._out.flush()


def main(words: list[str]) -> None:
    told = {key: float(value) for key, _, value in (word.partition("=") for word in words[1:])}
    with open(words[0], "w", encoding="ascii") as out:
        crowd = Crowd(
            out,
            told.get("fresh_per_s", 100),
            int(told.get("residents", 20)),
            int(told.get("fixed", 10)),
            told.get("renew_s", 2),
            int(told.get("seed", 1)),
        )
        crowd.run()


if __name__ == "__main__":
    main(sys.argv[1:])
