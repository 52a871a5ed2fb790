"""A daemon killed -9 while commits are under way: every ACK that left is in the datastore, for its client alone."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from dhcp.daemon import Daemon
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.sockets import open_sockets
from dhcp.svcconf import ServiceConf
from storage.records import Binding, Change, Outcome, open_records
from tests.dhcp.conftest import NETWORK, SILENCE_S, Events, Relay, chosen, make_binding
from tests.processes import in_child
from tests.rows import rows_of

MACS = [f"00:14:4f:00:01:{number:02x}" for number in range(200)]


def serve(conf: ServiceConf, tell: int) -> None:
    ports = open_sockets(conf, ["lo"])
    ports = [port._replace(interface=port.interface._replace(is_loopback=False)) for port in ports]
    daemon = Daemon(conf, ports, open_records(conf.resource, conf.path), [network("127.0.0.0/24")], Events())
    daemon.serve_forever(lambda: os.close(tell))


@pytest.fixture
def conf(lab_conf: ServiceConf, tmp_path: Path, request: pytest.FixtureRequest) -> ServiceConf:
    """A datastore on the disk with an address for each client."""
    store = open_records(request.param, tmp_path)
    for table in (NETWORK, "dhcptab"):
        store.create(table)
    rows = [make_binding(f"127.0.0.{last}") for last in range(20, 20 + len(MACS))]
    assert {one.outcome for one in store.commit([Change(NETWORK, None, row) for row in rows])} == {Outcome.STORED}
    return replace(lab_conf, resource=request.param, path=str(tmp_path))


@pytest.mark.parametrize("after", [1, 40, 120])
@pytest.mark.parametrize("conf", ["SUNWfiles", "twinlog"], indirect=True)
def test_what_was_acknowledged_is_stored(conf: ServiceConf, after: int) -> None:
    heard, tell = os.pipe()
    pid = in_child(lambda: serve(conf, tell))
    os.close(tell)
    assert os.read(heard, 1) == b""  # it serves
    os.close(heard)
    relay = Relay(67 + conf.debug_port_offset)
    offered = {mac: relay.ask(MessageType.DISCOVER, mac) for mac in MACS}
    acks: list[Packet] = []
    for mac in MACS:
        relay.send(MessageType.REQUEST, mac, options=chosen(offered[mac]))
    while len(acks) < after:
        acks.append(relay.receive())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    relay.socket.settimeout(SILENCE_S)
    while True:
        try:
            acks.append(relay.receive())
        except TimeoutError:
            break
    relay.socket.close()
    assert {ack.message_type for ack in acks} == {MessageType.ACK}
    given = {ack.mac: ack.yiaddr for ack in acks}
    assert len(set(given.values())) == len(given) >= after
    rows = rows_of(open_records(conf.resource, conf.path), NETWORK, Binding)
    held = {row.client_id[1:].hex(":"): row.address for row in rows if row.lease_s}
    assert given.items() <= held.items()
