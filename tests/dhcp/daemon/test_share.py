"""The daemon over a share that hangs: its worker is stopped, killed, and comes back."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dhcp import options as o
from dhcp.options import MessageType
from dhcp.packet import Packet
from storage.records import FOREVER_S, MANUAL, PERMANENT, Binding, Change, Outcome, SunwFiles, TabEntry
from storage.records.worker import WorkerRecords
from storage.records.worker_health import State
from tests.dhcp.conftest import ANSWER_TIMEOUT_S, NETWORK, Events, Lab, Start, chosen, make_binding
from tests.rows import rows_of

DEADLINE_S = 0.2
LEASE_S = 600
RESERVED, KNOWN, STRANGER = "00:14:4f:00:00:05", "00:14:4f:00:00:06", "00:14:4f:00:00:07"
RESERVED_ID = bytes.fromhex("0100144f000005")


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def share(tmp_path: Path) -> SunwFiles:
    """The directory, seen past the worker: a reservation, free addresses, and a lease time."""
    files = SunwFiles(tmp_path)
    for table in (NETWORK, "dhcptab"):
        files.create(table)
    fixed = make_binding("127.0.0.5", RESERVED_ID, PERMANENT | MANUAL, lease_s=FOREVER_S)
    free = [make_binding(f"127.0.0.{host}") for host in range(20, 120)]
    rows = [Change(NETWORK, None, row) for row in (fixed, *free)]
    results = files.commit([*rows, Change("dhcptab", None, TabEntry(NETWORK, "m", 0, f":LeaseTim={LEASE_S}:"))])
    assert {result.outcome for result in results} == {Outcome.STORED}
    return files


@pytest.fixture
def records(share: SunwFiles, events: Events) -> Iterator[WorkerRecords]:
    made = WorkerRecords(lambda: SunwFiles(share.location), share.location, events, deadline_s=DEADLINE_S)
    yield made
    made.close()


def stop(records: WorkerRecords) -> None:
    records.hurry()
    os.kill(records.pid, signal.SIGSTOP)


def go_on(records: WorkerRecords, lab: Lab) -> None:
    """Let the worker go on, and traffic flow until the daemon has noticed."""
    records._hurries = False  # so that a busy machine cannot make it hang again
    os.kill(records.pid, signal.SIGCONT)
    await_health(records, lab)


def await_health(records: WorkerRecords, lab: Lab) -> None:
    give_up_at = time.monotonic() + ANSWER_TIMEOUT_S
    while records.health.state is not State.OK and time.monotonic() < give_up_at:
        assert renew(lab, RESERVED, 5).message_type is MessageType.ACK
        time.sleep(0.002)
    assert records.health.state is State.OK


def renew(lab: Lab, mac: str, host: int) -> Packet:
    return lab.relay.ask(MessageType.REQUEST, mac, ciaddr=f"127.0.0.{host}")


def holders(share: SunwFiles) -> dict[bytes, int]:
    rows = rows_of(share, NETWORK, Binding)
    return {row.client_id[1:]: row.address for row in rows if row.client_id != b"\0"}


def bytes_of(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def test_while_the_share_hangs_what_is_stored_is_renewed_and_nothing_new_is_given(
    start: Start, share: SunwFiles, records: WorkerRecords, events: Events
) -> None:
    lab = start(records)
    ack = lab.relay.lease(KNOWN)
    offer = lab.relay.ask(MessageType.DISCOVER, STRANGER)
    stop(records)

    began = time.monotonic()
    assert renew(lab, RESERVED, 5).options[o.LEASE_TIME] == FOREVER_S.to_bytes(4, "big")
    first_s = time.monotonic() - began
    assert first_s >= DEADLINE_S
    began = time.monotonic()
    for _ in range(10):
        assert renew(lab, RESERVED, 5).message_type is MessageType.ACK
    assert time.monotonic() - began < 10 * DEADLINE_S  # the deadline was paid once

    left = renew(lab, KNOWN, ack.yiaddr & 255)
    assert left.message_type is MessageType.ACK
    assert 0 < int.from_bytes(left.options[o.LEASE_TIME], "big") <= LEASE_S
    lab.relay.send(MessageType.REQUEST, STRANGER, options=chosen(offer))
    assert renew(lab, RESERVED, 5).mac == RESERVED  # the stranger got no answer, not even a late one
    lab.relay.send(MessageType.DISCOVER, "00:14:4f:00:00:08")
    assert renew(lab, RESERVED, 5).mac == RESERVED  # nor does a newcomer get an offer that could not be kept
    assert events.kinds() == ["records.hung"]

    go_on(records, lab)
    assert events.kinds() == ["records.hung", "records.back"]
    again = lab.relay.lease(STRANGER)
    assert again.yiaddr not in (ack.yiaddr, 0)
    assert renew(lab, KNOWN, ack.yiaddr & 255).message_type is MessageType.ACK
    assert holders(share)[bytes_of(KNOWN)] == ack.yiaddr
    assert holders(share)[bytes_of(STRANGER)] == again.yiaddr
    assert lab.events.of("records.fault")[0]["reason"] == f"{records.location}: {events.told[0][1]['reason']}"
    assert len(lab.events.of("records.fault")) == 2  # one a table, not one a packet


def test_a_stop_in_the_midst_of_requests_loses_nothing_that_was_acknowledged(
    start: Start, share: SunwFiles, records: WorkerRecords, events: Events
) -> None:
    lab = start(records)
    records.hurry()
    macs = [f"00:14:4f:00:01:{number:02x}" for number in range(60)]
    offers = {mac: lab.relay.ask(MessageType.DISCOVER, mac) for mac in macs}
    for mac in macs[:20]:
        lab.relay.send(MessageType.REQUEST, mac, options=chosen(offers[mac]))
    stop(records)
    for mac in macs[20:]:
        lab.relay.send(MessageType.REQUEST, mac, options=chosen(offers[mac]))
    assert events.first("records.hung")
    os.kill(records.pid, signal.SIGCONT)
    acks = {}
    for xid in (1, 2):  # the second batch after the last request is begun when all answers have left
        lab.relay.send(MessageType.REQUEST, RESERVED, ciaddr="127.0.0.5", xid=xid)
        while (packet := lab.relay.receive()).xid != xid:
            acks[packet.mac] = packet.yiaddr
    await_health(records, lab)
    records._hurries = False
    assert len(acks) < len(macs)
    for mac in set(macs) - set(acks):
        ack = lab.relay.lease(mac)
        assert ack.mac == mac
        acks[mac] = ack.yiaddr
    assert len(set(acks.values())) == len(macs)
    held = holders(share)
    assert {mac: held[bytes_of(mac)] for mac in macs} == acks


def test_a_killed_worker_is_replaced_and_the_daemon_goes_on(
    start: Start, share: SunwFiles, records: WorkerRecords, events: Events
) -> None:
    lab = start(records)
    ack = lab.relay.lease(KNOWN)
    os.kill(records.pid, signal.SIGKILL)
    for _ in range(3):
        assert renew(lab, RESERVED, 5).message_type is MessageType.ACK
    await_health(records, lab)
    assert lab.relay.lease(STRANGER).yiaddr not in (ack.yiaddr, 0)
    assert renew(lab, KNOWN, ack.yiaddr & 255).message_type is MessageType.ACK
    assert set(holders(share)) == {bytes_of(mac) for mac in (KNOWN, STRANGER, RESERVED)}
    assert events.kinds() == ["records.hung", "records.back"]


def test_what_was_edited_while_it_hung_counts_afterwards(
    start: Start, share: SunwFiles, records: WorkerRecords
) -> None:
    lab = start(records)
    stop(records)
    assert renew(lab, RESERVED, 5).message_type is MessageType.ACK
    reservation = make_binding("127.0.0.9", b"\1" + bytes_of(STRANGER), MANUAL)
    assert share.commit([Change(NETWORK, None, reservation)])[0].outcome is Outcome.STORED
    go_on(records, lab)
    assert lab.relay.lease(STRANGER).yiaddr & 255 == 9


def test_nobody_is_refused_by_what_was_last_known(start: Start, share: SunwFiles, records: WorkerRecords) -> None:
    """Another server may have renewed a lease that is over by what we know."""
    ended = make_binding("127.0.0.6", b"\1" + bytes_of(KNOWN), lease_s=int(time.time()) + 1)
    assert share.commit([Change(NETWORK, None, ended)])[0].outcome is Outcome.STORED
    lab = start(records)
    stop(records)
    time.sleep(1.1)
    lab.relay.send(MessageType.REQUEST, KNOWN, ciaddr="127.0.0.6")
    assert renew(lab, RESERVED, 5).mac == RESERVED
    go_on(records, lab)
    assert renew(lab, KNOWN, 6).message_type is MessageType.NAK
