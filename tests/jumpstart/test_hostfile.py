import base64
import string
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstart.hostfile import HostError, from_table, from_toml, to_toml
from jumpstart.model import BAUD_RATES, Console, Dom0Mem, Hypervisor, Link

HV1 = """
name = "hv1"
segment = "odd"
target = "live-xen"
dom0_mem = "512M"
console = "com1=9600,8n1"
root_mirror = ["c1t0d0s0", "c1t1d0s0"]
relocation_address = "192.168.78.21"
relocation_peers = ["192.168.78.0/24", "hv2"]
root_password_hash = "$6$saltsalt$abcdefghijklmnop"
[links.fe0]
mac = "00-14-4F-00-00-01"
device = "e1000g0"
network = "public"
address = "192.168.76.21"
[links.be0]
mac = "0:14:4f:0:0:2"
"""


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(HostError) as caught:
        from_toml(text, "hosts/hv1.toml")
    assert all(fault.file == "hosts/hv1.toml" for fault in caught.value.faults)
    assert all("\n" not in str(fault) for fault in caught.value.faults)
    return {fault.key: fault.reason for fault in caught.value.faults}


def test_a_full_file_becomes_canonical_values() -> None:
    host = from_toml(HV1, "hv1.toml")
    assert (host.name, host.segment, host.install_target) == ("hv1", "odd", "live-xen")
    assert host.links[0] == Link("fe0", "00:14:4f:00:00:01", "e1000g0", "public", "192.168.76.21")
    assert host.links[1] == Link("be0", "00:14:4f:00:00:02")
    assert (host.dom0_mem.mib, str(host.console)) == (512, "com1=9600,8n1")


def test_the_shortest_file_gets_the_defaults() -> None:
    text = 'name="a"\nsegment="even"\ntarget="live-xen"\n[links.fe0]\nmac="00144f000001"\n'
    host = from_toml(text, "a.toml")
    assert (str(host.dom0_mem), str(host.console), host.links[0].mac) == ("2G", "com1=115200,8n1", "00:14:4f:00:00:01")


def test_all_faults_of_a_file_come_at_once() -> None:
    faults = faults_of(
        'name = "HV 1"\nsegment = "left"\ntarget = "live-zen"\ndom0_men = "2G"\nconsole = "com9"\n'
        'packages = "lldpd"\nroot_password_hash = "secret"\nssh_keys = ["ssh-ed25519 AAAA me", 3]\n'
        '[links.FE]\nmac = "01:00:5e:00:00:01"\nadress = "1.2.3.4"\n[links.be0]\naddress = "224.0.0.1"\n'
    )
    assert set(faults) == {
        "name",
        "segment",
        "target",
        "dom0_men",
        "console",
        "packages",
        "root_password_hash",
        "ssh_keys[0]",
        "ssh_keys[1]",
        "links.FE",
        "links.FE.mac",
        "links.FE.adress",
        "links.be0.mac",
        "links.be0.address",
    }
    assert "'dom0_mem'" in faults["dom0_men"]
    assert "'address'" in faults["links.FE.adress"]
    assert "'live-xen'" in faults["target"]
    assert "secret" not in faults["root_password_hash"]


@pytest.mark.parametrize("evil", ["a\\nb", "a\\u0000", "a\\u001b[2J", "a\\u2028b", "a b", "a;reboot", "$(x)", '\\"'])
def test_nothing_that_could_change_a_boot_line_is_read(evil: str) -> None:
    text = HV1.replace('"e1000g0"', f'"{evil}"').replace('"hv1"', f'"{evil}"').replace('"512M"', f'"{evil}"')
    assert {"name", "dom0_mem", "links.fe0.device"} <= set(faults_of(text))


