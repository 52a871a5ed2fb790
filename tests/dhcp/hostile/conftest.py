"""Inputs that broke other DHCP servers, one test for each, against a daemon on real sockets.

After each the daemon still serves: a client with a lease renews it, a new one gets one, and nothing has grown that has
no bound. What concerns interfaces that do not exist here (DHCPv6, a control channel, a failover port, scripts) has the
nearest thing to it, or no test: there is no such door.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from dhcp import wire
from dhcp.options import MessageType
from dhcp.packet import Packet
from storage.records import Binding, MemoryRecords
from tests.dhcp.conftest import NETWORK, Lab, Relay, chosen, make_binding, make_packet, make_store
from tests.rows import rows_of

MAC, KNOWN, NEW = "00:14:4f:00:00:01", "00:14:4f:00:00:77", "00:14:4f:00:00:99"
KNOWN_ADDRESS = "127.0.0.9"
REASONS_MAX = 30  # counters that strangers can make
EVENTS_MAX = 250


def id_of(mac: str) -> bytes:
    return b"\1" + bytes.fromhex(mac.replace(":", ""))


def store(count: int = 40, *more: Binding) -> MemoryRecords:
    lasting = make_binding(KNOWN_ADDRESS, id_of(KNOWN), lease_s=int(time.time()) + 86400)
    return make_store([*(make_binding(f"127.0.0.{host}") for host in range(20, 20 + count)), lasting, *more])


def rows(lab_store: MemoryRecords) -> dict[int, Binding]:
    return {row.address: row for row in rows_of(lab_store, NETWORK, Binding)}


def relayed(kind: MessageType | None, mac: str = MAC, **fields: Any) -> bytes:
    fields = {"giaddr": Relay.ADDRESS, **fields}
    return wire.encode(make_packet(kind, mac, **fields))


def discover(mac: str = MAC, **fields: Any) -> bytes:
    return relayed(MessageType.DISCOVER, mac, **fields)


def with_options(*parts: bytes) -> bytes:
    """Return a DISCOVER whose options are these bytes as they are."""
    return discover()[:240] + b"\x35\1\1" + b"".join(parts)


def reply_to(lab: Lab, xid: int) -> Packet:
    """Return the reply with this xid; what the daemon said to others is passed over."""
    while True:
        reply = lab.relay.receive()
        if reply.xid == xid:
            return reply


def ask(lab: Lab, kind: MessageType, mac: str, xid: int, **fields: object) -> Packet:
    lab.relay.send(kind, mac, xid=xid, **fields)
    return reply_to(lab, xid)


def assert_serving(lab: Lab, *, new_client: bool = True) -> None:
    assert ask(lab, MessageType.REQUEST, KNOWN, 0xABC1, ciaddr=KNOWN_ADDRESS).message_type is MessageType.ACK
    if new_client:
        offer = ask(lab, MessageType.DISCOVER, NEW, 0xABC2)
        ack = ask(lab, MessageType.REQUEST, NEW, 0xABC3, options=chosen(offer))
        assert ack.message_type is MessageType.ACK
    assert len(lab.daemon.tally.counts) <= REASONS_MAX
    assert len(lab.events.told) <= EVENTS_MAX
    assert ("dhcp.dropped", "poison") not in lab.daemon.tally.counts


def send(lab: Lab, packets: Iterable[bytes]) -> None:
    for data in packets:
        lab.relay.send_bytes(data)


def reasons(lab: Lab) -> set[str]:
    return {reason for _, reason in lab.daemon.tally.counts}


def assert_keeps_nothing(lab: Lab, handle: Callable[[], None]) -> None:
    """Whatever `handle` makes the daemon do, its memory does not grow by it; the first time does not count."""
    blocks = []
    for _ in range(3):
        handle()
        lab.events.told.clear()
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[2] - blocks[1] < 2000
