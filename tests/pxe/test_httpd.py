"""The HTTP door with real clients: curl for what people and firmware do, bare sockets for what they should not."""

import asyncio
import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pxe import httpd, httpdoor
from pxe.content import Content, Refused, TextContent, Why
from pxe.installs import arm
from pxe.report import Report
from storage.records import Install
from tests.pxe.conftest import FILES, T0_S, Event, Rig

HV1 = "grub/grub.cfg-01-00-14-4f-00-00-01"
HUGE_BYTES = 64 << 20
BIG = bytes(range(256)) * 40_000  # 10 MB: several parts


class Server:
    """The door on a loopback port, its loop in a thread of its own."""

    def __init__(self, catalog: httpdoor.Doors, emit: Callable[..., None]) -> None:
        self.sock = httpd.bind("127.0.0.1", 0)
        self.port = self.sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        ready = threading.Event()
        run = httpd.run([self.sock], catalog, emit, ready.set, self._stop)
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(run,))
        self._thread.start()
        assert ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._loop.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def raw(self, request: bytes, *, half_close: bool = True) -> bytes:
        with self.connect() as sock:
            sock.sendall(request)
            if half_close:  # so that the server need not wait for the rest
                sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(65536), b""))


class Site(NamedTuple):
    rig: Rig
    server: Server


@pytest.fixture
def site(rig: Rig) -> Iterator[Site]:
    (rig.share / "boot/big").write_bytes(BIG)
    server = Server(rig.catalog, rig.catalog._emit)
    yield Site(rig, server)
    server.close()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def curl(site: Site, path: str, *args: str) -> Answer:
    command = [
        "curl",
        "-s",
        "-i",
        "--max-time",
        "20",
        "--path-as-is",
        "-g",
        "-H",
        "Expect:",
        *args,
        site.server.url + path,
    ]
    out = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    head, _, body = out.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


def huge(share: Path) -> Path:
    """A file that no socket buffer holds, without a block of it on the disk."""
    path = share / "boot/huge"
    path.touch()
    os.truncate(path, HUGE_BYTES)
    return path


def wait_for(events: list[Event], kind: str) -> Event:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for event in list(events):
            if event.kind == kind:
                return event
        time.sleep(0.01)
    raise AssertionError(f"no {kind} among {[event.kind for event in events]}")


def test_a_file_arrives_whole_and_is_told(site: Site) -> None:
    answer = curl(site, "/boot/big")
    assert answer.status == 200
    assert answer.body == BIG
    assert answer.headers["server"] == "twinboot"
    assert answer.headers["accept-ranges"] == "bytes"
    assert wait_for(site.rig.events, "http.start").fields["bytes"] == len(BIG)
    done = wait_for(site.rig.events, "http.done").fields
    assert (done["file"], done["bytes"], done["address"]) == ("big", len(BIG), "127.0.0.1")
    assert done["elapsed_s"] >= 0


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("0-0", 0, 0),
        ("100-5000099", 100, 5_000_099),
        ("10239999-", 10_239_999, 10_239_999),
        ("-7", 10_239_993, 10_239_999),
    ],
)
def test_one_range_of_a_file(site: Site, wanted: str, first: int, last: int) -> None:
    answer = curl(site, "/boot/big", "-r", wanted)
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BIG)}"
    assert answer.body == BIG[first : last + 1]


def test_a_range_outside_the_file(site: Site) -> None:
    answer = curl(site, "/boot/big", "-r", f"{len(BIG)}-")
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(BIG)}"
    assert answer.body == b""


def test_several_ranges_get_the_whole_file(site: Site) -> None:
    answer = curl(site, "/boot/grub/i386-pc/core.0", "-r", "0-1,3-4")
    assert (answer.status, answer.body) == (200, FILES["grub/i386-pc/core.0"])


