from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from dnslib import EDNS0, QTYPE, RCODE, RR, A, DNSRecord, EDNSOption
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jumpstart.hosts import HostsCache
from storage.records import MANUAL, Binding, MemoryRecords, Outcome
from twinboot import dnsd, dnszone
from twinboot.dnsforward import CLIENT_FORWARDS_MAX, Forwarder, matches, passed_on
from twinboot.dnszone import Sources, ZoneKeeper
from twinboot.names import Zone

NET = "127.0.0.0"
DEADLINE_S = 10.0
DOMAIN = "example.com"
LONG_DOMAIN = ".".join(["d" * 62] * 3)
HOST = 'name = "hv1"\nsegment = "odd"\ntarget = "live-xen"\n[links.fe0]\nmac = "00:14:4f:00:00:01"\naddress = "{}"\n'


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


def test_names_are_answered_by_udp_and_tcp(server: Server) -> None:
    assert server.address_of("vm") == "127.0.0.71"
    with server.tcp() as client:
        for _ in range(3):
            assert str(tcp_ask(client, question("71.0.0.127.in-addr.arpa", "PTR")).rr[0].rdata) == "vm.example.com."
    assert server.ask(question("none.example.com")).header.rcode == RCODE.NXDOMAIN


def test_edits_of_host_files_and_containers_are_answered(server: Server, tmp_path: Path) -> None:
    assert server.address_of("hv1") == ""
    (tmp_path / "hv1.toml").write_text(HOST.format("10.0.0.21"))
    server.records.load(NET, [manual("127.0.0.72", "vm")])
    server.forget_freshness()
    assert server.address_of("hv1") == "10.0.0.21"
    assert server.address_of("vm") == "127.0.0.72"
    (tmp_path / "hv1.toml").unlink()
    server.forget_freshness()
    assert server.address_of("hv1") == ""


def test_a_store_that_fails_keeps_the_last_names_and_tells_once(server: Server) -> None:
    for _ in range(3):
        server.records.fail_next(Outcome.UNAVAILABLE)
        server.forget_freshness()
        assert server.address_of("vm") == "127.0.0.71"
    assert [one["file"] for one in server.events if one["kind"] == "records.fault"] == [NET]
    server.records.drop(NET)
    server.forget_freshness()
    assert server.address_of("vm") == ""


def test_a_share_that_hangs_makes_nobody_wait_twice(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnszone, "FRESH_WAIT_S", 0.05)
    released, hung = threading.Event(), threading.Event()
    read = server.records.read

    def hang(*args: Any) -> Any:
        hung.set()
        assert released.wait(DEADLINE_S)
        return read(*args)

    monkeypatch.setattr(server.records, "read", hang)
    server.forget_freshness()
    for _ in range(20):
        assert server.address_of("vm") == "127.0.0.71"
    assert hung.is_set()
    server.records.load(NET, [manual("127.0.0.73", "vm")])
    released.set()
    end = time.monotonic() + DEADLINE_S
    while server.address_of("vm") != "127.0.0.73":
        assert time.monotonic() < end


def test_truncation_then_tcp(start: Start) -> None:
    server = start(domain=LONG_DOMAIN)
    asked = f"{'p' * 63}.{LONG_DOMAIN}"
    cut = server.ask(question(asked))
    assert (cut.header.tc, cut.rr) == (1, [])
    with server.tcp() as client:
        assert len(tcp_ask(client, question(asked)).rr) == 16
    assert len(server.ask(question(asked, edns_bytes=1000)).rr) == 16


