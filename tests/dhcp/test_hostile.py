"""Inputs that broke other DHCP servers, one test for each, against a daemon on real sockets.

After each the daemon still serves: a client with a lease renews it, a new one gets one, and nothing has grown that has
no bound. What concerns interfaces that do not exist here (DHCPv6, a control channel, a failover port, scripts) has the
nearest thing to it, or no test: there is no such door.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from dhcp import options as o
from dhcp import wire
from dhcp.echo import reply_payload
from dhcp.networks import network
from dhcp.option_text import describe
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.svcconf import ConfError, check
from dhcp.view import OFFERS_MAX
from storage.records import (
    FOREVER_S,
    FREE_ID,
    MANUAL,
    PERMANENT,
    UNUSABLE,
    Binding,
    Change,
    MemoryRecords,
    SunwFiles,
    TabEntry,
    ipv4_int,
)
from tests.dhcp.conftest import NETWORK, Lab, Relay, chosen, make_binding, make_packet, make_store
from tests.dhcp.test_verify import Neighbours

Start = Callable[..., Lab]
MAC, KNOWN, NEW = "00:14:4f:00:00:01", "00:14:4f:00:00:77", "00:14:4f:00:00:99"
KNOWN_ADDRESS = "127.0.0.9"
REASONS_MAX = 30  # counters that strangers can make
EVENTS_MAX = 250


def id_of(mac: str) -> bytes:
    return b"\1" + bytes.fromhex(mac.replace(":", ""))


def store(count: int = 40, *more: Binding) -> MemoryRecords:
    lasting = make_binding(KNOWN_ADDRESS, id_of(KNOWN), lease_s=int(time.time()) + 86400)
    return make_store([*(make_binding(f"127.0.0.{host}") for host in range(20, 20 + count)), lasting, *more])


def rows(lab_store: MemoryRecords) -> dict[int, Binding]:
    return {row.address: row for row in lab_store.read(NETWORK).rows if isinstance(row, Binding)}


def relayed(kind: MessageType | None, mac: str = MAC, **fields: object) -> bytes:
    fields = {"giaddr": Relay.ADDRESS, **fields}
    return wire.encode(make_packet(kind, mac, **fields))  # type: ignore[arg-type]


def discover(mac: str = MAC, **fields: object) -> bytes:
    return relayed(MessageType.DISCOVER, mac, **fields)


def with_options(*parts: bytes) -> bytes:
    """Return a DISCOVER whose options are these bytes as they are."""
    return discover()[:240] + b"\x35\1\1" + b"".join(parts)


def reply_to(lab: Lab, xid: int) -> Packet:
    """Return the reply with this xid; what the daemon said to others is passed over."""
    while True:
        reply = lab.relay.receive()
        if reply.xid == xid:
            return reply


def ask(lab: Lab, kind: MessageType, mac: str, xid: int, **fields: object) -> Packet:
    lab.relay.send(kind, mac, xid=xid, **fields)
    return reply_to(lab, xid)


def assert_serving(lab: Lab, *, new_client: bool = True) -> None:
    assert ask(lab, MessageType.REQUEST, KNOWN, 0xABC1, ciaddr=KNOWN_ADDRESS).message_type is MessageType.ACK
    if new_client:
        offer = ask(lab, MessageType.DISCOVER, NEW, 0xABC2)
        ack = ask(lab, MessageType.REQUEST, NEW, 0xABC3, options=chosen(offer))
        assert ack.message_type is MessageType.ACK
    assert len(lab.daemon.tally.counts) <= REASONS_MAX
    assert len(lab.events.told) <= EVENTS_MAX
    assert ("dhcp.dropped", "poison") not in lab.daemon.tally.counts


def send(lab: Lab, packets: Iterable[bytes]) -> None:
    for data in packets:
        lab.relay.send_bytes(data)


def reasons(lab: Lab) -> set[str]:
    return {reason for _, reason in lab.daemon.tally.counts}


# -- client ids


def test_row_01_an_empty_client_id(start: Start) -> None:
    lab = start(store())
    send(lab, [with_options(b"\x3d\0\xff"), with_options(b"\x3d\0\x3d\0\xff"), relayed(MessageType.REQUEST)])
    assert ask(lab, MessageType.DISCOVER, MAC, 7).yiaddr
    assert_serving(lab)


def test_row_02_client_ids_that_are_no_hardware_address(start: Start) -> None:
    lab = start(store(60))
    strange = [bytes((kind, *range(size))) for kind in (0, 1, 6, 255) for size in (1, 5, 7, 63)]
    send(lab, [discover(options={o.CLIENT_ID: value}) for value in strange])
    assert_serving(lab)
    assert "poison" not in reasons(lab)


def test_row_03_a_client_id_with_an_empty_or_overlong_duid(start: Start) -> None:
    lab = start(store())
    send(lab, [discover(options={o.CLIENT_ID: b"\xff" + bytes(4) + bytes(size)}) for size in (0, 60, 131, 250)])
    assert_serving(lab)
    assert lab.daemon.tally.counts["dhcp.silent", "client-id-long"] == 3


def test_row_12_one_host_by_client_id_and_by_hardware_address(start: Start) -> None:
    by_id = make_binding("127.0.0.10", b"\xff\1\2\3", MANUAL)
    by_mac = make_binding("127.0.0.11", id_of(MAC), MANUAL)
    records = store(4, by_id, by_mac)
    lab = start(records)
    options = {o.CLIENT_ID: b"\xff\1\2\3"}
    for _ in range(2):
        assert ask(lab, MessageType.DISCOVER, MAC, 1, options=options).yiaddr == by_id.address
        assert ask(lab, MessageType.DISCOVER, MAC, 2).yiaddr == by_mac.address
        lab.relay.send(MessageType.RELEASE, MAC, ciaddr="127.0.0.10", options=options)
    assert_serving(lab)
    assert {rows(records)[row.address].client_id for row in (by_id, by_mac)} == {b"\xff\1\2\3", id_of(MAC)}


# -- names and texts

BAD_NAMES = [b"", b"\0", b".", b"...", b"-", b"a" * 64, b"a." * 200, b"\xff" * 255, b"$(reboot)", b"x\r\ny", b"%s%n"]


def test_row_04_malformed_host_names(start: Start) -> None:
    lab = start(store())
    fqdns = [b"", b"\0", b"\4\0\0\xc0\0", b"\4\0\0\x3fab", b"\xff\xff\xff" + b"\x01" * 200]
    send(lab, [discover(options={o.HOST_NAME: name}) for name in BAD_NAMES if name])
    send(lab, [discover(options={o.CLIENT_FQDN: name}) for name in fqdns])
    assert_serving(lab)


@pytest.mark.parametrize("name", [b"...", b"-.-", b"\xff\xff", b"a..b", b"\0\0"])
def test_row_05_names_of_which_nothing_is_left(start: Start, name: bytes) -> None:
    lab = start(store())
    offer = ask(lab, MessageType.DISCOVER, MAC, 1)
    asked = {**chosen(offer), o.HOST_NAME: name, o.CLIENT_FQDN: b"\1\0\0" + name}
    ack = ask(lab, MessageType.REQUEST, MAC, 2, options=asked)
    assert o.CLIENT_FQDN not in ack.options
    assert "client_name" not in lab.events.first("dhcp.ack")
    assert_serving(lab)


def test_row_06_labels_over_63_octets_many_times(start: Start) -> None:
    lab = start(store())
    options = {o.CLIENT_FQDN: b"\4\0\0\x40" + b"a" * 64 + b"\0", o.HOST_NAME: b"a" * 64}
    blocks = []
    for _ in range(3):
        for _ in range(100):
            ask(lab, MessageType.REQUEST, KNOWN, 5, ciaddr=KNOWN_ADDRESS, options=options)
        lab.events.told.clear()
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[2] - blocks[1] < 2000
    assert_serving(lab)


def test_row_10_repeated_options_that_would_expand_when_shown(start: Start) -> None:
    lab = start(store())
    for code in (o.CLASS_ID, o.HOST_NAME, o.USER_CLASS, 43, 125):
        send(lab, [with_options(*[bytes((code, 250)) + b"%n\x1b[2J\n" * 35 + b"12345"] * 4, b"\xff")])
    assert_serving(lab)
    shown = [str(value) for _, fields in lab.events.told for value in fields.values()]
    assert max(map(len, shown)) <= 512


def test_row_30_shell_text_reaches_nothing(start: Start, tmp_path: Path) -> None:
    lab = start(store())
    trap = f"$(touch {tmp_path}/x)`touch {tmp_path}/y`; {{{{7*7}}}}".encode()
    offer = ask(lab, MessageType.DISCOVER, MAC, 1, options={o.HOST_NAME: trap, o.CLASS_ID: trap, o.USER_CLASS: trap})
    ask(lab, MessageType.REQUEST, MAC, 2, options={**chosen(offer), o.HOST_NAME: trap, o.CLIENT_FQDN: b"\0\0\0" + trap})
    name = str(lab.events.first("dhcp.ack").get("client_name", ""))
    assert name.replace(".", "").replace("-", "").isalnum() or not name
    assert list(tmp_path.iterdir()) == []
    assert_serving(lab)


# -- headers, lengths, options


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


# -- records and configuration


def test_row_13_lease_ends_that_change_under_load(start: Start) -> None:
    records = store()
    records.load("dhcptab", [TabEntry(NETWORK, "m", 1, ":LeaseTim=600:LeaseNeg:")])
    lab = start(records)
    for wish in range(60, 160):
        lab.relay.send(
            MessageType.REQUEST, KNOWN, xid=wish, ciaddr=KNOWN_ADDRESS, options={51: wish.to_bytes(4, "big")}
        )
    leases = {reply_to(lab, wish).options[o.LEASE_TIME] for wish in range(60, 160)}
    assert len(leases) > 50
    assert rows(records)[ipv4_int(KNOWN_ADDRESS)].client_id == id_of(KNOWN)
    assert_serving(lab)


def test_row_14_what_is_stored_can_be_read_at_the_next_start(start: Start, tmp_path: Path) -> None:
    files = SunwFiles(tmp_path)
    for table in (NETWORK, "dhcptab"):
        files.create(table)
    files.commit([Change(NETWORK, None, row) for row in rows(store()).values()])
    lab = start(files)
    strange = [b"|" * 64, b"\n\r|\\", b"\0\0", b"#\0", b"00"]
    leased = {}
    for client_id in strange:
        options = {o.CLIENT_ID: client_id}
        offer = ask(lab, MessageType.DISCOVER, MAC, 1, options=options)
        leased[client_id] = ask(lab, MessageType.REQUEST, MAC, 2, options={**chosen(offer), **options}).yiaddr
        lab.daemon.rescan()
    again = start(SunwFiles(tmp_path), debug_port_offset=lab.relay.socket.getsockname()[1] - 67 + 1)
    kept = {row.client_id: row.address for row in files.read(NETWORK).rows if isinstance(row, Binding)}
    assert leased.items() <= kept.items()
    assert files.read(NETWORK).faults == ()
    assert_serving(again)


def test_row_15_long_literals_in_configuration_and_macros(start: Start) -> None:
    records = store()
    lab = start(records)
    value = "AB" * 20000
    for name, text in {"hex": f":Vendor={value}:", "text": f":Rootpath={value}:", "flat": ":" * 5000}.items():
        records.load("dhcptab", [TabEntry(name, "m", 1, text)])
        assert_serving(lab)
    with pytest.raises(ConfError):
        check(f"RESOURCE=SUNWfiles\nPATH={value}\nCONVER=1\n")
    with pytest.raises(ConfError):
        check(f"RESOURCE=SUNWfiles\nPATH=/x\nCONVER={'1' * 5000}\n")


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/999999999999", "10.0.0.1/8", "10.0.0.0/0"])
def test_row_29_prefixes_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"netmask|network number|dotted"):
        network(text)


def test_row_31_hostile_answers_to_our_own_question() -> None:
    for data in (b"", b"\x4f", b"\x4f" + bytes(30), b"\0" * 7, b"\x45" * 2048):
        assert reply_payload(data, has_ip_header=True) in (None, b"", data[68:], data[28:])


# -- floods


def test_row_11_bad_packets_without_end_leave_nothing_behind(start: Start) -> None:
    lab = start(store())
    bad = [b"", with_options(b"\x3d"), discover(giaddr="10.9.9.9"), discover(hops=17), relayed(MessageType.ACK)]
    blocks = []
    for _ in range(3):
        send(lab, bad * 200)
        assert ask(lab, MessageType.REQUEST, KNOWN, 5, ciaddr=KNOWN_ADDRESS).message_type is MessageType.ACK
        lab.events.told.clear()
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[2] - blocks[1] < 2000
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
