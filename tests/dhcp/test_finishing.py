"""Two daemons on one share, and one that dies after its offer was accepted: the other one finishes the exchange."""

import time
from pathlib import Path

import pytest

from dhcp import options as o
from dhcp.options import MessageType
from storage.records import Binding, Change, TabEntry, ipv4_int
from storage.records.twinlog import open_twinlog
from tests.dhcp.conftest import NETWORK, Start, chosen, free_port, make_binding
from tests.rows import rows_of

MAC = "00:14:4f:00:00:01"
ODD, EVEN = "127.0.0.1", "127.0.0.3"
AGAIN_S = 0.2  # instead of what a client in a hurry may take


def test_the_first_repeat_after_a_death_is_answered_by_the_other(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dhcp.repeats.AGAIN_S", AGAIN_S)
    share = open_twinlog(tmp_path)
    for table in (NETWORK, "dhcptab"):
        share.create(table)
    pool = [Change(NETWORK, None, make_binding(f"127.0.0.{host}")) for host in range(20, 60)]
    share.commit([*pool, Change("dhcptab", None, TabEntry(NETWORK, "m", 0, ":LeaseTim=600:"))])
    owners = (ipv4_int(ODD), ipv4_int(EVEN))
    odd = start(open_twinlog(tmp_path), address=ODD, owner_ip=owners)
    even = start(open_twinlog(tmp_path), address=EVEN, owner_ip=owners, debug_port_offset=free_port() - 67)
    offer = odd.relay.ask(MessageType.DISCOVER, MAC)
    even.relay.ask(MessageType.DISCOVER, MAC)

    odd.daemon.stop()
    even.relay.send(MessageType.REQUEST, MAC, options=chosen(offer))
    assert even.relay.is_silent()
    assert even.events.first("dhcp.silent")["reason"] == "peer-first"
    time.sleep(AGAIN_S)
    ack = even.relay.ask(MessageType.REQUEST, MAC, options=chosen(offer))

    assert (ack.message_type, ack.yiaddr) == (MessageType.ACK, offer.yiaddr)
    assert ack.options[o.SERVER_ID] == ipv4_int(ODD).to_bytes(4, "big")
    assert ack.siaddr == ipv4_int(EVEN)
    held = [row for row in rows_of(share, NETWORK, Binding) if row.client_id != b"\0"]
    assert [(row.address, row.client_id.hex()) for row in held] == [(ack.yiaddr, "0100144f000001")]
