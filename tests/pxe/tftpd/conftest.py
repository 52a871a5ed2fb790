"""A TFTP server on loopback, and a client each of whose steps a test drives by hand."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from pxe.content import Content, Resolver
from pxe.tftp_limits import Limits
from pxe.tftp_sockets import Address
from pxe.tftpd import TftpServer
from pxe.tree import BootTree

PAYLOAD = bytes(range(256)) * 300 + b"tail"


class Rig:
    """A server in a thread, on 127.0.0.1 unless said otherwise, its tree, and the events it emitted."""

    def __init__(
        self, root: Path, limits: Limits | None = None, *, resolver: Resolver | None = None, address: str = "127.0.0.1"
    ) -> None:
        self.root = root
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.rendered: dict[str, Content] = {}
        tree = BootTree(root)

        def resolve(name: str, client: str) -> Content:
            if name == "poison":
                raise ValueError("a bug in a resolver")
            return self.rendered.get(name) or tree.open(name)

        self.server = TftpServer(resolver or resolve, self.emit, limits or Limits())
        (self.address,) = self.server.bind([address], 0)
        self.port = self.address[1]
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def emit(self, kind: str, **fields: Any) -> None:
        self.events.append((kind, fields))

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [fields for name, fields in list(self.events) if name == kind]

    def wait_for(self, kind: str, count: int = 1, patience_s: float = 5.0) -> list[dict[str, Any]]:
        ends = time.monotonic() + patience_s
        while len(self.of_kind(kind)) < count and time.monotonic() < ends:
            time.sleep(0.005)
        found = self.of_kind(kind)
        assert len(found) >= count, self.events[-5:]
        return found

    def still_serves(self) -> None:
        with Client(self.address) as other:
            assert other.fetch("file", blksize=1024, windowsize=8) == PAYLOAD

    def close(self) -> None:
        self.server.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


class Client:
    """A small windowed client of RFC 7440; each step can be driven by hand."""

    def __init__(self, server: Address, source: str = "127.0.0.1") -> None:
        self.server = server
        self.tid = server  # until it answers from the port of the transfer
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((source, 0))
        self.sock.settimeout(3)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, name: str, mode: str = "octet", tail: bytes = b"", opcode: int = 1, **options: Any) -> None:
        pairs = b"".join(f"{key}\0{value}\0".encode() for key, value in options.items())
        packet = struct.pack("!H", opcode) + os.fsencode(name) + b"\0" + mode.encode() + b"\0" + pairs + tail
        self.sock.sendto(packet, self.server)

    def raw(self, data: bytes, to: Address | None = None) -> None:
        self.sock.sendto(data, to or self.tid)

    def take(self) -> tuple[int, int, bytes]:
        data, self.tid = self.sock.recvfrom(70000)
        opcode, number = struct.unpack_from("!HH", data)
        return opcode, number, data[4:]

    def silent(self, for_s: float = 0.15) -> bool:
        self.sock.settimeout(for_s)
        try:
            self.sock.recv(70000)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(3)
        return False

    def ack(self, block: int) -> None:
        self.raw(struct.pack("!HH", 4, block & 0xFFFF))

    def oack(self) -> dict[str, str]:
        data, self.tid = self.sock.recvfrom(70000)
        assert data[:2] == b"\0\6", data
        fields = data[2:].split(b"\0")[:-1]
        return {key.decode(): value.decode() for key, value in zip(fields[::2], fields[1::2], strict=True)}

    def fetch(self, name: str, mode: str = "octet", **options: Any) -> bytes:
        """The whole content; checks the order of blocks."""
        self.ask(name, mode, **options)
        blksize, window, block = 512, 1, 0
        out: list[bytes] = []
        if options:
            granted = self.oack()
            blksize = int(granted.get("blksize", 512))
            window = int(granted.get("windowsize", 1))
            self.ack(0)
        while True:
            opcode, number, data = self.take()
            assert (opcode, number) == (3, (block + 1) & 0xFFFF), data
            block += 1
            out.append(data)
            if len(data) < blksize:
                self.ack(block)
                return b"".join(out)
            if block % window == 0:
                self.ack(block)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    (tmp_path / "boot" / "grub").mkdir(parents=True)
    (tmp_path / "boot" / "file").write_bytes(PAYLOAD)
    with Rig(tmp_path / "boot") as rig:
        yield rig


@pytest.fixture
def client(rig: Rig) -> Iterator[Client]:
    with Client(rig.address) as client:
        yield client
