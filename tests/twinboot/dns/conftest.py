"""The name server in a thread, and clients that ask it by UDP and TCP."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from dnslib import EDNS0, DNSRecord, EDNSOption

from jumpstart.hosts import HostsCache
from storage.records import MANUAL, Binding, MemoryRecords
from twinboot import dnsd, dnszone
from twinboot.dnsforward import Forwarder
from twinboot.dnszone import Sources, ZoneKeeper
from twinboot.names import Zone

NET = "127.0.0.0"
DEADLINE_S = 10.0
DOMAIN = "example.com"
LONG_DOMAIN = ".".join(["d" * 62] * 3)


def manual(address: str, label: str) -> Binding:
    return Binding(int(IPv4Address(address)), b"\1abcdef", MANUAL, 0, 0, 1, "m", label)


def question(name: str, kind: str = "A", *options: EDNSOption, edns_bytes: int = 0) -> bytes:
    made = DNSRecord.question(name, kind)
    if edns_bytes:
        made.add_ar(EDNS0(udp_len=edns_bytes, opts=list(options)))
    return bytes(made.pack())


class Server:
    """The real server in a thread, on an ephemeral port, with its share in memory and in a directory."""

    def __init__(
        self,
        hosts: Path,
        upstreams: tuple[tuple[str, int], ...] = (),
        subnet: str = "127.0.0.0/8",
        domain: str = DOMAIN,
    ) -> None:
        networks = (IPv4Network(subnet),)
        self.events: list[dict[str, Any]] = []
        self.records = MemoryRecords()
        self.records.load(NET, [manual(f"127.0.1.{n}", "p" * 63) for n in range(1, 20)] + [manual("127.0.0.71", "vm")])
        self.refusals = dnsd.Refusals(self.emit)
        zone = Zone(domain, "s1", IPv4Address("127.0.0.1"), networks)
        self.keeper = ZoneKeeper(zone, Sources(HostsCache(hosts), self.records, (NET,)), self.emit)
        self.server = dnsd.DnsServer(self.keeper, Forwarder(upstreams, self.refusals), self.refusals, networks)
        self.sockets = bind_both()
        self.port = self.sockets[0].getsockname()[1]

    def emit(self, kind: str, **fields: object) -> None:
        self.events.append({"kind": kind} | fields)

    @contextmanager
    def running(self) -> Iterator[Server]:
        loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
        self.keeper.load()
        work = self.server.run([self.sockets], ready.set, stop)
        thread = threading.Thread(target=lambda: asyncio.Runner(loop_factory=lambda: loop).run(work))
        thread.start()
        try:
            assert ready.wait(DEADLINE_S)
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(DEADLINE_S)
        assert not thread.is_alive()

    def ask(self, data: bytes) -> DNSRecord:
        return DNSRecord.parse(self.ask_bytes(data))

    def ask_bytes(self, data: bytes, source: str = "127.0.0.1") -> bytes:
        with self.client(source) as client:
            client.send(data)
            return client.recv(65535)

    @contextmanager
    def client(self, source: str = "127.0.0.1") -> Iterator[socket.socket]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((source, 0))
            client.settimeout(DEADLINE_S)
            client.connect(("127.0.0.1", self.port))
            yield client

    def tcp(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def address_of(self, name: str) -> str:
        return ",".join(str(one.rdata) for one in self.ask(question(f"{name}.example.com")).rr)

    def forget_freshness(self) -> None:
        self.keeper._looked_at = -dnszone.FRESH_S

    def still_serves(self) -> None:
        assert self.address_of("s1") == "127.0.0.1"


def bind_both() -> dnsd.Sockets:
    """UDP and TCP of one free port: the one that TCP got may be taken for UDP."""
    for _ in range(20):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        try:
            return dnsd.bind("127.0.0.1", port)
        except OSError:
            continue
    raise AssertionError("no free port")


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Any] = []

    def begin(*upstreams: tuple[str, int], **site: str) -> Server:
        context = Server(tmp_path, upstreams, **site).running()
        running.append(context)
        return context.__enter__()

    yield begin
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def server(start: Start) -> Server:
    return start()


def tcp_ask(client: socket.socket, data: bytes) -> DNSRecord:
    client.sendall(struct.pack("!H", len(data)) + data)
    return DNSRecord.parse(tcp_reply(client))


def tcp_reply(client: socket.socket) -> bytes:
    file = client.makefile("rb")
    (size,) = struct.unpack("!H", file.read(2))
    return file.read(size)