def test_curl_resumes_a_broken_download(site: Site, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(BIG[:5_000_000])
    subprocess.run(["curl", "-s", "-C", "-", "-o", part, f"{site.server.url}/boot/big"], check=True, timeout=30)
    assert part.read_bytes() == BIG


def test_validators(site: Site) -> None:
    first = curl(site, "/boot/big", "-r", "0-0").headers
    assert curl(site, "/boot/big", "-H", f"If-None-Match: {first['etag']}").status == 304
    assert curl(site, "/boot/big", "-H", f"If-Modified-Since: {first['last-modified']}").status == 304
    assert curl(site, "/boot/big", "-H", 'If-Match: "other"').status == 412
    stale = curl(site, "/boot/big", "-r", "0-0", "-H", 'If-Range: "other"')
    assert (stale.status, len(stale.body)) == (200, len(BIG))


def test_head_gives_the_size_that_uefi_asks_for_first(site: Site) -> None:
    answer = curl(site, "/boot/grub/x86_64-efi/core.efi", "-I")
    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(FILES["grub/x86_64-efi/core.efi"]))
    assert answer.headers["content-type"] == "application/efi"
    assert answer.body == b""


def test_an_empty_file(site: Site) -> None:
    (site.rig.share / "boot/empty").touch()
    answer = curl(site, "/boot/empty")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert curl(site, "/boot/empty", "-r", "0-").status == 416


def test_menus_are_text_and_never_stored(site: Site) -> None:
    answer = curl(site, f"/boot/{HV1}")
    assert b"local disk" in answer.body
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert curl(site, f"/boot/{HV1}", "-r", "0-9").body == answer.body[:10]


def test_the_first_page_says_what_this_is(site: Site) -> None:
    assert b"twinboot" in curl(site, "/").body


HOSTILE = {
    "/boot/../hosts/hv1.toml": 403,
    "/boot/%2e%2e/hosts/hv1.toml": 403,
    "/boot/grub/..%2f..%2f..%2fetc/passwd": 403,
    "/boot//etc/passwd": 404,
    "/boot/a%00b": 403,
    "/boot/grub": 403,
    "/boot/": 404,
    "/boot/%ff%fe": 404,
    "/boot/%ed%a0%80": 404,
    "/boot/" + "a" * 2000: 404,
    "/boot/" + "a/" * 400: 404,
    "/boot/grub/grub.cfg-01-de-ad-be-ef-00-01": 404,
    "/boot/install/wrong/xen": 403,
    "/etc/passwd": 404,
    "/report/feed": 405,
}


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_names(site: Site, path: str) -> None:
    answer = curl(site, path)
    assert answer.status == HOSTILE[path]
    assert answer.body.count(b"\n") <= 1
    assert curl(site, "/boot/grub/i386-pc/core.0").status == 200


def test_a_symlink_out_of_the_tree_and_a_fifo_are_not_served(site: Site) -> None:
    (site.rig.share / "boot/link").symlink_to("/etc/passwd")
    os.mkfifo(site.rig.share / "boot/fifo")
    assert curl(site, "/boot/link").status == 403
    assert curl(site, "/boot/fifo").status == 403


