"""Headers, lengths and options that lie."""

from dhcp import options as o
from dhcp import wire
from dhcp.option_text import describe
from dhcp.options import MessageType
from storage.records import FOREVER_S, ipv4_int
from tests.dhcp.conftest import Start, make_binding, make_packet
from tests.dhcp.hostile.conftest import (
    MAC,
    ask,
    assert_serving,
    discover,
    id_of,
    reasons,
    relayed,
    reply_to,
    send,
    store,
    with_options,
)


def test_row_07_relays_of_no_network(start: Start) -> None:
    lab = start(store())
    relays = ("10.9.9.9", "255.255.255.255", "224.0.0.1", "0.0.0.1")
    send(lab, [discover(giaddr=relay) for relay in relays])
    send(lab, [discover(options={o.RELAY_INFO: b"\5\4" + bytes((10, 9, 9, 9))})])
    send(lab, [discover(options={o.SUBNET_SELECTION: bytes((10, 9, 9, 9))})])
    assert_serving(lab)
    assert lab.daemon.tally.counts["dhcp.silent", "no-network"] == 6


def test_row_08_packets_cut_at_every_length(start: Start) -> None:
    lab = start(store())
    whole = wire.encode(make_packet(MessageType.DISCOVER, MAC, options={o.CLIENT_ID: b"\1cut", o.CLASS_ID: b"class"}))
    send(lab, [whole[:size] for size in (*range(0, 240, 8), *range(236, 300))])
    assert_serving(lab)


def test_row_09_options_that_run_past_the_end(start: Start) -> None:
    lab = start(store())
    send(lab, [with_options(b"\x3d"), with_options(b"\x3d\xff\1"), with_options(b"\x0c\x40abc"), with_options(b"\x52")])
    bootp = relayed(None)[:240]
    send(lab, [bootp + b"\x0c", bootp + b"\x0c\xff"])
    assert_serving(lab)
    assert lab.daemon.tally.counts["dhcp.dropped", "option-past-end"] == 6


def test_row_19_lengths_inside_relay_information_lie(start: Start) -> None:
    lab = start(store())
    for lie in (b"\1", b"\1\xff", b"\1\xffabc", b"\5\4\1", b"\x0b\xff\1\2\3\4", b"\xff" * 255):
        echoed = ask(lab, MessageType.DISCOVER, MAC, 3, options={o.RELAY_INFO: lie}).options[o.RELAY_INFO]
        assert echoed == lie
    assert_serving(lab)


def test_row_28_routes_with_a_prefix_over_32(start: Start) -> None:
    lab = start(store())
    send(lab, [discover(options={o.CLASSLESS_ROUTES: bytes((prefix,)) * 40}) for prefix in (33, 128, 255)])
    assert_serving(lab)
    assert "malformed" in describe(o.CLASSLESS_ROUTES, b"\x21" + bytes(9))


def test_row_32_hardware_addresses_of_nobody(start: Start) -> None:
    lab = start(store())
    send(lab, [discover(htype=htype, hlen=hlen) for htype in (0, 1, 6, 255) for hlen in (0, 1, 16)])
    send(lab, [discover()[:2] + bytes((size,)) + discover()[3:] for size in (17, 128, 255)])
    send(lab, [discover(mac) for mac in ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01")])
    assert_serving(lab)
    assert {"hlen", "chaddr"} <= reasons(lab)


def test_row_33_xid_reuse_swapped_secs_reserved_flags(start: Start) -> None:
    elsewhere = make_binding("127.0.0.12", id_of(MAC), owner=ipv4_int("127.0.0.8"), lease_s=FOREVER_S)
    lab = start(store(40, elsewhere))
    lab.relay.send(MessageType.REQUEST, MAC, xid=1, ciaddr="127.0.0.12", secs=0x0200)
    assert ask(lab, MessageType.REQUEST, MAC, 2, ciaddr="127.0.0.12", secs=0x1400).message_type is MessageType.ACK
    macs = [f"00:14:4f:00:01:{host:02x}" for host in range(8)]
    for mac in macs:
        lab.relay.send(MessageType.DISCOVER, mac, xid=3, flags=0x7F80)
    offers = [reply_to(lab, 3) for _ in macs]
    assert {offer.mac for offer in offers} == set(macs)
    assert len({offer.yiaddr for offer in offers}) == len(macs)
    assert_serving(lab)
    assert "owned-elsewhere" in reasons(lab)


def test_row_34_overload_into_garbage(start: Start) -> None:
    lab = start(store())
    for value in (b"", b"\0", b"\4", b"\3\3"):
        send(lab, [with_options(b"\x34", bytes((len(value),)), value, b"\xff")])
    overloaded = with_options(b"\x34\1\3\xff")
    past_the_end = overloaded[:44] + b"\x0c\xff" * 96 + overloaded[236:]
    nested = overloaded[:44] + (b"\x34\1\3\xff").ljust(64, b"\0") + (b"\x34\1\3\xff").ljust(128, b"\0")
    send(lab, [past_the_end, nested + overloaded[236:]])
    assert_serving(lab)
    assert {"overload", "option-past-end"} <= reasons(lab)


def test_row_35_split_long_options(start: Start) -> None:
    lab = start(store())
    send(lab, [with_options(*[b"\x3d\x20" + bytes(32)] * 3, b"\xff"), with_options(*[b"\x52\1\xff"] * 90, b"\xff")])
    long = bytes(range(256)) + b"end"
    reply = ask(lab, MessageType.DISCOVER, MAC, 9, options={o.RELAY_INFO: long, o.MAX_MESSAGE_SIZE: b"\5\xdc"})
    assert reply.options[o.RELAY_INFO] == long
    assert_serving(lab)
    assert "client-id-long" in reasons(lab)
