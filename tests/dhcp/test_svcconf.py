"""dhcpsvc.conf as text: checked with all faults, changed with the order kept."""

import pytest

from dhcp.svcconf import ConfError, check, get, parse_pairs, set_pairs
from storage.records import ipv4_int

NODE = "DAEMON_ENABLED=TRUE\nRESOURCE=SUNWfiles\nRUN_MODE=server\nPATH=/net/dhcpstore\nCONVER=1\n"


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(ConfError) as caught:
        check(text)
    return {fault.key: fault.reason for fault in caught.value.faults}


def test_reads_the_file_of_a_cluster_node() -> None:
    conf = check(NODE + "OWNER_IP=192.168.76.1,192.168.76.2\nRESCAN_INTERVAL=1\n")
    assert conf.owner_ip == (ipv4_int("192.168.76.1"), ipv4_int("192.168.76.2"))
    assert (conf.resource, conf.path, conf.rescan_interval_min) == ("SUNWfiles", "/net/dhcpstore", 1)
    assert (conf.offer_cache_timeout_s, conf.lease_min_lru_s, conf.secondary_server_timeout_s) == (10, 60, 20)
    assert conf.icmp_verify
    assert conf.bootp_compat is None
    assert conf.warnings == ()


def test_an_address_twice_in_owner_ip_is_a_warning_as_the_reference_site_has_one() -> None:
    conf = check(NODE + "OWNER_IP=192.168.78.14,192.168.78.16,192.168.76.25,192.168.76.25\n")
    assert len(conf.owner_ip) == 3
    assert "OWNER_IP" in conf.warnings[0]


def test_all_faults_come_together_with_file_and_key() -> None:
    text = "RESOURCE=SUNWbinfiles\nOWNER_IP=10.0.0.256\nRESCAN_INTERVAL=one\nICMP_VERIFY=maybe\nRELAY_HOPS=300\n"
    with pytest.raises(ConfError) as caught:
        check(text, "/etc/twinboot/dhcpsvc.conf")
    faults = caught.value.faults
    assert [fault.key for fault in faults] == [
        "RESOURCE", "OWNER_IP", "RESCAN_INTERVAL", "ICMP_VERIFY", "RELAY_HOPS", "PATH", "CONVER",
    ]  # fmt: skip
    lines = str(caught.value).splitlines()
    assert len(lines) == len(faults)
    assert lines[1].startswith('/etc/twinboot/dhcpsvc.conf: OWNER_IP: "10.0.0.256" is not legal; legal: IPv4')


@pytest.mark.parametrize(
    "line",
    [
        "RUN_MODE=proxy",
        "RELAY_DESTINATIONS=",
        "RELAY_DESTINATIONS=10.0.0.256",
        "RELAY_DESTINATIONS=bad_name",
        "RELAY_DESTINATIONS=" + ",".join(f"10.0.0.{host}" for host in range(1, 18)),
        "BOOTP_COMPAT=always",
        "OWNER_IP=",
        "OWNER_IP=0.0.0.0",
        "INTERFACES=eth0:1",
        "DEBUG_PORT_OFFSET=65500",
        "LEASE_MIN_LRU=-1",
        "MAX_CLIENTS=99999999999",
        "OFFER_CACHE_TIMEOUT=10 ",
        "LOGGING_FACILITY=8",
        "UPDATE_TIMEOUT=",
    ],
)
def test_illegal_values_are_faults_of_their_key(line: str) -> None:
    assert set(faults_of(NODE + line + "\n")) == {line.partition("=")[0]}


def test_values_are_taken_as_sun_takes_them() -> None:
    conf = check(
        NODE + "owner_ip=10.0.0.1 10.0.0.2\nICMP_VERIFY=false\nBOOTP_COMPAT=MANUAL\n# RELAY_HOPS=9\nno sign\n\n"
    )
    assert len(conf.owner_ip) == 2
    assert not conf.icmp_verify
    assert conf.bootp_compat == "manual"
    assert conf.relay_hops == 4


@pytest.mark.parametrize(
    ("text", "destinations"),
    [
        ("RUN_MODE=relay\nRELAY_DESTINATIONS=10.0.0.9,boston.example.com\n", ("10.0.0.9", "boston.example.com")),
        ("RELAY_DESTINATIONS=10.0.0.9,10.0.0.9\n", ("10.0.0.9",)),
        (NODE.replace("server", "RELAY") + "RELAY_DESTINATIONS=10.0.0.9\n", ("10.0.0.9",)),
    ],
)
def test_a_relay_needs_destinations_and_no_datastore(text: str, destinations: tuple[str, ...]) -> None:
    conf = check(text + "RELAY_HOPS=2\n")
    assert (conf.relay_destinations, conf.relay_hops, conf.warnings) == (destinations, 2, ())


def test_what_a_relay_and_a_server_lack_is_told() -> None:
    assert set(faults_of("RUN_MODE=relay\n")) == {"RELAY_DESTINATIONS"}
    assert set(faults_of("RUN_MODE=server\nRELAY_DESTINATIONS=10.0.0.9\n")) == {"RESOURCE", "PATH", "CONVER"}
    conf = check(NODE + "RELAY_DESTINATIONS=10.0.0.9\n")
    assert conf.relay_destinations == ()
    assert "no effect with RUN_MODE=server" in conf.warnings[0]


def test_unknown_and_double_keys_are_warnings_and_the_last_line_needs_no_line_feed() -> None:
    conf = check(NODE + "RELAY_HOPS=1\nCOLOUR=green\nRELAY_HOPS=2")
    assert conf.relay_hops == 2
    assert [warning.split(": ")[1] for warning in conf.warnings] == ["COLOUR", "RELAY_HOPS"]


def test_setting_keeps_order_and_comments() -> None:
    text = "# of node 1\n" + NODE
    text = set_pairs(text, {"OWNER_IP": "10.0.0.1,10.0.0.2", "path": "/net/other", "DAEMON_ENABLED": None})
    assert text == (
        "# of node 1\nRESOURCE=SUNWfiles\nRUN_MODE=server\nPATH=/net/other\nCONVER=1\nOWNER_IP=10.0.0.1,10.0.0.2\n"
    )
    assert get(text, "path") == "/net/other"
    assert get(text, "RELAY_HOPS") is None


def test_setting_a_double_key_leaves_one_and_blank_lines_go() -> None:
    assert set_pairs("A=1\n\nB=2\nA=3", {"A": "9"}) == "A=9\nB=2\n"


def test_only_the_first_equals_sign_splits() -> None:
    assert parse_pairs("RESOURCE_CONFIG=a=b\n") == [("RESOURCE_CONFIG", "a=b")]
