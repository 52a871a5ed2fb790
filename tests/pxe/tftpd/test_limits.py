"""How many transfers and reports there are at most, and what is left of them."""

import os
import time
from pathlib import Path

import pytest

from pxe.tftp_limits import MAX_REFUSALS_PER_S, Budget, Limits, within_descriptors
from tests.pxe.tftpd.conftest import PAYLOAD, Client, Rig


def test_a_client_over_its_limit_is_told_to_come_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PAYLOAD)
    with (
        Rig(tmp_path, Limits(transfers=10, per_client=2)) as rig,
        Client(rig.address) as one,
        Client(rig.address) as two,
        Client(rig.address) as three,
        Client(rig.address, "127.0.0.2") as other,
    ):
        one.ask("file")
        two.ask("file")
        assert one.take()[0] == two.take()[0] == 3
        three.ask("file")
        opcode, code, text = three.take()
        assert (opcode, code) == (5, 0)
        assert b"busy" in text
        other.ask("file")
        assert other.take()[0] == 3


def test_a_full_table_gives_up_the_client_that_was_never_heard_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PAYLOAD)
    with (
        Rig(tmp_path, Limits(transfers=2, per_client=2)) as rig,
        Client(rig.address) as heard,
        Client(rig.address) as silent,
        Client(rig.address, "127.0.0.2") as new,
    ):
        heard.ask("file")
        heard.take()
        heard.ack(1)
        heard.take()
        silent.ask("file")
        silent.take()
        new.ask("file")
        assert new.take()[0] == 3
        new.ack(1)
        assert new.take()[1] == 2
        heard.ack(2)
        assert heard.take()[1] == 3
        with Client(rig.address, "127.0.0.3") as late:
            late.ask("file")
            assert late.take()[0] == 5, "everyone is at work: busy"


OPTIONS = int.from_bytes(b"bl")
"""What an OACK has in the place of a block's number: how its first option begins."""


def test_a_thousand_transfers_at_once(rig: Rig) -> None:
    clients = [Client(rig.address, f"127.0.1.{number % 10 + 1}") for number in range(1000)]
    try:
        for client in clients:
            client.ask("file", blksize=32768, windowsize=1)
        for client in clients:
            client.oack()
        assert not rig.of_kind("tftp.done"), "all of them are under way together"
        for block in range(3):
            for client in clients:
                client.ack(block)
            for number, client in enumerate(clients):
                data = client.take()
                while data[:2] in ((6, OPTIONS), (3, block)):  # said again: a busy machine's round takes long
                    data = client.take()
                assert data[:2] == (3, block + 1), number
                assert data[2] == PAYLOAD[block * 32768 : (block + 1) * 32768]
        for client in clients:
            client.ack(3)
        rig.wait_for("tftp.done", 1000)
    finally:
        for client in clients:
            client.sock.close()


def test_transfers_leave_no_descriptor_behind(rig: Rig) -> None:
    rig.still_serves()
    rig.wait_for("tftp.done")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        rig.still_serves()
    rig.wait_for("tftp.done", 21)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_refusals_are_reported_at_a_bounded_rate(rig: Rig, client: Client) -> None:
    for _ in range(400):
        client.ask("nothing")
        client.take()
    seconds = 5  # far more than it takes
    assert len(rig.of_kind("tftp.refused")) <= MAX_REFUSALS_PER_S * seconds


def test_a_budget_counts_what_it_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    budget = Budget(per_s=2)
    assert [budget.take() for _ in range(5)] == [0, 0, None, None, None]
    now[0] += 1
    assert budget.take() == 3
    assert budget.take() == 0


def test_the_limits_fit_the_descriptors_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (100, 364))
    monkeypatch.setattr("resource.setrlimit", lambda which, pair: None)
    assert within_descriptors(Limits()).transfers == 100
