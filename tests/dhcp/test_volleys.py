"""Datagrams by the handful: nothing is lost, doubled or mixed up, and an error costs one datagram only."""

import errno
import socket
import time
from collections.abc import Iterator

import pytest

from dhcp import volleys
from dhcp.volleys import CUT_MAX, SENT_BYTES, TAKEN_BYTES, Inbox, Outbox
from storage.records import ipv4_int

LOCALHOST = ipv4_int("127.0.0.1")
SO_TIMESTAMPNS = 35


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket that receives with time stamps, and one that sends; neither blocks."""
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for one in (receiver, sender):
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        yield receiver, sender


def test_what_waits_is_taken_in_order_and_by_parts(pair: tuple[socket.socket, socket.socket]) -> None:
    receiver, sender = pair
    sent = [bytes([number]) * (number * 30) for number in range(12)]
    began = time.time()
    for data in sent:
        sender.sendto(data, receiver.getsockname())
    inbox = Inbox(receiver, 5)
    assert inbox.take() == sent[:5]
    assert all(began - 1 < came_s < time.time() + 1 for came_s in inbox.came_s(5))
    assert inbox.take() + inbox.take() == sent[5:]
    assert inbox.take() == []


def test_a_datagram_that_is_too_long_is_cut_where_it_is_seen_to_be(pair: tuple[socket.socket, socket.socket]) -> None:
    receiver, sender = pair
    sender.sendto(b"x" * (TAKEN_BYTES + 100), receiver.getsockname())
    sender.sendto(b"y", receiver.getsockname())
    assert Inbox(receiver, 4).take() == [b"x" * TAKEN_BYTES, b"y"]


def test_an_error_of_the_socket_is_raised(pair: tuple[socket.socket, socket.socket]) -> None:
    receiver, _ = pair
    inbox = Inbox(receiver, 4)
    receiver.close()
    with pytest.raises(OSError, match="descriptor"):
        inbox.take()


def test_what_is_put_in_leaves_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    receiver, sender = pair
    outbox, port = Outbox(sender, 3), receiver.getsockname()[1]
    for turn in (b"a", b"b"):
        assert all(outbox.put(turn * size, LOCALHOST, port) for size in (1, SENT_BYTES, 2))
        assert not outbox.put(b"one too many", LOCALHOST, port)
        assert outbox.send() == []
    assert Inbox(receiver, 9).take() == [turn * size for turn in (b"a", b"b") for size in (1, SENT_BYTES, 2)]
    assert not Outbox(sender, 3).put(b"x" * (SENT_BYTES + 1), LOCALHOST, port)


def test_one_that_cannot_leave_does_not_keep_the_others(pair: tuple[socket.socket, socket.socket]) -> None:
    receiver, sender = pair
    outbox, port = Outbox(sender, 4), receiver.getsockname()[1]
    nowhere = ipv4_int("255.255.255.255")  # broadcasts are not allowed on this socket
    for address in (LOCALHOST, nowhere, nowhere, LOCALHOST):
        outbox.put(b"x", address, port)
    failed = outbox.send()
    assert [(address, error.errno) for address, error in failed] == [(nowhere, errno.EACCES)] * 2
    assert Inbox(receiver, 9).take() == [b"x", b"x"]


def test_datagrams_of_one_length_to_one_place_leave_as_one_buffer(pair: tuple[socket.socket, socket.socket]) -> None:
    receiver, sender = pair
    alike = [bytes([number]) * 300 for number in range(2 * CUT_MAX + 5)]
    outbox, port = Outbox(sender, 3), receiver.getsockname()[1]
    if outbox.send_alike(alike[:2], LOCALHOST, port) == 2:  # else the kernel is too old, and says so once for all
        assert Inbox(receiver, 9).take() == alike[:2]
        assert outbox.send_alike(alike, LOCALHOST, port) == len(alike)
        assert Inbox(receiver, 999).take() == alike
    else:
        assert Inbox(receiver, 9).take() == []


def test_what_the_kernel_does_not_cut_is_left_to_be_sent_one_by_one(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, sender = pair
    monkeypatch.setattr(volleys, "UDP_SEGMENT", 9999)  # no such control message: refused as old kernels refuse it
    outbox, port = Outbox(sender, 3), receiver.getsockname()[1]
    for _ in range(2):
        assert outbox.send_alike([b"one", b"two"], LOCALHOST, port) == 0
    assert Inbox(receiver, 9).take() == []


def test_what_cannot_leave_at_all_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    _, sender = pair
    with pytest.raises(PermissionError):  # broadcasts are not allowed on this socket
        Outbox(sender, 3).send_alike([b"x", b"y"], ipv4_int("255.255.255.255"), 68)
