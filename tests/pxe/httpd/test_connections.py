"""Connections that go away, hang, are slow or too many, and files and shares that fail meanwhile."""

import contextlib
import os
import threading
import time
from functools import partial

import pytest

from pxe import httpd, httpdoor
from pxe.content import Content, Refused, TextContent, Why
from pxe.report import Report
from storage.records import Install
from tests.pxe.conftest import FILES, Event, Rig
from tests.pxe.httpd.conftest import HUGE_BYTES, Server, Site, huge, serving, wait_for


def test_a_client_that_goes_away_is_told_and_leaves_no_descriptor(site: Site) -> None:
    huge(site.rig.share)
    before = len(os.listdir("/proc/self/fd"))
    with site.server.connect() as sock:
        sock.sendall(b"GET /boot/huge HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000)
    failed = wait_for(site.rig.events, "http.failed")
    assert failed.fields["file"] == "huge"
    deadline = time.monotonic() + 10
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(site: Site) -> None:
    path = huge(site.rig.share)
    with site.server.connect() as sock:
        sock.sendall(b"GET /boot/huge HTTP/1.1\r\nHost: a\r\n\r\n")
        got = len(sock.recv(1000))
        os.truncate(path, 1000)
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(1 << 20):
                got += len(data)
    assert got < HUGE_BYTES
    assert "shorter" in wait_for(site.rig.events, "http.failed").fields["reason"]


def test_many_transfers_at_once(site: Site) -> None:
    socks = [site.server.connect() for _ in range(40)]
    for sock in socks:
        sock.sendall(b"GET /boot/live-xen/vmlinuz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    for sock in socks:
        with sock:
            answer = b"".join(iter(partial(sock.recv, 65536), b""))
        assert answer.endswith(FILES["live-xen/vmlinuz"])


def test_idle_and_half_sent_requests_are_closed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd, "IDLE_S", 0.2)
    with serving(rig) as server:
        for start in (b"", b"GET /boot/x HTTP/1.1\r\nHost: "):
            with server.connect() as sock:
                sock.sendall(start)
                assert sock.recv(100) == b""


def test_a_reader_too_slow_for_the_bound_is_cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpdoor, "PART_S", 0.2)
    huge(rig.share)
    with serving(rig) as server, server.connect() as sock:
        sock.sendall(b"GET /boot/huge HTTP/1.1\r\nHost: a\r\n\r\n")
        assert "took more than" in wait_for(rig.events, "http.failed").fields["reason"]


def test_one_connection_too_many_is_told_why(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd, "CONNECTIONS_MAX", 2)
    with serving(rig) as server, server.connect() as first, server.connect() as second:
        for sock in (first, second):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" in sock.recv(65536)
        assert server.raw(b"").startswith(b"HTTP/1.1 503 ")
        assert "2 connections" in wait_for(rig.events, "http.refused").fields["reason"]


class Hung:
    """A catalog on a share that hangs until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def resolve(self, name: str, _client: str) -> Content:
        if name == "hang":
            self.let_go.wait(10)
        return TextContent(b"here", name)

    peek = resolve

    def report(self, _token: str, _report: Report, _client: str) -> Install:
        raise Refused(Why.UNAVAILABLE, "not asked here")


def test_a_share_that_hangs_is_said_to_and_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpdoor, "CATALOG_S", 0.2)
    hung = Hung()
    events: list[Event] = []
    get = b"GET /boot/%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with Server(hung, lambda kind, **fields: events.append(Event(kind, fields))) as server:
        assert server.raw(get % b"hang", half_close=False).startswith(b"HTTP/1.1 503 ")
        assert "did not answer" in wait_for(events, "http.refused").fields["reason"]
        assert server.raw(get % b"here", half_close=False).endswith(b"here")
        hung.let_go.set()


def test_a_port_in_use_is_one_clear_line() -> None:
    with httpd.bind("127.0.0.1", 0) as sock, pytest.raises(httpd.HttpError, match="another program has it") as caught:
        httpd.bind("127.0.0.1", sock.getsockname()[1])
    assert "\n" not in str(caught.value)


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    with pytest.raises(httpd.HttpError, match="does not have that address"):
        httpd.bind("192.0.2.1", 0)
