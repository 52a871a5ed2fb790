"""Requests that get no file: hostile datagrams, names that are refused, writing. The server goes on after each."""

import os
import shutil
from pathlib import Path

import pytest

from pxe.content import Content, Refused, Why
from tests.pxe.tftpd.conftest import Client, Rig

HOSTILE = """
00 | 0001 | 0002 | 0003 | 0004 | 0005 | 0006 | ffff | 000161 | 00016100 6f63746574 | 0000000000000000
"""
HOSTILE_DATAGRAMS = [
    b"",
    *(bytes.fromhex(text) for text in HOSTILE.split("|")),
    b"\0\1" + b"A" * 1990,
    b"\0\1" + b"A" * 400 + b"\0octet\0",
    b"\0\1" + b"/" * 600 + b"\0octet\0",
    b"\0\1x\0mail\0",
    b"\0\1x\0" + b"o" * 500 + b"\0",
    b"\0\1\0octet\0",
    b"\0\1../../etc/passwd\0octet\0",
    b"\0\1/etc/passwd\0octet\0",
    b"\0\1a\xff\x1b\n\0octet\0",
    b"\0\1file\0octet\0" + b"blksize\0" * 150,
    b"\0\1poison\0octet\0",
]


@pytest.mark.parametrize("data", HOSTILE_DATAGRAMS)
def test_a_hostile_datagram_is_answered_by_an_error_or_by_silence(rig: Rig, client: Client, data: bytes) -> None:
    client.raw(data)
    if data.startswith(b"\0\1file"):
        assert client.take()[0] == 3
    elif len(data) < 2 or data[:2] in (b"\0\3", b"\0\4", b"\0\5", b"\0\6"):
        assert client.silent(0.05)
    else:
        opcode, code, text = client.take()
        assert opcode == 5
        assert code in (0, 1, 2, 4)
        assert text.endswith(b"\0")
        assert text[:-1].decode("ascii").isprintable()
    rig.still_serves()


@pytest.mark.parametrize(
    ("name", "code"),
    [("nothing", 1), ("../x", 2), ("grub", 2), ("out", 2), ("fifo", 2), ("", 1), ("x" * 300, 1), ("device", 2)],
)
def test_each_refusal_has_its_error_code_and_one_event(rig: Rig, client: Client, name: str, code: int) -> None:
    os.symlink("/etc/passwd", rig.root / "out")
    os.mkfifo(rig.root / "fifo")
    os.symlink("/dev/zero", rig.root / "device")
    client.ask(name)
    assert client.take()[:2] == (5, code)
    (refused,) = rig.wait_for("tftp.refused")
    assert refused["address"] == "127.0.0.1"
    assert refused["reason"].isprintable()
    rig.still_serves()


def test_an_unavailable_tree_says_so(rig: Rig, client: Client) -> None:
    shutil.rmtree(rig.root)
    client.ask("file")
    opcode, code, text = client.take()
    assert (opcode, code) == (5, 0)
    assert b"share" in text


def test_the_resolvers_refusal_reaches_the_client(tmp_path: Path) -> None:
    def refuse(name: str, client: str) -> Content:
        raise Refused(Why.NOT_FOUND, f"no boot file {name} for {client}")

    with Rig(tmp_path, resolver=refuse) as rig, Client(rig.address) as client:
        client.ask("x")
        assert client.take() == (5, 1, b"no boot file x for 127.0.0.1\0")


def test_writing_is_refused_with_access_violation(rig: Rig, client: Client) -> None:
    client.ask("file", opcode=2)
    opcode, code, text = client.take()
    assert (opcode, code) == (5, 2)
    assert b"read only" in text
