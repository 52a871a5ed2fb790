"""The whole chain of Solaris Nevada, walked as the boot ROM, pxegrub, the miniroot and the new system walk it.

The servers are real (DHCP, TFTP, HTTP, each a process); the machine is this test, and its image is made from the
documentation of an image's layout: no Sun software runs here. What NFS would mount is read from the directory that
the kernel's `-B` list names.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.all import BOOTP, DHCP

from jumpstart.language.check import check
from jumpstart.language.faults import Faults
from jumpstart.language.judge_sysidcfg import judge_sysidcfg
from jumpstart.language.matching import find_rule, read_facts
from jumpstart.language.okfile import fault_of
from jumpstart.language.sysidcfg import parse_sysidcfg
from storage.records import Install, open_records
from tests.twinboot.conftest import MAC, Site, wait_until_ready
from tests.twinboot.nevada.image import complete, make_image

pytestmark = pytest.mark.system  # real servers in processes of their own
CLIENT = "01" + MAC.replace(":", "").upper()
RELAY = "127.0.0.9"  # the daemon answers machines behind a relay there, so no raw socket is needed
BACKEND = '\n[networks.backend]\nsubnet = "10.77.0.0/24"\nrouter = "10.77.0.1"\n'
GRUB_MENU = 150
DEADLINE_S = 20.0


class Lease(NamedTuple):
    """What one DHCP client of the machine learned."""

    address: str
    server: str
    file: str
    menu: str


def dhcp(site: Site, vendor_class: str, asked: list[int], client_id: bytes = b"") -> Lease:
    """DISCOVER, OFFER, REQUEST, ACK."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        relay.bind((RELAY, site.dhcp_port))
        relay.settimeout(10)
        given = [("vendor_class_id", vendor_class.encode()), ("param_req_list", asked)]
        given += [("client_id", client_id)] if client_id else []

        def ask(kind: str, *more: tuple[str, str]) -> bytes:
            head = BOOTP(op=1, hops=1, chaddr=bytes.fromhex(MAC.replace(":", "")), xid=7, giaddr=RELAY)
            relay.sendto(
                bytes(head / DHCP(options=[("message-type", kind), *given, *more, "end"])),
                ("127.0.0.1", site.dhcp_port),
            )
            return relay.recv(2048)

        offer = ask("discover")
        address = socket.inet_ntoa(offer[16:20])
        ack = ask("request", ("requested_addr", address), ("server_id", socket.inet_ntoa(options_of(offer)[54])))
    found = options_of(ack)
    assert found[53] == b"\5"
    text = ack[108:236].rstrip(b"\0").decode()
    return Lease(socket.inet_ntoa(ack[16:20]), socket.inet_ntoa(ack[20:24]), text, found.get(GRUB_MENU, b"").decode())


def options_of(packet: bytes) -> dict[int, bytes]:
    """The options of a reply by their codes, as they are on the wire (scapy takes 150 for addresses)."""
    found, at = {}, 240
    while packet[at] != 255:
        length = packet[at + 1] if packet[at] else -1
        found[packet[at]] = packet[at + 2 : at + 2 + length]
        at += 2 + length
    return found


def tftp(site: Site, name: str) -> bytes:
    """Octet mode with the block size that pxegrub asks for; an error is returned as its packet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"\0\1" + name.encode() + b"\0octet\0blksize\x001408\0", ("127.0.0.1", site.tftp_port))
        got, block = b"", 512
        while True:
            data, peer = client.recvfrom(2048)
            if data[:2] == b"\0\6":
                block = int(data[2:].split(b"\0")[1])
                client.sendto(b"\0\4\0\0", peer)
                continue
            if data[:2] != b"\0\3":
                return data
            client.sendto(b"\0\4" + data[2:4], peer)
            got += data[4:]
            if len(data) < block + 4:
                return got


def http(site: Site, path: str, data: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.http_port}{path}", data=data, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def menu_words(menu: str, command: str) -> list[str]:
    """The words of the one line of a menu that begins with `command`, as GRUB legacy reads it on a 32-bit kernel."""
    (line,) = [line.strip() for line in menu.splitlines() if line.strip().split("$")[0].split(" ")[0] == command]
    return line.replace("$ISADIR", "").split()[1:]


def state(site: Site) -> str:
    (row,) = open_records("SUNWfiles", site.share / "state").read("installs").rows
    assert isinstance(row, Install)
    return row.state


@pytest.fixture
def armed(loopback_site: Site, tmp_path: Path) -> Site:
    site = loopback_site
    site.config.write_text(site.config.read_text() + BACKEND)
    site.ok("media", "add", "nevada", str(make_image(tmp_path / "nv105")), "--release", "snv_105")
    site.add_host("--target", "nevada")
    path = site.share / "hosts" / "hv1.toml"
    complete(path)
    path.write_text(path.read_text() + 'address = "10.77.0.21"\nnetwork = "backend"\n')
    site.ok("install", "hv1")
    return site


def boot_installer(site: Site, image: Path) -> dict[str, str]:
    """The ROM, pxegrub, and the kernel's own DHCP; returns the boot properties that the kernel was given."""
    rom = dhcp(site, "PXEClient:Arch:00000:UNDI:002001", [1, 3, 43, 60, 66, 67])
    assert (rom.server, rom.file) == ("127.0.0.1", CLIENT)
    assert tftp(site, rom.file) == (image / "boot/grub/pxegrub").read_bytes()
    grub = dhcp(site, "GRUBClient:Arch:00000:UNDI:002001", [1, 3, GRUB_MENU])
    assert (grub.address, grub.menu) == (rom.address, f"menu.lst.{CLIENT}")
    menu = tftp(site, grub.menu).decode()
    assert state(site) == "armed"
    kernel, module = menu_words(menu, "kernel"), menu_words(menu, "module")
    assert tftp(site, kernel[0]) == (image / "boot/platform/i86pc/kernel/unix").read_bytes()
    assert state(site) == "installing"
    assert tftp(site, module[0]) == (image / "boot/x86.miniroot").read_bytes()
    assert kernel[1:5] == ["-", "install", "nowin", "-B"]
    solaris = dhcp(site, "SUNW.i86pc", [1, 3, 12, 43], bytes.fromhex(CLIENT))
    assert solaris.address == rom.address
    return dict(pair.split("=", 1) for pair in kernel[5].split(","))


