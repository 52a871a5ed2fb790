"""The engine by golden scripts: `scenarios/*.txt` hold what happens and what must come of it, side by side.

A script is made of blocks with a blank line between: commands, then `----`, then the trace of the last command.
Commands:

    net 10.0.0.0/24              own 10.0.0.1 ...            conf key=value ...          time SECONDS
    skew SECONDS (between our clock and the store's)         frozen     repeats (requests to peers are finished)
    macro NAME TEXT              row ADDRESS ID FLAGS OWNER LEASE [MACRO [COMMENT]]       expire
    discover|request|release|decline|inform|bootp|leasequery CLIENT [ciaddr= giaddr= secs= hops= want= server= id=
        class= user= lease= list= max= relay= link= subnet= name= fqdn= broadcast plain file=]

CLIENT is one letter: `a` has the MAC 02:00:00:00:00:0a; `-` is nobody. `plain` leaves out the magic cookie. ID is `-`
(free), a client's letter (its MAC's id), or hexadecimal. What a decision asks for is done at once, as by a store that
never fails.
`TWINBOOT_REWRITE=1 pytest ...` writes the traces anew; read the difference before you commit it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp import engine, wire
from dhcp import options as o
from dhcp.asking import view_of
from dhcp.decision import SILENCE, Decision
from dhcp.macros import MacroTable
from dhcp.networks import network
from dhcp.option_text import describe
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.reply import Plans
from dhcp.svcconf import ServiceConf
from dhcp.view import NetworkView
from dhcp.world import Arrival, Networks, World
from storage.records import FREE_ID, Binding, Delta, TabEntry, ipv4_int, ipv4_text
from tests.dhcp.conftest import make_packet

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
SHOWN = ("address", "client_name", "lease_s", "state", "reason", "detail")


def mac_of(letter: str) -> str:
    return f"02:00:00:00:00:{int(letter, 16):02x}"


def id_of(text: str) -> bytes:
    if text == "-":
        return FREE_ID
    return bytes.fromhex("01" + mac_of(text).replace(":", "") if len(text) == 1 else text)


def value_of(key: str, text: str) -> Any:
    if key == "owner_ip":
        return tuple(map(ipv4_int, text.split(",")))
    return int(text) if text.isdigit() else text


def address_bytes(text: str) -> bytes:
    return ipv4_int(text).to_bytes(4, "big")


OPTION_WORDS: dict[str, tuple[int, Callable[[str], bytes]]] = {
    "want": (o.REQUESTED_ADDRESS, address_bytes),
    "server": (o.SERVER_ID, address_bytes),
    "id": (o.CLIENT_ID, bytes.fromhex),
    "class": (o.CLASS_ID, str.encode),
    "user": (o.USER_CLASS, str.encode),
    "lease": (o.LEASE_TIME, lambda text: int(text).to_bytes(4, "big")),
    "list": (o.PARAMETER_LIST, lambda text: bytes(map(int, text.split(",")))),
    "max": (o.MAX_MESSAGE_SIZE, lambda text: int(text).to_bytes(2, "big")),
    "relay": (o.RELAY_INFO, bytes.fromhex),
    "subnet": (o.SUBNET_SELECTION, address_bytes),
    "name": (o.HOST_NAME, str.encode),
    "fqdn": (o.CLIENT_FQDN, bytes.fromhex),
    "link": (o.RELAY_INFO, lambda text: b"\5\4" + address_bytes(text)),
}


@dataclass
class Stage:
    """The world of one script."""

    view: NetworkView = field(default_factory=lambda: NetworkView(network("10.0.0.0/24"), frozenset()))
    conf: ServiceConf = field(default_factory=lambda: ServiceConf("SUNWfiles", "/"))
    own: frozenset[int] = frozenset({ipv4_int("10.0.0.1")})
    macros: dict[str, str] = field(default_factory=dict)
    now_s: int = 1000
    frozen: bool = False
    skew_s: int = 0
    finishing: bool = False

    def do(self, line: str) -> str:
        word, *rest = line.split(" ")
        known = getattr(self, f"do_{word}", None)
        return str(known(*rest) or "") if known else self.packet(word, *rest)

    def do_net(self, text: str) -> None:
        self.view = NetworkView(network(text), self.own | frozenset(self.conf.owner_ip))

    def do_own(self, *addresses: str) -> None:
        self.own = frozenset(map(ipv4_int, addresses))
        self.view.owners = self.own

    def do_conf(self, *pairs: str) -> None:
        values = dict(pair.split("=") for pair in pairs)
        self.conf = replace(self.conf, **{key: value_of(key, value) for key, value in values.items()})
        self.view.owners = self.own | frozenset(self.conf.owner_ip)

    def do_time(self, seconds: str) -> None:
        self.now_s = int(seconds)

    def do_macro(self, name: str, *text: str) -> None:
        self.macros[name] = " ".join(text)

    def do_row(
        self, address: str, client: str, flags: str, owner: str, lease: str, macro: str = "", *comment: str
    ) -> None:
        row = Binding(
            ipv4_int(address), id_of(client), int(flags), ipv4_int(owner), int(lease), 1, macro, " ".join(comment)
        )
        self.apply(row)

    def do_frozen(self) -> None:
        self.frozen = True

    def do_skew(self, seconds: str) -> None:
        self.skew_s = int(seconds)

    def do_repeats(self) -> None:
        self.finishing = True

    def do_expire(self) -> None:
        self.view.forget_offers()

    def apply(self, row: Binding) -> None:
        self.view.apply(Delta(self.view.version + 1, (row,), (), whole=False, faults=()))

    def packet(self, kind: str, letter: str, *words: str) -> str:
        given = dict(word.partition("=")[::2] for word in words)
        header = {name: int(given[name]) for name in ("secs", "hops") if name in given}
        packet = make_packet(
            None if kind == "bootp" else MessageType[kind.upper()],
            "" if letter == "-" else mac_of(letter),
            ciaddr=given.get("ciaddr", "0.0.0.0"),
            giaddr=given.get("giaddr", "0.0.0.0"),
            flags=0x8000 if "broadcast" in given else 0,
            options={code: make(given[word]) for word, (code, make) in OPTION_WORDS.items() if word in given},
            **header,
        )
        file = given.get("file", "").encode()
        return self.trace(self.decide(packet.altered(file=file, has_cookie="plain" not in given)))

    def decide(self, packet: Packet) -> Decision:
        entries = [TabEntry(name, "m", 1, text) for name, text in self.macros.items()]
        networks = Networks([self.view])
        macros = MacroTable.load(entries)
        world = World(self.conf, self.own, macros, Plans(), networks, self.frozen, self.skew_s, self.finishing)
        arrival = Arrival("eth0", min(self.own))
        request = wire.decode(wire.encode(packet))
        view = view_of(request, arrival, networks)
        return engine.decide(request, arrival, world, view, self.now_s)

    def trace(self, decision: Decision) -> str:
        shown = [f"{name}={decision.fields[name]}" for name in SHOWN if name in decision.fields]
        lines = [" ".join([decision.kind, *shown])]
        if decision.change is not None and isinstance(decision.change.new, Binding):
            new = decision.change.new
            needed = "" if decision.needs_store else " (if it can)"
            lines.append(
                f"  store {ipv4_text(new.address)} {new.client_id.hex()} flags {new.flags} lease {new.lease_s}{needed}"
            )
            self.apply(new._replace(signature=new.signature + 1))
        if decision.reply is not None:
            reply = wire.decode(decision.reply.data, op=wire.BOOTREPLY)
            to = decision.reply.to
            lines.append(
                f"  send {to.via.value} {ipv4_text(to.address)}:{to.port}{' ' + to.mac.hex(':') if to.mac else ''}"
            )
            lines.append(
                f"    yiaddr {ipv4_text(reply.yiaddr)} ciaddr {ipv4_text(reply.ciaddr)}"
                f" siaddr {ipv4_text(reply.siaddr)} file {reply.file.decode()!r} sname {reply.sname.decode()!r}"
            )
            lines += [f"    {describe(code, value)}" for code, value in reply.options.items()]
        if decision.probe:
            lines.append(f"  unless {ipv4_text(decision.probe)} answers an echo")
        if decision.remember is not None:
            lines.append("  remember the offer")
            self.view.remember(decision.remember, 0)
        if decision.forget is not None:
            self.view.forget(decision.forget)
        if decision.heard is not None and decision.forget is not None:
            self.view.heard.note(decision.forget, decision.heard)
        return "\n".join(lines)


def play(text: str) -> str:
    """Run a script and return it with the traces as they are now."""
    stage = Stage()
    blocks = []
    for block in text.strip().split("\n\n"):
        commands = block.partition("\n----\n")[0]
        lines = [line for line in commands.split("\n") if line and not line.startswith("#")]
        for line in lines[:-1]:
            stage.do(line)
        trace = stage.do(lines[-1]) if lines else ""
        blocks.append(f"{commands}\n----\n{trace}" if trace else commands)
    return "\n\n".join(blocks) + "\n"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    text = path.read_text()
    played = play(text)
    if os.environ.get("TWINBOOT_REWRITE"):
        path.write_text(played)
    assert played == text or os.environ.get("TWINBOOT_REWRITE")


def test_the_scenarios_show_every_reason_for_silence() -> None:
    told = "".join(path.read_text() for path in SCENARIOS)
    assert [reason for reason in SILENCE if f"reason={reason} " not in told] == []


def test_deciding_changes_nothing() -> None:
    stage = Stage()
    stage.do("net 10.0.0.0/24")
    stage.do("row 10.0.0.10 - 0 10.0.0.1 0")
    packet = make_packet(MessageType.DISCOVER, mac_of("a"))
    one, other = stage.decide(packet), stage.decide(packet)
    assert one.fields == other.fields
    for name in ("kind", "change", "needs_store", "forget", "heard", "probe"):
        assert getattr(one, name) == getattr(other, name)
    assert one.reply is not None
    assert other.reply is not None
    assert (one.reply.data, one.reply.to) == (other.reply.data, other.reply.to)
    assert stage.view.offers == {}


packets = st.builds(
    lambda kind, letter, options, ciaddr, giaddr, htype: make_packet(
        kind, mac_of(letter), ciaddr=ciaddr, giaddr=giaddr, options=options, htype=htype
    ),
    st.sampled_from([None, *MessageType]),
    st.sampled_from("abc"),
    st.dictionaries(
        st.sampled_from([50, 51, 54, 55, 57, 60, 61, 77, 82, 118]) | st.integers(1, 254),
        st.binary(max_size=300) | st.sampled_from([address_bytes(f"10.0.0.{host}") for host in range(9, 13)]),
        max_size=8,
    ),
    *[st.sampled_from(["0.0.0.0", "10.0.0.9", "10.0.0.10", "10.0.0.11", "192.168.0.1"])] * 2,
    st.sampled_from([0, 1, 6, 255]),
)


@settings(max_examples=300, deadline=None)
@given(packets)
def test_no_packet_gets_more_than_a_decision(packet: Packet) -> None:
    stage = Stage()
    for line in (
        "net 10.0.0.0/24",
        "macro 10.0.0.0 :Router=10.0.0.254:LeaseTim=600:LeaseNeg:EchoVC:",
        "row 10.0.0.9 a 2 10.0.0.1 0",
        "row 10.0.0.10 b 0 10.0.0.1 2000",
        "row 10.0.0.11 - 0 10.0.0.1 0",
        "row 10.0.0.12 - 8 10.0.0.1 0",
        "conf bootp_compat=automatic",
    ):
        stage.do(line)
    try:
        decision = stage.decide(packet)
    except wire.WireError:
        return  # not a packet that the engine is asked about
    assert decision.kind in {
        f"dhcp.{word}"
        for word in ("offer", "ack", "nak", "release", "decline", "inform", "bootp", "leasequery", "silent")
    }
    if decision.reply is not None:
        assert len(decision.reply.data) <= 1472
        assert wire.decode(decision.reply.data, op=wire.BOOTREPLY).xid == packet.xid
