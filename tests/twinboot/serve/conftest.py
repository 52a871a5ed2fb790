"""Real servers in processes of their own, and the requests of a machine that boots."""

from __future__ import annotations

import re
import socket
import struct
import urllib.error
import urllib.request
from typing import Any

import pytest
from scapy.all import BOOTP, DHCP

from tests.twinboot.conftest import MAC
from twinboot.journal import JournalError, Query, open_reader, read

DEADLINE_S = 30.0


def events(site, **query: Any) -> list[dict]:
    try:
        return read(open_reader(site.state / "journal.db"), Query(**query))
    except JournalError:
        return []


def tftp_get(port: int, name: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"\0\1" + name.encode() + b"\0octet\0", ("127.0.0.1", port))
        got = b""
        while True:
            data, peer = client.recvfrom(2048)
            if data[:2] != b"\0\3":
                return data
            client.sendto(b"\0\4" + data[2:4], peer)
            got += data[4:]
            if len(data) < 516:
                return got


def dhcp_offer(site, wait_s: float = 10) -> bytes:
    """What the server answers a relayed DISCOVER of a BIOS boot ROM."""
    discover = BOOTP(op=1, chaddr=bytes.fromhex(MAC.replace(":", "")), xid=7, giaddr="127.0.0.1") / DHCP(
        options=[("message-type", "discover"), ("vendor_class_id", b"PXEClient:Arch:00000:UNDI:002001"), "end"]
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        relay.bind(("127.0.0.9", site.dhcp_port))
        relay.settimeout(wait_s)
        packet = bytes(discover).replace(socket.inet_aton("127.0.0.1"), socket.inet_aton("127.0.0.9"), 1)
        relay.sendto(packet, ("127.0.0.1", site.dhcp_port))
        return relay.recv(2048)


def http_get(site, path: str, data: bytes | None = None) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.http_port}{path}", data=data, timeout=10) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        pytest.fail(f"{path}: {error}: {error.read()!r}; {events(site)[-3:]}")


def boot_through(site) -> None:
    """Everything a machine does, from DISCOVER to report."""
    for name in ("xen", "vmlinuz", "initrd.gz"):
        path = site.share / "boot" / "live-xen" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    site.add_host()
    site.ok("install", "hv1")
    offer = dhcp_offer(site)
    assert b"grub/i386-pc/core.0" in offer
    assert struct.unpack_from("!B", offer)[0] == 2
    menu = tftp_get(site.tftp_port, "grub/grub.cfg-01-00-14-4f-00-00-01").decode()
    found = re.search(r"install/([0-9a-f]{32})", menu)
    assert found, (menu, events(site)[-3:])
    token = found[1]
    assert http_get(site, f"/boot/install/{token}/xen") == b"xen"
    assert b"installed" in http_get(site, f"/report/{token}", b"outcome=installed\nmemory_mib=512\n")
