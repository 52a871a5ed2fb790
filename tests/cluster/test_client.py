from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from twinboot.lab.simulate import packets
from twinboot.lab.simulate.client import OFF_MIN_S, Client, Habits, State, settle
from twinboot.lab.simulate.clockwork import Clockwork
from twinboot.lab.simulate.packets import ACK, DISCOVER, NAK, OFFER, RELEASE, REQUEST, Message

MAC = b"\x02\0\0\0\0\1"
HOST, SERVER = 0x0A000105, 0x0A000001
STAYS = Habits(on_s=0.0, off_s=10.0, releases=1.0, remembers=0.0, declines=0.0)


class Wire:
    """What the client sent, and a server that answers by hand."""

    def __init__(self, clockwork: Clockwork, habits: Habits = STAYS) -> None:
        self.sent: list[tuple[float, int, Message]] = []
        self.clockwork = clockwork
        self.client = Client((MAC, b"id"), habits, clockwork, Random("x"), self.take)

    def take(self, mac: bytes, target: int, data: bytes) -> None:
        assert mac == MAC
        self.sent.append((self.clockwork.now_s, target, packets.read(data)))

    def answer(self, kind: int, lease_s: int = 100, xid: int | None = None) -> None:
        last = self.sent[-1][2]
        message = Message(kind, last.xid if xid is None else xid, MAC, server=SERVER, lease_s=lease_s)
        data = bytearray(packets.request(message))
        data[16:20] = HOST.to_bytes(4, "big")
        self.client.receive(bytes(data))

    def bind(self) -> None:
        self.client.switch_on()
        self.answer(OFFER)
        self.answer(ACK)

    @property
    def kinds(self) -> list[int]:
        return [message.kind for _, _, message in self.sent]


@pytest.fixture
def wire(clockwork: Clockwork) -> Wire:
    return Wire(clockwork)


def test_a_client_asks_for_what_it_was_offered_and_then_has_it(wire: Wire) -> None:
    wire.bind()
    assert wire.kinds == [DISCOVER, REQUEST]
    assert (wire.sent[1][2].wanted, wire.sent[1][2].server) == (HOST, SERVER)
    assert (wire.client.state, wire.client.done) == (State.BOUND, 1)


def test_pauses_between_repetitions_double_up_to_about_a_minute(wire: Wire, clockwork: Clockwork) -> None:
    wire.client.switch_on()
    clockwork.run(400.0)
    times = [at_s for at_s, _, _ in wire.sent]
    pauses = [later - at_s for at_s, later in pairwise(times)]
    for pause_s, usual_s in zip(pauses, [4, 8, 16, 32, 64, 64], strict=False):
        assert abs(pause_s - usual_s) <= 1


def test_requests_without_an_answer_end_in_a_new_beginning(wire: Wire, clockwork: Clockwork) -> None:
    wire.client.switch_on()
    wire.answer(OFFER)
    clockwork.run(70.0)
    assert wire.kinds[:6] == [DISCOVER, REQUEST, REQUEST, REQUEST, REQUEST, DISCOVER]


def test_renewals_go_to_the_server_first_and_to_all_later_and_the_end_is_the_end(
    wire: Wire, clockwork: Clockwork
) -> None:
    wire.bind()
    clockwork.run(130.0)
    renewals = [(at_s, target) for at_s, target, message in wire.sent if message.ciaddr == HOST]
    assert 45 <= renewals[0][0] <= 55
    assert {target for at_s, target in renewals if at_s < 87.4} == {SERVER}
    assert {target for at_s, target in renewals if at_s > 87.5} == {0}
    assert max(at_s for at_s, _ in renewals) < 100
    assert wire.kinds[-1] == DISCOVER


def test_an_answer_to_an_earlier_transaction_is_ignored(wire: Wire) -> None:
    wire.client.switch_on()
    wire.answer(OFFER, xid=(wire.sent[0][2].xid + 1) % 2**32)
    assert wire.client.state is State.SELECTING


def test_a_refused_client_begins_anew(wire: Wire, clockwork: Clockwork) -> None:
    wire.bind()
    clockwork.run(60.0)
    wire.answer(NAK)
    assert wire.client.address == 0
    clockwork.run(63.0)
    assert wire.kinds[-1] == DISCOVER


def test_a_leaving_client_releases_and_comes_back(clockwork: Clockwork) -> None:
    wire = Wire(clockwork, STAYS._replace(on_s=5.0))
    wire.bind()
    clockwork.run(60.0)
    assert RELEASE in wire.kinds
    settle([wire.client])
    assert wire.client.state is State.OFF  # what it sent may still be under way
    clockwork.run(60.0 + OFF_MIN_S)
    assert wire.client.state is not State.OFF


def test_one_that_remembers_its_address_asks_for_it(clockwork: Clockwork) -> None:
    wire = Wire(clockwork, STAYS._replace(releases=0.0, remembers=1.0))
    wire.bind()
    wire.client.switch_off()
    clockwork.run(45.0)
    rebooting = wire.sent[2][2]
    assert (rebooting.kind, rebooting.wanted, rebooting.server, rebooting.ciaddr) == (REQUEST, HOST, 0, 0)
    wire.answer(ACK)
    assert wire.client.done == 2
