"""Two DHCP servers over one datastore: the whole service twice, each with a datastore of its own, as on two hosts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dhcp import options as o
from dhcp import wire
from dhcp.decision import Reply
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.service import Service
from dhcp.sockets import Interface, Port
from dhcp.svcconf import ServiceConf
from storage.records import (
    Binding,
    Change,
    Delta,
    Epoch,
    Outcome,
    Records,
    RecordsError,
    Result,
    SunwFiles,
    TabEntry,
    ipv4_int,
    ipv4_text,
)
from storage.records.files import LocalFiles
from storage.records.port import nothing
from storage.records.twinlog import TwinLog
from tests.dhcp.conftest import Events, chosen, make_binding, make_packet
from tests.rows import rows_of

NETWORK = "10.0.0.0"
FIRST, LAST = 10, 209
SERVERS = {"odd": "10.0.0.1", "even": "10.0.0.2"}
NOW_S = 1_800_000_000.0
KINDS: dict[str, Callable[[Path, str], Records]] = {
    "twinlog": lambda path, name: TwinLog(LocalFiles(path), server=name, background=lambda job: job(), look_s=0),
    "SUNWfiles": lambda path, _: SunwFiles(path),
}


class Clock:
    """One clock for both, and the store's; `Wrong` is one server's that differs."""

    now_s = NOW_S
    store_epoch: float | None = None
    store_behind_s = 0.0

    def time(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s - NOW_S


class Failing:
    """A datastore that cannot be read, or written, or neither; `outcome` is what it says then."""

    def __init__(self, records: Records, outcome: Outcome, *, reads: bool, commits: bool) -> None:
        self._records = records
        self._outcome = outcome
        self._reads = reads
        self._commits = commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def read(self, table: str, version: int = 0) -> Delta:
        if self._reads:
            return self._records.read(table, version)
        raise RecordsError(self._outcome, "as the test asked")

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        if self._commits:
            return self._records.commit(changes, waits)
        return [Result(self._outcome, None, "as the test asked")] * len(changes)


class Intruded:
    """A datastore that the test disturbs: its clock, its answers, and somebody who is quicker than its next commit."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self.intrude: Callable[[], object] | None = None

    def epoch(self) -> Epoch | None:
        clock = self._clock
        return None if clock.store_epoch is None else Epoch(clock.store_epoch, clock.store_behind_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def fail(self, outcome: Outcome, *, reads: bool = True, commits: bool = False) -> None:
        """From now on it can be read if it `reads`, and written if it `commits`."""
        self._records = Failing(self._records, outcome, reads=reads, commits=commits)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        if self.intrude is not None:
            intrude, self.intrude = self.intrude, None
            intrude()
        return self._records.commit(changes, waits)


class Server:
    """One of the two: hand it packets, get its replies."""

    def __init__(self, name: str, records: Records, clock: Clock) -> None:
        self.records = Intruded(records, clock)
        self.events = Events()
        address = ipv4_int(SERVERS[name])
        conf = ServiceConf(
            "twinlog", "/nowhere", owner_ip=tuple(map(ipv4_int, SERVERS.values())), icmp_verify=False, lease_min_lru_s=0
        )
        nets = [network(f"{NETWORK}/24")]
        self.service = Service(conf, frozenset({address}), self.records, nets, self.events, self, clock)
        self.service.reload()
        self._port = Port(Interface("fe0", address, 0xFFFFFF00, bytes(6), False), None, None)  # type: ignore[arg-type] # `send` is ours
        self._sent: list[Packet] = []

    def send(self, port: Port, replies: Sequence[Reply]) -> None:
        self._sent += [wire.decode(reply.data, op=wire.BOOTREPLY) for reply in replies]

    def ask(self, port: Port, address: int) -> bool:
        return False

    def hear(self, *packets: Packet) -> list[Packet]:
        self._sent = []
        self.service.handle(self._port, [wire.encode(packet) for packet in packets])
        return self._sent

    def discover(self, mac: str) -> Packet:
        (offer,) = self.hear(make_packet(MessageType.DISCOVER, mac))
        return offer

    def is_silent_about(self, *packets: Packet) -> bool:
        return not self.hear(*packets)


class Pair:
    """Both, and the clock."""

    def __init__(self, kind: str, path: Path, addresses: Sequence[int]) -> None:
        self.clock = Clock()
        first = KINDS[kind](path, "odd")
        first.create("dhcptab")
        first.create(NETWORK)
        rows = [make_binding(f"10.0.0.{last}", owner=ipv4_int("10.0.0.1"), macro="net") for last in addresses]
        macros = [TabEntry("net", "m", 1, ":Router=10.0.0.254:LeaseTim=600:LeaseNeg:")]
        first.commit([Change(NETWORK, None, row) for row in rows])
        first.commit([Change("dhcptab", None, macro) for macro in macros])
        self.odd = Server("odd", first, self.clock)
        self.even = Server("even", KINDS[kind](path, "even"), self.clock)
        self._watch = KINDS[kind](path, "watch")

    def row(self, address: int) -> Binding:
        """The binding as it is stored."""
        rows = rows_of(self._watch, NETWORK, Binding)
        return next(row for row in rows if row.address == address)

    def lease(self, mac: str, server: Server, *others: Server) -> Packet:
        """A whole exchange with `server`, as all servers hear it."""
        offer = server.discover(mac)
        for other in others:
            other.discover(mac)
        taken = request(mac, offer)
        (ack,) = server.hear(taken)
        for other in others:
            assert other.is_silent_about(taken)
        assert kind(ack) is MessageType.ACK
        return ack


def mac(number: int) -> str:
    return f"00:14:4f:00:{number >> 8:02x}:{number & 255:02x}"


def kind(packet: Packet) -> MessageType:
    return MessageType(packet.options[o.MESSAGE_TYPE][0])


def request(mac: str, offer: Packet) -> Packet:
    return make_packet(MessageType.REQUEST, mac, options=chosen(offer))


def renewal(mac: str, ack: Packet) -> Packet:
    return make_packet(MessageType.REQUEST, mac, ciaddr=ipv4_text(ack.yiaddr))


def content(packet: Packet) -> tuple[object, ...]:
    """What a client gets, but for who says so."""
    options = {code: value for code, value in packet.options.items() if code != o.SERVER_ID}
    return packet.yiaddr, packet.file, packet.xid, tuple(sorted(options.items()))


def again(pair: Pair, server: Server, packet: Packet, after_s: float) -> list[Packet]:
    pair.clock.now_s += after_s
    return server.hear(packet)
