import select
import socket

import pytest

from pxe.tftp_sockets import door_socket, transfer_socket
from pxe.tftp_strangers import Strangers

ERROR_5 = b"\0\5\0\5"


def datagrams():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(3)
    return sock


@pytest.fixture
def door():
    with door_socket("127.0.0.1") as door:
        yield door


@pytest.fixture
def strangers(door):
    strangers = Strangers()
    strangers.watch(door)
    yield strangers
    strangers.close()


def knocked(strangers, within_s=1.0):
    return bool(select.select([strangers], [], [], within_s)[0])


def test_a_stranger_is_told_and_the_peer_has_its_own_socket(door, strangers):
    with datagrams() as peer, datagrams() as stranger:
        sock, _cuts = transfer_socket(door, peer.getsockname(), 0)
        with sock:
            peer.sendto(b"\0\4\0\1", door.getsockname())
            assert not knocked(strangers, 0.05)
            assert sock.recv(100) == b"\0\4\0\1"
            stranger.sendto(b"\0\4\0\1", door.getsockname())
            assert knocked(strangers)
            strangers.answer()
            assert stranger.recv(100).startswith(ERROR_5)


def test_an_error_is_never_answered(door, strangers):
    with datagrams() as stranger:
        stranger.sendto(b"\0\5\0\0stop\0", door.getsockname())
        assert knocked(strangers)
        strangers.answer()
        assert not knocked(strangers, 0)
        stranger.settimeout(0.05)
        with pytest.raises(TimeoutError):
            stranger.recv(100)


def test_a_door_that_is_forgotten_is_silent(door, strangers):
    strangers.forget(door)
    with datagrams() as stranger:
        stranger.sendto(b"\0\4\0\1", door.getsockname())
        assert not knocked(strangers, 0.05)
        strangers.answer()


def test_every_door_has_a_port_of_its_own():
    doors = [door_socket("127.0.0.1") for _ in range(50)]
    try:
        assert len({door.getsockname() for door in doors}) == 50
    finally:
        for door in doors:
            door.close()
