"""The judge of a cluster run. It knows packets and time, and at the end what the share's files hold; nothing of ours.

* No address is valid for two clients at once. A client holds an address from the ACK's arrival until the lease has run
  from the moment it *sent* the request (RFC 2131, 4.4.5), or until it releases it.
* Nothing acknowledged is missing: the last client that was acknowledged an address, and neither released it nor let it
  run out, is in the files.
* A promise is *overlong* if the end of lease in the files is earlier than what the client was told; then only the
  servers' quarantine of ended leases keeps the address from others. (A reserved address needs no end of lease.)
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Event = Mapping[str, Any]
ROUNDING_S = 2.0
"""Ends of leases are kept in whole seconds, and a server's clock is not ours."""

EXAMPLES_MAX = 5


class Hold(NamedTuple):
    address: str
    client: str
    begin: float
    end: float


class Stored(NamedTuple):
    """A binding in the files: client id in hexadecimal (hardware type first), end of lease in seconds since 1970."""

    client_id: str
    end: int


class Verdict(NamedTuple):
    acks: int
    clients: int
    servers: dict[str, int]
    lost: list[str]
    doubled: list[str]
    overlong: list[str]
    silence_s: float
    wait_s: float
    naks: int
    gave_up: dict[str, int]
    again: dict[int, int]
    """How many exchanges took how many repetitions by the client."""

    def line(self, title: str) -> str:
        shares = " ".join(f"{name}={count}" for name, count in sorted(self.servers.items()))
        gave = " ".join(f"{kind}={count}" for kind, count in sorted(self.gave_up.items())) or "none"
        again = " ".join(f"{times}x={count}" for times, count in sorted(self.again.items()) if times) or "none"
        return (
            f"{title}: acks {self.acks} ({shares}), clients {self.clients}, lost {len(self.lost)}, "
            f"doubled {len(self.doubled)}, overlong {len(self.overlong)}, "
            f"longest silence {self.silence_s:.1f} s, longest wait of a client "
            f"{self.wait_s:.1f} s, naks {self.naks}, repeated: {again}, gave up: {gave}"
        )

    @property
    def faults(self) -> list[str]:
        return [*self.doubled[:EXAMPLES_MAX], *self.lost[:EXAMPLES_MAX]]


def judge(events: Iterable[Event], stored: Mapping[str, Stored]) -> Verdict:
    """The verdict on a run whose events are in order of time."""
    told = list(events)
    acks = [event for event in told if event["event"] == "ack"]
    servers: dict[str, int] = {}
    gave_up: dict[str, int] = {}
    for event in acks:
        servers[event["server"]] = servers.get(event["server"], 0) + 1
    for event in told:
        if event["event"] == "gave_up":
            key = f"{event['kind']}-{event['doing']}"
            gave_up[key] = gave_up.get(key, 0) + 1
    times = [event["t"] for event in acks]
    return Verdict(
        len(acks),
        len({event["mac"] for event in acks}),
        servers,
        missing(told, stored),
        doubled(told),
        overlong(told, stored),
        max((after - before for before, after in itertools.pairwise(times)), default=0.0),
        max((event["waited_s"] for event in told if event["event"] == "served"), default=0.0),
        sum(event["event"] == "nak" for event in told),
        gave_up,
        Counter(event["again"] for event in told if event["event"] == "served"),
    )


def holds(events: Iterable[Event]) -> list[Hold]:
    """Who held which address from when until when. A renewal lengthens a hold."""
    done: list[Hold] = []
    current: dict[tuple[str, str], Hold] = {}
    for event in events:
        if event["event"] == "ack" and event["taken"]:
            key, end = (event["address"], event["mac"]), event["sent"] + event["lease_s"]
            before = current.get(key)
            if before and before.end >= event["t"]:
                current[key] = before._replace(end=max(before.end, end))
            else:
                done += [before] if before else []
                current[key] = Hold(*key, event["t"], end)
        elif event["event"] == "release":
            hold = current.pop((event["address"], event["mac"]), None)
            done += [hold._replace(end=event["t"])] if hold else []
    return [*done, *current.values()]


def doubled(events: Iterable[Event]) -> list[str]:
    """Each pair of clients that held one address at once."""
    by_address: dict[str, list[Hold]] = {}
    for hold in holds(events):
        by_address.setdefault(hold.address, []).append(hold)
    found = []
    for address, its in by_address.items():
        its.sort(key=lambda hold: hold.begin)
        longest = its[0]
        for hold in its[1:]:
            if hold.client != longest.client and hold.begin < longest.end:
                found.append(f"{address} held by {longest.client} and, from {hold.begin:.2f}, by {hold.client}")
            longest = max(longest, hold, key=lambda one: one.end)
    return found


def missing(events: Iterable[Event], stored: Mapping[str, Stored]) -> list[str]:
    """Each acknowledged binding that should be in the files and is not."""
    return [
        f"{event['address']} acknowledged to {event['mac']} at {event['t']:.2f}; the files say {stored.get(address)}"
        for address, event in valid(events).items()
        if not _is_stored(event, stored.get(address))
    ]


def overlong(events: Iterable[Event], stored: Mapping[str, Stored]) -> list[str]:
    """Each promise, counted from the request that was sent last, that goes beyond the files."""
    return [
        f"{address} of {event['mac']} promised until {_until(event):.1f}; the files say {stored[address].end}"
        for address, event in valid(events).items()
        if _is_stored(event, stored.get(address))
        and event["kind"] != "fixed"
        and stored[address].end + ROUNDING_S < _until(event)
    ]


def _is_stored(event: Event, row: Stored | None) -> bool:
    return row is not None and row.client_id.lower() == f"01{event['mac']}"


def _until(event: Event) -> float:
    return float(event["sent"] + event["lease_s"])


def valid(events: Iterable[Event]) -> dict[str, Event]:
    """The acknowledgement that is in force at the end, for each address."""
    last: dict[str, Event] = {}
    released: dict[tuple[str, str], float] = {}
    end = 0.0
    for event in events:
        end = event["t"]
        if event["event"] == "release":
            released[event["address"], event["mac"]] = end
        # The second server's answer to one request may arrive when the client has given the address back already.
        elif event["event"] != "ack" or event["sent"] <= released.get((event["address"], event["mac"]), 0.0):
            continue
        last[event["address"]] = event
    return {address: event for address, event in last.items() if event["event"] == "ack" and _until(event) > end}