@pytest.mark.skipif(not shutil.which("dig"), reason="needs dig (bind9-dnsutils)")
def test_dig_understands_us(server: Server) -> None:
    def dig(*words: str) -> str:
        argv = ["dig", "+tries=1", "+time=5", "@127.0.0.1", "-p", str(server.port), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, check=True).stdout

    assert dig("+short", "vm.example.com") == "127.0.0.71\n"
    assert dig("+short", "+tcp", "VM.example.com") == "127.0.0.71\n"
    assert dig("+short", "-x", "127.0.0.71") == "vm.example.com.\n"
    assert dig("+short", "example.com", "SOA").startswith("s1.example.com. hostmaster.example.com. ")
    said = dig("none.example.com")
    assert "status: NXDOMAIN" in said
    assert "flags: qr aa rd;" in said
    assert "udp: 1232" in said
    assert "status: REFUSED" in dig("example.org")
    assert "status: BADVERS" in dig("+edns=7", "+noednsneg", "vm.example.com")
    assert "Transfer failed" in dig("example.com", "AXFR")
    assert "127.0.0.71" in dig("+bufsize=100", "+subnet=10.0.0.0/24", "vm.example.com")


HEADER = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0)
END = b"\0\1\0\1"
ROW_25 = {
    "a pointer to itself": HEADER + b"\xc0\x0c" + END,
    "a pointer chain": HEADER + b"\1a" + b"".join(struct.pack("!H", 0xC00C + 2 * n) for n in range(60)) + END,
    "a name over 255": HEADER + (b"\x3f" + b"a" * 63) * 4 + b"\0" + END,
    "reserved label bits": HEADER + b"\x80aaaa\0" + END,
    "no question": struct.pack("!6H", 7, 0x0100, 0, 0, 0, 0),
    "a count that lies": struct.pack("!6H", 7, 0x0100, 65535, 0, 0, 0) + b"\1a\0" + END,
    "answers in a question": struct.pack("!6H", 7, 0x0100, 1, 9, 9, 9) + b"\1a\0" + END,
    "nothing": b"",
    "half a header": HEADER[:7],
}
ROW_26 = {
    "more than 512": HEADER + b"\1a\0" + END + bytes(600),
    "64 kB": HEADER + bytes(60_000),
    "two EDNS": HEADER[:10] + b"\0\2" + b"\1a\0" + END + (b"\0" + struct.pack("!HHIH", 41, 512, 0, 0)) * 2,
    "EDNS not at the root": HEADER[:10] + b"\0\1" + b"\1a\0" + END + b"\1a\0" + struct.pack("!HHIH", 41, 512, 0, 0),
    "options past the end": HEADER[:10] + b"\0\1\1a\0" + END + b"\0" + struct.pack("!HHIH", 41, 512, 0, 400),
    "a response": struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0) + b"\1a\0" + END,
    "an update": struct.pack("!6H", 7, 0x2800, 1, 0, 0, 0) + b"\1a\0" + END,
}


@pytest.mark.parametrize("data", [*ROW_25.values(), *ROW_26.values()], ids=[*ROW_25, *ROW_26])
def test_hostile_packets_are_dropped_and_the_next_question_answered(server: Server, data: bytes) -> None:
    with server.client() as client:
        client.send(data)
        client.send(question("s1.example.com"))
        assert str(DNSRecord.parse(client.recv(2000)).rr[0].rdata) == "127.0.0.1"
    assert sum(server.refusals.counts.values()) == 1
    with server.tcp() as client:
        client.sendall(struct.pack("!H", len(data)) + data)
        assert client.recv(1) == b""
    server.still_serves()


def test_replies_never_exceed_what_hostile_edns_asks_for(server: Server) -> None:
    for size in (0, 1, 511, 512, 1232, 4096, 65535):
        for name in (f"{'p' * 63}.example.com", ".".join(["a" * 60] * 4)):
            data = server.ask_bytes(question(name, "ANY", edns_bytes=size or 1))
            assert len(data) <= max(512, min(size, 1232))


def test_client_subnet_does_not_pass_the_source_check(start: Start) -> None:
    with upstream(lambda _: [answer_all]) as (where, asked):
        server = start(where, subnet="10.0.0.0/8")
        inside = EDNSOption(8, struct.pack("!HBB", 1, 24, 0) + socket.inet_aton("10.0.0.0")[:3])
        reply = server.ask(question("www.example.org", "A", inside, edns_bytes=1232))
        assert reply.header.rcode == RCODE.REFUSED
        assert not reply.header.ra
        assert asked == []
        server.still_serves()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=10))
