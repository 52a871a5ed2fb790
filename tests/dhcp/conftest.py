"""Helpers of the DHCP tests: clients that write packets, tables of bindings, and a daemon on loopback."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from dhcp import options as o
from dhcp import wire
from dhcp.daemon import Daemon
from dhcp.echo import Echo
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.sockets import Port, open_sockets
from dhcp.svcconf import ServiceConf
from storage.records import FREE_ID, Binding, MemoryRecords, Records, TabEntry, ipv4_int

ANSWER_TIMEOUT_S = 5.0  # of a server that should answer; never waited for in a test that passes
SILENCE_S = 0.05


def make_packet(
    kind: MessageType | None,
    mac: str,
    *,
    ciaddr: str = "0.0.0.0",
    giaddr: str = "0.0.0.0",
    options: dict[int, bytes] | None = None,
    **header: int,
) -> Packet:
    """Return a client's packet; `header` overrides fields such as xid, secs, flags, hops."""
    chaddr = bytes.fromhex(mac.replace(":", ""))
    fields: dict[str, Any] = {"op": 1, "htype": 1, "hlen": len(chaddr), "hops": 0, "xid": 0x1234, "secs": 0, "flags": 0}
    asked = dict(options or {})
    if kind is not None:
        asked = {o.MESSAGE_TYPE: bytes((kind,)), **asked}
    return Packet(
        **(fields | header),
        ciaddr=ipv4_int(ciaddr),
        yiaddr=0,
        siaddr=0,
        giaddr=ipv4_int(giaddr),
        raw_chaddr=chaddr.ljust(16, b"\0"),
        sname=b"",
        file=b"",
        options=asked,
    )


def make_binding(address: str, client_id: bytes = FREE_ID, flags: int = 0, **fields: Any) -> Binding:
    """Return a binding owned by 127.0.0.1 unless said otherwise."""
    values = {"owner": ipv4_int("127.0.0.1"), "lease_s": 0, "signature": 1, "macro": "", "comment": "", **fields}
    return Binding(address=ipv4_int(address), client_id=client_id, flags=flags, **values)


@dataclass
class Events:
    """What a service told: a list of (kind, fields), safe to add to from its thread."""

    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __call__(self, kind: str, **fields: object) -> None:
        self.told.append((kind, fields))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]

    def of(self, kind: str) -> list[dict[str, object]]:
        return [fields for told, fields in self.told if told == kind]

    def first(self, kind: str) -> dict[str, object]:
        """The first event of `kind`, waited for: on a busy machine the server may not have come to it yet."""
        give_up_at = time.monotonic() + ANSWER_TIMEOUT_S
        while not (found := self.of(kind)) and time.monotonic() < give_up_at:
            time.sleep(0.005)
        return found[0]


class Relay:
    """A relay agent at 127.0.0.2: sends for clients and receives what the server answers."""

    ADDRESS = "127.0.0.2"

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.ADDRESS, port))
        self.socket.settimeout(ANSWER_TIMEOUT_S)

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendto(data, self._server)

    def send(self, kind: MessageType, mac: str, **fields: Any) -> None:
        packet = make_packet(kind, mac, giaddr=self.ADDRESS, hops=1, **fields)
        self.send_bytes(wire.encode(packet))

    def receive(self) -> Packet:
        return wire.decode(self.socket.recv(2048), op=wire.BOOTREPLY)

    def ask(self, kind: MessageType, mac: str, **fields: object) -> Packet:
        self.send(kind, mac, **fields)
        return self.receive()

    def is_silent(self) -> bool:
        self.socket.settimeout(SILENCE_S)
        try:
            self.socket.recv(2048)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(ANSWER_TIMEOUT_S)
        return False

    def lease(self, mac: str) -> Packet:
        """Go through DISCOVER, OFFER, REQUEST, ACK."""
        offer = self.ask(MessageType.DISCOVER, mac)
        return self.ask(MessageType.REQUEST, mac, options=chosen(offer))


def chosen(offer: Packet) -> dict[int, bytes]:
    """Return the options by which a client takes an offer."""
    return {o.REQUESTED_ADDRESS: offer.yiaddr.to_bytes(4, "big"), o.SERVER_ID: offer.options[o.SERVER_ID]}


NETWORK = "127.0.0.0"


def make_store(bindings: list[Binding], macros: dict[str, str] | None = None) -> MemoryRecords:
    """Return a datastore in memory with one network, 127.0.0.0/24."""
    records = MemoryRecords()
    records.load(NETWORK, bindings)
    records.load("dhcptab", [TabEntry(name, "m", 1, text) for name, text in (macros or {}).items()])
    return records


def free_port() -> int:
    """Find a free UDP port for a server and its relay."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Lab:
    """A running daemon, what it told, and the relay to talk to it."""

    daemon: Daemon
    events: Events
    relay: Relay
    ports: list[Port]


Start = Callable[..., Lab]


@pytest.fixture
def port_number() -> int:
    """Return a free UDP port for the server and its relay."""
    return free_port()


@pytest.fixture
def lab_conf(port_number: int) -> ServiceConf:
    """Return the configuration of a server that may run beside others, unprivileged."""
    return ServiceConf("SUNWfiles", "/nowhere", debug_port_offset=port_number - 67, icmp_verify=False)


@pytest.fixture
def start(lab_conf: ServiceConf) -> Iterator[Start]:
    """Return a function that starts a daemon on loopback over a datastore; all are stopped afterwards.

    `address` is what it takes for its own, so that several can be told apart.
    """
    labs: list[tuple[Lab, threading.Thread]] = []

    def run(records: Records, echo: Echo | None = None, address: str = "127.0.0.1", **keys: Any) -> Lab:
        conf = replace(lab_conf, **keys)
        (port,) = open_sockets(replace(conf, icmp_verify=False), ["lo"])
        interface = port.interface._replace(is_loopback=False, address=ipv4_int(address))
        ports = [port._replace(echo=echo, interface=interface)]
        events = Events()
        daemon = Daemon(conf, ports, records, [network("127.0.0.0/24")], events)
        ready = threading.Event()
        thread = threading.Thread(target=daemon.serve_forever, args=(ready.set,), daemon=True)
        lab = Lab(daemon, events, Relay(67 + conf.debug_port_offset), ports)
        labs.append((lab, thread))
        thread.start()
        assert ready.wait(ANSWER_TIMEOUT_S)
        return lab

    yield run
    for lab, thread in labs:
        lab.daemon.stop()
        thread.join(ANSWER_TIMEOUT_S)
        lab.daemon.close()
        lab.relay.socket.close()
        for port in lab.ports:
            port.close()
        assert not thread.is_alive()
