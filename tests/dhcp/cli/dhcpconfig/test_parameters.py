"""-P: what was typed in 2009 works as typed; everything is checked before anything is written."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp import svcconf, svcconf_file
from dhcp.cli.config_pairs import Wish, check_wishes, read_wishes
from dhcp.cli.service import Daemon
from storage.records import ipv4_text
from tests.dhcp.cli.dhcpconfig.conftest import Server

CLUSTER = """\
DAEMON_ENABLED=TRUE
RESOURCE=SUNWfiles
RUN_MODE=server
PATH=/net/dhcpstore
CONVER=1
OWNER_IP=192.168.76.1,192.168.76.2
RESCAN_INTERVAL=1
"""
UPGRADED = """\
RESOURCE=SUNWnisplus
PATH=dhcp.test..com.
CONVER=0
RELAY_HOPS=5
INTERFACES=le0,le1
ICMP_VERIFY=FALSE
OFFER_CACHE_TIMEOUT=20
RUN_MODE=relay
RELAY_DESTINATIONS=10.0.0.1
RESCAN_INTERVAL=30
VERBOSE=TRUE
LOGGING_FACILITY=3
"""


@pytest.fixture
def cluster(server: Server):
    server.configure(CLUSTER)
    return server


@pytest.mark.parametrize(
    ("words", "wishes"),
    [
        (["RESCAN_INTERVAL=1"], [("RESCAN_INTERVAL", "1")]),
        (["rescan_interval=1"], [("RESCAN_INTERVAL", "1")]),
        (["OWNER_IP=10.0.0.1,10.0.0.2"], [("OWNER_IP", "10.0.0.1,10.0.0.2")]),
        (['OWNER_IP="10.0.0.1,10.0.0.2"'], [("OWNER_IP", "10.0.0.1,10.0.0.2")]),
        (['OWNER_IP="10.0.0.1,10.0.0.2",10.0.0.3'], [("OWNER_IP", "10.0.0.1,10.0.0.2,10.0.0.3")]),
        (["OWNER_IP=10.0.0.1,10.0.0.2,VERBOSE=TRUE"], [("OWNER_IP", "10.0.0.1,10.0.0.2"), ("VERBOSE", "TRUE")]),
        (["OWNER_IP=10.0.0.1,", "10.0.0.2"], [("OWNER_IP", "10.0.0.1,10.0.0.2")]),
        (["OWNER_IP=10.0.0.1 10.0.0.2"], [("OWNER_IP", "10.0.0.1 10.0.0.2")]),
        (["OWNER_IP=10.0.0.1,VERBOSE"], [("OWNER_IP", "10.0.0.1"), ("VERBOSE", None)]),
        (["INTERFACES=fe0,be0,RELAY_HOPS=3"], [("INTERFACES", "fe0,be0"), ("RELAY_HOPS", "3")]),
        (["RELAY_HOPS=3,10.0.0.1"], [("RELAY_HOPS", "3,10.0.0.1")]),
        (["OWNER_IP=,10.0.0.1"], [("OWNER_IP", ""), ("10.0.0.1", None)]),
        (["OWNER_IP,10.0.0.1"], [("OWNER_IP", None), ("10.0.0.1", None)]),
        (['OWNER_IP=""'], [("OWNER_IP", "")]),
        (["VERBOSE=", "RELAY_HOPS"], [("VERBOSE", ""), ("RELAY_HOPS", None)]),
        (["VERBOSE,,RELAY_HOPS,"], [("VERBOSE", None), ("RELAY_HOPS", None)]),
        (["", ","], []),
    ],
)
def test_how_parameters_are_read(words: list[str], wishes: list[tuple[str, str | None]]) -> None:
    assert read_wishes(words) == [Wish(*wish) for wish in wishes]


@pytest.mark.parametrize(
    ("words", "reason"),
    [(['OWNER_IP="10.0.0.1,'], "a double quote is not closed"), (["=TRUE"], "server parameter missing before =TRUE")],
)
def test_what_cannot_be_read(words: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_wishes(words)


ADDRESSES = st.lists(st.integers(1, 2**32 - 1).map(ipv4_text), min_size=1, max_size=5)
OTHERS = st.sampled_from(["VERBOSE=TRUE", "RELAY_HOPS", "RESCAN_INTERVAL=", "INTERFACES=fe0,be0"])


@given(ADDRESSES, st.lists(OTHERS, max_size=3), st.lists(OTHERS, max_size=3))
def test_quotes_make_no_difference_to_a_list_of_addresses(owners: list[str], before, after) -> None:
    bare = f"OWNER_IP={','.join(owners)}"
    quoted = f'OWNER_IP="{",".join(owners)}"'
    wishes = read_wishes([*before, bare, *after])
    assert wishes == read_wishes([*before, quoted, *after])
    assert Wish("OWNER_IP", ",".join(owners)) in wishes


@given(st.lists(st.text(max_size=30), max_size=4))
def test_whatever_is_typed_is_read_or_refused(words: list[str]) -> None:
    with suppress(ValueError):
        wishes = read_wishes(words)
        check_wishes(wishes, CLUSTER)


def test_the_listing_is_that_of_solaris(cluster) -> None:
    assert cluster.ok("-P") == CLUSTER.replace("=", " ")
    assert json.loads(cluster.ok("-P --json")) == dict(svcconf.parse_pairs(CLUSTER))


def test_hidden_parameters_are_set_but_not_listed(cluster) -> None:
    assert cluster.ok("-P LEASE_MIN_LRU=30,DEBUG_PORT_OFFSET=10000") == ""
    assert cluster.ok("-P") == CLUSTER.replace("=", " ")
    assert cluster.ok("-P LEASE_MIN_LRU") == "30\n"


@pytest.mark.parametrize(
    "typed",
    [
        "OWNER_IP=192.168.78.14,192.168.78.16,192.168.76.25",
        "'OWNER_IP=\"192.168.78.14,192.168.78.16,192.168.76.25\"'",
        "'OWNER_IP=192.168.78.14 192.168.78.16 192.168.76.25'",
        "OWNER_IP=192.168.78.14, 192.168.78.16, 192.168.76.25",
    ],
)
def test_the_reference_site_s_line_works_as_typed(cluster, typed: str) -> None:
    assert cluster.ok(f"-P {typed}") == ""
    assert cluster.ok("-P OWNER_IP") == "192.168.78.14,192.168.78.16,192.168.76.25\n"
    cluster.ok("-P RESCAN_INTERVAL=1")
    conf = svcconf_file.load(cluster.conf)
    assert (len(conf.owner_ip), conf.rescan_interval_min) == (3, 1)


def test_the_line_with_a_duplicate_warns_and_works(cluster) -> None:
    assert cluster("-P OWNER_IP=192.168.78.14,192.168.78.16,192.168.76.25,192.168.76.25") == 0
    assert cluster.err == "dhcpconfig: warning: dhcpsvc.conf: OWNER_IP: an address is listed twice\n"
    assert len(svcconf_file.load(cluster.conf).owner_ip) == 3
    assert cluster.ok("-P RESCAN_INTERVAL=5") == ""  # it warns of what it has set, not of what was there


def test_several_are_set_got_and_deleted_at_once(cluster) -> None:
    assert cluster.ok("-P UPDATE_TIMEOUT=5,OWNER_IP=,RESCAN_INTERVAL,PATH") == "1\n/net/dhcpstore\n"
    text = cluster.conf.read_text()
    assert text.endswith("CONVER=1\nRESCAN_INTERVAL=1\nUPDATE_TIMEOUT=5\n")
    assert "OWNER_IP" not in text
    assert json.loads(cluster.ok("-P UPDATE_TIMEOUT --json")) == {"UPDATE_TIMEOUT": "5"}


def test_deleting_what_is_not_set_is_no_fault(cluster) -> None:
    assert cluster.ok("-P VERBOSE=") == ""
    assert cluster.conf.read_text() == CLUSTER


def test_comments_stay_and_the_order_too(cluster) -> None:
    cluster.conf.write_text("# ours\n" + CLUSTER)
    cluster.ok("-P OWNER_IP=10.0.0.1")
    assert cluster.conf.read_text() == "# ours\n" + CLUSTER.replace("192.168.76.1,192.168.76.2", "10.0.0.1")


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("VERBOSE", "DHCP server parameter VERBOSE is not set."),
        ("RENOG_INTERFACES", "invalid DHCP server parameter RENOG_INTERFACES"),
        ("RENOG_INTERFACES=1", "invalid DHCP server parameter RENOG_INTERFACES"),
        ("OWNER_IP=,10.0.0.1", "invalid DHCP server parameter 10.0.0.1"),
        ("OWNER_IP=10.0.0.1,10.0.0.256", 'OWNER_IP: "10.0.0.1,10.0.0.256" is not legal'),
        ("OWNER_IP=10.0.0.1,RESCAN_INTRVAL", 'OWNER_IP: "10.0.0.1,RESCAN_INTRVAL" is not legal'),
        ("OWNER_IP=0.0.0.0", "OWNER_IP"),
        ("OWNER_IP=,", None),
        ("RESCAN_INTERVAL=-1", 'RESCAN_INTERVAL: "-1" is not legal; legal: minutes, 0 or more'),
        ("RESCAN_INTERVAL=5,RESCAN_INTERVAL=6", "RESCAN_INTERVAL is set twice"),
        ("ICMP_VERIFY=yes", "legal: TRUE or FALSE"),
        ("BOOTP_COMPAT=always", "legal: automatic or manual"),
        ("RELAY_HOPS=256", "legal: 0 to 255"),
        ("RELAY_DESTINATIONS=10.0.0.256", "legal: addresses or names of 1 to 16 servers"),
        ("DAEMON_ENABLED=FALSE", "DAEMON_ENABLED cannot be changed: dhcpconfig -S sets it"),
        ("RUN_MODE=relay", "RUN_MODE cannot be changed: dhcpconfig -R sets it"),
        ("RESOURCE=SUNWbinfiles", "RESOURCE cannot be changed: dhcpconfig -C sets it"),
        ("PATH=", "PATH cannot be deleted: dhcpconfig -C sets it"),
        ("CONVER=2", "CONVER cannot be changed: dhcpconfig -D sets it"),
        ("'DEBUG_MEMORY_NET=a\nPATH=/tmp'", "holds a control character"),
        ("'OWNER_IP=\"10.0.0.1'", "a double quote is not closed"),
    ],
)
def test_what_is_refused_leaves_the_file_alone(cluster, typed: str, reason: str | None) -> None:
    if reason is None:
        assert cluster.ok(f"-P {typed}") == ""
    else:
        assert reason in cluster.refused(f"-P {typed}")


def test_all_faults_are_told_and_nothing_is_written(cluster) -> None:
    assert cluster("-P VERBOSE=TRUE,FOO=1,PATH=/x,RELAY_HOPS=900") == 255
    assert [line.split(":")[1].split()[-1] for line in cluster.err.splitlines()] == ["FOO", "changed", "RELAY_HOPS"]
    assert cluster.conf.read_text() == CLUSTER


def test_a_file_that_solaris_8_left_can_be_read_and_mended(server: Server) -> None:
    server.configure(UPGRADED)
    assert server.ok("-P") == UPGRADED.replace("=", " ")
    assert server("-P OFFER_CACHE_TIMEOUT=10,RELAY_DESTINATIONS=") == 0
    assert {line.split(": ")[3] for line in server.err.splitlines()} == {
        "RESOURCE",
        "PATH",
        "CONVER",
        "RELAY_DESTINATIONS",
    }
    assert "RELAY_DESTINATIONS" not in server.conf.read_text()


def test_an_unknown_key_of_the_file_can_be_seen_and_deleted(cluster) -> None:
    cluster.conf.write_text(CLUSTER + "OUR_NOTE=x\n")
    assert cluster.ok("-P OUR_NOTE") == "x\n"
    assert "OUR_NOTE" in cluster.refused("-P OUR_NOTE=y")
    cluster.ok("-P OUR_NOTE=")
    assert cluster.conf.read_text() == CLUSTER


def test_a_running_service_is_spoken_of(cluster) -> None:
    cluster.daemon = Daemon(4711, supervised=False)
    assert cluster("-P RESCAN_INTERVAL=2") == 0
    assert "takes it over when it is restarted" in cluster.err


def test_a_file_that_cannot_be_written_is_told_in_one_line(cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, text: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(svcconf_file, "write", refuse)
    assert cluster.refused("-P RESCAN_INTERVAL=2") == "@/etc/dhcpsvc.conf: Permission denied: run this as root"