def run_miniroot(site: Site, properties: dict[str, str], image: Path) -> Path:
    """What the installer reads, in its order, from where the properties say; returns the host's directory."""
    places = {name: value.removeprefix("127.0.0.1:") for name, value in properties.items() if value.startswith("127")}
    assert Path(places["install_media"]) == image
    own = Path(places["sysid_config"])
    faults = Faults("sysidcfg")
    answers = parse_sysidcfg((own / "sysidcfg").read_text(), faults)
    judge_sysidcfg(answers, faults)
    assert not list(faults.all())
    identity = {one.keyword.text: [word.text for word in one.values] for one in answers}
    assert identity["root_password"][0].startswith("$5$")
    config = Path(places["install_config"])
    assert not fault_of((config / "rules.ok").read_bytes(), (config / "rules").read_bytes())
    judged = check(config, dry_run=True)
    assert not judged.faults
    chosen = find_rule(judged.judged.rules, read_facts(["hostname=hv1", "memsize=16384"])).chosen
    assert chosen is not None
    assert "mirror c0t0d0s0 c0t1d0s0" in (config / chosen.profile.text).read_text()
    for script in (chosen.begin.text, chosen.finish.text):
        assert subprocess.run(["sh", "-n", str(config / script)], check=False).returncode == 0
    assert find_rule(judged.judged.rules, read_facts(["hostname=another"])).chosen is None
    return own


def test_from_power_on_to_report(armed: Site, tmp_path: Path) -> None:
    site, image = armed, tmp_path / "nv105"
    with site.serving() as server:
        wait_until_ready(server)
        properties = boot_installer(site, image)
        own = run_miniroot(site, properties, image)
        assert b"chainloader +1" in tftp(site, f"menu.lst.{CLIENT}")  # the reboot starts what was installed
        (urls,) = re.findall(r"URLS='(.*)'", (own / "report").read_text())
        token = urls.rpartition("/")[2]
        for name in ("rules.ok", "profile", "sysidcfg", "begin", "finish", "firstboot"):
            held = own / name if name != "rules.ok" else own.parent.parent / name
            assert http(site, f"/boot/install/{token}/jumpstart/{name}") == (200, held.read_bytes())
            assert http(site, f"/boot/install/{'0' * 32}/jumpstart/{name}")[0] == 403
        assert http(site, "/boot/jumpstart/hosts/hv1/sysidcfg")[0] == 403  # asked from another address than hv1's
        assert http(site, f"/report/{token}", b"outcome=installed\nhost=hv1\nreason=\n") == (200, b"hv1 is installed\n")
        assert state(site) == "installed"
        assert not own.exists()
        assert not (own.parent.parent / "rules.ok").exists()
        assert http(site, f"/boot/install/{token}/jumpstart/sysidcfg")[0] == 403
        assert tftp(site, f"install/{token}/x86.miniroot")[:2] == b"\0\5"
        assert b"was installed" in tftp(site, f"menu.lst.{CLIENT}")
        end = time.monotonic() + DEADLINE_S
        while "verdict: it booted and reported home" not in (said := site.ok("explain", "hv1")):
            assert time.monotonic() < end, said
            time.sleep(0.1)
        assert token not in said


RACK = 22  # hypervisors of the reference site


def fetch_all(site: Site, client: str) -> bytes:
    """All that one machine fetches before its kernel runs; returns the miniroot."""
    assert tftp(site, client).startswith(b"fake grub/pxegrub")
    menu = tftp(site, f"menu.lst.{client}").decode()
    assert tftp(site, menu_words(menu, "kernel")[0]).startswith(b"fake platform")
    return tftp(site, menu_words(menu, "module")[0])


def test_a_whole_rack_boots_its_installers_at_once(armed: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site = armed
    monkeypatch.setattr("twinboot.commands.install._tell", lambda *_: None)  # no journal runs yet to wait for
    miniroot = bytes(range(256)) * 512
    (site.share / "boot/I86PC.nv105/x86.miniroot").write_bytes(miniroot)
    first = (site.share / "hosts/hv1.toml").read_text()
    for number in range(2, RACK + 1):
        text = first.replace('"hv1"', f'"hv{number}"').replace(MAC, f"00:14:4f:00:00:{number:02x}")
        text = re.sub(r"(?m)^(address|relocation_address) = .*", rf'\1 = "10.77.0.{20 + number}"', text)
        (site.share / f"hosts/hv{number}.toml").write_text(text)
        site.ok("install", f"hv{number}")
    clients = [f"010014{0x4F:02X}0000{number:02X}" for number in range(1, RACK + 1)]
    with site.serving() as server:
        wait_until_ready(server)
        with ThreadPoolExecutor(RACK) as pool:
            assert all(got == miniroot for got in pool.map(lambda client: fetch_all(site, client), clients))
    rows = open_records("SUNWfiles", site.share / "state").read("installs").rows
    assert [row.state for row in rows if isinstance(row, Install)] == ["installing"] * RACK
    rules = (site.share / "jumpstart/rules.ok").read_text().splitlines()
    assert len(rules) == RACK + 1