def test_an_install_by_http_from_menu_to_report(site: Site) -> None:
    token = arm(site.rig.records, "hv1", "live-xen", T0_S, 1).token
    assert token.encode() in curl(site, f"/boot/{HV1}").body
    assert curl(site, f"/boot/install/{token}/xen", "-I").status == 200
    assert curl(site, f"/boot/install/{token}/xen").body == FILES["live-xen/xen"]
    report = curl(site, f"/report/{token}", "--data-binary", "outcome=installed\nhost=hv1\nxen_version=4.17.5\n")
    assert (report.status, report.body) == (200, b"hv1 is installed\n")
    assert curl(site, f"/report/{token}", "--data-binary", "outcome=installed\n").status == 200  # its answer was lost
    assert curl(site, f"/report/{token}", "--data-binary", "outcome=failed\n").status == 409
    assert curl(site, f"/boot/install/{token}/xen").status == 403
    told = str(site.rig.events)
    assert "xen_version=4.17.5" in told
    assert token not in told  # what is journalled is read by many


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        ("{}", "nonsense", 400),
        ("{}", "x" * 70_000, 413),
        ("wrong", "outcome=installed\n", 404),
        ("%00", "outcome=installed\n", 404),
    ],
)
def test_reports_that_are_refused_change_nothing(site: Site, token: str, body: str, status: int) -> None:
    armed = arm(site.rig.records, "hv1", "live-xen", T0_S, 1)
    answer = curl(site, f"/report/{token.format(armed.token)}", "--data-binary", body)
    assert answer.status == status
    assert answer.body.count(b"\n") == 1
    assert site.rig.records.read("installs").rows == (armed,)


GARBAGE = [
    b"",
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /boot/x HTTP/9.9\r\n\r\n",
    b"GET /boot/x HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n",
    b"GET /boot/" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"POST /report/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\nx",
    b"POST /report/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
    b"POST /report/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"\xff" * 3000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_survived_without_a_traceback(site: Site, garbage: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    reply = site.server.raw(garbage)
    assert b" 200 " not in reply.split(b"\r\n", 1)[0]
    assert curl(site, "/boot/grub/i386-pc/core.0").status == 200
    assert all(len(str(event.fields)) < 1000 for event in site.rig.events)
    assert "Traceback" not in capfd.readouterr().err


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
            answer = b"".join(iter(lambda sock=sock: sock.recv(65536), b""))  # type: ignore[misc]
        assert answer.endswith(FILES["live-xen/vmlinuz"])


def test_idle_and_half_sent_requests_are_closed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd, "IDLE_S", 0.2)
    server = Server(rig.catalog, rig.catalog._emit)
    try:
        for start in (b"", b"GET /boot/x HTTP/1.1\r\nHost: "):
            with server.connect() as sock:
                sock.sendall(start)
                assert sock.recv(100) == b""
    finally:
        server.close()


def test_a_reader_too_slow_for_the_bound_is_cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpdoor, "PART_S", 0.2)
    huge(rig.share)
    server = Server(rig.catalog, rig.catalog._emit)
    try:
        with server.connect() as sock:
            sock.sendall(b"GET /boot/huge HTTP/1.1\r\nHost: a\r\n\r\n")
            assert "took more than" in wait_for(rig.events, "http.failed").fields["reason"]
    finally:
        server.close()


def test_one_connection_too_many_is_told_why(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd, "CONNECTIONS_MAX", 2)
    server = Server(rig.catalog, rig.catalog._emit)
    try:
        with server.connect() as first, server.connect() as second:
            for sock in (first, second):
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert b"200 OK" in sock.recv(65536)
            assert server.raw(b"").startswith(b"HTTP/1.1 503 ")
            assert "2 connections" in wait_for(rig.events, "http.refused").fields["reason"]
    finally:
        server.close()


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
    server = Server(hung, lambda kind, **fields: events.append(Event(kind, fields)))
    try:
        get = b"GET /boot/%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        assert server.raw(get % b"hang", half_close=False).startswith(b"HTTP/1.1 503 ")
        assert "did not answer" in wait_for(events, "http.refused").fields["reason"]
        assert server.raw(get % b"here", half_close=False).endswith(b"here")
    finally:
        hung.let_go.set()
        server.close()


def test_a_port_in_use_is_one_clear_line() -> None:
    with httpd.bind("127.0.0.1", 0) as sock, pytest.raises(httpd.HttpError, match="another program has it") as caught:
        httpd.bind("127.0.0.1", sock.getsockname()[1])
    assert "\n" not in str(caught.value)


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    with pytest.raises(httpd.HttpError, match="does not have that address"):
        httpd.bind("192.0.2.1", 0)
