"""Names of others are passed on, against a name server of our own that answers wrongly where a test wants it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord, EDNSOption
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twinboot.dns.conftest import DEADLINE_S, Start, bind_both, question, tcp_ask, tcp_reply
from twinboot.dnsforward import CLIENT_FORWARDS_MAX, Forwarder, matches, passed_on


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
    *replies: Callable[[DNSRecord], bytes],
) -> Iterator[tuple[tuple[str, int], list[tuple[DNSRecord, int]]]]:
    """A name server that sends all `replies` to each question; it remembers questions and ports."""
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
            for make in replies:
                udp.sendto(make(asked[-1][0]), peer)

    def by_tcp() -> None:
        while not stop.is_set():
            try:
                client, _ = tcp.accept()
            except TimeoutError:
                continue
            with client, suppress(OSError):  # who has had enough hangs up
                data = tcp_reply(client)
                for make in replies:
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
    with upstream(answer_all) as (where, asked):
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
    with upstream(junk, other_id, other_question, answer_all) as (where, _):
        server = start(where)
        assert str(server.ask(question("www.example.org")).rr[0].rdata) == "192.0.2.1"
        assert server.refusals.counts["forged"] == 3


def test_too_many_forged_replies_end_the_attempt_and_the_next_server_is_asked(start: Start) -> None:
    with upstream(*[other_id] * 9) as (bad, _), upstream(answer_all) as (good, _):
        server = start(bad, good)
        assert str(server.ask(question("www.example.org")).rr[0].rdata) == "192.0.2.1"
        with server.tcp() as client:
            assert str(tcp_ask(client, question("www.example.org")).rr[0].rdata) == "192.0.2.1"


def test_a_large_reply_is_cut_for_udp_and_whole_for_tcp(start: Start) -> None:
    with upstream(large) as (where, _):
        server = start(where)
        cut = server.ask(question("www.example.org"))
        assert (cut.header.tc, cut.rr) == (1, [])
        with server.tcp() as client:
            assert len(tcp_ask(client, question("www.example.org")).rr) == 200


def test_nobody_answers_is_servfail(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinboot.dnsforward.ATTEMPT_S", 0.05)
    with upstream() as (silent, _):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            gone = closed.getsockname()
        server = start(gone, silent)
        assert server.ask(question("www.example.org")).header.rcode == RCODE.SERVFAIL
        server.still_serves()


def test_without_the_wish_for_recursion_nothing_is_passed_on(start: Start) -> None:
    with upstream(answer_all) as (where, asked):
        server = start(where)
        wish = DNSRecord.question("www.example.org")
        wish.header.rd = 0
        assert server.ask(bytes(wish.pack())).header.rcode == RCODE.REFUSED
        assert asked == []


def test_client_subnet_does_not_pass_the_source_check(start: Start) -> None:
    with upstream(answer_all) as (where, asked):
        server = start(where, subnet="10.0.0.0/8")
        inside = EDNSOption(8, struct.pack("!HBB", 1, 24, 0) + socket.inet_aton("10.0.0.0")[:3])
        reply = server.ask(question("www.example.org", "A", inside, edns_bytes=1232))
        assert reply.header.rcode == RCODE.REFUSED
        assert not reply.header.ra
        assert asked == []
        server.still_serves()


def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    async def run() -> list[Any]:
        return list(await asyncio.gather(*work))

    return asyncio.run(run())


def test_one_client_cannot_fill_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinboot.dnsforward.ATTEMPT_S", 0.05)
    told: list[str] = []
    with upstream() as (silent, _):
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
