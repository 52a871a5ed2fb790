"""What is fuzzed: one small function for each parser that strangers or people feed.

A target takes any bytes and returns, or raises because something is wrong: an exception that the parser does not
promise, or a promise of its result that does not hold. Seeds are honest inputs to begin from.
"""

# ruff: noqa: PT017 - a promise about the exception itself is what is checked here
from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

from dnslib import DNSRecord

from dhcp import relay, svcconf
from dhcp.cli import config_pairs, exchange
from dhcp.macros import MacroTable
from dhcp.option_text import DESCRIBE_MAX_CHARS, describe
from dhcp.wire import BOOTREPLY, BOOTREQUEST, WireError, decode, encode
from jumpstart.hostfile import HostError, from_toml, to_toml
from jumpstart.language.encode import EncodeError, encode_rules, encode_sysidcfg
from jumpstart.language.faults import Faults
from jumpstart.language.judge_profile import judge_profile
from jumpstart.language.judge_rules import judge_rules
from jumpstart.language.judge_sysidcfg import judge_sysidcfg
from jumpstart.language.okfile import fault_of, rules_ok, stripped
from jumpstart.language.profile import parse_profile
from jumpstart.language.rules import parse_rules
from jumpstart.language.sysidcfg import parse_sysidcfg
from pxe import report, tftp_wire
from storage.records import MANUAL, Binding, Delta, SunwFiles, TabEntry
from storage.records.container import container_name, empty_container
from tests.fuzz.seeds import CONF, DISCOVER, EDNS, EXCHANGE, HOST, LINES, PROFILE, QUESTION, RULES, SYSIDCFG, TAB
from twinboot.dnsanswer import fit, refusal, reply, size_limit
from twinboot.dnsforward import matches, passed_on
from twinboot.dnsguard import DnsRefused, guarded_parse
from twinboot.names import Zone

__all__ = ["TARGETS", "Target"]

NOW_S = 1_700_000_000
NET = "10.0.0.0"


class Target(NamedTuple):
    """One thing to fuzz."""

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def dhcp_wire(data: bytes) -> None:
    for op in (BOOTREQUEST, BOOTREPLY):
        try:
            packet = decode(data, op)
        except WireError as error:
            assert error.reason.isascii()
            continue
        assert packet.mac.isascii()
        assert 0 <= packet.waiting_s <= 0xFFFF
        assert len(packet.client_id) <= len(data)
        assert packet.message_type is None or packet.message_type > 0
        lines = [describe(code, value) for code, value in packet.options.items()]
        assert all(len(line) <= DESCRIBE_MAX_CHARS for line in lines)
        with suppress(WireError):  # what came in overloaded or split need not fit into one packet of ours
            assert decode(encode(packet), op).options == packet.options


def dhcp_options(data: bytes) -> None:
    line = describe(data[0] if data else 0, data[1:])
    assert len(line) <= DESCRIBE_MAX_CHARS
    assert line.isascii()
    assert line.isprintable()


def dhcp_macros(data: bytes) -> None:
    rows = [line.partition("|") for line in data.decode("utf-8", "surrogateescape").split("\n")[:64]]
    entries = [TabEntry(name[1:], "s" if name[:1] == "s" else "m", 1, value) for name, _, value in rows]
    table = MacroTable.load(entries)
    assert all("\n" not in fault.reason for fault in table.faults)
    names = [entry.name for entry in entries[:4]] + [""] * 4
    client_id = next(iter(table.clients), b"")
    for class_id in ("", "PXEClient:Arch:00007:UNDI:003016", names[0]):
        chosen = table.select(class_id, (names[1],), names[2], names[3], client_id)
        assert all(0 <= code <= 255 for code, _ in chosen.options)


