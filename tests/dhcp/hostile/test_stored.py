"""What is stored and configured, under load and in odd forms, and answers to our own question."""

from pathlib import Path

import pytest

from dhcp import options as o
from dhcp.echo import reply_payload
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.svcconf import ConfError, check
from storage.records import Binding, Change, SunwFiles, TabEntry, ipv4_int
from tests.dhcp.conftest import NETWORK, Start, chosen
from tests.dhcp.hostile.conftest import KNOWN, KNOWN_ADDRESS, MAC, ask, assert_serving, id_of, reply_to, rows, store
from tests.rows import rows_of


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
    kept = {row.client_id: row.address for row in rows_of(files, NETWORK, Binding)}
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
