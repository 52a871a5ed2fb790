"""Where the server listens, from which address it answers, and how it stops."""

import os
import socket
from pathlib import Path

import pytest

from pxe.content import TextContent
from pxe.tftp_sockets import ListenError
from pxe.tftpd import TftpServer
from tests.pxe.tftpd.conftest import PAYLOAD, Client, Rig


def test_a_port_in_use_is_one_clear_line(rig: Rig) -> None:
    server = TftpServer(lambda name, client: TextContent(b"", name), lambda kind, **fields: None)
    with pytest.raises(ListenError) as caught:
        server.bind(["127.0.0.1"], rig.port)
    text = str(caught.value)
    assert f"127.0.0.1 port {rig.port}" in text
    assert "another server has it" in text
    assert "\n" not in text


def test_an_address_of_another_machine_is_one_clear_line() -> None:
    server = TftpServer(lambda name, client: TextContent(b"", name), lambda kind, **fields: None)
    with pytest.raises(ListenError, match="no interface has this address"):
        server.bind(["192.0.2.1"], 0)


def test_the_answer_comes_from_the_address_that_was_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PAYLOAD)
    with Rig(tmp_path, address="0.0.0.0") as rig, Client(("127.0.0.7", rig.port)) as client:
        client.ask("nothing")
        assert client.take()[:2] == (5, 1)
        assert client.tid[0] == "127.0.0.7"
        assert client.fetch("file") == PAYLOAD
        assert client.tid[0] == "127.0.0.7"
    assert rig.events[-1][1]["server"] == "127.0.0.7"


def test_a_packet_that_comes_between_the_two_steps_of_stopping_harms_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake = os.eventfd_write

    def late(fd: int, value: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
            somebody.sendto(b"no request", rig.address)
        rig.thread.join(0.2)  # ends by then if it looks at the flag alone
        wake(fd, value)

    monkeypatch.setattr(os, "eventfd_write", late)
    rig.server.stop()
    rig.thread.join(5)
    assert not rig.thread.is_alive()
