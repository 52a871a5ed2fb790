"""Old work is shed and stale releases are left alone; the loop stops when it is told to."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from dhcp import wire
from dhcp.daemon import Daemon, serve
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.sockets import open_sockets
from dhcp.svcconf import ServiceConf
from storage.records import FREE_ID
from tests.dhcp.conftest import Events, Relay, Start, make_binding, make_packet, make_store
from tests.dhcp.daemon.conftest import MAC, pool, rows


def test_old_work_is_shed_only_from_a_whole_batch(
    lab_conf: ServiceConf, port_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = open_sockets(lab_conf, ["lo"])
    relay = Relay(port_number)
    daemon = Daemon(lab_conf, [port], make_store(pool()), [network("127.0.0.0/24")], Events())
    late = time.time() + 0.4
    monkeypatch.setattr("dhcp.daemon.time", SimpleNamespace(time=lambda: late, monotonic=time.monotonic))
    for batch_max, kept in ((3, [b"\1", b"\3"]), (2, [b"\3"])):
        monkeypatch.setattr("dhcp.daemon.BATCH_MAX", batch_max)
        relay.send(MessageType.DISCOVER, MAC)
        relay.send(MessageType.REQUEST, MAC)
        assert [data[242:243] for data in daemon._drain(port)[0]] == kept
    assert daemon.tally.counts["dhcp.dropped", "shed"] == 1
    daemon.close()
    port.close()
    relay.socket.close()


def test_serve_stops_on_sigterm_and_puts_signal_handlers_back(lab_conf: ServiceConf) -> None:
    ports = open_sockets(lab_conf, ["lo"])
    before = signal.getsignal(signal.SIGTERM)

    def when_ready() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    serve(lab_conf, ports, make_store(pool()), [network("127.0.0.0/24")], Events(), when_ready)
    assert signal.getsignal(signal.SIGTERM) is before
    for port in ports:
        port.close()


def test_a_release_that_waited_too_long_is_not_carried_out(start: Start) -> None:
    mine = make_binding("127.0.0.9", bytes.fromhex("0100144f000001"), lease_s=int(time.time()) + 500)
    records = make_store([mine])
    lab = start(records)
    release = wire.encode(make_packet(MessageType.RELEASE, MAC, ciaddr="127.0.0.9"))
    lab.daemon.service.handle(lab.ports[0], [release], 1.5)
    assert lab.events.first("dhcp.dropped")["reason"] == "stale"
    assert rows(records)[mine.address].client_id == mine.client_id
    lab.daemon.service.handle(lab.ports[0], [release], 0.5)
    assert rows(records)[mine.address].client_id == FREE_ID