def test_any_bytes_leave_it_serving(fuzzed: Server, packets: list[bytes]) -> None:
    with fuzzed.client() as client:
        for data in packets:
            client.send(HEADER + data if len(data) % 2 else data)
    fuzzed.still_serves()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("hosts")).running() as server:
        yield server


def test_a_flood_of_bad_packets_makes_one_event_for_each_reason(server: Server) -> None:
    with server.client() as client:
        for _ in range(30):
            for _ in range(10):
                client.send(b"x")
                client.send(HEADER + b"\xc0\x0c" + END)
            server.still_serves()
    assert server.refusals.counts == {"short": 300, "pointer": 300}
    told = [(one["kind"], one["reason"], one["count"]) for one in server.events]
    assert sorted(told) == [("dns.refused", "pointer", 1), ("dns.refused", "short", 1)]


def test_refusals_tell_the_count_since_the_last_event() -> None:
    now, events = [0.0], []
    refusals = dnsd.Refusals(lambda kind, **fields: events.append(fields), lambda: now[0])
    for now[0] in (1.0, 2.0, 3.0, 1.0 + dnsd.TELL_S, 70.0):
        refusals("short", "10.0.0.9")
    assert [one["count"] for one in events] == [1, 3]


def test_idle_tcp_clients_give_way_to_the_next(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsd, "TCP_CLIENTS_MAX", 4)
    idle = [server.tcp() for _ in range(12)]
    with server.tcp() as client:
        assert str(tcp_ask(client, question("s1.example.com")).rr[0].rdata) == "127.0.0.1"
    assert len(server.server._tcp) <= 4
    assert server.refusals.counts["tcp-busy"] >= 8
    for one in idle:
        one.close()


def test_a_slow_tcp_client_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsd, "TCP_IDLE_S", 0.05)
    with server.tcp() as client:
        client.sendall(b"\0")
        assert client.recv(1) == b""
    server.still_serves()


# The forwarder, against a name server of our own.

Behave = Callable[[DNSRecord], bytes | None]


def answer_all(asked: DNSRecord, count: int = 1) -> bytes:
    reply = asked.reply(ra=1, aa=0)
    for number in range(count):
        reply.add_answer(RR(asked.q.qname, QTYPE.A, rdata=A(f"192.0.2.{number % 250 + 1}"), ttl=60))
    return bytes(reply.pack())


def large(asked: DNSRecord) -> bytes:
    return answer_all(asked, 200)


def other_id(asked: DNSRecord) -> bytes:
    data = answer_all(asked)
    return bytes([data[0] ^ 1]) + data[1:]


def other_question(asked: DNSRecord) -> bytes:
    return answer_all(DNSRecord(asked.header, q=DNSRecord.question("evil.example.org").q))


def junk(_asked: DNSRecord) -> bytes:
    return b"\xff" * 7


@contextmanager
def upstream(
    behave: Callable[[DNSRecord], list[Callable[[DNSRecord], bytes]]],
) -> Iterator[tuple[tuple[str, int], list[tuple[DNSRecord, int]]]]:
    """A name server that sends, to each question, what `behave` lists; it remembers questions and ports."""
    udp, tcp = bind_both()
    asked: list[tuple[DNSRecord, int]] = []
    for sock in (udp, tcp):
        sock.settimeout(0.05)
    stop = threading.Event()

    def by_udp() -> None:
        while not stop.is_set():
            try:
                data, peer = udp.recvfrom(2000)
            except TimeoutError:
                continue
            asked.append((DNSRecord.parse(data), peer[1]))
            for make in behave(asked[-1][0]):
                udp.sendto(make(asked[-1][0]), peer)

    def by_tcp() -> None:
        while not stop.is_set():
            try:
                client, _ = tcp.accept()
            except TimeoutError:
                continue
            with client, suppress(OSError):  # who has had enough hangs up
                data = tcp_reply(client)
                for make in behave(DNSRecord.parse(data)):
                    reply = make(DNSRecord.parse(data))
                    client.sendall(struct.pack("!H", len(reply)) + reply)

    threads = [threading.Thread(target=work) for work in (by_udp, by_tcp)]
    for thread in threads:
        thread.start()
    try:
        yield udp.getsockname(), asked
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE_S)
        udp.close()
        tcp.close()


