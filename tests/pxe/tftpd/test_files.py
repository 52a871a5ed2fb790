"""Files arrive whole, in every size of block and window, and options are granted one by one."""

import errno
import os
import socket
from typing import Any

import pytest

from pxe import tftp_session, tftp_sockets
from pxe.content import TextContent
from pxe.tftp_sockets import Address
from tests.pxe.tftpd.conftest import PAYLOAD, Client, Rig


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 512 * 64, 70_001])
@pytest.mark.parametrize("options", [{}, {"windowsize": 7}, {"blksize": 512, "windowsize": 64}])
def test_files_of_every_length_arrive_whole(rig: Rig, client: Client, size: int, options: dict[str, Any]) -> None:
    data = os.urandom(size)
    (rig.root / "x").write_bytes(data)
    assert client.fetch("x", **options) == data
    (done,) = rig.wait_for("tftp.done")
    assert done["bytes"] == size


@pytest.mark.parametrize("blksize", [8, 512, 1468, 8192, 65464])
@pytest.mark.parametrize("windowsize", [1, 16, 64])
def test_block_and_window_sizes(rig: Rig, client: Client, blksize: int, windowsize: int) -> None:
    assert client.fetch("file", blksize=blksize, windowsize=windowsize) == PAYLOAD


def test_without_segmentation_in_the_kernel_the_same_blocks_go_out(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tftp_sockets, "set_segment", lambda sock, size: False)
    assert client.fetch("file", blksize=1024, windowsize=16) == PAYLOAD


def connected(kind: type[socket.socket], peer: Address) -> socket.socket:
    """A transfer's socket of another kind; the door's port is not needed here."""
    sock = kind(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect(peer)
    return sock


def test_packets_that_do_not_fit_the_device_go_out_block_by_block(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    class Picky(socket.socket):
        def send(self, data: Any, flags: int = 0, /) -> int:
            if len(data) > 1028:
                refused.append(len(data))
                raise OSError(errno.EINVAL, "gso_size > mtu")
            return super().send(data)

    def picky_socket(_door: object, peer: Address, _segment_bytes: int) -> tuple[socket.socket, bool]:
        return connected(Picky, peer), True

    monkeypatch.setattr(tftp_session, "transfer_socket", picky_socket)
    assert client.fetch("file", blksize=1024, windowsize=16) == PAYLOAD
    assert len(refused) == 1, "tried once, then remembered"


def test_a_full_send_buffer_holds_the_rest_of_the_window_back(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Narrow(socket.socket):
        turns = 0

        def send(self, data: Any, flags: int = 0, /) -> int:
            Narrow.turns += 1
            if Narrow.turns % 3 == 0:
                raise BlockingIOError
            return super().send(data)

    def narrow_socket(_door: object, peer: Address, _segment_bytes: int) -> tuple[socket.socket, bool]:
        return connected(Narrow, peer), False

    monkeypatch.setattr(tftp_session, "transfer_socket", narrow_socket)
    assert client.fetch("file", blksize=1024, windowsize=16) == PAYLOAD


def test_block_numbers_roll_over_in_a_large_file(rig: Rig, client: Client) -> None:
    size = 8 * 66_000
    with open(rig.root / "sparse", "wb") as file:
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"last")
    data = client.fetch("sparse", blksize=8, windowsize=64)
    assert len(data) == size
    assert data.endswith(b"last")


def test_rendered_text_is_served_like_a_file(rig: Rig, client: Client) -> None:
    rig.rendered["grub/grub.cfg"] = TextContent(PAYLOAD, "grub/grub.cfg")
    assert client.fetch("grub/grub.cfg", tsize=0, windowsize=16) == PAYLOAD


def test_the_spellings_of_firmware(rig: Rig, client: Client) -> None:
    (rig.root / "grub" / "core.0").write_bytes(b"core")
    assert client.fetch("/grub/core.0") == b"core"
    assert client.fetch(r"\grub\core.0") == b"core"


def test_netascii_converts_and_counts_what_it_sends(rig: Rig, client: Client) -> None:
    (rig.root / "text").write_bytes(b"a\nb\n")
    client.ask("text", "NetASCII", tsize=0)
    assert client.oack() == {"tsize": "6"}
    assert client.fetch("text", "netascii") == b"a\r\nb\r\n"


def test_the_oack_repeats_the_clients_spelling(rig: Rig, client: Client) -> None:
    client.ask("file", BlkSize=1024, TSIZE=0, timeout=3, windowsize=4, unknown=1)
    assert client.oack() == {"BlkSize": "1024", "TSIZE": str(len(PAYLOAD)), "timeout": "3", "windowsize": "4"}


@pytest.mark.parametrize("option", [{"blksize": "abc"}, {"blksize": 7}, {"windowsize": 0}, {"timeout": 999}])
def test_an_option_that_cannot_be_granted_costs_only_itself(rig: Rig, client: Client, option: dict[str, Any]) -> None:
    client.ask("file", **option)
    assert client.take() == (3, 1, PAYLOAD[:512])


def test_a_client_that_only_asks_for_the_size_is_done_not_failed(rig: Rig, client: Client) -> None:
    client.ask("file", tsize=0)
    client.oack()
    client.raw(b"\0\5\0\0User aborted the transfer\0")
    (done,) = rig.wait_for("tftp.done")
    assert done["bytes"] == 0
    assert "User aborted" in done["reason"]
