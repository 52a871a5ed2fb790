"""A transfer among odd packets: strangers, copies, losses, and each way in which it ends early."""

import os
import socket

from tests.pxe.tftpd.conftest import PAYLOAD, Client, Rig


def test_padded_requests_and_acks_are_taken(rig: Rig, client: Client) -> None:
    client.ask("file", blksize=1024, tail=b"\0" * 46)
    assert client.oack() == {"blksize": "1024"}
    client.raw(b"\0\4\0\0" + b"\0" * 42)
    assert client.take() == (3, 1, PAYLOAD[:1024])


def test_a_stranger_gets_error_5_and_the_transfer_goes_on(rig: Rig, client: Client) -> None:
    client.ask("file")
    assert client.take()[1] == 1
    with Client(rig.address) as stranger:
        for data in (b"\0\4\0\1", b"\0\5\0\0stop\0", b"", b"junk", b"\0\4\0\1"):
            stranger.raw(data, client.tid)
        codes = [stranger.take()[:2] for _ in range(4)]  # an ERROR is never answered
        assert codes == [(5, 5)] * 4
    assert client.silent(0.05)
    client.ack(1)
    assert client.take()[1] == 2


def test_a_client_whose_port_closes_for_a_while_finds_its_transfer_again(rig: Rig, client: Client) -> None:
    client.ask("file")
    client.take()
    ours, theirs = client.sock.getsockname(), client.tid
    client.ack(1)
    client.sock.close()  # block 2 meets a closed port: an ICMP error for the server
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(ours)
        again.settimeout(3)
        assert again.recvfrom(70000) == (b"\0\3\0\2" + PAYLOAD[512:1024], theirs)


def test_what_a_client_repeats_after_the_end_is_not_answered(rig: Rig, client: Client) -> None:
    (rig.root / "short").write_bytes(b"short")
    client.ask("short")
    client.take()
    client.ack(1)
    rig.wait_for("tftp.done")
    client.ack(1)
    assert client.silent(0.05)


def test_a_doubled_ack_does_not_double_the_data(rig: Rig, client: Client) -> None:
    client.ask("file")
    client.take()
    for block in range(1, 20):
        client.ack(block)
        client.ack(block)
        assert client.take()[1] == block + 1
    assert client.silent(0.1)


def test_an_ack_from_the_future_is_ignored(rig: Rig, client: Client) -> None:
    client.ask("file")
    client.take()
    client.ack(7)
    assert client.silent(0.1)
    client.ack(1)
    assert client.take()[1] == 2


def test_a_repeated_request_gets_the_same_answer_from_the_same_port(rig: Rig, client: Client) -> None:
    client.ask("file", tsize=0)
    client.oack()
    first = client.tid
    client.ask("file", tsize=0)
    client.oack()
    assert client.tid == first
    assert len(rig.of_kind("tftp.start")) == 1


def test_a_late_copy_of_the_request_does_not_disturb_the_transfer(rig: Rig, client: Client) -> None:
    client.ask("file")
    client.take()
    client.ack(1)
    assert client.take()[1] == 2
    client.ask("file")
    assert client.silent(0.1)
    client.ack(2)
    assert client.take()[1] == 3


def test_a_port_that_asks_for_another_file_starts_over(rig: Rig, client: Client) -> None:
    (rig.root / "other").write_bytes(b"other")
    client.ask("file")
    client.take()
    client.ask("other")
    assert client.take() == (3, 1, b"other")
    (failed,) = rig.wait_for("tftp.failed")
    assert failed["reason"] == "the client started over"


def test_an_error_from_the_client_ends_the_transfer(rig: Rig, client: Client) -> None:
    client.ask("file")
    client.take()
    client.ack(1)
    client.take()
    client.raw(b"\0\5\0\3disk full\0")
    (failed,) = rig.wait_for("tftp.failed")
    assert "disk full" in failed["reason"]
    assert failed["bytes"] == 512


def test_a_lost_block_is_sent_again(rig: Rig, client: Client) -> None:
    client.ask("file")
    assert client.take()[1] == 1
    assert client.take()[1] == 1, "the timer repeats what was not acknowledged"


def test_a_file_that_shrinks_ends_its_transfer_with_an_error(rig: Rig, client: Client) -> None:
    client.ask("file")
    client.take()
    os.truncate(rig.root / "file", 600)
    for block in range(1, 200):
        client.ack(block)
        opcode, _number, text = client.take()
        if opcode == 5:
            break
    assert b"shorter" in text
    rig.wait_for("tftp.failed")


def test_stopping_tells_the_clients(rig: Rig, client: Client) -> None:
    client.ask("file")
    client.take()
    rig.close()
    assert client.take()[:2] == (5, 0)
    assert rig.wait_for("tftp.failed")[0]["reason"] == "the server stops"


def test_events_tell_the_story_of_a_transfer(rig: Rig, client: Client) -> None:
    client.fetch("file", blksize=1024, windowsize=4)
    (done,) = rig.wait_for("tftp.done")
    (start,) = rig.of_kind("tftp.start")
    common = {"address": "127.0.0.1", "server": "127.0.0.1", "file": "file", "blksize": 1024, "windowsize": 4}
    assert start == {**common, "bytes": len(PAYLOAD)}
    elapsed_s = done.pop("elapsed_s")
    assert done == {**common, "bytes": len(PAYLOAD)}
    assert 0 < elapsed_s < 60
