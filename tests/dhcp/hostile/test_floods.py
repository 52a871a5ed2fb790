"""Floods of packets, of clients and of declines."""

from dhcp import options as o
from dhcp.options import MessageType
from dhcp.view import OFFERS_MAX
from storage.records import FREE_ID, MANUAL, PERMANENT, UNUSABLE
from tests.dhcp.conftest import Start, make_binding
from tests.dhcp.hostile.conftest import (
    EVENTS_MAX,
    KNOWN,
    KNOWN_ADDRESS,
    MAC,
    ask,
    assert_keeps_nothing,
    assert_serving,
    discover,
    id_of,
    reasons,
    relayed,
    reply_to,
    rows,
    send,
    store,
    with_options,
)
from tests.dhcp.test_verify import Neighbours


def test_row_11_bad_packets_without_end_leave_nothing_behind(start: Start) -> None:
    lab = start(store())
    bad = [b"", with_options(b"\x3d"), discover(giaddr="10.9.9.9"), discover(hops=17), relayed(MessageType.ACK)]

    def send_many() -> None:
        send(lab, bad * 200)
        assert ask(lab, MessageType.REQUEST, KNOWN, 5, ciaddr=KNOWN_ADDRESS).message_type is MessageType.ACK

    assert_keeps_nothing(lab, send_many)
    assert_serving(lab)


def test_row_36_a_flood_of_random_hardware_addresses(start: Start) -> None:
    fixed = make_binding("127.0.0.10", id_of(MAC), MANUAL | PERMANENT)
    records = store(40, fixed)
    lab = start(records)
    for number in range(3000):
        lab.relay.send_bytes(discover(f"02:{number >> 8:02x}:{number & 255:02x}:00:00:01", xid=number))
        if number % 1000 == 999:
            lab.relay.send(MessageType.REQUEST, KNOWN, xid=0x10000 + number, ciaddr=KNOWN_ADDRESS)
            assert reply_to(lab, 0x10000 + number).message_type is MessageType.ACK
            offer = ask(lab, MessageType.DISCOVER, MAC, 0x20000 + number)
            assert offer.yiaddr == fixed.address
    (view,) = lab.daemon.service.views
    assert len(view.offers) <= 42 <= OFFERS_MAX
    assert {row.client_id for row in rows(records).values()} == {FREE_ID, id_of(MAC), id_of(KNOWN)}
    assert len(lab.events.told) <= EVENTS_MAX
    lab.daemon.rescan()  # as OFFER_CACHE_TIMEOUT would
    assert_serving(lab)


def test_row_36_the_same_flood_while_addresses_are_asked_for_by_icmp(start: Start) -> None:
    lab = start(store(), Neighbours(), icmp_verify=True)
    send(lab, [discover(f"02:{number >> 8:02x}:{number & 255:02x}:00:00:01") for number in range(1000)])
    assert ask(lab, MessageType.REQUEST, KNOWN, 5, ciaddr=KNOWN_ADDRESS).message_type is MessageType.ACK
    assert len(lab.daemon.service.probes) <= 40
    assert_serving(lab, new_client=False)


def test_row_37_foreign_offers_foreign_addresses_and_a_storm_of_declines(start: Start) -> None:
    records = store()
    lab = start(records)
    other = {o.SERVER_ID: bytes((127, 0, 0, 8)), o.REQUESTED_ADDRESS: bytes((127, 0, 0, 20))}
    send(lab, [relayed(MessageType.REQUEST, options=other)])
    refused = ask(lab, MessageType.REQUEST, MAC, 1, options={o.REQUESTED_ADDRESS: bytes((10, 0, 0, 1))})
    assert refused.message_type is MessageType.NAK
    for host in range(1, 255):
        lab.relay.send(MessageType.DECLINE, MAC, options={o.REQUESTED_ADDRESS: bytes((127, 0, 0, host))})
        lab.relay.send(MessageType.RELEASE, MAC, ciaddr=f"127.0.0.{host}")
    assert_serving(lab)
    assert not any(row.flags & UNUSABLE for row in rows(records).values())
    assert {"other-server", "unknown-binding"} <= reasons(lab)
