"""Inputs that broke other servers, and where each is a test of ours: a list that is kept whole.

Numbers are those in the tests' own names. Where a door that the input needs does not exist here (DHCPv6, a control or
failover channel), the row names what comes nearest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
TEXTS = "dhcp/hostile/test_texts.py"
PACKETS = "dhcp/hostile/test_packets.py"
STORED = "dhcp/hostile/test_stored.py"
FLOODS = "dhcp/hostile/test_floods.py"
NAMES = "twinboot/dns/test_strangers.py"
FORWARD = "twinboot/dns/test_forwarding.py"

ROWS: dict[int, tuple[str, tuple[tuple[str, str], ...]]] = {
    1: ("an empty client id", ((TEXTS, "test_row_01"),)),
    2: ("a client id that is no hardware address", ((TEXTS, "test_row_02"),)),
    3: ("a DUID that is empty or too long", ((TEXTS, "test_row_03"),)),
    4: ("a malformed host name", ((TEXTS, "test_row_04"),)),
    5: ("a host name of which nothing is left", ((TEXTS, "test_row_05"),)),
    6: ("labels over 63 octets, many times", ((TEXTS, "test_row_06"),)),
    7: ("a relay of no network", ((PACKETS, "test_row_07"), ("dhcp/test_relay.py", "test_what_goes_no_further"))),
    8: ("a length that lies", ((PACKETS, "test_row_08"), ("dhcp/test_relayd.py", "test_no_packet_stops_it"))),
    9: (
        "an option past the end",
        ((PACKETS, "test_row_09"), ("dhcp/test_relay.py", "test_options_that_make_no_sense")),
    ),
    10: ("options that expand when shown", ((TEXTS, "test_row_10"),)),
    11: ("bad packets without end", ((FLOODS, "test_row_11"),)),
    12: ("one host by two records", ((TEXTS, "test_row_12"),)),
    13: ("lease ends that change under load", ((STORED, "test_row_13"),)),
    14: ("rows that the next start refuses", ((STORED, "test_row_14"),)),
    15: ("long literals in configuration", ((STORED, "test_row_15"),)),
    16: (
        "deep nesting",
        (("twinboot/test_events.py", "test_deep_nesting"), ("twinboot/test_config.py", "test_text_that")),
    ),
    17: (
        "connections of strangers",
        (
            (NAMES, "test_idle_tcp_clients_give_way"),
            ("pxe/httpd/test_connections.py", "test_idle_and_half_sent_requests"),
        ),
    ),
    18: (
        "writing where somebody else chose",
        (
            ("dhcp/cli/dhcpconfig/test_exchange.py", "test_what_cannot_be_done_is_told"),
            ("twinboot/test_events.py", "test_the_socket_is_for_its_owner_only"),
        ),
    ),
    19: ("relay information whose lengths lie", ((PACKETS, "test_row_19"),)),
    20: ("a crafted TFTP request", (("pxe/test_tftp_wire.py", "test_what_is_no_packet"),)),
    21: ("odd TFTP options", (("pxe/test_tftp_wire.py", "test_any_bytes_give_a_packet"),)),
    22: ("TFTP options that do not fit", (("pxe/test_tftp_wire.py", "test_negotiation"),)),
    23: ("tiny TFTP datagrams", (("pxe/test_tftp_wire.py", "test_what_is_no_packet"),)),
    24: ("names that climb", (("pxe/test_tree.py", "test_climbing_is_refused"), ("pxe/test_tree.py", "test_a_device"))),
    25: (
        "DNS compression loops, long names, counts that lie",
        (("twinboot/test_dnsguard.py", "test_hostile_questions"), (NAMES, "test_hostile_packets_are_dropped")),
    ),
    26: (
        "DNS sizes",
        ((NAMES, "test_replies_never_exceed"), ("twinboot/test_dnsanswer.py", "test_replies_are_as_large")),
    ),
    27: ("EDNS client subnet", ((FORWARD, "test_client_subnet_does_not_pass"),)),
    28: ("a route with a prefix over 32", ((PACKETS, "test_row_28"),)),
    29: (
        "prefixes out of range",
        ((STORED, "test_row_29"), ("dhcp/test_netmasks.py", "test_a_netmask_that_does_not_fit")),
    ),
    30: ("shell text", ((TEXTS, "test_row_30"),)),
    31: ("hostile answers to our own questions", ((STORED, "test_row_31"), (FORWARD, "test_forged_replies"))),
    32: ("hardware addresses of nobody", ((PACKETS, "test_row_32"),)),
    33: ("xid reuse, swapped secs, odd flags", ((PACKETS, "test_row_33"),)),
    34: ("overload into garbage", ((PACKETS, "test_row_34"),)),
    35: ("split long options", ((PACKETS, "test_row_35"),)),
    36: ("a flood of random MACs", ((FLOODS, "test_row_36"),)),
    37: ("foreign offers and addresses, declines", ((FLOODS, "test_row_37"),)),
    38: ("TFTP strangers, duplicates, roll-over", (("pxe/test_tftp_transfer.py", "test_block_numbers_roll_over"),)),
    39: ("padded TFTP datagrams", (("pxe/test_tftp_wire.py", "test_padding_behind"),)),
}


@pytest.mark.parametrize(("file", "name"), sorted({where for _, tests in ROWS.values() for where in tests}))
def test_each_input_is_a_test(file: str, name: str) -> None:
    assert f"def {name}" in (ROOT / file).read_text()


def test_the_list_is_whole() -> None:
    assert list(ROWS) == list(range(1, 40))