@pytest.mark.parametrize("text", ["name = ", "[[[[", "a = 1\na = 2", "x = " + "[" * 50_000, "\x00"])
def test_text_that_is_not_toml_is_one_fault(text: str) -> None:
    assert list(faults_of(text)) == [""]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"links": []}, "links"),
        ({"links": {"fe0": 1}}, "links.fe0"),
        ({"links": {}}, "links"),
        ({"services_off": ["x"] * 300}, "services_off"),
        ({"name": 7}, "name"),
        ({"relocation_peers": ["192.168.78.1/24"]}, "relocation_peers[0]"),
    ],
)
def test_wrong_types_are_faults(table: dict[str, object], key: str) -> None:
    with pytest.raises(HostError) as caught:
        from_table(table, "x.toml")
    assert key in {fault.key for fault in caught.value.faults}


def test_how_guests_are_put_on_it_is_a_table_of_its_own() -> None:
    uri, name = "qemu+tcp://192.168.78.21/system", "iqn.2026-11.com.example:hv1"
    host = from_toml(HV1 + f'[hypervisor]\nuri = "{uri}"\ninitiator = "{name}"\n', "hv1.toml")
    assert (host.guests_uri, host.guests_initiator) == (uri, name)
    assert from_toml(to_toml(host), "hv1.toml") == host
    faults = faults_of(HV1 + '[hypervisor]\nuri = "no uri"\ninitiator = "hv1"\nurl = "x"\n')
    assert set(faults) == {"hypervisor.uri", "hypervisor.initiator", "hypervisor.url"}
    with pytest.raises(HostError):
        from_table({"hypervisor": "hv1"}, "x.toml")


def test_two_links_with_one_mac_are_a_fault() -> None:
    assert "fe0" in faults_of(HV1.replace("0:14:4f:0:0:2", "00:14:4f:00:00:01"))["links.be0.mac"]


KEY_BLOB = base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519" + bytes(36)).decode()
labels = st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True)
macs = st.integers(1, 2**40 - 1).map(lambda n: (n | 2 << 40).to_bytes(6, "big").hex(":"))
addresses = st.integers(0x0A000001, 0x0AFFFFFE).map(lambda n: ".".join(map(str, n.to_bytes(4, "big"))))
comments = st.text(string.ascii_letters + string.digits + "\"'\\@é#", max_size=12)


@st.composite
def hypervisors(draw: st.DrawFn) -> Hypervisor:
    names = draw(st.lists(st.from_regex(r"[a-z]{1,5}[0-9]", fullmatch=True), min_size=1, max_size=4, unique=True))
    hw = draw(st.lists(macs, min_size=len(names), max_size=len(names), unique=True))
    mib = draw(st.integers(128, 65536))
    return Hypervisor(
        name=draw(labels),
        segment=draw(st.sampled_from(["odd", "even"])),
        install_target="live-xen",
        links=tuple(Link(n, m, network=draw(st.just("") | labels)) for n, m in zip(names, hw, strict=True)),
        dom0_mem=Dom0Mem(mib, mib + draw(st.integers(0, 4096))),
        console=Console(
            draw(st.sampled_from([1, 2])), draw(st.sampled_from(BAUD_RATES)), parity=draw(st.sampled_from("noe"))
        ),
        root_mirror=tuple(draw(st.lists(labels, max_size=2))),
        relocation_address=draw(st.just("") | addresses),
        relocation_peers=tuple(draw(st.lists(labels | addresses, max_size=3))),
        ssh_keys=tuple(f"ssh-ed25519 {KEY_BLOB} {c}".rstrip() for c in draw(st.lists(comments, max_size=2))),
    )


@given(hypervisors())
@settings(max_examples=100, deadline=None)
def test_writing_then_reading_gives_the_same_host(host: Hypervisor) -> None:
    assert from_toml(to_toml(host), "x.toml") == host


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_host_or_a_host_error(text: str) -> None:
    for document in (text, HV1.replace("hv1", text.replace('"', ""))):
        with suppress(HostError):
            from_toml(document, "x.toml")