def test_other_names_are_passed_on_without_the_clients_options(start: Start) -> None:
    with upstream(lambda _: [answer_all]) as (where, asked):
        server = start(where)
        subnet = EDNSOption(8, b"\0\1\x18\0\x0a\0\0")
        for _ in range(4):
            reply = server.ask(question("www.example.org", "A", subnet, edns_bytes=1232))
            assert (str(reply.rr[0].rdata), reply.header.ra) == ("192.0.2.1", 1)
        assert len({one.header.id for one, _ in asked}) > 1
        assert len({port for _, port in asked}) > 1
        assert all(one.ar[0].rdata == [] for one, _ in asked)
        with server.tcp() as client:
            assert str(tcp_ask(client, question("www.example.org")).rr[0].rdata) == "192.0.2.1"
        own = server.ask(question("vm.example.com"))
        assert (own.header.aa, own.header.ra) == (1, 1)


def test_forged_replies_are_passed_over(start: Start) -> None:
    with upstream(lambda _: [junk, other_id, other_question, answer_all]) as (where, _):
        server = start(where)
        assert str(server.ask(question("www.example.org")).rr[0].rdata) == "192.0.2.1"
        assert server.refusals.counts["forged"] == 3


def test_too_many_forged_replies_end_the_attempt_and_the_next_server_is_asked(start: Start) -> None:
    with upstream(lambda _: [other_id] * 9) as (bad, _), upstream(lambda _: [answer_all]) as (good, _):
        server = start(bad, good)
        assert str(server.ask(question("www.example.org")).rr[0].rdata) == "192.0.2.1"
        with server.tcp() as client:
            assert str(tcp_ask(client, question("www.example.org")).rr[0].rdata) == "192.0.2.1"


def test_a_large_reply_is_cut_for_udp_and_whole_for_tcp(start: Start) -> None:
    with upstream(lambda _: [large]) as (where, _):
        server = start(where)
        cut = server.ask(question("www.example.org"))
        assert (cut.header.tc, cut.rr) == (1, [])
        with server.tcp() as client:
            assert len(tcp_ask(client, question("www.example.org")).rr) == 200


def test_nobody_answers_is_servfail(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinboot.dnsforward.ATTEMPT_S", 0.05)
    with upstream(lambda _: []) as (silent, _):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            gone = closed.getsockname()
        server = start(gone, silent)
        assert server.ask(question("www.example.org")).header.rcode == RCODE.SERVFAIL
        server.still_serves()


def test_without_the_wish_for_recursion_nothing_is_passed_on(start: Start) -> None:
    with upstream(lambda _: [answer_all]) as (where, asked):
        server = start(where)
        wish = DNSRecord.question("www.example.org")
        wish.header.rd = 0
        assert server.ask(bytes(wish.pack())).header.rcode == RCODE.REFUSED
        assert asked == []


def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    async def run() -> list[Any]:
        return list(await asyncio.gather(*work))

    return asyncio.run(run())


def test_one_client_cannot_fill_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinboot.dnsforward.ATTEMPT_S", 0.05)
    told: list[str] = []
    with upstream(lambda _: []) as (silent, _):
        forwarder = Forwarder([silent], lambda reason, _: told.append(reason))
        asked = DNSRecord.question("www.example.org")
        work = [forwarder.ask(asked, "127.0.0.9", by_tcp=False) for _ in range(CLIENT_FORWARDS_MAX + 5)]
        assert set(together(*work)) == {None}
    assert told.count("forward-busy") == 5
    assert forwarder._asking.total() == 0


@settings(max_examples=150)
@given(st.binary(max_size=100))
def test_any_reply_is_judged(data: bytes) -> None:
    packet = question("www.example.org")
    assert not matches(data, packet)
    close = packet[:2] + b"\x81\x80\0\1" + data
    assert not matches(close, packet) or passed_on(close, DNSRecord.parse(packet), by_tcp=False)
