"""The HTTP door on loopback, its loop in a thread, and curl."""

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from pxe import httpd, httpdoor
from tests.pxe.conftest import Event, Rig

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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


def serving(rig: Rig) -> Server:
    return Server(rig.catalog, rig.catalog._emit)


class Site(NamedTuple):
    rig: Rig
    server: Server


@pytest.fixture
def site(rig: Rig) -> Iterator[Site]:
    (rig.share / "boot/big").write_bytes(BIG)
    with serving(rig) as server:
        yield Site(rig, server)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def curl(site: Site, path: str, *args: str) -> Answer:
    options = ["-s", "-i", "--max-time", "20", "--path-as-is", "-g", "-H", "Expect:"]
    command = ["curl", *options, *args, site.server.url + path]
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
