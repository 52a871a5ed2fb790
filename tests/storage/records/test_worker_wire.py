"""Messages between a daemon and its worker: rows of every kind, streams cut anywhere, and bounds."""

import pytest

from storage.records import FREE_ID, Binding, Change, Delta, Fault, Guest, Install, Outcome, Result, TabEntry
from storage.records import worker_wire as wire

BINDING = Binding(0x0A000001, b"\1\0\x14\x4f\0\0\1", 3, 0x0A0000FE, 0xFFFFFFFF, 2**64 - 1, "m", "caf\udce9 \u00e9")
ENTRY = TabEntry("Locale", "s", 2**63, "Site,200,ASCII,1,0")
INSTALL = Install("hv1", "armed", "live-xen", "abc", 1_700_000_000, 0x0A0000FE, 7, "a|b")
GUEST = Guest("a:b", "defined", "m/o@1", "pv", "odd", 1024, 1, "hv1", "u", 1_700_000_000, "me@odd", 7, "fe0 be0", "")
ROWS = [BINDING, ENTRY, INSTALL, GUEST]


def sent(value):
    """What comes out at the other end, fed byte by byte."""
    inbox = wire.Inbox()
    found = []
    for byte in wire.pack(7, value):
        inbox.feed(bytes((byte,)))
        found += [message] if (message := inbox.take()) else []
    ((number, body),) = found
    assert number == 7
    return body


@pytest.mark.parametrize("row", ROWS)
def test_changes_and_results_arrive_as_they_were(row):
    changes = [Change("t", None, row), Change("t", row, None), Change("t", row, row), Change("t", None, None)]
    arrived = wire.changes_of(sent(wire.plain_changes(changes)))
    assert arrived == changes
    assert type(arrived[0].new) is type(row)
    results = [Result(Outcome.STORED, row, ""), Result(Outcome.COLLISION, None, "was first")]
    assert wire.results_of(sent(wire.plain_results(results))) == results


@pytest.mark.parametrize("rows", [(), *((row, row) for row in ROWS)])
def test_a_delta_arrives_as_it_was(rows):
    gone = tuple(row.key for row in rows)
    delta = Delta(2**70, rows, gone, whole=True, faults=(Fault("t", 3, "bad\udcff", "no number"),))
    arrived = wire.delta_of(sent(wire.plain_delta(delta)))
    assert arrived == delta
    assert [type(row) for row in arrived.rows] == [type(row) for row in rows]


def test_several_messages_in_one_piece_come_out_in_order():
    inbox = wire.Inbox()
    inbox.feed(wire.pack(1, "one") + wire.pack(2, "two") + wire.pack(3, "three")[:-1])
    assert [inbox.take(), inbox.take(), inbox.take()] == [(1, "one"), (2, "two"), None]


def test_a_message_that_is_too_long_is_neither_sent_nor_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MESSAGE_MAX_BYTES", 1000)
    with pytest.raises(wire.TooLongError):
        wire.pack(1, bytes(1001))
    inbox = wire.Inbox()
    inbox.feed(wire.HEADER.pack(1001, 1))
    with pytest.raises(wire.TooLongError):
        inbox.take()


def test_free_addresses_keep_their_id():
    free = BINDING._replace(client_id=FREE_ID)
    assert wire.delta_of(sent(wire.plain_delta(Delta(1, (free,), (), whole=False, faults=())))).rows == (free,)
