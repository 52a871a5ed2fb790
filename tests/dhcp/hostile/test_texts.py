"""Client ids, names and texts that no client should send."""

from pathlib import Path

import pytest

from dhcp import options as o
from dhcp.options import MessageType
from storage.records import MANUAL
from tests.dhcp.conftest import Start, chosen, make_binding
from tests.dhcp.hostile.conftest import (
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
    rows,
    send,
    store,
    with_options,
)


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

    def ask_often() -> None:
        for _ in range(100):
            ask(lab, MessageType.REQUEST, KNOWN, 5, ciaddr=KNOWN_ADDRESS, options=options)

    assert_keeps_nothing(lab, ask_often)
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
