"""Names are answered by UDP and TCP, and follow the share."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from dnslib import RCODE

from storage.records import Outcome
from tests.twinboot.dns.conftest import DEADLINE_S, LONG_DOMAIN, NET, Server, Start, manual, question, tcp_ask
from twinboot import dnszone

HOST = 'name = "hv1"\nsegment = "odd"\ntarget = "live-xen"\n[links.fe0]\nmac = "00:14:4f:00:00:01"\naddress = "{}"\n'


def test_names_are_answered_by_udp_and_tcp(server: Server) -> None:
    assert server.address_of("vm") == "127.0.0.71"
    with server.tcp() as client:
        for _ in range(3):
            assert str(tcp_ask(client, question("71.0.0.127.in-addr.arpa", "PTR")).rr[0].rdata) == "vm.example.com."
    assert server.ask(question("none.example.com")).header.rcode == RCODE.NXDOMAIN


def test_edits_of_host_files_and_containers_are_answered(server: Server, tmp_path: Path) -> None:
    assert server.address_of("hv1") == ""
    (tmp_path / "hv1.toml").write_text(HOST.format("10.0.0.21"))
    server.records.load(NET, [manual("127.0.0.72", "vm")])
    server.forget_freshness()
    assert server.address_of("hv1") == "10.0.0.21"
    assert server.address_of("vm") == "127.0.0.72"
    (tmp_path / "hv1.toml").unlink()
    server.forget_freshness()
    assert server.address_of("hv1") == ""


def test_a_store_that_fails_keeps_the_last_names_and_tells_once(server: Server) -> None:
    for _ in range(3):
        server.records.fail_next(Outcome.UNAVAILABLE)
        server.forget_freshness()
        assert server.address_of("vm") == "127.0.0.71"
    assert [one["file"] for one in server.events if one["kind"] == "records.fault"] == [NET]
    server.records.drop(NET)
    server.forget_freshness()
    assert server.address_of("vm") == ""


def test_a_share_that_hangs_makes_nobody_wait_twice(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnszone, "FRESH_WAIT_S", 0.05)
    released, hung = threading.Event(), threading.Event()
    read = server.records.read

    def hang(*args: Any) -> Any:
        hung.set()
        assert released.wait(DEADLINE_S)
        return read(*args)

    monkeypatch.setattr(server.records, "read", hang)
    server.forget_freshness()
    for _ in range(20):
        assert server.address_of("vm") == "127.0.0.71"
    assert hung.is_set()
    server.records.load(NET, [manual("127.0.0.73", "vm")])
    released.set()
    end = time.monotonic() + DEADLINE_S
    while server.address_of("vm") != "127.0.0.73":
        assert time.monotonic() < end


def test_truncation_then_tcp(start: Start) -> None:
    server = start(domain=LONG_DOMAIN)
    asked = f"{'p' * 63}.{LONG_DOMAIN}"
    cut = server.ask(question(asked))
    assert (cut.header.tc, cut.rr) == (1, [])
    with server.tcp() as client:
        assert len(tcp_ask(client, question(asked)).rr) == 16
    assert len(server.ask(question(asked, edns_bytes=1000)).rr) == 16


@pytest.mark.skipif(not shutil.which("dig"), reason="needs dig (bind9-dnsutils)")
def test_dig_understands_us(server: Server) -> None:
    def dig(*words: str) -> str:
        argv = ["dig", "+tries=1", "+time=5", "@127.0.0.1", "-p", str(server.port), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, check=True).stdout

    assert dig("+short", "vm.example.com") == "127.0.0.71\n"
    assert dig("+short", "+tcp", "VM.example.com") == "127.0.0.71\n"
    assert dig("+short", "-x", "127.0.0.71") == "vm.example.com.\n"
    assert dig("+short", "example.com", "SOA").startswith("s1.example.com. hostmaster.example.com. ")
    said = dig("none.example.com")
    assert "status: NXDOMAIN" in said
    assert "flags: qr aa rd;" in said
    assert "udp: 1232" in said
    assert "status: REFUSED" in dig("example.org")
    assert "status: BADVERS" in dig("+edns=7", "+noednsneg", "vm.example.com")
    assert "Transfer failed" in dig("example.com", "AXFR")
    assert "127.0.0.71" in dig("+bufsize=100", "+subnet=10.0.0.0/24", "vm.example.com")
