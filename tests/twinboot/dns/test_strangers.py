"""Packets and clients that would harm a name server: each is dropped and counted, and the next question answered."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from dnslib import DNSRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.twinboot.dns.conftest import Server, question, tcp_ask
from twinboot import dnsd

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