FOLDER = Path(tempfile.mkdtemp(prefix="twinboot-fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))


def storage_container(data: bytes) -> None:
    """Two versions of a container, one after the other: what is told as changed must add up to what is there."""
    head, _, tail = data.partition(b"\0\0")
    for table in (NET, "dhcptab", "installs", "guests"):
        store = SunwFiles(FOLDER)
        first = _written(table, head)
        known = {row.key: row for row in store.read(table).rows}
        again = store.read(table, 0)
        assert {row.key: row for row in again.rows} == known
        _written(table, head + tail)
        delta = store.read(table, again.version)
        known = {} if delta.whole else {key: row for key, row in known.items() if key not in delta.gone}
        known |= {row.key: row for row in delta.rows}
        fresh = SunwFiles(FOLDER).read(table)
        assert known == {row.key: row for row in fresh.rows}
        assert sorted(delta.faults) == sorted(fresh.faults)
        assert first.exists()


def _written(table: str, body: bytes) -> Path:
    path = FOLDER / container_name(table)
    new = path.with_suffix(".new")
    new.write_bytes(empty_container(table) + body)
    new.rename(path)
    return path


def dhcp_exchange(data: bytes) -> None:
    """What is taken from an export file is written back as the same tables, and those bytes are the only ones."""
    try:
        tables = exchange.parse(data)
    except exchange.ExchangeError as error:
        assert str(error).splitlines()
        return
    written = exchange.render(tables)
    again = exchange.parse(written)
    assert {name: set(rows) for name, rows in again.items()} == {name: set(rows) for name, rows in tables.items()}
    assert exchange.render(again) == written


RELAY_LINKS = (
    relay.Link("eth0", int(IPv4Address("10.0.0.1")), 0xFFFFFF00),
    relay.Link("eth1", int(IPv4Address("10.1.0.1")), 0xFFFFFF00, has_clients=False),
)
RELAY_PLAN = relay.Plan((int(IPv4Address("10.1.0.9")),), 4, {link.address: link for link in RELAY_LINKS})


def dhcp_relay(data: bytes) -> None:
    for link in RELAY_LINKS:
        decision = relay.decide(data, link, RELAY_PLAN)
        if isinstance(decision, relay.Dropped):
            assert decision.reason in relay.DROPPED
        elif isinstance(decision, relay.Onward):
            assert link.has_clients
            assert (decision.data[:3], decision.data[28:]) == (data[:3], data[28:])
            assert decision.data[3] == data[3] + 1 <= RELAY_PLAN.hops_max + 1
        else:
            assert (decision.data, RELAY_PLAN.links[decision.link].has_clients) == (data, True)


def dhcp_parameters(data: bytes) -> None:
    with suppress(ValueError):
        wishes = config_pairs.read_wishes([data.decode("utf-8", "surrogateescape")])
        if not config_pairs.check_wishes(wishes, ""):
            changed = svcconf.set_pairs("", config_pairs.changes(wishes))
            assert changed.count("\n") == len(svcconf.parse_pairs(changed))


def dhcp_svcconf(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        svcconf.check(text)
    except svcconf.ConfError as error:
        assert error.faults
        assert all("\n" not in str(fault) for fault in error.faults)
    with suppress(ValueError):
        changed = svcconf.set_pairs(text, {"RUN_MODE": "server"})
        assert svcconf.get(changed, "RUN_MODE") == "server"


def tftp(data: bytes) -> None:
    try:
        packet = tftp_wire.parse(data)
    except tftp_wire.Malformed as error:
        assert str(error).isprintable()
        return
    if isinstance(packet, tftp_wire.Request):
        assert "\0" not in packet.name
        assert len(packet.options) <= tftp_wire.MAX_OPTIONS


ZONE = Zone("example.com", "s", IPv4Address("10.0.0.1"), [IPv4Network("10.0.0.0/20"), IPv4Network("10.0.16.0/26")])
ROWS = tuple(
    Binding(int(IPv4Address("10.0.0.50")) + n, b"\1abcde" + bytes([n]), MANUAL * (n % 2), 0, NOW_S + 9, 1, "m", "vm")
    for n in range(40)
)
ZONE.apply(NET, Delta(1, ROWS, (), whole=True, faults=()), NOW_S)


def dns(data: bytes) -> None:
    try:
        question = guarded_parse(data)
    except DnsRefused as why:
        assert len(str(why)) < 20
        return
    made = reply(question, ZONE, NOW_S) or refusal(question, "REFUSED")
    packet = fit(made, size_limit(question))
    assert len(packet) <= size_limit(question) <= 1232
    back = DNSRecord.parse(packet)
    assert (back.header.id, back.header.qr, back.q.qtype) == (question.header.id, 1, question.q.qtype)
    assert tuple(back.q.qname.label) == tuple(question.q.qname.label)
    ours = bytes(DNSRecord.question("www.example.org").pack())
    with suppress(DnsRefused):
        if matches(data, ours):
            passed_on(data, question, by_tcp=False)


def host_file(data: bytes) -> None:
    try:
        host = from_toml(data.decode("utf-8", "replace"), "hv1.toml")
    except HostError as error:
        assert error.faults
        assert all("\n" not in str(fault) for fault in error.faults)
        return
    assert from_toml(to_toml(host), "hv1.toml") == host


def jumpstart(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    faults = Faults("file")
    judge_rules(parse_rules(text, faults), faults)
    judge_profile(parse_profile(text, faults), faults)
    judge_sysidcfg(parse_sysidcfg(text, faults), faults)
    assert all(str(fault).isprintable() for fault in faults.all())
    made = rules_ok(data)
    assert fault_of(made, data) == ""
    rules = parse_rules(text, Faults("rules"))
    assert parse_rules(stripped(data).decode("utf-8", "surrogateescape"), Faults("rules")) == rules
    with suppress(EncodeError):
        assert parse_rules(encode_rules(rules), Faults("rules")) == rules
    answers = parse_sysidcfg(text, Faults("sysidcfg"))
    with suppress(EncodeError):
        assert parse_sysidcfg(encode_sysidcfg(answers), Faults("sysidcfg")) == answers


def install_report(data: bytes) -> None:
    with suppress(report.ReportError):
        parsed = report.parse(data)
        assert parsed.detail.isprintable()
        json.dumps(parsed.facts)


TARGETS: dict[str, Target] = {
    "dhcp_wire": Target(dhcp_wire, (DISCOVER, b"\2" + DISCOVER[1:])),
    "dhcp_options": Target(
        dhcp_options, (b"\x0c\0", b"\x03\x0a\0\0\1", b"\x79\x18\x0a\0\0\x0a\0\0\1", b"\x52\1\2ab", b"\x4d\2ab")
    ),
    "dhcp_macros": Target(
        dhcp_macros,
        (
            b"ma|:Subnet=255.255.255.0:Router=10.0.0.1 10.0.0.2:LeaseTim=3600:LeaseNeg:\nmb|:Include=a:Hostname:",
            b'ss|Vendor=SUNW.x "a b",1,NUMBER,2,0\nmSUNW.x|:s=1:BootFile="http:///boot/x":BootSrvA=10.0.0.1:',
            b"ma|:LeaseTim=60:\nm01AABBCCDDEEFF|:Include=a:Hostname=hv1:",
            b"ma|:Include=b:\nmb|:Include=a:\nso|Site,150,OCTET,1,0\nmc|:o=0x0102:UTCoffst=-3600:",
        ),
    ),
    "dhcp_exchange": Target(dhcp_exchange, (EXCHANGE, EXCHANGE.replace(b"[dhcptab]\n", b"[dhcptab]\n" + TAB[:40]))),
    "dhcp_relay": Target(dhcp_relay, (DISCOVER, b"\2" + DISCOVER[1:24] + b"\x0a\0\0\1" + DISCOVER[28:])),
    "dhcp_parameters": Target(
        dhcp_parameters,
        (b'OWNER_IP="10.0.0.1,10.0.0.2",VERBOSE=TRUE', b"OWNER_IP=10.0.0.1,10.0.0.2,RELAY_HOPS=3,VERBOSE"),
    ),
    "storage_container": Target(storage_container, (LINES + b"\0\0" + LINES, TAB, TAB + b"\0\0" + TAB, LINES[:40])),
    "dhcp_svcconf": Target(dhcp_svcconf, (CONF, CONF + CONF)),
    "tftp_wire": Target(tftp, (b"\0\1a/b\0octet\0blksize\x001428\0tsize\x000\0", b"\0\4\0\1", b"\0\5\0\1no\0")),
    "dns": Target(
        dns,
        (
            QUESTION,
            QUESTION[:10] + b"\0\1" + QUESTION[12:] + EDNS,
            bytes(DNSRecord.question("51.0.0.10.in-addr.arpa", "PTR").pack()),
            bytes(DNSRecord.question("example.com", "SOA").pack()),
        ),
    ),
    "host_file": Target(host_file, (HOST,)),
    "jumpstart": Target(jumpstart, (RULES, PROFILE, SYSIDCFG, RULES + PROFILE + SYSIDCFG)),
    "install_report": Target(install_report, (b"outcome=failed\nreason=no disk\nlink=fe0 \xc3\xa9\r\n",)),
}
